-- +goose Up

CREATE TABLE report_recipient (
	id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	method text NOT NULL,
	user_id text COLLATE "C",
	webhook_id text COLLATE "C",
	active bool NOT NULL DEFAULT true,
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT report_recipient_pkey PRIMARY KEY (id),
	CONSTRAINT report_recipient_method_check CHECK (method = 'email' AND user_id IS NOT NULL AND webhook_id IS NULL OR method = 'webhook' AND webhook_id IS NOT NULL AND user_id IS NULL),
	CONSTRAINT report_recipient_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT report_recipient_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES system_webhook (id) ON DELETE CASCADE
);
CREATE INDEX report_recipient_user_idx ON report_recipient (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX report_recipient_webhook_idx ON report_recipient (webhook_id) WHERE webhook_id IS NOT NULL;
COMMENT ON TABLE report_recipient IS 'owner: moderation. Who is told of reports: moderators by mail, addresses of the server by webhook';
