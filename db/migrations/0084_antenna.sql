-- +goose Up

CREATE TABLE antenna (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	src text NOT NULL CONSTRAINT antenna_src_check CHECK (src IN ('home', 'all', 'users', 'list', 'users_blacklist')),
	user_list_id text COLLATE "C",
	keywords jsonb NOT NULL,
	exclude_keywords jsonb NOT NULL,
	users text[] NOT NULL,
	case_sensitive bool NOT NULL,
	local_only bool NOT NULL,
	exclude_bots bool NOT NULL,
	with_replies bool NOT NULL,
	with_file bool NOT NULL,
	exclude_sensitive_channel bool NOT NULL,
	is_active bool NOT NULL DEFAULT true,
	last_used_at timestamptz NOT NULL DEFAULT now(),
	changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	read_id text COLLATE "C" NOT NULL DEFAULT '',
	CONSTRAINT antenna_pkey PRIMARY KEY (id),
	CONSTRAINT antenna_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT antenna_user_list_id_fkey FOREIGN KEY (user_list_id) REFERENCES user_list (id) ON DELETE SET NULL
);
CREATE INDEX antenna_user_idx ON antenna (user_id);
CREATE INDEX antenna_list_idx ON antenna (user_list_id) WHERE user_list_id IS NOT NULL;
COMMENT ON TABLE antenna IS 'owner: antenna. What an account wants to be collected out of everything that is written. read_id: the newest that was shown';

CREATE TABLE antenna_note (
	antenna_id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	CONSTRAINT antenna_note_pkey PRIMARY KEY (antenna_id, note_id),
	CONSTRAINT antenna_note_antenna_id_fkey FOREIGN KEY (antenna_id) REFERENCES antenna (id) ON DELETE CASCADE,
	CONSTRAINT antenna_note_note_id_fkey FOREIGN KEY (note_id) REFERENCES note (id) ON DELETE CASCADE
);
CREATE INDEX antenna_note_note_idx ON antenna_note (note_id);
COMMENT ON TABLE antenna_note IS 'owner: antenna. What antennas have caught, the newest of it';
