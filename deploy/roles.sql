-- Once for a database, as a superuser connected to it, before `lbs migrate`. Safe to run again.
-- Afterwards nothing of LBS needs a superuser: `lbs_owner` migrates, backs up and restores, `lbs_app` runs the processes.
-- Give both a password: \password lbs_owner, \password lbs_app
DO $$
DECLARE
    wanted text[];
BEGIN
    FOREACH wanted SLICE 1 IN ARRAY ARRAY[
        ['lbs_api', 'NOLOGIN NOBYPASSRLS'],
        ['lbs_reader', 'NOLOGIN BYPASSRLS'],
        ['lbs_system', 'NOLOGIN BYPASSRLS'],
        -- migrations and dumps see the rows of all tenants
        ['lbs_owner', 'LOGIN BYPASSRLS'],
        ['lbs_app', 'LOGIN NOBYPASSRLS']
    ] LOOP
        IF to_regrole(wanted[1]) IS NULL THEN
            EXECUTE format('CREATE ROLE %I %s', wanted[1], wanted[2]);
        END IF;
    END LOOP;
    -- an owner may make schemas, and tables in public
    EXECUTE format('ALTER DATABASE %I OWNER TO lbs_owner', current_database());
    EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO lbs_app', current_database());
END $$;
GRANT lbs_api, lbs_reader, lbs_system TO lbs_owner, lbs_app;
CREATE EXTENSION IF NOT EXISTS postgis;
-- the processes read which revision the schema has, and `lbs doctor` how far numbers were given out
ALTER DEFAULT PRIVILEGES FOR ROLE lbs_owner IN SCHEMA public GRANT SELECT ON TABLES TO lbs_app;
ALTER DEFAULT PRIVILEGES FOR ROLE lbs_owner GRANT SELECT ON SEQUENCES TO lbs_app;
