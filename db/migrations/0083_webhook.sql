-- +goose Up

CREATE TABLE webhook (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	events text[] NOT NULL,
	url text NOT NULL,
	secret_enc bytea NOT NULL,
	active bool NOT NULL DEFAULT true,
	latest_sent_at timestamptz,
	latest_status int,
	CONSTRAINT webhook_pkey PRIMARY KEY (id),
	CONSTRAINT webhook_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE
);
CREATE INDEX webhook_user_idx ON webhook (user_id);
COMMENT ON TABLE webhook IS 'owner: webhook. Addresses that accounts want to be told at what happens to them';
