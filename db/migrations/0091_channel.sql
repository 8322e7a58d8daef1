-- +goose Up

CREATE TABLE channel (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C",
	name text NOT NULL,
	description text,
	banner_id text COLLATE "C",
	pinned_note_ids text[] COLLATE "C" NOT NULL DEFAULT '{}',
	color text NOT NULL DEFAULT '#86b300',
	is_archived bool NOT NULL DEFAULT false,
	is_sensitive bool NOT NULL DEFAULT false,
	allow_renote_to_external bool NOT NULL DEFAULT true,
	last_noted_at timestamp with time zone,
	notes_count bigint NOT NULL DEFAULT 0,
	users_count bigint NOT NULL DEFAULT 0,
	CONSTRAINT channel_pkey PRIMARY KEY (id),
	CONSTRAINT channel_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE SET NULL,
	CONSTRAINT channel_banner_id_fkey FOREIGN KEY (banner_id) REFERENCES drive_file (id) ON DELETE SET NULL
);
CREATE INDEX channel_user_idx ON channel (user_id, id DESC);
CREATE INDEX channel_noted_idx ON channel (last_noted_at DESC) WHERE NOT is_archived AND last_noted_at IS NOT NULL;
CREATE INDEX channel_banner_idx ON channel (banner_id) WHERE banner_id IS NOT NULL;
COMMENT ON TABLE channel IS 'owner: channel. Places for notes on one subject; counts follow the change log';

CREATE TABLE channel_author (
	channel_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	notes bigint NOT NULL,
	CONSTRAINT channel_author_pkey PRIMARY KEY (channel_id, user_id),
	CONSTRAINT channel_author_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel (id) ON DELETE CASCADE
);
COMMENT ON TABLE channel_author IS 'owner: channel. How many notes each account has in a channel, for counting accounts';

CREATE TABLE channel_following (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	channel_id text COLLATE "C" NOT NULL,
	CONSTRAINT channel_following_pkey PRIMARY KEY (user_id, channel_id),
	CONSTRAINT channel_following_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT channel_following_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel (id) ON DELETE CASCADE
);
CREATE INDEX channel_following_channel_idx ON channel_following (channel_id);
COMMENT ON TABLE channel_following IS 'owner: channel. Whose home timelines the notes of a channel come to';

CREATE TABLE channel_favorite (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	channel_id text COLLATE "C" NOT NULL,
	CONSTRAINT channel_favorite_pkey PRIMARY KEY (user_id, channel_id),
	CONSTRAINT channel_favorite_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT channel_favorite_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel (id) ON DELETE CASCADE
);
CREATE INDEX channel_favorite_channel_idx ON channel_favorite (channel_id);
COMMENT ON TABLE channel_favorite IS 'owner: channel. Channels that accounts keep at hand';

CREATE TABLE channel_muting (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	channel_id text COLLATE "C" NOT NULL,
	expires_at timestamp with time zone,
	CONSTRAINT channel_muting_pkey PRIMARY KEY (user_id, channel_id),
	CONSTRAINT channel_muting_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT channel_muting_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel (id) ON DELETE CASCADE
);
CREATE INDEX channel_muting_channel_idx ON channel_muting (channel_id);
COMMENT ON TABLE channel_muting IS 'owner: channel. Channels of which an account wants to see nothing, for a time or for good';
