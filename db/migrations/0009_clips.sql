-- +goose Up

CREATE TABLE clip (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	name text NOT NULL,
	description text,
	is_public bool NOT NULL DEFAULT false,
	last_clipped_at timestamptz
);
COMMENT ON TABLE clip IS 'owner: clip. Notes that somebody keeps together';
CREATE INDEX clip_user_idx ON clip (user_id, id DESC);

CREATE TABLE clip_note (
	id text COLLATE "C" PRIMARY KEY,
	clip_id text COLLATE "C" NOT NULL REFERENCES clip ON DELETE CASCADE,
	note_id text COLLATE "C" NOT NULL REFERENCES note ON DELETE CASCADE,
	CONSTRAINT clip_note_key UNIQUE (clip_id, note_id)
);
COMMENT ON TABLE clip_note IS 'owner: clip';
CREATE INDEX clip_note_note_idx ON clip_note (note_id);

CREATE TABLE clip_favorite (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	clip_id text COLLATE "C" NOT NULL REFERENCES clip ON DELETE CASCADE,
	CONSTRAINT clip_favorite_key UNIQUE (user_id, clip_id)
);
COMMENT ON TABLE clip_favorite IS 'owner: clip. Clips that somebody likes';
CREATE INDEX clip_favorite_clip_idx ON clip_favorite (clip_id);
