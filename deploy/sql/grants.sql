-- The least-privilege role that the site runs as. Run by the owner of the tables, after every migration:
--   APP_DATABASE_USER=yourapp_user psql "$OWNER_DATABASE_URL" --file deploy/sql/grants.sql
-- Running it again changes nothing. Where roles.sql has not made the role, as in a managed database, run it as somebody
-- who may create roles, with APP_DATABASE_PASSWORD in the environment: `ps` and the history of the shell do not see it.
\set ON_ERROR_STOP on
\getenv app_user APP_DATABASE_USER
\getenv app_password APP_DATABASE_PASSWORD
\if :{?app_user}
\else
  \set app_user yourapp_user
\endif

-- Create application user if not exists
SELECT format('CREATE ROLE %I LOGIN', :'app_user')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'app_user') \gexec
\if :{?app_password}
  ALTER ROLE :"app_user" PASSWORD :'app_password';
\endif

-- All at once: a site that runs meanwhile never lacks a right.
BEGIN;

-- Remove all that it had before, by hand or by an older version of this file.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM :"app_user";
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM :"app_user";
REVOKE CREATE ON SCHEMA public FROM PUBLIC, :"app_user";
-- Temporary tables fill the disk as well as others do.
SELECT format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC, %I', current_database(), :'app_user') \gexec
GRANT USAGE ON SCHEMA public TO :"app_user";

-- Grant permissions: the flow …
GRANT SELECT, INSERT, UPDATE, DELETE
ON TABLE password_reset_tokens, password_reset_codes, password_reset_requests, password_reset_notices,
         password_reset_campaigns, password_reset_invitations, password_reset_forced_resets,
         password_reset_deliveries
TO :"app_user";

-- … the accounts: nobody is created or deleted, and of a row only what log-in and reset change …
GRANT SELECT
ON TABLE users
TO :"app_user";
GRANT UPDATE (password, last_login)
ON TABLE users
TO :"app_user";

-- … their sessions: ours (a row for each log-in) and Django's store …
GRANT SELECT, INSERT, UPDATE, DELETE
ON TABLE user_sessions, django_session
TO :"app_user";

-- … what Django reads to know who may do what, and the admin's log …
GRANT SELECT
ON TABLE auth_group, auth_group_permissions, auth_permission, users_groups, users_user_permissions,
         django_content_type, django_migrations, django_admin_log
TO :"app_user";
GRANT INSERT, UPDATE (object_repr) -- an address in it is erased on request, and nothing else of an entry changes
ON TABLE django_admin_log
TO :"app_user";

-- … and the queue.
GRANT SELECT, INSERT, UPDATE, DELETE
ON TABLE django_tasks_database_dbtaskresult
TO :"app_user";

-- Grant sequence permissions: where the role may insert rows, and nowhere else.
SELECT format('GRANT USAGE, SELECT ON SEQUENCE %s TO %I', sequence.oid::regclass, :'app_user')
FROM pg_class sequence JOIN pg_depend ON pg_depend.objid = sequence.oid AND pg_depend.deptype IN ('a', 'i')
WHERE sequence.relkind = 'S' AND pg_depend.refclassid = 'pg_class'::regclass
  AND has_table_privilege(:'app_user', pg_depend.refobjid, 'INSERT') \gexec

COMMIT;
