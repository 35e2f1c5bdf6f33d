-- Written by `make sql` from tables.py.

-- SET_FACT
INSERT INTO run (run, name, value) VALUES (%(run)s::bigint, %(name)s::text, %(value)s::text) ON CONFLICT (run, name) DO UPDATE SET value = excluded.value;

-- FACTS
SELECT run.name, run.value
FROM run
WHERE run.name != 'staged' AND run.name != 'report' AND run.run = %(run)s::bigint;

-- FACT
SELECT run.value
FROM run
WHERE run.name = %(name)s::text AND run.run = %(run)s::bigint;

-- ADD_EDIT
INSERT INTO edits (run, number, batch, row, position, width, "old", "new", author, at) VALUES (%(run)s::bigint, (SELECT coalesce(max(edits.number), 0) + 1 AS anon_1
FROM edits
WHERE edits.run = %(run)s::bigint), %(batch)s::bigint, %(row)s::bigint, %(position)s::bigint, %(width)s::bigint, %(old)s::text, %(new)s::text, %(author)s::text, %(at)s::double precision);

-- NEXT_EDIT
SELECT coalesce(max(edits.number), 0) + 1 AS anon_1
FROM edits
WHERE edits.run = %(run)s::bigint;

-- COPY_EDIT
INSERT INTO edits (run, number, batch, row, position, width, "old", "new", author, at, undone_by, undone_at) VALUES (%(run)s::bigint, %(number)s::bigint, %(batch)s::bigint, %(row)s::bigint, %(position)s::bigint, %(width)s::bigint, %(old)s::text, %(new)s::text, %(author)s::text, %(at)s::double precision, %(undone_by)s::text, %(undone_at)s::double precision);

-- ALL_EDITS
SELECT edits.number, edits.batch, edits.row, edits.position, edits.width, edits."old", edits."new", edits.author, edits.at, edits.undone_by, edits.undone_at
FROM edits
WHERE edits.number > %(after)s::bigint AND edits.run = %(run)s::bigint ORDER BY edits.number
 LIMIT %(batch_rows)s::bigint;

-- EDITS
SELECT edits.number, edits.row, edits.position, edits."old", edits."new", edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE edits.number > %(after)s::bigint AND edits.run = %(run)s::bigint ORDER BY edits.number
 LIMIT %(most)s::bigint;

-- KEPT_EDITS_BY_ROW
SELECT edits.number, edits.row, edits.position, edits."old", edits."new", edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE (edits.row, edits.number) > (%(after_row)s::bigint, %(after_number)s::bigint) AND edits.undone_at IS NULL AND edits.run = %(run)s::bigint ORDER BY edits.row, edits.number
 LIMIT %(most)s::bigint;

-- EDITS_OF_ROWS
SELECT edits.number, edits.row, edits.position, edits."old", edits."new", edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE edits.row IN (SELECT (listed.value #>> '{}')::bigint
FROM jsonb_array_elements(%(numbers)s::text::jsonb) AS listed) AND edits.undone_at IS NULL AND edits.run = %(run)s::bigint ORDER BY edits.row, edits.number;

-- EDIT
SELECT edits.number, edits.row, edits.position, edits."old", edits."new", edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE edits.number = %(number)s::bigint AND edits.run = %(run)s::bigint;

-- EDITS_OF_BATCH
SELECT edits.number, edits.row, edits.position, edits."old", edits."new", edits.author, edits.at, edits.undone_at, edits.batch, edits.width
FROM edits
WHERE edits.batch = %(of_batch)s::bigint AND edits.undone_at IS NULL AND edits.run = %(run)s::bigint ORDER BY edits.number
 LIMIT %(most)s::bigint;

-- BATCH_LENGTH
SELECT count(*) AS count_1
FROM edits
WHERE edits.batch = %(of_batch)s::bigint AND edits.undone_at IS NULL AND edits.run = %(run)s::bigint;

-- UNDO_EDITS
UPDATE edits SET undone_by=%(who)s::text, undone_at=%(when)s::double precision WHERE edits.row = %(of_row)s::bigint AND edits.position = %(at_position)s::bigint AND edits.number >= %(first)s::bigint AND edits.undone_at IS NULL AND edits.run = %(run)s::bigint;

-- DROP_LOST_EDITS
UPDATE edits SET undone_by='', undone_at=%(when)s::double precision WHERE edits.undone_at IS NULL AND (edits.row NOT IN (SELECT rows.number
FROM rows
WHERE rows.run = %(run)s::bigint)) AND edits.run = %(run)s::bigint;

-- ADD_REFUSAL
INSERT INTO refusals (run, row, problems, by_cell, accepted_by, accepted_at) VALUES (%(run)s::bigint, %(row)s::bigint, %(problems)s::text, %(by_cell)s::bigint, %(accepted_by)s::text, %(accepted_at)s::double precision) ON CONFLICT (run, row) DO UPDATE SET problems = excluded.problems, by_cell = excluded.by_cell, accepted_by = excluded.accepted_by, accepted_at = excluded.accepted_at;

-- ALL_REFUSALS
SELECT refusals.row, refusals.problems, refusals.by_cell, refusals.accepted_by, refusals.accepted_at
FROM refusals
WHERE refusals.run = %(run)s::bigint ORDER BY refusals.row;

-- REFUSALS_OF
SELECT refusals.row, refusals.problems, refusals.by_cell
FROM refusals
WHERE refusals.accepted_at IS NULL AND refusals.row IN (SELECT (listed.value #>> '{}')::bigint
FROM jsonb_array_elements(%(numbers)s::text::jsonb) AS listed) AND refusals.run = %(run)s::bigint;

-- ACCEPT
UPDATE refusals SET accepted_by=%(who)s::text, accepted_at=%(when)s::double precision WHERE refusals.row = %(of_row)s::bigint AND refusals.run = %(run)s::bigint;

-- OPEN_REFUSALS
SELECT refusals.row, refusals.problems, refusals.by_cell
FROM refusals
WHERE refusals.accepted_at IS NULL AND refusals.run = %(run)s::bigint ORDER BY refusals.row;

-- DRAFT_ROWS
SELECT rows.number, rows.state, rows.waits_for, rows.place, rows.is_repeated, rows.target, rows.cells, rows.fields, rows.problems
FROM rows
WHERE rows.number IN (SELECT (listed.value #>> '{}')::bigint
FROM jsonb_array_elements(%(numbers)s::text::jsonb) AS listed) AND rows.run = %(run)s::bigint ORDER BY rows.number;

-- NEEDING_SOMEONE
SELECT rows.number, rows.state, rows.problems
FROM rows
WHERE (rows.state = 'invalid' OR rows.waits_for IS NOT NULL) AND rows.run = %(run)s::bigint ORDER BY rows.number;

-- REPEATED_AMONG
SELECT rows.target
FROM rows
WHERE rows.target IN (SELECT (listed.value #>> '{}')::text
FROM jsonb_array_elements(%(targets)s::text::jsonb) AS listed) AND rows.run = %(run)s::bigint GROUP BY rows.target
HAVING count(*) > 1 OR max(rows.is_repeated) = 1;

-- OF_TARGETS
SELECT rows.number, rows.state, rows.waits_for, rows.place, rows.is_repeated, rows.target, rows.cells, rows.fields, rows.problems
FROM rows
WHERE rows.target IN (SELECT (listed.value #>> '{}')::text
FROM jsonb_array_elements(%(targets)s::text::jsonb) AS listed) AND rows.run = %(run)s::bigint ORDER BY rows.target, coalesce(rows.place, rows.number), rows.number;

-- UPDATE_DRAFT_ROW
UPDATE rows SET state=%(new_state)s::text, waits_for=%(new_waits_for)s::bigint, is_repeated=%(new_is_repeated)s::bigint, target=%(new_target)s::text, cells=%(new_cells)s::text, fields=%(new_fields)s::text, path=%(new_path)s::text, query=%(new_query)s::text, body=%(new_body)s::text, problems=%(new_problems)s::text WHERE rows.number = %(of_row)s::bigint AND rows.run = %(run)s::bigint;

-- REQUESTS_IN_ORDER
SELECT rows.number, rows.path, rows.query, rows.body
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY coalesce(rows.place, rows.number), rows.number;

-- STAGE
INSERT INTO rows (run, number, commit_number, state, target, cells, fields, path, query, body, problems) VALUES (%(run)s::bigint, %(number)s::bigint, %(commit_number)s::bigint, %(state)s::text, %(target)s::text, %(cells)s::text, %(fields)s::text, %(path)s::text, %(query)s::text, %(body)s::text, %(problems)s::text);

-- STAGE_AGAIN
INSERT INTO rows (run, number, commit_number, state, target, cells, fields, path, query, body, problems) VALUES (%(run)s::bigint, %(number)s::bigint, %(commit_number)s::bigint, %(state)s::text, %(target)s::text, %(cells)s::text, %(fields)s::text, %(path)s::text, %(query)s::text, %(body)s::text, %(problems)s::text) ON CONFLICT (run, number) DO UPDATE SET commit_number = excluded.commit_number, state = excluded.state, waits_for = excluded.waits_for, place = excluded.place, is_repeated = excluded.is_repeated, outcome = excluded.outcome, maybe_applied = excluded.maybe_applied, earlier_attempts = excluded.earlier_attempts, attempts = excluded.attempts, status = excluded.status, sent_at = excluded.sent_at, seconds = excluded.seconds, target = excluded.target, cells = excluded.cells, fields = excluded.fields, path = excluded.path, query = excluded.query, body = excluded.body, problems = excluded.problems, message = excluded.message, advice = excluded.advice, cause = excluded.cause, before = excluded.before, reported = excluded.reported, block = excluded.block;

-- EXPECT
INSERT INTO expected (run, target, field, before_shown, left_shown, before, "left") VALUES (%(run)s::bigint, %(target)s::text, %(field)s::text, %(before_shown)s::text, %(left_shown)s::text, %(before)s::text, %(left)s::text);

-- EXPECTED_FIELDS
SELECT expected.target, expected.field
FROM expected
WHERE expected.target IN (SELECT (listed.value #>> '{}')::text
FROM jsonb_array_elements(%(targets)s::text::jsonb) AS listed) AND expected.run = %(run)s::bigint;

-- EXPECTED
SELECT expected.target, expected.field, expected.before_shown, expected.left_shown, expected.before, expected."left"
FROM expected
WHERE expected.run = %(run)s::bigint ORDER BY position;

-- CELLS
SELECT rows.number, rows.cells, coalesce(rows.problems ILIKE %(ragged)s::text, False) AS coalesce_1
FROM rows
WHERE rows.number > %(after)s::bigint AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(most)s::bigint;

-- REPEATED
SELECT rows.number, rows.state, rows.target, rows.cells, rows.problems
FROM rows
WHERE rows.target IN (SELECT rows.target
FROM rows
WHERE rows.target IS NOT NULL AND rows.run = %(run)s::bigint GROUP BY rows.target
HAVING count(*) > 1) AND rows.run = %(run)s::bigint ORDER BY rows.target, coalesce(rows.place, rows.number), rows.number;

-- PLACE
UPDATE rows SET place=%(place)s::bigint WHERE rows.number = %(row)s::bigint AND rows.run = %(run)s::bigint;

-- MARK_REPEATED
UPDATE rows SET is_repeated=1 WHERE rows.number = %(row)s::bigint AND rows.run = %(run)s::bigint;

-- MAKE_INVALID
UPDATE rows SET state='invalid', path=NULL, query=NULL, body=NULL, problems=%(found)s::text WHERE rows.number = %(row)s::bigint AND rows.run = %(run)s::bigint;

-- WAIT
UPDATE rows SET waits_for=%(earlier)s::bigint WHERE rows.number = %(row)s::bigint AND rows.run = %(run)s::bigint;

-- AMBIGUOUS
SELECT rows.number, rows.problems
FROM rows
WHERE rows.problems ILIKE %(pattern)s::text AND rows.run = %(run)s::bigint;

-- LEAVE_OUT
DELETE FROM rows WHERE rows.number = %(row)s::bigint AND rows.run = %(run)s::bigint;

-- SET_PROBLEMS
UPDATE rows SET problems=%(found)s::text WHERE rows.number = %(row)s::bigint AND rows.run = %(run)s::bigint;

-- REQUESTS
SELECT rows.number, rows.target, rows.fields, rows.path, rows.query, rows.body
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND NOT coalesce(rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated', False) AND rows.number > %(after)s::bigint AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(batch_rows)s::bigint;

-- WAITING_FOR_NOTHING
SELECT rows.number
FROM rows
WHERE rows.waits_for IS NOT NULL AND NOT (EXISTS (SELECT waited_for.number
FROM rows AS waited_for
WHERE waited_for.number = rows.waits_for AND waited_for.state = 'invalid' AND waited_for.target = rows.target AND waited_for.run = %(run)s::bigint)) AND rows.run = %(run)s::bigint;

-- FIRST_JOB
SELECT rows.number, rows.target, rows.fields
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1;

-- STAGED_COUNTS
SELECT count(*) AS count_1, count(*) FILTER (WHERE rows.state != 'invalid' AND rows.waits_for IS NULL) AS anon_1, count(rows.waits_for) AS count_2
FROM rows
WHERE rows.run = %(run)s::bigint;

-- KINDS
SELECT rows.number, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END AS anon_1
FROM rows
WHERE rows.number > %(after)s::bigint AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(batch_rows)s::bigint;

-- LISTED
SELECT rows.number, rows.state, rows.target, rows.cells, rows.problems
FROM rows
WHERE rows.number IN (SELECT (listed.value #>> '{}')::bigint
FROM jsonb_array_elements(%(numbers)s::text::jsonb) AS listed) AND rows.run = %(run)s::bigint;

-- KINDS_OF
SELECT rows.number, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END AS anon_1
FROM rows
WHERE rows.number IN (SELECT (listed.value #>> '{}')::bigint
FROM jsonb_array_elements(%(numbers)s::text::jsonb) AS listed) AND rows.number > %(after)s::bigint AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(batch_rows)s::bigint;

-- LAST_ROW
SELECT coalesce(max(rows.number), 0) AS coalesce_1
FROM rows
WHERE rows.run = %(run)s::bigint;

-- ADDED_ROWS
SELECT rows.number
FROM rows
WHERE rows.number >= %(first)s::bigint AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(most)s::bigint;

-- ROWS
SELECT rows.number, rows.state, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END AS anon_1, rows.waits_for, rows.is_repeated, rows.maybe_applied, rows.earlier_attempts + rows.attempts AS attempts, rows.status, rows.sent_at, rows.seconds, rows.target, rows.cells, rows.fields, rows.body, rows.problems, rows.message, rows.advice, rows.cause, rows.before, rows.reported
FROM rows
WHERE rows.number > %(after)s::bigint AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(batch_rows)s::bigint;

-- INVALID_ROWS
SELECT rows.number, rows.state, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END AS anon_1, rows.waits_for, rows.is_repeated, rows.maybe_applied, rows.earlier_attempts + rows.attempts AS attempts, rows.status, rows.sent_at, rows.seconds, rows.target, rows.cells, rows.fields, rows.body, rows.problems, rows.message, rows.advice, rows.cause, rows.before, rows.reported
FROM rows
WHERE rows.number > %(after)s::bigint AND rows.state = 'invalid' AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(batch_rows)s::bigint;

-- ROWS_TO_FIX
SELECT rows.number, rows.state, CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END AS anon_1, rows.waits_for, rows.is_repeated, rows.maybe_applied, rows.earlier_attempts + rows.attempts AS attempts, rows.status, rows.sent_at, rows.seconds, rows.target, rows.cells, rows.fields, rows.body, rows.problems, rows.message, rows.advice, rows.cause, rows.before, rows.reported
FROM rows
WHERE rows.number > %(after)s::bigint AND NOT (CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END = 'updated' OR CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END = 'unchanged' OR CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END = 'planned') AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(batch_rows)s::bigint;

-- COUNTS
SELECT CASE WHEN (rows.state = 'invalid') THEN 'invalid' WHEN (rows.state = 'in_flight') THEN 'unconfirmed' WHEN (rows.outcome IS NOT NULL) THEN rows.outcome WHEN (rows.waits_for IS NOT NULL) THEN 'not_sent' ELSE %(unsent)s::text END AS kind, count(*) AS count_1
FROM rows
WHERE rows.run = %(run)s::bigint GROUP BY kind;

-- LAST_ANSWER_AT
SELECT max(rows.sent_at + coalesce(rows.seconds, 0.0)) AS max_1
FROM rows
WHERE rows.run = %(run)s::bigint;

-- NUMBER_AT
SELECT rows.number
FROM rows
WHERE rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(at)s::bigint;

-- CLEARING
SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND (EXISTS (SELECT element.value
FROM json_array_elements(CAST(rows.fields AS JSON) -> 1) AS element
WHERE json_typeof(element.value) = 'null' OR CAST(element.value AS TEXT) = '[]' OR CAST(element.value AS TEXT) = '{}')) AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(most)s::bigint;

-- FIRST_INVALID
SELECT rows.number, rows.problems
FROM rows
WHERE rows.state = 'invalid' AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(most)s::bigint;

-- JOBS
SELECT rows.number, rows.target, rows.fields, rows.path, rows.query, rows.body, rows.maybe_applied, rows.place
FROM rows
WHERE rows.state = 'ready' AND rows.waits_for IS NULL AND (%(limit)s::bigint IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1)) AND rows.number > %(after)s::bigint AND rows.place IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(most)s::bigint;

-- ADDED_JOBS
SELECT rows.number, rows.target, rows.fields, rows.path, rows.query, rows.body, rows.maybe_applied, rows.place
FROM rows
WHERE rows.state = 'ready' AND rows.waits_for IS NULL AND (%(limit)s::bigint IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1)) AND rows.place IS NOT NULL AND rows.run = %(run)s::bigint ORDER BY rows.place, rows.number;

-- COUNT_TO_SEND
SELECT count(*) AS count_1
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND NOT coalesce(rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated', False) AND (%(limit)s::bigint IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1)) AND rows.run = %(run)s::bigint;

-- WRITE_MANY
UPDATE rows SET commit_number=%(commit)s::bigint, state=CASE WHEN ((item.value ->> 1)::text IS NULL) THEN 'in_flight' ELSE 'finished' END, outcome=(item.value ->> 1)::text, maybe_applied=0, attempts=(item.value ->> 2)::bigint, status=(item.value ->> 3)::bigint, sent_at=(item.value ->> 4)::double precision, seconds=(item.value ->> 5)::double precision, problems=NULL, message='', advice='', cause='', before=coalesce(rows.before, (item.value ->> 6)::text), reported=(item.value ->> 7)::text FROM jsonb_array_elements(%(batch)s::text::jsonb) AS item WHERE rows.number = (item.value ->> 0)::bigint AND rows.run = %(run)s::bigint;

-- SETTLE
UPDATE rows SET commit_number=%(commit)s::bigint, state='finished', outcome=%(kind)s::text, maybe_applied=%(doubt)s::bigint, attempts=%(tries)s::bigint, status=%(http)s::bigint, sent_at=%(at)s::double precision, seconds=%(took)s::double precision, problems=%(found)s::text, message=%(said)s::text, advice=%(remedy)s::text, cause=%(why)s::text, before=coalesce(rows.before, %(record)s::text), reported=%(answer)s::text WHERE rows.number = %(row)s::bigint AND rows.run = %(run)s::bigint;

-- KEEP_BEFORE
UPDATE rows SET commit_number=%(commit)s::bigint, before=coalesce(rows.before, (item.value ->> 1)::text) FROM jsonb_array_elements(%(batch)s::text::jsonb) AS item WHERE rows.number = (item.value ->> 0)::bigint AND rows.run = %(run)s::bigint;

-- KEEP_FINE_ATTEMPTS
INSERT INTO attempts (run, row, part, number, commit_number, method, sent_at, wait_s, seconds, status, why, message) SELECT %(run)s::bigint, (item.value ->> 0)::bigint AS json_extract_1, (SELECT max(parts.number) AS max_1
FROM parts
WHERE parts.run = %(run)s::bigint) AS anon_1, (item.value ->> 1)::bigint AS json_extract_2, %(commit)s::bigint AS anon_2, (item.value ->> 2)::text AS json_extract_3, (item.value ->> 3)::double precision AS json_extract_4, (item.value ->> 4)::double precision AS json_extract_5, (item.value ->> 5)::double precision AS json_extract_6, (item.value ->> 6)::bigint AS json_extract_7, (item.value ->> 7)::text AS json_extract_8, ''
FROM jsonb_array_elements(%(batch)s::text::jsonb) AS item ON CONFLICT (run, row, part, number) DO UPDATE SET commit_number = excluded.commit_number, method = excluded.method, sent_at = excluded.sent_at, wait_s = excluded.wait_s, seconds = excluded.seconds, status = excluded.status, why = excluded.why, message = excluded.message, answer = excluded.answer;

-- KEEP_ATTEMPT
INSERT INTO attempts (run, row, part, number, commit_number, method, sent_at, wait_s, seconds, status, why, message, answer) SELECT %(run)s::bigint, %(of_row)s::bigint AS anon_1, (SELECT max(parts.number) AS max_1
FROM parts
WHERE parts.run = %(run)s::bigint) AS anon_2, %(nth)s::bigint AS anon_3, %(commit)s::bigint AS anon_4, %(verb)s::text AS anon_5, %(at)s::double precision AS anon_6, %(wait)s::double precision AS anon_7, %(took)s::double precision AS anon_8, %(http)s::bigint AS anon_9, %(meaning)s::text AS anon_10, %(said)s::text AS anon_11, %(text)s::text AS anon_12 ON CONFLICT (run, row, part, number) DO UPDATE SET commit_number = excluded.commit_number, method = excluded.method, sent_at = excluded.sent_at, wait_s = excluded.wait_s, seconds = excluded.seconds, status = excluded.status, why = excluded.why, message = excluded.message, answer = excluded.answer;

-- ATTEMPTS
SELECT attempts.part, attempts.number, attempts.method, attempts.sent_at, attempts.wait_s, attempts.seconds, attempts.status, attempts.why, attempts.message, attempts.answer
FROM attempts
WHERE attempts.row = %(of_row)s::bigint AND attempts.run = %(run)s::bigint ORDER BY attempts.part, attempts.number;

-- REQUEST
SELECT rows.path, rows.query, rows.body
FROM rows
WHERE rows.number = %(of_row)s::bigint AND rows.run = %(run)s::bigint;

-- LEARN
INSERT INTO names (run, field, depends_on, commit_number, list) VALUES (%(run)s::bigint, %(field)s::text, %(depends_on)s::text, %(commit)s::bigint, %(list)s::text) ON CONFLICT (run, field, depends_on) DO UPDATE SET commit_number = excluded.commit_number, list = excluded.list, position = DEFAULT;

-- NAMES
SELECT names.field, names.depends_on, names.list
FROM names
WHERE names.run = %(run)s::bigint ORDER BY position;

-- NEW_PART
INSERT INTO parts (run, number, started_at) VALUES (%(run)s::bigint, (SELECT coalesce(max(parts.number), 0) + 1 AS anon_1
FROM parts
WHERE parts.run = %(run)s::bigint), %(started_at)s::double precision);

-- END_PART
UPDATE parts SET commit_number=%(commit)s::bigint, ended_at=%(new_ended_at)s::double precision, requests=%(new_requests)s::bigint, retries=%(new_retries)s::bigint, elapsed_s=%(new_elapsed_s)s::double precision, stopped=%(new_stopped)s::text, stop_message=%(new_stop_message)s::text, stop_advice=%(new_stop_advice)s::text, results=%(new_results)s::text, counts=%(new_counts)s::text WHERE parts.number = (SELECT max(parts.number) AS max_1
FROM parts
WHERE parts.run = %(run)s::bigint) AND parts.run = %(run)s::bigint;

-- PARTS
SELECT parts.started_at, parts.ended_at, parts.requests, parts.retries, parts.elapsed_s, parts.stopped, parts.stop_message, parts.stop_advice, parts.results, parts.counts
FROM parts
WHERE parts.run = %(run)s::bigint ORDER BY parts.number;

-- LAST_COMMIT
SELECT greatest((SELECT coalesce(max(rows.commit_number), 0) AS coalesce_1
FROM rows
WHERE rows.run = %(run)s::bigint), (SELECT coalesce(max(names.commit_number), 0) AS coalesce_2
FROM names
WHERE names.run = %(run)s::bigint), (SELECT coalesce(max(attempts.commit_number), 0) AS coalesce_3
FROM attempts
WHERE attempts.run = %(run)s::bigint), (SELECT coalesce(max(parts.commit_number), 0) AS coalesce_4
FROM parts
WHERE parts.run = %(run)s::bigint)) AS max_1;

-- NEVER_SENT
UPDATE rows SET state='ready', outcome=NULL, attempts=0, message=NULL, advice=NULL, cause=NULL WHERE rows.state = 'in_flight' AND rows.before IS NULL AND rows.earlier_attempts = 0 AND (EXISTS (SELECT run.name
FROM run
WHERE run.name = 'reads_first' AND run.value = 'true' AND run.run = %(run)s::bigint)) AND rows.run = %(run)s::bigint;

-- KEEP_IN_FLIGHT
INSERT INTO attempts (run, row, part, number, commit_number, why) SELECT %(run)s::bigint, rows.number, (SELECT max(parts.number) AS max_1
FROM parts
WHERE parts.run = %(run)s::bigint) AS anon_1, coalesce((SELECT max(attempts.number) AS max_2
FROM attempts
WHERE attempts.row = rows.number AND attempts.part = (SELECT max(parts.number) AS max_1
FROM parts
WHERE parts.run = %(run)s::bigint) AND attempts.run = %(run)s::bigint), 0) + 1 AS anon_2, rows.commit_number, 'ended while in flight'
FROM rows
WHERE rows.state = 'in_flight' AND rows.run = %(run)s::bigint;

-- RESUME
UPDATE rows SET state='ready', outcome=CASE WHEN (rows.state = 'in_flight') THEN 'unconfirmed' ELSE rows.outcome END, maybe_applied=CASE WHEN (rows.state = 'in_flight') THEN 1 ELSE rows.maybe_applied END, message=CASE WHEN (rows.state = 'in_flight') THEN 'The run ended while this row was in flight; whether it was applied is unknown.' ELSE rows.message END, advice=CASE WHEN (rows.state = 'in_flight') THEN 'Run again to settle it.' ELSE rows.advice END, cause=CASE WHEN (rows.state = 'in_flight') THEN 'ended while in flight' ELSE rows.cause END, before=CASE WHEN ((rows.outcome = 'failed' OR rows.outcome = 'not_sent' OR rows.outcome = 'rejected') AND rows.maybe_applied = 0) THEN NULL ELSE rows.before END WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND NOT coalesce(rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated', False) AND rows.run = %(run)s::bigint;

-- CLOSE
UPDATE rows SET commit_number=%(commit)s::bigint, state='finished', outcome='not_sent', message=trim(CASE WHEN (rows.maybe_applied = 1) THEN 'The run was closed before it was known whether this row was applied. ' ELSE 'The run was closed before this row was done. ' END || coalesce(rows.message, CASE WHEN (rows.waits_for IS NOT NULL) THEN format('Row %%s updates the same record and has to be done first.', rows.waits_for) END, '')), advice=CASE WHEN (rows.waits_for IS NOT NULL) THEN format('Repair row %%s on the sheet "To fix" of the results workbook, then run that workbook.', rows.waits_for) ELSE 'Run the results workbook: that sends the rows of its sheet "To fix".' END, cause=CASE WHEN (rows.waits_for IS NOT NULL) THEN 'waits for an earlier row of the same record' WHEN (rows.maybe_applied = 1) THEN 'the run was closed, and it is unknown whether it was applied' ELSE 'the run was closed' END WHERE rows.state != 'invalid' AND (rows.outcome IS NULL OR rows.outcome = 'failed' OR rows.outcome = 'unconfirmed' OR rows.outcome = 'not_sent') AND rows.run = %(run)s::bigint;
UPDATE rows SET state='finished' WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.state = 'ready' AND rows.run = %(run)s::bigint;

-- FORGET_RESULTS
UPDATE rows SET outcome='not_sent', problems=NULL, message='', advice='', cause='', before=NULL, reported=NULL WHERE (rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated') AND rows.run = %(run)s::bigint;
UPDATE rows SET outcome=NULL, earlier_attempts=0, problems=NULL, message=NULL, advice=NULL, cause=NULL, before=NULL, reported=NULL WHERE rows.state = 'ready' AND rows.run = %(run)s::bigint;
DELETE FROM run WHERE run.name != 'staged' AND run.run = %(run)s::bigint;
DELETE FROM parts WHERE parts.run = %(run)s::bigint;
DELETE FROM attempts WHERE attempts.run = %(run)s::bigint;

-- COUNT_AS_EARLIER
UPDATE rows SET earlier_attempts=(rows.earlier_attempts + rows.attempts), attempts=0 WHERE rows.attempts > 0 AND rows.run = %(run)s::bigint;

-- FIRST_REPEATED
SELECT EXISTS (SELECT anon_2.path
FROM (SELECT rows.path AS path, rows.query AS query, rows.body AS body
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.number <= (SELECT max(anon_3.number) AS max_1
FROM (SELECT earlier_rows.number AS number, earlier_rows.path AS path, earlier_rows.query AS query, earlier_rows.body AS body
FROM rows AS earlier_rows
WHERE (earlier_rows.outcome = 'updated' OR earlier_rows.outcome = 'unchanged') AND earlier_rows.run = %(earlier_run)s::bigint ORDER BY earlier_rows.number
 LIMIT %(most)s::bigint) AS anon_3) + %(further)s::bigint AND rows.run = %(run)s::bigint) AS anon_2, (SELECT earlier_rows.number AS number, earlier_rows.path AS path, earlier_rows.query AS query, earlier_rows.body AS body
FROM rows AS earlier_rows
WHERE (earlier_rows.outcome = 'updated' OR earlier_rows.outcome = 'unchanged') AND earlier_rows.run = %(earlier_run)s::bigint ORDER BY earlier_rows.number
 LIMIT %(most)s::bigint) AS anon_3
WHERE anon_2.path = anon_3.path AND anon_2.query = anon_3.query AND anon_2.body = anon_3.body) AS anon_1;

-- REPEATED_IN_EARLIER
SELECT DISTINCT rows_1.number
FROM rows AS rows_1, rows AS earlier_rows
WHERE rows_1.state != 'invalid' AND rows_1.waits_for IS NULL AND (earlier_rows.outcome = 'updated' OR earlier_rows.outcome = 'unchanged') AND rows_1.path = earlier_rows.path AND rows_1.query = earlier_rows.query AND rows_1.body = earlier_rows.body AND rows_1.run = %(run)s::bigint AND earlier_rows.run = %(earlier_run)s::bigint ORDER BY rows_1.number;

-- APPLIED_EARLIER
SELECT count(*) AS count_1
FROM rows AS earlier_rows
WHERE (earlier_rows.outcome = 'updated' OR earlier_rows.outcome = 'unchanged') AND earlier_rows.run = %(earlier_run)s::bigint;

-- CUT_INTO_BLOCKS
UPDATE rows SET block=CASE WHEN (rows.state = 'ready' AND rows.waits_for IS NULL AND (%(limit)s::bigint IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1))) THEN ('x' || left(encode(sha256(convert_to(coalesce(rows.target, ''), 'UTF8')), 'hex'), 8))::bit(32)::bigint %% %(blocks)s::bigint END WHERE rows.block IS DISTINCT FROM CASE WHEN (rows.state = 'ready' AND rows.waits_for IS NULL AND (%(limit)s::bigint IS NULL OR (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1) IS NULL OR rows.number <= (SELECT rows.number
FROM rows
WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT 1 OFFSET %(limit)s::bigint - 1))) THEN ('x' || left(encode(sha256(convert_to(coalesce(rows.target, ''), 'UTF8')), 'hex'), 8))::bit(32)::bigint %% %(blocks)s::bigint END AND rows.run = %(run)s::bigint;
UPDATE blocks SET state='done', epoch=(blocks.epoch + 1), rows=0, counts='{}', refusals=NULL, requests=0, retries=0, throttled=0, host=NULL, claimed_at=NULL WHERE blocks.run = %(run)s::bigint;
INSERT INTO blocks (run, number, state, rows) SELECT %(run)s::bigint, rows.block, 'waiting', count(*) AS count_1
FROM rows
WHERE rows.block IS NOT NULL AND rows.run = %(run)s::bigint GROUP BY rows.block ON CONFLICT (run, number) DO UPDATE SET state = excluded.state, rows = excluded.rows;

-- BLOCK_JOBS
SELECT rows.number, rows.target, rows.fields, rows.path, rows.query, rows.body, rows.maybe_applied, rows.place
FROM rows
WHERE rows.state = 'ready' AND rows.waits_for IS NULL AND rows.block = %(block)s::bigint AND rows.number > %(after)s::bigint AND rows.place IS NULL AND rows.run = %(run)s::bigint ORDER BY rows.number
 LIMIT %(most)s::bigint;

-- BLOCK_ADDED_JOBS
SELECT rows.number, rows.target, rows.fields, rows.path, rows.query, rows.body, rows.maybe_applied, rows.place
FROM rows
WHERE rows.state = 'ready' AND rows.waits_for IS NULL AND rows.block = %(block)s::bigint AND rows.place IS NOT NULL AND rows.run = %(run)s::bigint ORDER BY rows.place, rows.number;

-- READY_BLOCK
UPDATE rows SET state='ready', outcome=NULL, attempts=0, message=NULL, advice=NULL, cause=NULL WHERE rows.state = 'in_flight' AND rows.before IS NULL AND rows.earlier_attempts = 0 AND (EXISTS (SELECT run.name
FROM run
WHERE run.name = 'reads_first' AND run.value = 'true' AND run.run = %(run)s::bigint)) AND rows.block = %(block)s::bigint AND rows.run = %(run)s::bigint;
INSERT INTO attempts (run, row, part, number, commit_number, why) SELECT %(run)s::bigint, rows.number, (SELECT max(parts.number) AS max_1
FROM parts
WHERE parts.run = %(run)s::bigint) AS anon_1, coalesce((SELECT max(attempts.number) AS max_2
FROM attempts
WHERE attempts.row = rows.number AND attempts.part = (SELECT max(parts.number) AS max_1
FROM parts
WHERE parts.run = %(run)s::bigint) AND attempts.run = %(run)s::bigint), 0) + 1 AS anon_2, rows.commit_number, 'ended while in flight'
FROM rows
WHERE rows.state = 'in_flight' AND rows.block = %(block)s::bigint AND rows.run = %(run)s::bigint;
UPDATE rows SET state='ready', outcome=CASE WHEN (rows.state = 'in_flight') THEN 'unconfirmed' ELSE rows.outcome END, maybe_applied=CASE WHEN (rows.state = 'in_flight') THEN 1 ELSE rows.maybe_applied END, message=CASE WHEN (rows.state = 'in_flight') THEN 'The run ended while this row was in flight; whether it was applied is unknown.' ELSE rows.message END, advice=CASE WHEN (rows.state = 'in_flight') THEN 'Run again to settle it.' ELSE rows.advice END, cause=CASE WHEN (rows.state = 'in_flight') THEN 'ended while in flight' ELSE rows.cause END, before=CASE WHEN ((rows.outcome = 'failed' OR rows.outcome = 'not_sent' OR rows.outcome = 'rejected') AND rows.maybe_applied = 0) THEN NULL ELSE rows.before END WHERE rows.state != 'invalid' AND rows.waits_for IS NULL AND NOT coalesce(rows.outcome = 'differs' OR rows.outcome = 'unchanged' OR rows.outcome = 'updated', False) AND rows.state = 'in_flight' AND rows.block = %(block)s::bigint AND rows.run = %(run)s::bigint;
UPDATE rows SET earlier_attempts=(rows.earlier_attempts + rows.attempts), attempts=0 WHERE rows.attempts > 0 AND rows.state = 'ready' AND rows.block = %(block)s::bigint AND rows.run = %(run)s::bigint;
