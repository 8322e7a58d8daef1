-- +goose Up

CREATE TABLE signup_pending (
	id text COLLATE "C" PRIMARY KEY,
	username text NOT NULL,
	username_lower text COLLATE "C" NOT NULL,
	password_hash text NOT NULL,
	email_enc bytea,
	reason_enc bytea,
	lang text NOT NULL,
	waits_for text NOT NULL CHECK (waits_for IN ('mail', 'approval')),
	code_hash bytea UNIQUE,
	expires_at timestamptz
);
COMMENT ON TABLE signup_pending IS 'owner: auth. Accounts that do not exist yet: they wait for the mail''s code or for a moderator. Address and reason are sealed';
CREATE UNIQUE INDEX signup_pending_name_key ON signup_pending (username_lower) WHERE waits_for = 'approval';

CREATE TABLE registration_ticket (
	id text COLLATE "C" PRIMARY KEY,
	code text COLLATE "C" NOT NULL UNIQUE,
	created_by_id text COLLATE "C" REFERENCES "user" ON DELETE SET NULL,
	expires_at timestamptz,
	pending_id text COLLATE "C",
	used_by_id text COLLATE "C" REFERENCES "user" ON DELETE SET NULL,
	used_at timestamptz,
	spent boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE registration_ticket IS 'owner: auth. Invitations. pending_id holds one for a sign-up under way; one that is spent is never good again, whatever becomes of the account';
CREATE INDEX registration_ticket_by_idx ON registration_ticket (created_by_id, id);
CREATE INDEX registration_ticket_used_by_idx ON registration_ticket (used_by_id) WHERE used_by_id IS NOT NULL;
CREATE INDEX registration_ticket_pending_idx ON registration_ticket (pending_id) WHERE pending_id IS NOT NULL;
