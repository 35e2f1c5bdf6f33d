-- The schema is made, and found by search_path, before this runs; so are the tables of Procrastinate.
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,  -- of its folder, on every host
    origin text NOT NULL,  -- scheme, host and port of the API
    state text NOT NULL DEFAULT 'staging' CHECK (state IN ('staging', 'queued', 'sending', 'reporting', 'ended')),
    part integer NOT NULL DEFAULT 0,  -- of the run, that is queued or sent
    submitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    options text NOT NULL DEFAULT '{}',  -- JSON: what the part was asked for
    has_answer boolean NOT NULL DEFAULT false,  -- whether the API has answered in this part
    stop text,  -- JSON: why this part ends early; the first reason counts
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()  -- when state, part, facts or counts last changed
);
CREATE TABLE run (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    name text NOT NULL, value text NOT NULL,
    PRIMARY KEY (run, name)
);
CREATE TABLE parts (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    number integer NOT NULL, commit_number bigint, started_at double precision NOT NULL, ended_at double precision,
    requests bigint, retries bigint, elapsed_s double precision, stopped text, stop_message text, stop_advice text,
    results text, counts text,
    PRIMARY KEY (run, number)
);
CREATE TABLE rows (
    run bigint NOT NULL,  -- of runs, as below: looking that up takes as long as all the rest of writing a row
    number bigint NOT NULL, commit_number bigint NOT NULL, state text NOT NULL, waits_for bigint, place bigint,
    is_repeated integer NOT NULL DEFAULT 0, outcome text, maybe_applied integer NOT NULL DEFAULT 0,
    earlier_attempts integer NOT NULL DEFAULT 0, attempts integer NOT NULL DEFAULT 0, status integer,
    sent_at double precision, seconds double precision, target text, cells text NOT NULL, fields text, path text,
    query text, body text, problems text, message text, advice text, cause text, before text, reported text,
    block integer,  -- NULL: not one that is sent in this part
    PRIMARY KEY (run, number)
) WITH (fillfactor = 70);
CREATE INDEX rows_by_block ON rows (run, block, number) WHERE block IS NOT NULL;
CREATE TABLE attempts (
    run bigint NOT NULL,
    "row" bigint NOT NULL, part integer NOT NULL, number integer NOT NULL, commit_number bigint NOT NULL, method text,
    sent_at double precision, wait_s double precision, seconds double precision, status integer, why text NOT NULL,
    message text, answer text,
    PRIMARY KEY (run, "row", part, number)
);
CREATE FUNCTION remove_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM rows WHERE run = OLD.id;
    DELETE FROM attempts WHERE run = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER remove_rows AFTER DELETE ON runs FOR EACH ROW EXECUTE FUNCTION remove_rows();
CREATE TABLE names (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    field text NOT NULL, depends_on text NOT NULL, commit_number bigint NOT NULL, list text NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,  -- in place of SQLite's rowid
    PRIMARY KEY (run, field, depends_on)
);
CREATE TABLE expected (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    target text, field text, before_shown text, left_shown text, before text, "left" text,
    position bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX expected_by_run ON expected (run, position);
CREATE TABLE edits (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    number bigint NOT NULL, batch bigint NOT NULL, "row" bigint NOT NULL, position integer NOT NULL,
    width integer NOT NULL, old text NOT NULL, new text NOT NULL, author text NOT NULL, at double precision NOT NULL,
    undone_by text, undone_at double precision,
    PRIMARY KEY (run, number)
);
CREATE INDEX edits_by_row ON edits (run, "row", number);
CREATE TABLE refusals (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    "row" bigint NOT NULL, problems text NOT NULL, by_cell integer NOT NULL, accepted_by text,
    accepted_at double precision,
    PRIMARY KEY (run, "row")
);
CREATE TABLE blocks (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    number integer NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'done')),
    epoch integer NOT NULL DEFAULT 0,  -- how often it was claimed: a worker with an older number may not write
    "rows" integer NOT NULL,
    counts text NOT NULL DEFAULT '{}',  -- JSON: outcome -> rows that have it in this part
    refusals text,  -- JSON: how its first rows were refused, for the rule that all are refused in the same way
    requests bigint NOT NULL DEFAULT 0, retries bigint NOT NULL DEFAULT 0, throttled bigint NOT NULL DEFAULT 0,
    host text, claimed_at timestamptz,
    PRIMARY KEY (run, number)
);
CREATE TABLE files (
    run bigint NOT NULL REFERENCES runs ON DELETE CASCADE,
    name text NOT NULL, content bytea NOT NULL, written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, name)
);
CREATE TABLE quotas (
    origin text NOT NULL, account text NOT NULL,  -- a digest
    next_at double precision NOT NULL DEFAULT 0,  -- when the next permit is due; seconds since 1970, as below
    leased_at double precision NOT NULL DEFAULT 0,  -- when the last ones were leased
    slowed_to_per_s double precision, slowed_at double precision, paused_until double precision NOT NULL DEFAULT 0,
    opened_at double precision,  -- of the circuit breaker; NULL: it is closed
    deadline double precision, next_probe_at double precision, probes integer NOT NULL DEFAULT 0,
    pause_s double precision, why text,
    PRIMARY KEY (origin, account)
) WITH (fillfactor = 50);
CREATE TABLE months (
    origin text NOT NULL, account text NOT NULL, month date NOT NULL, requests bigint NOT NULL,
    PRIMARY KEY (origin, account, month)
) WITH (fillfactor = 50);
CREATE TABLE layouts (name text PRIMARY KEY, content text NOT NULL, changed_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE remembered_names (name text PRIMARY KEY, content text NOT NULL);  -- of all APIs, as in names.json
CREATE TABLE salts (name text PRIMARY KEY, salt text NOT NULL);
CREATE TABLE workers (
    id bigint PRIMARY KEY REFERENCES procrastinate_workers ON DELETE CASCADE,  -- of what takes its blocks
    host text NOT NULL
);
