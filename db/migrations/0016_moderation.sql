-- +goose Up

CREATE TABLE moderation_log (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	type text NOT NULL,
	info jsonb NOT NULL
);
COMMENT ON TABLE moderation_log IS 'owner: moderation. What moderators did, and whose private data they looked at. What the operator did is the server''s own account''s';
CREATE INDEX moderation_log_user_idx ON moderation_log (user_id, id DESC);
CREATE INDEX moderation_log_type_idx ON moderation_log (type, id DESC);

CREATE TABLE announcement (
	id text COLLATE "C" PRIMARY KEY,
	updated_at timestamptz,
	title text NOT NULL,
	text text NOT NULL,
	image_url text,
	icon text NOT NULL CHECK (icon IN ('info', 'warning', 'error', 'success')),
	display text NOT NULL CHECK (display IN ('normal', 'banner', 'dialog')),
	need_confirmation bool NOT NULL,
	for_existing_users bool NOT NULL,
	silence bool NOT NULL,
	is_active bool NOT NULL DEFAULT true,
	user_id text COLLATE "C" REFERENCES "user" ON DELETE CASCADE
);
COMMENT ON TABLE announcement IS 'owner: announcement. What the server tells everybody, or one account';
CREATE INDEX announcement_active_idx ON announcement (id DESC) WHERE is_active;
CREATE INDEX announcement_user_idx ON announcement (user_id, id DESC) WHERE user_id IS NOT NULL;

CREATE TABLE announcement_read (
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	announcement_id text COLLATE "C" NOT NULL REFERENCES announcement ON DELETE CASCADE,
	PRIMARY KEY (user_id, announcement_id)
);
COMMENT ON TABLE announcement_read IS 'owner: announcement';
CREATE INDEX announcement_read_announcement_idx ON announcement_read (announcement_id);
