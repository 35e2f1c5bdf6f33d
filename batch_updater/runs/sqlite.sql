-- Written by `make sql` from tables.py.

-- CREATE
PRAGMA user_version = 6;
CREATE TABLE attempts (
	"row" INTEGER NOT NULL,
	part INTEGER NOT NULL,
	number INTEGER NOT NULL,
	commit_number INTEGER NOT NULL,
	method TEXT,
	sent_at FLOAT,
	wait_s FLOAT,
	seconds FLOAT,
	status INTEGER,
	why TEXT NOT NULL,
	message TEXT,
	answer TEXT,
	PRIMARY KEY ("row", part, number)
);
CREATE TABLE edits (
	number INTEGER NOT NULL,
	batch INTEGER NOT NULL,
	"row" INTEGER NOT NULL,
	position INTEGER NOT NULL,
	width INTEGER NOT NULL,
	old TEXT NOT NULL,
	new TEXT NOT NULL,
	author TEXT NOT NULL,
	at FLOAT NOT NULL,
	undone_by TEXT,
	undone_at FLOAT,
	PRIMARY KEY (number)
);
CREATE TABLE expected (
	target TEXT,
	field TEXT,
	before_shown TEXT,
	left_shown TEXT,
	"before" TEXT,
	"left" TEXT
);
CREATE TABLE names (
	field TEXT NOT NULL,
	depends_on TEXT NOT NULL,
	commit_number INTEGER NOT NULL,
	list TEXT NOT NULL,
	PRIMARY KEY (field, depends_on)
);
CREATE TABLE parts (
	number INTEGER NOT NULL,
	commit_number INTEGER,
	started_at FLOAT NOT NULL,
	ended_at FLOAT,
	requests INTEGER,
	retries INTEGER,
	elapsed_s FLOAT,
	stopped TEXT,
	stop_message TEXT,
	stop_advice TEXT,
	results TEXT,
	counts TEXT,
	PRIMARY KEY (number)
);
CREATE TABLE refusals (
	"row" INTEGER NOT NULL,
	problems TEXT NOT NULL,
	by_cell INTEGER NOT NULL,
	accepted_by TEXT,
	accepted_at FLOAT,
	PRIMARY KEY ("row")
);
CREATE TABLE rows (
	number INTEGER NOT NULL,
	commit_number INTEGER NOT NULL,
	state TEXT NOT NULL,
	waits_for INTEGER,
	place INTEGER,
	is_repeated INTEGER DEFAULT '0' NOT NULL,
	outcome TEXT,
	maybe_applied INTEGER DEFAULT '0' NOT NULL,
	earlier_attempts INTEGER DEFAULT '0' NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	status INTEGER,
	sent_at FLOAT,
	seconds FLOAT,
	target TEXT,
	cells TEXT NOT NULL,
	fields TEXT,
	path TEXT,
	"query" TEXT,
	body TEXT,
	problems TEXT,
	message TEXT,
	advice TEXT,
	cause TEXT,
	"before" TEXT,
	reported TEXT,
	PRIMARY KEY (number)
);
CREATE TABLE run (
	name TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);
CREATE INDEX edits_by_row ON edits ("row", number);
CREATE INDEX kept_edits_by_batch ON edits (batch) WHERE undone_at IS NULL;

-- SET_FACT
INSERT OR REPLACE INTO run (name, value) VALUES (:name, :value);

-- FACTS
SELECT run.name, run.value
FROM run
WHERE run.name != 'staged' AND run.name != 'report';

-- FACT
SELECT run.value
FROM run
WHERE run.name = :name;

-- CREATE_DRAFT
CREATE TABLE draft (
	name TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE grid (
	"key" INTEGER NOT NULL,
	"row" INTEGER NOT NULL,
	PRIMARY KEY ("key", "row")
)
 WITHOUT ROWID;
CREATE TABLE lists (
	"key" INTEGER NOT NULL,
	cause TEXT,
	rows INTEGER NOT NULL,
	PRIMARY KEY ("key")
);
CREATE TABLE named (
	field TEXT NOT NULL,
	content TEXT NOT NULL,
	rows INTEGER NOT NULL,
	PRIMARY KEY (field, content)
);

-- INDEX_DRAFT
CREATE INDEX rows_by_target ON rows (target);

-- SET_DRAFT_FACT
INSERT OR REPLACE INTO draft (name, value) VALUES (:name, :value);

-- DROP_DRAFT_FACT
DELETE FROM draft WHERE draft.name = :name;

-- DRAFT_FACT
SELECT draft.value
FROM draft
WHERE draft.name = :name;

-- ADD_EDIT
INSERT INTO edits (batch, "row", position, width, old, new, author, at) VALUES (:batch, :row, :position, :width, :old, :new, :author, :at);

-- NEXT_EDIT
SELECT coalesce(max(edits.number), 0) + 1 AS anon_1
FROM edits;

-- COPY_EDIT
INSERT INTO edits (number, batch, "row", position, width, old, new, author, at, undone_by, undone_at) VALUES (:number, :batch, :row, :position, :width, :old, :new, :author, :at, :undone_by, :undone_at);

-- ALL_EDITS
SELECT edits.number, edits.batch, edits."row", edits.position, edits.width, edits.old, edits.new, edits.author, edits.at, edits.undone_by, edits.undone_at
FROM edits ORDER BY edits.number;

-- EDITS
SELECT edits.number, edits."row", edits.position, edits.old, edits.new, edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE edits.number > :after ORDER BY edits.number
 LIMIT :most OFFSET 0;

-- KEPT_EDITS_BY_ROW
SELECT edits.number, edits."row", edits.position, edits.old, edits.new, edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE (edits."row", edits.number) > (:after_row, :after_number) AND edits.undone_at IS NULL ORDER BY edits."row", edits.number
 LIMIT :most OFFSET 0;

-- EDITS_OF_ROWS
SELECT edits.number, edits."row", edits.position, edits.old, edits.new, edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE edits."row" IN (SELECT listed.value
FROM json_each(:numbers) AS listed) AND edits.undone_at IS NULL ORDER BY edits."row", edits.number;

-- EDIT
SELECT edits.number, edits."row", edits.position, edits.old, edits.new, edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE edits.number = :number;

-- EDITS_OF_BATCH
SELECT edits.number, edits."row", edits.position, edits.old, edits.new, edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE edits.batch = :of_batch AND edits.undone_at IS NULL ORDER BY edits.number
 LIMIT :most OFFSET 0;

-- BATCH_LENGTH
SELECT count(*) AS count_1
FROM edits
WHERE edits.batch = :of_batch AND edits.undone_at IS NULL;

-- UNDO_EDITS
UPDATE edits SET undone_by=:who, undone_at=:when WHERE edits."row" = :of_row AND edits.position = :at_position AND edits.number >= :first AND edits.undone_at IS NULL;

-- DROP_LOST_EDITS
UPDATE edits SET undone_by='', undone_at=:when WHERE edits.undone_at IS NULL AND (edits."row" NOT IN (SELECT rows.number
FROM rows));

-- ADD_REFUSAL
INSERT OR REPLACE INTO refusals ("row", problems, by_cell, accepted_by, accepted_at) VALUES (:row, :problems, :by_cell, :accepted_by, :accepted_at);

-- ALL_REFUSALS
SELECT refusals."row", refusals.problems, refusals.by_cell, refusals.accepted_by, refusals.accepted_at
FROM refusals ORDER BY refusals."row";

-- REFUSALS_OF
SELECT refusals."row", refusals.problems, refusals.by_cell
FROM refusals
WHERE refusals.accepted_at IS NULL AND refusals."row" IN (SELECT listed.value
FROM json_each(:numbers) AS listed);

-- ACCEPT
UPDATE refusals SET accepted_by=:who, accepted_at=:when WHERE refusals."row" = :of_row;

-- OPEN_REFUSALS
SELECT refusals."row", refusals.problems, refusals.by_cell
FROM refusals
WHERE refusals.accepted_at IS NULL ORDER BY refusals."row";

-- SET_NAMED
INSERT OR REPLACE INTO named (field, content, rows) VALUES (:field, :content, :rows);

-- NAMED
SELECT named.field, named.content, named.rows
FROM named;

-- ADD_TO_GRID
INSERT OR REPLACE INTO grid SELECT :key, value FROM json_each(:numbers);

-- REMOVE_FROM_GRID
DELETE FROM grid WHERE grid."key" = :of_key AND grid."row" IN (SELECT listed.value
FROM json_each(:numbers) AS listed);

-- CREATE_UNSORTED
CREATE TEMP TABLE unsorted (key INTEGER, row INTEGER);

-- ADD_UNSORTED
INSERT INTO unsorted VALUES (:key, :row);

-- SORT_GRID
INSERT INTO grid SELECT key, row FROM unsorted ORDER BY key, row;

-- DROP_UNSORTED
DROP TABLE unsorted;

-- COUNT_LIST
INSERT INTO lists (key, cause, rows) VALUES (:key, :cause, :rows) ON CONFLICT (key) DO UPDATE SET rows = rows + excluded.rows;

-- DROP_EMPTY_LISTS
DELETE FROM lists WHERE lists.rows = 0;

-- LISTS
SELECT lists."key", lists.cause, lists.rows
FROM lists;

-- LIST_LENGTH
SELECT lists.rows
FROM lists
WHERE lists."key" = :of_key;

-- GRID_ROWS
SELECT grid."row"
FROM grid
WHERE grid."key" = :of_key AND grid."row" > :after ORDER BY grid."row"
 LIMIT :most OFFSET 0;

-- GRID_COUNT
SELECT count(*) AS count_1
FROM grid
WHERE grid."key" = :of_key;

-- DRAFT_ROWS
SELECT rows.number, rows.state, rows.waits_for, rows.place, rows.is_repeated, rows.target, rows.cells, rows.fields, rows.problems
FROM rows
WHERE rows.number IN (SELECT listed.value
FROM json_each(:numbers) AS listed) ORDER BY rows.number;

-- NEEDING_SOMEONE
SELECT rows.number, rows.state, rows.problems
FROM rows
WHERE rows.state = 'invalid' OR rows.waits_for IS NOT NULL ORDER BY rows.number;

-- REPEATED_AMONG
SELECT rows.target
FROM rows
WHERE rows.target IN (SELECT listed.value
FROM json_each(:targets) AS listed) GROUP BY rows.target
HAVING count(*) > 1 OR max(rows.is_repeated) = 1;

-- OF_TARGETS
SELECT rows.number, rows.state, rows.waits_for, rows.place, rows.is_repeated, rows.target, rows.cells, rows.fields, rows.problems
FROM rows
WHERE rows.target IN (SELECT listed.value
FROM json_each(:targets) AS listed) ORDER BY rows.target, coalesce(rows.place, rows.number), rows.number;

-- UPDATE_DRAFT_ROW
UPDATE rows SET state=:new_state, waits_for=:new_waits_for, is_repeated=:new_is_repeated, target=:new_target, cells=:new_cells, fields=:new_fields, path=:new_path, "query"=:new_query, body=:new_body, problems=:new_problems WHERE rows.number = :of_row;

-- REQUESTS_IN_ORDER
SELECT rows.number, rows.path, rows."query", rows.body
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY coalesce(rows.place, rows.number), rows.number;

-- STAGE
INSERT INTO rows (number, commit_number, state, target, cells, fields, path, "query", body, problems) VALUES (:number, :commit_number, :state, :target, :cells, :fields, :path, :query, :body, :problems);

-- STAGE_AGAIN
INSERT OR REPLACE INTO rows (number, commit_number, state, target, cells, fields, path, "query", body, problems) VALUES (:number, :commit_number, :state, :target, :cells, :fields, :path, :query, :body, :problems);

-- EXPECT
INSERT INTO expected (target, field, before_shown, left_shown, "before", "left") VALUES (:target, :field, :before_shown, :left_shown, :before, :left);

-- EXPECTED_FIELDS
SELECT expected.target, expected.field
FROM expected
WHERE expected.target IN (SELECT listed.value
FROM json_each(:targets) AS listed);

-- EXPECTED
SELECT expected.target, expected.field, expected.before_shown, expected.left_shown, expected."before", expected."left"
FROM expected ORDER BY rowid;

-- CELLS
SELECT rows.number, rows.cells, coalesce(rows.problems LIKE :ragged, False) AS coalesce_1
FROM rows
WHERE rows.number > :after ORDER BY rows.number
 LIMIT :most OFFSET 0;

-- REPEATED
SELECT rows.number, rows.state, rows.target, rows.cells, rows.problems
FROM rows
WHERE rows.target IN (SELECT rows.target
FROM rows
WHERE rows.target IS NOT NULL GROUP BY rows.target
HAVING count(*) > 1) ORDER BY rows.target, coalesce(rows.place, rows.number), rows.number;

-- PLACE
UPDATE rows SET place=:place WHERE rows.number = :row;

-- MARK_REPEATED
UPDATE rows SET is_repeated=1 WHERE rows.number = :row;

-- MAKE_INVALID
UPDATE rows SET state='invalid', path=NULL, "query"=NULL, body=NULL, problems=:found WHERE rows.number = :row;

-- WAIT
UPDATE rows SET waits_for=:earlier WHERE rows.number = :row;

-- AMBIGUOUS
SELECT rows.number, rows.problems
FROM rows
WHERE rows.problems LIKE :pattern;

-- LEAVE_OUT
DELETE FROM rows WHERE rows.number = :row;

-- SET_PROBLEMS
UPDATE rows SET problems=:found WHERE rows.number = :row;

-- REQUESTS
SELECT rows.number, rows.target, rows.fields, rows.path, rows."query", rows.body
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND coalesce(rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated', False) = 0 ORDER BY rows.number;

-- WAITING_FOR_NOTHING
SELECT rows.number
FROM rows
WHERE rows.waits_for IS NOT NULL AND NOT (EXISTS (SELECT waited_for.number
FROM rows AS waited_for
WHERE waited_for.number = rows.waits_for AND waited_for.state = 'invalid' AND waited_for.target = rows.target));

-- FIRST_JOB
SELECT rows.number, rows.target, rows.fields
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET 0;

-- STAGED_COUNTS
SELECT count(*) AS count_1, count(*) FILTER (WHERE rows.state != 'invalid' AND rows.waits_for IS NULL) AS anon_1, count(rows.waits_for) AS count_2
FROM rows;

-- KINDS
SELECT rows.number, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END AS anon_1
FROM rows;

-- LISTED
SELECT rows.number, rows.state, rows.target, rows.cells, rows.problems
FROM rows
WHERE rows.number IN (SELECT listed.value
FROM json_each(:numbers) AS listed);

-- KINDS_OF
SELECT rows.number, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END AS anon_1
FROM rows
WHERE rows.number IN (SELECT listed.value
FROM json_each(:numbers) AS listed);

-- LAST_ROW
SELECT coalesce(max(rows.number), 0) AS coalesce_1
FROM rows;

-- ADDED_ROWS
SELECT rows.number
FROM rows
WHERE rows.number >= :first ORDER BY rows.number
 LIMIT :most OFFSET 0;

-- ROWS
SELECT rows.number, rows.state, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END AS anon_1, rows.waits_for, rows.is_repeated, rows.maybe_applied, rows.earlier_attempts + rows.attempts AS attempts, rows.status, rows.sent_at, rows.seconds, rows.target, rows.cells, rows.fields, rows.body, rows.problems, rows.message, rows.advice, rows.cause, rows."before", rows.reported
FROM rows
WHERE rows.number > :after ORDER BY rows.number;

-- INVALID_ROWS
SELECT rows.number, rows.state, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END AS anon_1, rows.waits_for, rows.is_repeated, rows.maybe_applied, rows.earlier_attempts + rows.attempts AS attempts, rows.status, rows.sent_at, rows.seconds, rows.target, rows.cells, rows.fields, rows.body, rows.problems, rows.message, rows.advice, rows.cause, rows."before", rows.reported
FROM rows
WHERE rows.number > :after AND rows.state = 'invalid' ORDER BY rows.number;

-- ROWS_TO_FIX
SELECT rows.number, rows.state, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END AS anon_1, rows.waits_for, rows.is_repeated, rows.maybe_applied, rows.earlier_attempts + rows.attempts AS attempts, rows.status, rows.sent_at, rows.seconds, rows.target, rows.cells, rows.fields, rows.body, rows.problems, rows.message, rows.advice, rows.cause, rows."before", rows.reported
FROM rows
WHERE rows.number > :after AND NOT (CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END = 'updated' OR CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END = 'unchanged' OR CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END = 'planned') ORDER BY rows.number;

-- COUNTS
SELECT CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE :unsent END AS kind, count(*) AS count_1
FROM rows GROUP BY kind;

-- LAST_ANSWER_AT
SELECT max(rows.sent_at + coalesce(rows.seconds, 0.0)) AS max_1
FROM rows;

-- NUMBER_AT
SELECT rows.number
FROM rows ORDER BY rows.number
 LIMIT 1 OFFSET :at;

-- CLEARING
SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND (EXISTS (SELECT anon_1.type
FROM json_each(rows.fields, '$[1]') AS anon_1
WHERE anon_1.type = 'null' OR anon_1.value = '[]' OR anon_1.value = '{}')) ORDER BY rows.number
 LIMIT :most OFFSET 0;

-- FIRST_INVALID
SELECT rows.number, rows.problems
FROM rows
WHERE rows.state = 'invalid' ORDER BY rows.number
 LIMIT :most OFFSET 0;

-- _LAST_OF_LIMIT
(SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1);

-- _IN_LIMIT
:limit IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1);

-- JOBS
SELECT rows.number, rows.target, rows.fields, rows.path, rows."query", rows.body, rows.maybe_applied, rows.place
FROM rows
WHERE rows.state = 'ready' AND rows.waits_for IS NULL AND (:limit IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1)) AND rows.number > :after AND rows.place IS NULL ORDER BY rows.number
 LIMIT :most OFFSET 0;

-- ADDED_JOBS
SELECT rows.number, rows.target, rows.fields, rows.path, rows."query", rows.body, rows.maybe_applied, rows.place
FROM rows
WHERE rows.state = 'ready' AND rows.waits_for IS NULL AND (:limit IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1)) AND rows.number >= (SELECT json_extract(run.value, '$.columns.origin.next_row') AS json_extract_1
FROM run
WHERE run.name = 'staged') AND rows.place IS NOT NULL ORDER BY rows.place, rows.number;

-- COUNT_TO_SEND
SELECT count(*) AS count_1
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND coalesce(rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated', False) = 0 AND (:limit IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL ORDER BY rows.number
 LIMIT 1 OFFSET :limit - 1));

-- WRITE_MANY
UPDATE rows SET commit_number=:commit, state=CASE WHEN (json_extract(item.value, '$[1]') IS NULL) THEN 'in_flight' ELSE 'finished' END, outcome=json_extract(item.value, '$[1]'), maybe_applied=0, attempts=json_extract(item.value, '$[2]'), status=json_extract(item.value, '$[3]'), sent_at=json_extract(item.value, '$[4]'), seconds=json_extract(item.value, '$[5]'), problems=NULL, message='', advice='', cause='', "before"=coalesce(rows."before", json_extract(item.value, '$[6]')), reported=json_extract(item.value, '$[7]') FROM json_each(:batch) AS item WHERE rows.number = json_extract(item.value, '$[0]');

-- SETTLE
UPDATE rows SET commit_number=:commit, state='finished', outcome=:kind, maybe_applied=:doubt, attempts=:tries, status=:http, sent_at=:at, seconds=:took, problems=:found, message=:said, advice=:remedy, cause=:why, "before"=coalesce(rows."before", :record), reported=:answer WHERE rows.number = :row;

-- KEEP_BEFORE
UPDATE rows SET commit_number=:commit, "before"=coalesce(rows."before", json_extract(item.value, '$[1]')) FROM json_each(:batch) AS item WHERE rows.number = json_extract(item.value, '$[0]');

-- KEEP_FINE_ATTEMPTS
INSERT OR REPLACE INTO attempts ("row", part, number, commit_number, method, sent_at, wait_s, seconds, status, why, message) SELECT json_extract(item.value, '$[0]') AS json_extract_1, (SELECT max(parts.number) AS max_1
FROM parts) AS anon_1, json_extract(item.value, '$[1]') AS json_extract_3, :commit AS anon_2, json_extract(item.value, '$[2]') AS json_extract_5, json_extract(item.value, '$[3]') AS json_extract_7, json_extract(item.value, '$[4]') AS json_extract_9, json_extract(item.value, '$[5]') AS json_extract_11, json_extract(item.value, '$[6]') AS json_extract_13, json_extract(item.value, '$[7]') AS json_extract_15, ''
FROM json_each(:batch) AS item;

-- KEEP_ATTEMPT
INSERT OR REPLACE INTO attempts ("row", part, number, commit_number, method, sent_at, wait_s, seconds, status, why, message, answer) SELECT :of_row AS anon_1, (SELECT max(parts.number) AS max_1
FROM parts) AS anon_2, :nth AS anon_3, :commit AS anon_4, :verb AS anon_5, :at AS anon_6, :wait AS anon_7, :took AS anon_8, :http AS anon_9, :meaning AS anon_10, :said AS anon_11, :text AS anon_12;

-- ATTEMPTS
SELECT attempts.part, attempts.number, attempts.method, attempts.sent_at, attempts.wait_s, attempts.seconds, attempts.status, attempts.why, attempts.message, attempts.answer
FROM attempts
WHERE attempts."row" = :of_row ORDER BY attempts.part, attempts.number;

-- REQUEST
SELECT rows.path, rows."query", rows.body
FROM rows
WHERE rows.number = :of_row;

-- LEARN
INSERT OR REPLACE INTO names (field, depends_on, commit_number, list) VALUES (:field, :depends_on, :commit, :list);

-- NAMES
SELECT names.field, names.depends_on, names.list
FROM names ORDER BY rowid;

-- NEW_PART
INSERT INTO parts (started_at) VALUES (:started_at);

-- END_PART
UPDATE parts SET commit_number=:commit, ended_at=:new_ended_at, requests=:new_requests, retries=:new_retries, elapsed_s=:new_elapsed_s, stopped=:new_stopped, stop_message=:new_stop_message, stop_advice=:new_stop_advice, results=:new_results, counts=:new_counts WHERE parts.number = (SELECT max(parts.number) AS max_1
FROM parts);

-- PARTS
SELECT parts.started_at, parts.ended_at, parts.requests, parts.retries, parts.elapsed_s, parts.stopped, parts.stop_message, parts.stop_advice, parts.results, parts.counts
FROM parts ORDER BY parts.number;

-- LAST_COMMIT
SELECT max((SELECT coalesce(max(rows.commit_number), 0) AS coalesce_1
FROM rows), (SELECT coalesce(max(names.commit_number), 0) AS coalesce_3
FROM names), (SELECT coalesce(max(attempts.commit_number), 0) AS coalesce_5
FROM attempts), (SELECT coalesce(max(parts.commit_number), 0) AS coalesce_7
FROM parts)) AS max_1;

-- NEVER_SENT
UPDATE rows SET state='ready', outcome=NULL, attempts=0, message=NULL, advice=NULL, cause=NULL WHERE rows.state = 'in_flight' AND rows."before" IS NULL AND rows.earlier_attempts = 0 AND (EXISTS (SELECT run.name
FROM run
WHERE run.name = 'reads_first' AND run.value = 'true'));

-- KEEP_IN_FLIGHT
INSERT INTO attempts ("row", part, number, commit_number, why) SELECT rows.number, (SELECT max(parts.number) AS max_1
FROM parts) AS anon_1, coalesce((SELECT max(attempts.number) AS max_2
FROM attempts
WHERE attempts."row" = rows.number AND attempts.part = (SELECT max(parts.number) AS max_1
FROM parts)), 0) + 1 AS anon_2, rows.commit_number, 'ended while in flight'
FROM rows
WHERE rows.state = 'in_flight';

-- RESUME
UPDATE rows SET state='ready', outcome=CASE WHEN (rows.state = 'in_flight') THEN 'unconfirmed' ELSE rows.outcome END, maybe_applied=CASE WHEN (rows.state = 'in_flight') THEN 1 ELSE rows.maybe_applied END, message=CASE WHEN (rows.state = 'in_flight') THEN 'The run ended while this row was in flight; whether it was applied is unknown.' ELSE rows.message END, advice=CASE WHEN (rows.state = 'in_flight') THEN 'Run again to settle it.' ELSE rows.advice END, cause=CASE WHEN (rows.state = 'in_flight') THEN 'ended while in flight' ELSE rows.cause END, "before"=CASE WHEN ((rows.outcome = 'failed' OR rows.outcome = 'not_sent' OR rows.outcome = 'rejected') AND rows.maybe_applied = 0) THEN NULL ELSE rows."before" END WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND coalesce(rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated', False) = 0;

-- CLOSE
UPDATE rows SET commit_number=:commit, state='finished', outcome='not_sent', message=trim(CASE WHEN (rows.maybe_applied = 1) THEN 'The run was closed before it was known whether this row was applied. ' ELSE 'The run was closed before this row was done. ' END || coalesce(rows.message, CASE WHEN (rows.waits_for IS NOT NULL) THEN printf('Row %d updates the same record and has to be done first.', rows.waits_for) END, '')), advice=CASE WHEN (rows.waits_for IS NOT NULL) THEN printf('Repair row %d on the sheet "To fix" of the results workbook, then run that workbook.', rows.waits_for) ELSE 'Run the results workbook: that sends the rows of its sheet "To fix".' END, cause=CASE WHEN (rows.waits_for IS NOT NULL) THEN 'waits for an earlier row of the same record' WHEN (rows.maybe_applied = 1) THEN 'the run was closed, and it is unknown whether it was applied' ELSE 'the run was closed' END WHERE rows.state != 'invalid' AND (rows.outcome IS NULL OR rows.outcome = 'failed' OR rows.outcome = 'unconfirmed' OR rows.outcome = 'not_sent');
UPDATE rows SET state='finished' WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.state = 'ready';

-- FORGET_RESULTS
UPDATE rows SET outcome='not_sent', problems=NULL, message='', advice='', cause='', "before"=NULL, reported=NULL WHERE rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated';
UPDATE rows SET outcome=NULL, earlier_attempts=0, problems=NULL, message=NULL, advice=NULL, cause=NULL, "before"=NULL, reported=NULL WHERE rows.state = 'ready';
DELETE FROM run WHERE run.name != 'staged';
DELETE FROM parts;
DELETE FROM attempts;

-- COUNT_AS_EARLIER
UPDATE rows SET earlier_attempts=(rows.earlier_attempts + rows.attempts), attempts=0 WHERE rows.attempts > 0;

-- PUT_ROWS_ASIDE
ALTER TABLE rows RENAME TO earlier_rows;
CREATE TABLE rows (
	number INTEGER NOT NULL,
	commit_number INTEGER NOT NULL,
	state TEXT NOT NULL,
	waits_for INTEGER,
	place INTEGER,
	is_repeated INTEGER DEFAULT '0' NOT NULL,
	outcome TEXT,
	maybe_applied INTEGER DEFAULT '0' NOT NULL,
	earlier_attempts INTEGER DEFAULT '0' NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	status INTEGER,
	sent_at FLOAT,
	seconds FLOAT,
	target TEXT,
	cells TEXT NOT NULL,
	fields TEXT,
	path TEXT,
	"query" TEXT,
	body TEXT,
	problems TEXT,
	message TEXT,
	advice TEXT,
	cause TEXT,
	"before" TEXT,
	reported TEXT,
	PRIMARY KEY (number)
);
DELETE FROM expected;

-- DROP_EARLIER_ROWS
DROP TABLE earlier_rows;

-- TAKE_OVER
UPDATE rows SET state=earlier_rows.state, waits_for=earlier_rows.waits_for, outcome=earlier_rows.outcome, maybe_applied=earlier_rows.maybe_applied, earlier_attempts=earlier_rows.earlier_attempts, attempts=earlier_rows.attempts, status=earlier_rows.status, sent_at=earlier_rows.sent_at, seconds=earlier_rows.seconds, target=earlier_rows.target, fields=earlier_rows.fields, path=earlier_rows.path, "query"=earlier_rows."query", body=earlier_rows.body, problems=earlier_rows.problems, message=earlier_rows.message, advice=earlier_rows.advice, cause=earlier_rows.cause, "before"=earlier_rows."before", reported=earlier_rows.reported FROM earlier_rows WHERE rows.number = earlier_rows.number AND ((earlier_rows.outcome = 'differs' OR earlier_rows.outcome = 'unchanged' OR earlier_rows.outcome = 'updated') AND rows.path = earlier_rows.path AND rows."query" = earlier_rows."query" AND (rows.body = earlier_rows.body OR rows.fields = earlier_rows.fields) OR NOT (rows.state != 'invalid' AND rows.waits_for IS NULL) AND (earlier_rows.outcome = 'differs' OR earlier_rows.outcome = 'unchanged' OR earlier_rows.outcome = 'updated' OR earlier_rows.maybe_applied = 1 OR earlier_rows.state = 'in_flight' OR earlier_rows.outcome = 'unconfirmed'));
UPDATE rows SET waits_for=(SELECT min(earlier_row.number) AS min_1
FROM rows AS earlier_row
WHERE earlier_row.target = rows.target AND earlier_row.state = 'invalid' AND earlier_row.number < rows.number) WHERE rows.waits_for IS NOT NULL;
UPDATE rows SET earlier_attempts=(earlier_rows.earlier_attempts + earlier_rows.attempts), "before"=earlier_rows."before" FROM earlier_rows WHERE rows.number = earlier_rows.number AND rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.target = earlier_rows.target AND (earlier_rows.outcome = 'differs' OR earlier_rows.outcome = 'unchanged' OR earlier_rows.outcome = 'updated') AND rows.outcome IS NULL;
UPDATE rows SET state=earlier_rows.state, outcome=earlier_rows.outcome, maybe_applied=earlier_rows.maybe_applied, earlier_attempts=earlier_rows.earlier_attempts, attempts=earlier_rows.attempts, status=earlier_rows.status, sent_at=earlier_rows.sent_at, seconds=earlier_rows.seconds, problems=earlier_rows.problems, message=earlier_rows.message, advice=earlier_rows.advice, cause=earlier_rows.cause, "before"=earlier_rows."before", reported=earlier_rows.reported FROM earlier_rows WHERE rows.number = earlier_rows.number AND rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.target = earlier_rows.target AND coalesce(earlier_rows.outcome = 'differs' OR earlier_rows.outcome = 'unchanged' OR earlier_rows.outcome = 'updated', False) = 0 AND earlier_rows.state != 'invalid';
UPDATE parts SET counts=NULL;

-- LOST_ROWS
SELECT earlier_rows.number
FROM earlier_rows
WHERE (earlier_rows.attempts + earlier_rows.earlier_attempts > 0 OR earlier_rows.outcome IS NOT NULL) AND (earlier_rows.number NOT IN (SELECT rows.number
FROM rows))
 LIMIT 1 OFFSET 0;

-- FIRST_REPEATED
SELECT EXISTS (SELECT anon_2.path
FROM (SELECT rows.path AS path, rows."query" AS "query", rows.body AS body
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.number <= (SELECT max(anon_3.number) AS max_1
FROM (SELECT earlier.rows.number AS number, earlier.rows.path AS path, earlier.rows."query" AS "query", earlier.rows.body AS body
FROM earlier.rows
WHERE earlier.rows.outcome = 'updated' OR earlier.rows.outcome = 'unchanged' ORDER BY earlier.rows.number
 LIMIT :most OFFSET 0) AS anon_3) + :further) AS anon_2, (SELECT earlier.rows.number AS number, earlier.rows.path AS path, earlier.rows."query" AS "query", earlier.rows.body AS body
FROM earlier.rows
WHERE earlier.rows.outcome = 'updated' OR earlier.rows.outcome = 'unchanged' ORDER BY earlier.rows.number
 LIMIT :most OFFSET 0) AS anon_3
WHERE anon_2.path = anon_3.path AND anon_2."query" = anon_3."query" AND anon_2.body = anon_3.body) AS anon_1;

-- REPEATED_IN_EARLIER
SELECT DISTINCT rows_1.number
FROM rows AS rows_1, earlier.rows
WHERE rows_1.state != 'invalid' AND rows_1.waits_for IS NULL AND (earlier.rows.outcome = 'updated' OR earlier.rows.outcome = 'unchanged') AND rows_1.path = earlier.rows.path AND rows_1."query" = earlier.rows."query" AND rows_1.body = earlier.rows.body ORDER BY rows_1.number;

-- APPLIED_EARLIER
SELECT count(*) AS count_1
FROM earlier.rows
WHERE earlier.rows.outcome = 'updated' OR earlier.rows.outcome = 'unchanged';
