-- +goose Up

CREATE TABLE cleanup (
	user_id text COLLATE "C" NOT NULL,
	state text NOT NULL CONSTRAINT cleanup_state_check CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
	phase text NOT NULL DEFAULT 'keep' CONSTRAINT cleanup_phase_check CHECK (phase IN ('keep', 'notes', 'files')),
	due_at timestamptz NOT NULL,
	notes bool NOT NULL,
	files bool NOT NULL,
	keep_favorited bool NOT NULL,
	before_id text COLLATE "C" NOT NULL,
	after_id text COLLATE "C" NOT NULL DEFAULT '',
	stream_id bigint,
	notes_total bigint NOT NULL DEFAULT 0,
	notes_done bigint NOT NULL DEFAULT 0,
	files_total bigint NOT NULL DEFAULT 0,
	files_done bigint NOT NULL DEFAULT 0,
	last_error text NOT NULL DEFAULT '',
	requested_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	finished_at timestamptz,
	CONSTRAINT cleanup_pkey PRIMARY KEY (user_id),
	CONSTRAINT cleanup_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE
);
COMMENT ON TABLE cleanup IS 'owner: account. The clearing of an account''s notes and files, one run an account, the last: what lies before before_id goes, up to after_id it has come. Whoever works at it holds the row for one batch';
CREATE INDEX cleanup_due_idx ON cleanup (due_at) WHERE state = 'running';

CREATE TABLE cleanup_keep (
	user_id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	CONSTRAINT cleanup_keep_pkey PRIMARY KEY (user_id, note_id),
	CONSTRAINT cleanup_keep_user_id_fkey FOREIGN KEY (user_id) REFERENCES cleanup (user_id) ON DELETE CASCADE
);
COMMENT ON TABLE cleanup_keep IS 'owner: account. Notes that a clearing leaves: pinned and direct ones, and what hangs together with them';

-- What was put here and is of no file any more, until its bytes are erased.
CREATE TABLE drive_erase (
	key text COLLATE "C" PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE drive_erase IS 'owner: drive. Stored bytes whose file is gone, to be erased';

-- The account of a key has ended: nothing but its end is signed with it. It is kept so long that everybody can verify that.
ALTER TABLE fed_key ADD COLUMN gone_at timestamptz;
