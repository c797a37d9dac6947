-- A backup brings back an old state: a link that was spent since is unspent in it, and a request that was answered
-- since waits again. So, before the site is started on a restored database:
\set ON_ERROR_STOP on
BEGIN;

-- No link and no code of the past opens anything.
UPDATE password_reset_tokens SET used_at = now() WHERE used_at IS NULL;
UPDATE password_reset_codes SET used_at = now() WHERE used_at IS NULL;

-- Nobody gets a second email for a request of the past; the admin shows these rows and can send one again.
UPDATE password_reset_requests SET failed_at = now(), last_error = 'restored'
WHERE processed_at IS NULL AND failed_at IS NULL;
UPDATE password_reset_notices SET failed_at = now(), last_error = 'restored'
WHERE processed_at IS NULL AND failed_at IS NULL;
UPDATE password_reset_invitations SET failed_at = now(), last_error = 'restored'
WHERE processed_at IS NULL AND failed_at IS NULL;
-- A forced reset whose passwords the backup has brought back is done once more: docs/incident.md.
UPDATE password_reset_forced_resets SET failed_at = now(), last_error = 'restored'
WHERE processed_at IS NULL AND failed_at IS NULL;
UPDATE password_reset_campaigns SET completed_at = now(), open_key = NULL WHERE completed_at IS NULL;

-- Everybody logs in again: a session that a reset ended since would live in the old rows.
DELETE FROM django_session;
DELETE FROM user_sessions;

COMMIT;
