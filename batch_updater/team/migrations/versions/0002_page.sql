-- Times of the page are seconds since 1970-01-01 UTC, as in web.sqlite; those of servers are of this database's clock.
CREATE TABLE servers (
    id text PRIMARY KEY,  -- of a folder of results, in a file there
    host text NOT NULL,
    dead_after_s double precision NOT NULL,  -- if it has said nothing for so long, others take over what it had
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE uploads (
    id text PRIMARY KEY,
    name text NOT NULL, file text NOT NULL, "by" text NOT NULL, at double precision NOT NULL,
    changed_at double precision NOT NULL, source_path text, repairs text, undoes text, answers text NOT NULL,
    layout text, remember text, compare bigint NOT NULL DEFAULT 0, asked text
);
CREATE INDEX uploads_that_repair ON uploads (repairs);
CREATE TABLE tasks (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL, upload text, state text NOT NULL, "by" text NOT NULL, created_at double precision NOT NULL,
    started_at double precision, ended_at double precision, run text, fault text, waits_for text NOT NULL DEFAULT '',
    options text NOT NULL, is_stopped bigint NOT NULL DEFAULT 0,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- as created_at, by the clock by which runs are submitted
    server text REFERENCES servers,  -- that works on it, or has done so
    claim bigint NOT NULL DEFAULT 0  -- how often it was begun: a server that has an older number writes nothing
);
CREATE INDEX tasks_of_upload ON tasks (upload);
CREATE INDEX tasks_of_run ON tasks (run);
CREATE INDEX open_tasks ON tasks (number) WHERE state IN ('waiting', 'running');
CREATE TABLE events (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at double precision NOT NULL, "by" text NOT NULL, what text NOT NULL, upload text, run text, text text NOT NULL
);
CREATE INDEX events_of_upload ON events (upload);
CREATE INDEX events_of_run ON events (run);
CREATE TABLE approvals (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    upload text NOT NULL, digest text NOT NULL, "by" text NOT NULL, at double precision NOT NULL,
    withdrawn_at double precision
);
CREATE INDEX approvals_of_upload ON approvals (upload);
CREATE TABLE sessions (
    digest text PRIMARY KEY,  -- of the cookie, which is in no table
    "user" text NOT NULL, expires_at double precision NOT NULL
);
CREATE TABLE drafts (  -- which server has the draft of an upload; see team_drafts.py
    upload text PRIMARY KEY REFERENCES uploads ON DELETE CASCADE,
    server text NOT NULL REFERENCES servers,
    epoch bigint NOT NULL DEFAULT 1,  -- goes up with each change of the server: one that has an older number keeps no edit
    asked_by text REFERENCES servers,  -- the server that needs it next
    sheet text, first_column bigint,  -- where its edits are; NULL: it is not checked yet
    verdict text, questions bigint NOT NULL DEFAULT 0  -- for lists of uploads
);
CREATE INDEX drafts_of_server ON drafts (server);
CREATE TABLE draft_files (  -- the upload as it came, its rows as the last check has staged them, and the last comparison
    upload text NOT NULL REFERENCES uploads ON DELETE CASCADE,
    name text NOT NULL, content bytea NOT NULL,
    PRIMARY KEY (upload, name)
);
ALTER TABLE draft_files ALTER COLUMN content SET STORAGE EXTERNAL;  -- spreadsheets are compressed already
CREATE TABLE draft_edits (
    upload text NOT NULL REFERENCES uploads ON DELETE CASCADE,
    number bigint NOT NULL, batch bigint NOT NULL, "row" bigint NOT NULL, position bigint NOT NULL,
    width bigint NOT NULL, old text NOT NULL, new text NOT NULL, author text NOT NULL, at double precision NOT NULL,
    undone_by text, undone_at double precision,
    PRIMARY KEY (upload, number)
);
CREATE TABLE draft_refusals (
    upload text NOT NULL REFERENCES uploads ON DELETE CASCADE,
    "row" bigint NOT NULL, problems text NOT NULL, by_cell bigint NOT NULL, accepted_by text,
    accepted_at double precision,
    PRIMARY KEY (upload, "row")
);
