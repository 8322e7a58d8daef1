-- +goose Up

CREATE TABLE system_webhook (
	id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	events text[] NOT NULL,
	url text NOT NULL,
	secret_enc bytea NOT NULL,
	active bool NOT NULL DEFAULT true,
	updated_at timestamptz NOT NULL DEFAULT now(),
	latest_sent_at timestamptz,
	latest_status int,
	CONSTRAINT system_webhook_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE system_webhook IS 'owner: webhook. Addresses that whoever looks after the server wants to be told at what happens to the server';
