-- Written by `make sql` from upload_tables.py.

-- CREATE_UPLOADS
PRAGMA user_version = 1;
CREATE TABLE approvals (
	number INTEGER NOT NULL,
	upload TEXT NOT NULL,
	digest TEXT NOT NULL,
	"by" TEXT NOT NULL,
	at FLOAT NOT NULL,
	withdrawn_at FLOAT,
	PRIMARY KEY (number)
);
CREATE TABLE events (
	number INTEGER NOT NULL,
	at FLOAT NOT NULL,
	"by" TEXT NOT NULL,
	what TEXT NOT NULL,
	upload TEXT,
	run TEXT,
	text TEXT NOT NULL,
	PRIMARY KEY (number)
);
CREATE TABLE sessions (
	digest TEXT NOT NULL,
	user TEXT NOT NULL,
	expires_at FLOAT NOT NULL,
	PRIMARY KEY (digest)
);
CREATE TABLE tasks (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL,
	upload TEXT,
	state TEXT NOT NULL,
	"by" TEXT NOT NULL,
	created_at FLOAT NOT NULL,
	started_at FLOAT,
	ended_at FLOAT,
	run TEXT,
	fault TEXT,
	waits_for TEXT DEFAULT '' NOT NULL,
	options TEXT NOT NULL,
	is_stopped INTEGER DEFAULT '0' NOT NULL
);
CREATE TABLE uploads (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	file TEXT NOT NULL,
	"by" TEXT NOT NULL,
	at FLOAT NOT NULL,
	changed_at FLOAT NOT NULL,
	source_path TEXT,
	repairs TEXT,
	undoes TEXT,
	answers TEXT NOT NULL,
	layout TEXT,
	remember TEXT,
	compare INTEGER DEFAULT '0' NOT NULL,
	asked TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX tasks_of_upload ON tasks (upload);
CREATE INDEX tasks_of_run ON tasks (run);
CREATE INDEX tasks_by_state ON tasks (state);
CREATE INDEX events_of_upload ON events (upload);
CREATE INDEX events_of_run ON events (run);
CREATE INDEX approvals_of_upload ON approvals (upload);
CREATE INDEX uploads_that_repair ON uploads (repairs);

-- ADD_UPLOAD
INSERT INTO uploads (id, name, file, "by", at, changed_at, source_path, repairs, undoes, answers, compare) VALUES (:id, :name, :file, :by, :at, :at, :source_path, :repairs, :undoes, :answers, 0);

-- UPLOAD
SELECT uploads.id, uploads.name, uploads.file, uploads."by", uploads.at, uploads.changed_at, uploads.source_path, uploads.repairs, uploads.undoes, uploads.answers, uploads.layout, uploads.remember, uploads.compare, uploads.asked, (SELECT tasks.run
FROM tasks
WHERE tasks.upload = uploads.id AND tasks.run IS NOT NULL ORDER BY tasks.number DESC
 LIMIT 1 OFFSET 0) AS run
FROM uploads
WHERE uploads.id = :upload_id;

-- UPLOADS
SELECT uploads.id, uploads.name, uploads.file, uploads."by", uploads.at, uploads.changed_at, uploads.source_path, uploads.repairs, uploads.undoes, uploads.answers, uploads.layout, uploads.remember, uploads.compare, uploads.asked, (SELECT tasks.run
FROM tasks
WHERE tasks.upload = uploads.id AND tasks.run IS NOT NULL ORDER BY tasks.number DESC
 LIMIT 1 OFFSET 0) AS run
FROM uploads ORDER BY uploads.at DESC, uploads.id;

-- UPLOADS_REPAIRING
SELECT uploads.id, uploads.name, uploads.file, uploads."by", uploads.at, uploads.changed_at, uploads.source_path, uploads.repairs, uploads.undoes, uploads.answers, uploads.layout, uploads.remember, uploads.compare, uploads.asked, (SELECT tasks.run
FROM tasks
WHERE tasks.upload = uploads.id AND tasks.run IS NOT NULL ORDER BY tasks.number DESC
 LIMIT 1 OFFSET 0) AS run
FROM uploads
WHERE uploads.repairs = :past ORDER BY uploads.at DESC
 LIMIT 1 OFFSET 0;

-- UPLOADS_UNDOING
SELECT uploads.id, uploads.name, uploads.file, uploads."by", uploads.at, uploads.changed_at, uploads.source_path, uploads.repairs, uploads.undoes, uploads.answers, uploads.layout, uploads.remember, uploads.compare, uploads.asked, (SELECT tasks.run
FROM tasks
WHERE tasks.upload = uploads.id AND tasks.run IS NOT NULL ORDER BY tasks.number DESC
 LIMIT 1 OFFSET 0) AS run
FROM uploads
WHERE uploads.undoes = :past ORDER BY uploads.at DESC
 LIMIT 1 OFFSET 0;

-- TOUCH
UPDATE uploads SET changed_at=:now WHERE uploads.id = :upload_id;

-- SET_ANSWERS
UPDATE uploads SET changed_at=:now, answers=:given, layout=:by_layout, remember=:as_layout, asked=NULL WHERE uploads.id = :upload_id;

-- SET_COMPARE
UPDATE uploads SET changed_at=:now, compare=:reads_first WHERE uploads.id = :upload_id;

-- SET_ASKED
UPDATE uploads SET asked=:questions WHERE uploads.id = :upload_id;

-- SET_REMEMBERED
UPDATE uploads SET remember=NULL WHERE uploads.id = :upload_id;

-- REMOVE_UPLOAD
DELETE FROM uploads WHERE uploads.id = :upload_id AND NOT (EXISTS (SELECT tasks.number
FROM tasks
WHERE tasks.upload = uploads.id AND (tasks.state = 'waiting' OR tasks.state = 'running')));

-- UNUSED_UPLOADS
SELECT uploads.id
FROM uploads
WHERE uploads.changed_at < :before AND NOT (EXISTS (SELECT tasks.number
FROM tasks
WHERE tasks.upload = uploads.id AND (tasks.state = 'waiting' OR tasks.state = 'running'))) ORDER BY uploads.changed_at;

-- ADD_TASK
INSERT INTO tasks (kind, upload, state, "by", created_at, run, waits_for, options, is_stopped) VALUES (:kind, :upload, 'waiting', :by, :created_at, :run, '', :options, 0);

-- EQUAL_TASKS
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks."by", tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.state = 'waiting' AND tasks.kind = :which AND tasks.upload IS :of_upload AND tasks.run IS :of_run AND tasks.options = :with_options AND tasks.is_stopped = 0 ORDER BY tasks.number;

-- TASK
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks."by", tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.number = :task;

-- TASKS
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks."by", tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.upload = :of_upload ORDER BY tasks.number DESC;

-- OPEN_TASKS
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks."by", tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.state = 'waiting' OR tasks.state = 'running' ORDER BY tasks.number;

-- LAST_TASK
SELECT max(tasks.number) AS max_1
FROM tasks;

-- TASK_OF_RUN
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks."by", tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.run = :past ORDER BY tasks.number DESC
 LIMIT 1 OFFSET 0;

-- TASK_IS_STOPPED
SELECT tasks.is_stopped
FROM tasks
WHERE tasks.number = :task;

-- TAKE_UP_TASKS
UPDATE tasks SET state='waiting', waits_for='' WHERE tasks.state = 'running';

-- START_TASK
UPDATE tasks SET state='running', started_at=:now WHERE tasks.number = :task AND tasks.state = 'waiting';

-- DEFER_TASK
UPDATE tasks SET state='waiting', waits_for=:holder WHERE tasks.number = :task AND (tasks.state = 'waiting' OR tasks.state = 'running');

-- SET_TASK_RUN
UPDATE tasks SET run=:past, waits_for='' WHERE tasks.number = :task;

-- END_TASK
UPDATE tasks SET state=:end, ended_at=:now, fault=:why, waits_for='' WHERE tasks.number = :task AND (tasks.state = 'waiting' OR tasks.state = 'running');

-- STOP_TASK
UPDATE tasks SET is_stopped=1 WHERE tasks.number = :task AND (tasks.state = 'waiting' OR tasks.state = 'running');

-- ADD_EVENT
INSERT INTO events (at, "by", what, upload, run, text) VALUES (:at, :by, :what, :upload, :run, :text);

-- EVENTS
SELECT events.at, events."by", events.what, events.upload, events.run, events.text
FROM events ORDER BY events.number DESC
 LIMIT :most OFFSET 0;

-- EVENTS_OF
SELECT events.at, events."by", events.what, events.upload, events.run, events.text
FROM events
WHERE events.upload IN (SELECT u.value
FROM json_each(:of_uploads) AS u) OR events.run IN (SELECT r.value
FROM json_each(:of_runs) AS r) ORDER BY events.number DESC
 LIMIT :most OFFSET 0;

-- UPLOADS_OF_RUN
SELECT DISTINCT tasks.upload
FROM tasks
WHERE tasks.run = :past AND tasks.upload IS NOT NULL;

-- PEOPLE
SELECT DISTINCT events."by"
FROM events
WHERE events.upload = :of_upload AND events.what IN (SELECT d.value
FROM json_each(:deeds) AS d);

-- ADD_APPROVAL
INSERT INTO approvals (upload, digest, "by", at) VALUES (:upload, :digest, :by, :at);

-- OTHER_APPROVALS
SELECT approvals.number, approvals."by"
FROM approvals
WHERE approvals.upload = :of_upload AND approvals.withdrawn_at IS NULL AND approvals.digest != :of_digest;

-- WITHDRAW_APPROVAL
UPDATE approvals SET withdrawn_at=:now WHERE approvals.number = :approval AND approvals.withdrawn_at IS NULL;

-- APPROVAL
SELECT approvals.digest, approvals."by", approvals.at, approvals.withdrawn_at
FROM approvals
WHERE approvals.upload = :of_upload AND approvals.withdrawn_at IS NULL AND approvals.digest = :of_digest ORDER BY approvals.number DESC
 LIMIT 1 OFFSET 0;

-- REMOVE_APPROVALS
DELETE FROM approvals WHERE approvals.upload = :of_upload;

-- ADD_SESSION
INSERT OR REPLACE INTO sessions (digest, user, expires_at) VALUES (:digest, :user, :expires_at);

-- REMOVE_EXPIRED_SESSIONS
DELETE FROM sessions WHERE sessions.expires_at <= :now;

-- REMOVE_SURPLUS_SESSIONS
DELETE FROM sessions WHERE sessions.user = :of_user AND (sessions.digest NOT IN (SELECT kept.digest
FROM sessions AS kept
WHERE kept.user = :of_user ORDER BY kept.expires_at DESC
 LIMIT :most OFFSET 0));

-- SESSION_USER
SELECT sessions.user
FROM sessions
WHERE sessions.digest = :cookie AND sessions.expires_at > :now;

-- EDITS_OF_DRAFT
SELECT edits.number, edits.batch, edits."row", edits.position, edits.width, edits.old, edits.new, edits.author, edits.at, edits.undone_by, edits.undone_at
FROM edits
WHERE edits."row" IN (SELECT listed.value
FROM json_each(:numbers) AS listed) ORDER BY edits.number;

-- REFUSALS_OF_DRAFT
SELECT refusals."row", refusals.problems, refusals.by_cell, refusals.accepted_by, refusals.accepted_at
FROM refusals
WHERE refusals."row" IN (SELECT listed.value
FROM json_each(:numbers) AS listed) ORDER BY refusals."row";

-- REMOVE_EDITS
DELETE FROM edits;

-- REMOVE_REFUSALS
DELETE FROM refusals;

-- CREATE_COMPARED
PRAGMA user_version = 1;
CREATE TABLE changes (
	rank INTEGER NOT NULL,
	"row" INTEGER NOT NULL,
	target TEXT NOT NULL,
	field TEXT NOT NULL,
	now TEXT,
	now_unknown INTEGER NOT NULL,
	new TEXT,
	size FLOAT,
	size_text TEXT,
	PRIMARY KEY (rank)
);
CREATE TABLE comparison (
	name TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE unread (
	"row" INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	message TEXT NOT NULL,
	advice TEXT NOT NULL,
	PRIMARY KEY ("row")
);
CREATE TABLE found (
	number INTEGER NOT NULL,
	"row" INTEGER NOT NULL,
	target TEXT NOT NULL,
	field TEXT NOT NULL,
	now TEXT,
	now_unknown INTEGER NOT NULL,
	new TEXT,
	size FLOAT,
	size_text TEXT,
	PRIMARY KEY (number)
);

-- SET_COMPARED
INSERT INTO comparison (name, value) VALUES (:name, :value);

-- COMPARED
SELECT comparison.value
FROM comparison
WHERE comparison.name = :fact;

-- ADD_CHANGE
INSERT INTO found ("row", target, field, now, now_unknown, new, size, size_text) VALUES (:row, :target, :field, :now, :now_unknown, :new, :size, :size_text);

-- RANK_CHANGES
INSERT INTO changes ("row", target, field, now, now_unknown, new, size, size_text) SELECT found."row", found.target, found.field, found.now, found.now_unknown, found.new, found.size, found.size_text
FROM found ORDER BY found.size DESC, found.number;
DROP TABLE found;

-- ADD_UNREAD
INSERT INTO unread ("row", outcome, message, advice) VALUES (:row, :outcome, :message, :advice);

-- CHANGES
SELECT changes.rank, changes."row", changes.target, changes.field, changes.now, changes.now_unknown, changes.new, changes.size, changes.size_text
FROM changes
WHERE changes.rank > :after ORDER BY changes.rank
 LIMIT :most OFFSET 0;

-- COUNT_CHANGES
SELECT count(*) AS count_1
FROM changes;

-- UNREAD
SELECT unread."row", unread.outcome, unread.message, unread.advice
FROM unread
WHERE unread."row" > :after ORDER BY unread."row"
 LIMIT :most OFFSET 0;

-- COUNT_UNREAD
SELECT count(*) AS count_1
FROM unread;
