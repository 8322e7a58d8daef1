-- +goose Up

ALTER TABLE account
	ADD COLUMN totp_enc bytea,
	ADD COLUMN totp_next_enc bytea,
	ADD COLUMN totp_step bigint NOT NULL DEFAULT 0,
	ADD COLUMN backup_codes bytea[] NOT NULL DEFAULT '{}',
	ADD COLUMN password_less boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN account.totp_enc IS 'the seed of the second factor, sealed';
COMMENT ON COLUMN account.totp_next_enc IS 'a seed that is being set up, sealed';
COMMENT ON COLUMN account.totp_step IS 'the last time step whose code was taken: none is taken twice';
COMMENT ON COLUMN account.backup_codes IS 'hashes of the codes that are left';

-- Two accounts cannot have proven the same address.
CREATE UNIQUE INDEX account_email_key ON account (lower(email)) WHERE email_verified;

CREATE TABLE security_key (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	name text NOT NULL,
	credential_enc bytea NOT NULL,
	last_used_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE security_key IS 'owner: auth. Passkeys and security keys; id is the credential''s in base64url, credential_enc its record, sealed';
CREATE INDEX security_key_user_idx ON security_key (user_id);

CREATE TABLE auth_challenge (
	challenge text COLLATE "C" PRIMARY KEY,
	purpose text NOT NULL,
	subject text COLLATE "C" NOT NULL,
	session_enc bytea NOT NULL,
	proof bytea,
	expires_at timestamptz NOT NULL
);
COMMENT ON TABLE auth_challenge IS 'owner: auth. What an authenticator was asked to sign; taken once. subject is a user id, or the context of a sign-in without a name';
CREATE INDEX auth_challenge_expires_idx ON auth_challenge (expires_at);

CREATE TABLE password_reset (
	token_hash bytea PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	expires_at timestamptz NOT NULL
);
COMMENT ON TABLE password_reset IS 'owner: auth. Passwords that somebody who has the mail may set anew, once';
CREATE INDEX password_reset_user_idx ON password_reset (user_id);

CREATE TABLE email_proof (
	user_id text COLLATE "C" PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
	code_hash bytea NOT NULL UNIQUE,
	email text NOT NULL,
	expires_at timestamptz NOT NULL
);
COMMENT ON TABLE email_proof IS 'owner: auth. Addresses that still have to be proven; a code is good for the one address it was sent to';

ALTER TABLE signin ADD COLUMN network text;
COMMENT ON COLUMN signin.network IS 'what the address counts as: an IPv6 address by its /64';
