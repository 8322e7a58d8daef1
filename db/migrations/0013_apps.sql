-- +goose Up

CREATE TABLE app (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" REFERENCES "user" ON DELETE SET NULL,
	name text NOT NULL,
	description text NOT NULL,
	permission text[] NOT NULL,
	callback_url text,
	secret_hash bytea NOT NULL CONSTRAINT app_secret_key UNIQUE,
	secret_enc bytea NOT NULL
);
COMMENT ON TABLE app IS 'owner: auth. Apps of the older kind; secret_enc is sealed with the server''s secret key';
CREATE INDEX app_user_idx ON app (user_id, id DESC) WHERE user_id IS NOT NULL;

CREATE TABLE auth_session (
	id text COLLATE "C" PRIMARY KEY,
	token text COLLATE "C" NOT NULL CONSTRAINT auth_session_token_key UNIQUE,
	app_id text COLLATE "C" NOT NULL REFERENCES app ON DELETE CASCADE,
	user_id text COLLATE "C" REFERENCES "user" ON DELETE CASCADE,
	expires_at timestamptz NOT NULL
);
COMMENT ON TABLE auth_session IS 'owner: auth. An app of the older kind waits to be let in; user_id is who let it in';
CREATE INDEX auth_session_expires_idx ON auth_session (expires_at);
CREATE INDEX auth_session_app_idx ON auth_session (app_id);
CREATE INDEX auth_session_user_idx ON auth_session (user_id) WHERE user_id IS NOT NULL;

-- Such an app may also present sha256(token + its secret): digest_hash is the hash of that.
ALTER TABLE access_token
	ADD COLUMN app_id text COLLATE "C" REFERENCES app ON DELETE CASCADE,
	ADD COLUMN digest_hash bytea CONSTRAINT access_token_digest_key UNIQUE;
CREATE UNIQUE INDEX access_token_app_key ON access_token (app_id, user_id) WHERE app_id IS NOT NULL;

CREATE TABLE oauth_code (
	code_hash bytea PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	client_id text COLLATE "C" NOT NULL,
	redirect_uri text COLLATE "C" NOT NULL,
	challenge text COLLATE "C" NOT NULL,
	permission text[] NOT NULL,
	name text NOT NULL,
	icon_url text,
	expires_at timestamptz NOT NULL,
	used boolean NOT NULL DEFAULT false,
	token_id text COLLATE "C" REFERENCES access_token ON DELETE SET NULL
);
COMMENT ON TABLE oauth_code IS 'owner: auth. What a person allowed an OAuth client; kept for a day, so that a code that comes again takes back what it gave';
CREATE INDEX oauth_code_expires_idx ON oauth_code (expires_at);
CREATE INDEX oauth_code_user_idx ON oauth_code (user_id);
CREATE INDEX oauth_code_token_idx ON oauth_code (token_id) WHERE token_id IS NOT NULL;
