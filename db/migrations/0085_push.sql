-- +goose Up

CREATE TABLE push_key (
	one bool NOT NULL DEFAULT true CONSTRAINT push_key_one_check CHECK (one),
	public text NOT NULL,
	private_enc bytea NOT NULL,
	CONSTRAINT push_key_pkey PRIMARY KEY (one)
);
COMMENT ON TABLE push_key IS 'owner: meta. The key by which push services know this server (RFC 8292)';

CREATE TABLE sw_subscription (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	endpoint text NOT NULL,
	auth text NOT NULL,
	public_key text NOT NULL,
	send_read_message bool NOT NULL DEFAULT false,
	CONSTRAINT sw_subscription_pkey PRIMARY KEY (id),
	CONSTRAINT sw_subscription_endpoint_key UNIQUE (user_id, endpoint),
	CONSTRAINT sw_subscription_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE
);
CREATE INDEX sw_subscription_endpoint_idx ON sw_subscription (endpoint);
COMMENT ON TABLE sw_subscription IS 'owner: push. Browsers and devices that want to be told of notifications';
