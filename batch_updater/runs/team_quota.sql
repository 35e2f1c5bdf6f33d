-- Statements over the quota of a team, one row of `quotas`. The clock is the database's, in seconds since 1970.

-- ENTER
INSERT INTO quotas (origin, account) VALUES (%(origin)s, %(account)s) ON CONFLICT DO NOTHING;

-- LEASE
WITH locked AS MATERIALIZED (
    SELECT *, extract(epoch FROM clock_timestamp())::float8 AS now
    FROM quotas WHERE origin = %(origin)s AND account = %(account)s FOR UPDATE
), paced AS (
    SELECT *, least(%(rate)s::float8, coalesce(
        slowed_to_per_s + %(increase)s::float8 * greatest(0, now - greatest(slowed_at, paused_until)), %(rate)s::float8
    )) AS pace
    FROM locked
), spaced AS (
    SELECT *, %(slack)s::float8 / pace AS interval_s,
        CASE WHEN pace < %(rate)s::float8 THEN 0 ELSE %(burst)s::float8 * %(slack)s::float8 / pace END AS tolerance_s,
        now + %(ahead)s::float8 AS earliest
    FROM paced
), due AS (
    SELECT *, greatest(
        earliest, paused_until,
          -- where the clock was set back, the next permit would be due in the far future
        least(next_at, CASE WHEN now < leased_at - 1 THEN greatest(now, paused_until) + 1 + 100 * interval_s END),
          -- a server that has crashed may have forgotten what it leased last
        extract(epoch FROM pg_postmaster_start_time())::float8 + 1
    ) AS due_at
    FROM spaced
), lease AS (
    SELECT *, least(%(permits)s::float8, greatest(1, floor(
        least(%(slice)s::float8, earliest + %(queue)s::float8 - due_at + tolerance_s) / interval_s
    )))::integer AS permits
    FROM due
), leased AS (
    UPDATE quotas SET next_at = lease.due_at + lease.permits * lease.interval_s, leased_at = lease.now
    FROM lease WHERE quotas.origin = lease.origin AND quotas.account = lease.account
), counted AS (
    INSERT INTO months (origin, account, month, requests)
    SELECT origin, account, date_trunc('month', to_timestamp(now) AT TIME ZONE 'UTC')::date, permits - %(unused)s::integer
    FROM lease WHERE permits <> %(unused)s::integer
    ON CONFLICT (origin, account, month) DO UPDATE SET requests = months.requests + excluded.requests
)
SELECT now, pace, slowed_at, paused_until, CASE WHEN deadline + 5 > now THEN opened_at END AS opened_at,
    deadline, next_probe_at, probes, why, permits, due_at - tolerance_s AS due_at, interval_s, earliest
FROM lease;

-- STATE
SELECT now, least(%(rate)s::float8, coalesce(
        slowed_to_per_s + %(increase)s::float8 * greatest(0, now - greatest(slowed_at, paused_until)), %(rate)s::float8
    )) AS pace,
    slowed_at, paused_until, CASE WHEN deadline + 5 > now THEN opened_at END AS opened_at,
    deadline, next_probe_at, probes, why
FROM quotas, (SELECT extract(epoch FROM clock_timestamp())::float8 AS now) AS clock
WHERE origin = %(origin)s AND account = %(account)s;

-- THROTTLED
UPDATE quotas SET slowed_at = now, slowed_to_per_s = greatest(%(slowest)s::float8, %(decrease)s::float8 * least(
        %(rate)s::float8, coalesce(
            slowed_to_per_s + %(increase)s::float8 * greatest(0, now - greatest(slowed_at, paused_until)), %(rate)s::float8
    )))
FROM (SELECT extract(epoch FROM clock_timestamp())::float8 AS now) AS clock
WHERE origin = %(origin)s AND account = %(account)s
    AND (slowed_at IS NULL OR slowed_at < now - %(written_ago)s::float8 OR slowed_at > now);

-- PAUSE
UPDATE quotas SET paused_until = greatest(paused_until, extract(epoch FROM clock_timestamp())::float8 + %(seconds)s::float8)
WHERE origin = %(origin)s AND account = %(account)s;

-- OPEN
UPDATE quotas SET opened_at = now, deadline = now + %(max_wait)s::float8, next_probe_at = now + %(pause)s::float8,
    probes = 0, pause_s = %(first_pause)s::float8, why = %(why)s
FROM (SELECT extract(epoch FROM clock_timestamp())::float8 AS now) AS clock
WHERE origin = %(origin)s AND account = %(account)s AND (opened_at IS NULL OR deadline + 5 < now);

-- CLOSE
UPDATE quotas SET opened_at = NULL, deadline = NULL, next_probe_at = NULL, probes = 0, pause_s = NULL, why = NULL
WHERE origin = %(origin)s AND account = %(account)s AND opened_at IS NOT NULL;

-- TAKE_PROBE
UPDATE quotas SET probes = probes + 1, pause_s = least(2 * pause_s, %(longest_pause)s::float8),
    next_probe_at = extract(epoch FROM clock_timestamp())::float8 + %(lost_after)s::float8
WHERE origin = %(origin)s AND account = %(account)s AND opened_at IS NOT NULL
    AND greatest(least(next_probe_at, CASE WHEN probes = 0 THEN deadline END), paused_until)
        <= extract(epoch FROM clock_timestamp())::float8
    AND (probes = 0 OR deadline > extract(epoch FROM clock_timestamp())::float8)
RETURNING probes;

-- PROBE_FAILED
UPDATE quotas SET next_probe_at = extract(epoch FROM clock_timestamp())::float8 + pause_s * %(share)s::float8
WHERE origin = %(origin)s AND account = %(account)s AND opened_at IS NOT NULL;

-- RETURN
UPDATE months SET requests = requests - %(unused)s::integer
WHERE origin = %(origin)s AND account = %(account)s
    AND month = date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date;

-- MONTH
SELECT requests FROM months WHERE origin = %(origin)s AND account = %(account)s
    AND month = date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date;

-- NEW_SALT
INSERT INTO salts (name, salt) VALUES (%(name)s, %(salt)s) ON CONFLICT DO NOTHING;

-- SALT
SELECT salt FROM salts WHERE name = %(name)s;
