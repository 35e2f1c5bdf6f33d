-- Written by `make sql` from upload_tables.py.

-- ADD_UPLOAD
INSERT INTO uploads (id, name, file, by, at, changed_at, source_path, repairs, undoes, answers, compare) VALUES (%(id)s::text, %(name)s::text, %(file)s::text, %(by)s::text, %(at)s::double precision, %(at)s::double precision, %(source_path)s::text, %(repairs)s::text, %(undoes)s::text, %(answers)s::text, 0);

-- UPLOAD
SELECT uploads.id, uploads.name, uploads.file, uploads.by, uploads.at, uploads.changed_at, uploads.source_path, uploads.repairs, uploads.undoes, uploads.answers, uploads.layout, uploads.remember, uploads.compare, uploads.asked, (SELECT tasks.run
FROM tasks
WHERE tasks.upload = uploads.id AND tasks.run IS NOT NULL ORDER BY tasks.number DESC
 LIMIT 1) AS run
FROM uploads
WHERE uploads.id = %(upload_id)s::text;

-- UPLOADS
SELECT uploads.id, uploads.name, uploads.file, uploads.by, uploads.at, uploads.changed_at, uploads.source_path, uploads.repairs, uploads.undoes, uploads.answers, uploads.layout, uploads.remember, uploads.compare, uploads.asked, (SELECT tasks.run
FROM tasks
WHERE tasks.upload = uploads.id AND tasks.run IS NOT NULL ORDER BY tasks.number DESC
 LIMIT 1) AS run
FROM uploads ORDER BY uploads.at DESC, uploads.id;

-- UPLOADS_REPAIRING
SELECT uploads.id, uploads.name, uploads.file, uploads.by, uploads.at, uploads.changed_at, uploads.source_path, uploads.repairs, uploads.undoes, uploads.answers, uploads.layout, uploads.remember, uploads.compare, uploads.asked, (SELECT tasks.run
FROM tasks
WHERE tasks.upload = uploads.id AND tasks.run IS NOT NULL ORDER BY tasks.number DESC
 LIMIT 1) AS run
FROM uploads
WHERE uploads.repairs = %(past)s::text ORDER BY uploads.at DESC
 LIMIT 1;

-- UPLOADS_UNDOING
SELECT uploads.id, uploads.name, uploads.file, uploads.by, uploads.at, uploads.changed_at, uploads.source_path, uploads.repairs, uploads.undoes, uploads.answers, uploads.layout, uploads.remember, uploads.compare, uploads.asked, (SELECT tasks.run
FROM tasks
WHERE tasks.upload = uploads.id AND tasks.run IS NOT NULL ORDER BY tasks.number DESC
 LIMIT 1) AS run
FROM uploads
WHERE uploads.undoes = %(past)s::text ORDER BY uploads.at DESC
 LIMIT 1;

-- TOUCH
UPDATE uploads SET changed_at=%(now)s::double precision WHERE uploads.id = %(upload_id)s::text;

-- SET_ANSWERS
UPDATE uploads SET changed_at=%(now)s::double precision, answers=%(given)s::text, layout=%(by_layout)s::text, remember=%(as_layout)s::text, asked=NULL WHERE uploads.id = %(upload_id)s::text;

-- SET_COMPARE
UPDATE uploads SET changed_at=%(now)s::double precision, compare=%(reads_first)s::bigint WHERE uploads.id = %(upload_id)s::text;

-- SET_ASKED
UPDATE uploads SET asked=%(questions)s::text WHERE uploads.id = %(upload_id)s::text;

-- SET_REMEMBERED
UPDATE uploads SET remember=NULL WHERE uploads.id = %(upload_id)s::text;

-- REMOVE_UPLOAD
DELETE FROM uploads WHERE uploads.id = %(upload_id)s::text AND NOT (EXISTS (SELECT tasks.number
FROM tasks
WHERE tasks.upload = uploads.id AND (tasks.state = 'waiting' OR tasks.state = 'running')));

-- UNUSED_UPLOADS
SELECT uploads.id
FROM uploads
WHERE uploads.changed_at < %(before)s::double precision AND NOT (EXISTS (SELECT tasks.number
FROM tasks
WHERE tasks.upload = uploads.id AND (tasks.state = 'waiting' OR tasks.state = 'running'))) ORDER BY uploads.changed_at;

-- ADD_TASK
INSERT INTO tasks (kind, upload, state, by, created_at, run, waits_for, options, is_stopped) VALUES (%(kind)s::text, %(upload)s::text, 'waiting', %(by)s::text, %(created_at)s::double precision, %(run)s::text, '', %(options)s::text, 0) RETURNING tasks.number;

-- EQUAL_TASKS
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks.by, tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.state = 'waiting' AND tasks.kind = %(which)s::text AND tasks.upload IS NOT DISTINCT FROM %(of_upload)s::text AND tasks.run IS NOT DISTINCT FROM %(of_run)s::text AND tasks.options = %(with_options)s::text AND tasks.is_stopped = 0 ORDER BY tasks.number;

-- TASK
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks.by, tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.number = %(task)s::bigint;

-- TASKS
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks.by, tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.upload = %(of_upload)s::text ORDER BY tasks.number DESC;

-- OPEN_TASKS
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks.by, tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.state = 'waiting' OR tasks.state = 'running' ORDER BY tasks.number;

-- LAST_TASK
SELECT max(tasks.number) AS max_1
FROM tasks;

-- TASK_OF_RUN
SELECT tasks.number, tasks.kind, tasks.upload, tasks.state, tasks.by, tasks.created_at, tasks.started_at, tasks.ended_at, tasks.run, tasks.fault, tasks.waits_for, tasks.options
FROM tasks
WHERE tasks.run = %(past)s::text ORDER BY tasks.number DESC
 LIMIT 1;

-- TASK_IS_STOPPED
SELECT tasks.is_stopped
FROM tasks
WHERE tasks.number = %(task)s::bigint;

-- TAKE_UP_TASKS
UPDATE tasks SET state='waiting', waits_for='' WHERE tasks.state = 'running';

-- START_TASK
UPDATE tasks SET state='running', started_at=%(now)s::double precision WHERE tasks.number = %(task)s::bigint AND tasks.state = 'waiting';

-- DEFER_TASK
UPDATE tasks SET state='waiting', waits_for=%(holder)s::text WHERE tasks.number = %(task)s::bigint AND (tasks.state = 'waiting' OR tasks.state = 'running');

-- SET_TASK_RUN
UPDATE tasks SET run=%(past)s::text, waits_for='' WHERE tasks.number = %(task)s::bigint;

-- END_TASK
UPDATE tasks SET state=%(end)s::text, ended_at=%(now)s::double precision, fault=%(why)s::text, waits_for='' WHERE tasks.number = %(task)s::bigint AND (tasks.state = 'waiting' OR tasks.state = 'running');

-- STOP_TASK
UPDATE tasks SET is_stopped=1 WHERE tasks.number = %(task)s::bigint AND (tasks.state = 'waiting' OR tasks.state = 'running');

-- ADD_EVENT
INSERT INTO events (at, by, what, upload, run, text) VALUES (%(at)s::double precision, %(by)s::text, %(what)s::text, %(upload)s::text, %(run)s::text, %(text)s::text) RETURNING events.number;

-- EVENTS
SELECT events.at, events.by, events.what, events.upload, events.run, events.text
FROM events ORDER BY events.number DESC
 LIMIT %(most)s::bigint;

-- EVENTS_OF
SELECT events.at, events.by, events.what, events.upload, events.run, events.text
FROM events
WHERE events.upload IN (SELECT u.value
FROM json_array_elements_text(%(of_uploads)s::text::json) AS u) OR events.run IN (SELECT r.value
FROM json_array_elements_text(%(of_runs)s::text::json) AS r) ORDER BY events.number DESC
 LIMIT %(most)s::bigint;

-- UPLOADS_OF_RUN
SELECT DISTINCT tasks.upload
FROM tasks
WHERE tasks.run = %(past)s::text AND tasks.upload IS NOT NULL;

-- PEOPLE
SELECT DISTINCT events.by
FROM events
WHERE events.upload = %(of_upload)s::text AND events.what IN (SELECT d.value
FROM json_array_elements_text(%(deeds)s::text::json) AS d);

-- ADD_APPROVAL
INSERT INTO approvals (upload, digest, by, at) VALUES (%(upload)s::text, %(digest)s::text, %(by)s::text, %(at)s::double precision) RETURNING approvals.number;

-- OTHER_APPROVALS
SELECT approvals.number, approvals.by
FROM approvals
WHERE approvals.upload = %(of_upload)s::text AND approvals.withdrawn_at IS NULL AND approvals.digest != %(of_digest)s::text;

-- WITHDRAW_APPROVAL
UPDATE approvals SET withdrawn_at=%(now)s::double precision WHERE approvals.number = %(approval)s::bigint AND approvals.withdrawn_at IS NULL;

-- APPROVAL
SELECT approvals.digest, approvals.by, approvals.at, approvals.withdrawn_at
FROM approvals
WHERE approvals.upload = %(of_upload)s::text AND approvals.withdrawn_at IS NULL AND approvals.digest = %(of_digest)s::text ORDER BY approvals.number DESC
 LIMIT 1;

-- REMOVE_APPROVALS
DELETE FROM approvals WHERE approvals.upload = %(of_upload)s::text;

-- ADD_SESSION
INSERT INTO sessions (digest, "user", expires_at) VALUES (%(digest)s::text, %(user)s::text, %(expires_at)s::double precision);

-- REMOVE_EXPIRED_SESSIONS
DELETE FROM sessions WHERE sessions.expires_at <= %(now)s::double precision;

-- REMOVE_SURPLUS_SESSIONS
DELETE FROM sessions WHERE sessions."user" = %(of_user)s::text AND (sessions.digest NOT IN (SELECT kept.digest
FROM sessions AS kept
WHERE kept."user" = %(of_user)s::text ORDER BY kept.expires_at DESC
 LIMIT %(most)s::bigint));

-- SESSION_USER
SELECT sessions."user"
FROM sessions
WHERE sessions.digest = %(cookie)s::text AND sessions.expires_at > %(now)s::double precision;
