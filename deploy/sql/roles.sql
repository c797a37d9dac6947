-- The roles and the empty database. Run once by PostgreSQL's superuser, who is needed for nothing else:
--   OWNER_DATABASE_PASSWORD=… APP_DATABASE_PASSWORD=… BACKUP_DATABASE_PASSWORD=… psql --file deploy/sql/roles.sql
-- The owner migrates, the application's role runs the site, a third (made where its password is given) reads everything
-- for backups; none may create roles or databases or read files of the
-- server. Running it again changes nothing but the passwords that are given. For another database, such as a restored
-- one: --set database=yourapp_restored.
\set ON_ERROR_STOP on
\getenv owner DATABASE_OWNER
\getenv owner_password OWNER_DATABASE_PASSWORD
\getenv app_user APP_DATABASE_USER
\getenv app_password APP_DATABASE_PASSWORD
\getenv backup_user BACKUP_DATABASE_USER
\getenv backup_password BACKUP_DATABASE_PASSWORD
\if :{?owner}
\else
  \set owner yourapp_owner
\endif
\if :{?app_user}
\else
  \set app_user yourapp_user
\endif
\if :{?backup_user}
\else
  \set backup_user yourapp_backup
\endif
\if :{?database}
\else
  \set database yourapp_db
\endif

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY[:'owner', :'app_user']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE :"owner" LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;
ALTER ROLE :"app_user" LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;
\if :{?owner_password}
  ALTER ROLE :"owner" PASSWORD :'owner_password';
\endif
\if :{?app_password}
  ALTER ROLE :"app_user" PASSWORD :'app_password';
\endif
\if :{?backup_password}
  SELECT format('CREATE ROLE %I', :'backup_user')
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'backup_user') \gexec
  ALTER ROLE :"backup_user" LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS PASSWORD :'backup_password';
\endif

SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
\connect :"database"

-- PostgreSQL 14 lets everybody create tables here, and newer ones let the owner of the database.
ALTER SCHEMA public OWNER TO :"owner";
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- Large objects are files in the database that any role may create, without a grant, until the disk is full.
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;

-- Backups read each table that there is and will be. (pg_read_all_data would show them what PostgreSQL keeps of the
-- passwords of all roles.)
SELECT format('REVOKE pg_read_all_data FROM %I', rolname) FROM pg_roles
WHERE rolname = :'backup_user' AND pg_has_role(rolname, 'pg_read_all_data', 'MEMBER') AND NOT rolsuper \gexec
SELECT format('GRANT SELECT ON ALL %1$s IN SCHEMA public TO %2$I', kind, rolname),
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %1$I IN SCHEMA public GRANT SELECT ON %2$s TO %3$I', :'owner', kind, rolname)
FROM pg_roles, unnest(ARRAY['TABLES', 'SEQUENCES']) AS kind WHERE rolname = :'backup_user' \gexec
