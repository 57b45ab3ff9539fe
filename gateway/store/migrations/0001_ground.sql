-- Who may enter, and the rooms. Tables and their grants come with the files that follow.
--
-- sekisho_gateway  the workers: what it may do to the ledger is granted there, and is never UPDATE or DELETE (DESIGN 3, 5)
-- sekisho_ops      console, projections, checkpoints
-- Roles belong to the whole cluster, so they may stand already; passwords are set by the migration's caller.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['sekisho_gateway', 'sekisho_ops'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION', name);
        END IF;
    END LOOP;
    -- Nobody comes in who was not named.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO sekisho_gateway, sekisho_ops', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO sekisho_gateway, sekisho_ops;
GRANT SELECT ON public.sekisho_migration TO sekisho_gateway, sekisho_ops;

CREATE SCHEMA directory;
CREATE SCHEMA register;
CREATE SCHEMA ledger;
GRANT USAGE ON SCHEMA directory, register, ledger TO sekisho_gateway, sekisho_ops;

-- A function is executable by everyone unless this says otherwise; each file grants what it makes.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
