-- Two roles for a team's database: one owns the tables, one works with them and cannot change them.
--
--   createdb team
--   psql --dbname team --file roles.sql            as a superuser, before the first migration and once after it
--   psql --dbname team --command '\password batch_updater_owner'
--   psql --dbname team --command '\password batch_updater_worker'
--
-- TEAM_DATABASE is the address with batch_updater_owner for `batch-updater worker --migrate` alone, and the address with
-- batch_updater_worker for everything else. The file may be run again: it changes nothing that is as it says.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'batch_updater_owner') THEN
        CREATE ROLE batch_updater_owner LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'batch_updater_worker') THEN
        CREATE ROLE batch_updater_worker LOGIN;
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO batch_updater_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO batch_updater_worker', current_database());
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA IF NOT EXISTS batch_updater AUTHORIZATION batch_updater_owner;
GRANT USAGE ON SCHEMA batch_updater TO batch_updater_worker;

-- What the owner makes, now and in later versions.
ALTER DEFAULT PRIVILEGES FOR ROLE batch_updater_owner IN SCHEMA batch_updater
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO batch_updater_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE batch_updater_owner IN SCHEMA batch_updater
    GRANT USAGE, SELECT ON SEQUENCES TO batch_updater_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE batch_updater_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE batch_updater_owner IN SCHEMA batch_updater
    GRANT EXECUTE ON FUNCTIONS TO batch_updater_worker;

-- After the migration: which version the tables have is the owner's to say.
DO $$
BEGIN
    IF to_regclass('batch_updater.schema_version') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON batch_updater.schema_version FROM batch_updater_worker;
    END IF;
END
$$;
