-- +goose Up

CREATE TABLE emoji_carry (
	id text COLLATE "C" NOT NULL,
	kind text NOT NULL CONSTRAINT emoji_carry_kind_check CHECK (kind IN ('import', 'export')),
	user_id text COLLATE "C" NOT NULL,
	file_id text COLLATE "C",
	asked_at timestamptz NOT NULL DEFAULT now(),
	due_at timestamptz NOT NULL DEFAULT now(),
	finished_at timestamptz,
	tries int NOT NULL DEFAULT 0,
	position int NOT NULL DEFAULT 0,
	added int NOT NULL DEFAULT 0,
	replaced int NOT NULL DEFAULT 0,
	same int NOT NULL DEFAULT 0,
	passed int NOT NULL DEFAULT 0,
	remarks jsonb NOT NULL DEFAULT '[]',
	CONSTRAINT emoji_carry_pkey PRIMARY KEY (id),
	CONSTRAINT emoji_carry_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE
);
CREATE INDEX emoji_carry_due_idx ON emoji_carry (due_at) WHERE finished_at IS NULL;
COMMENT ON TABLE emoji_carry IS 'owner: catalogue. Archives of emoji that are taken in (file_id) or written (file_id once it is). position: entries of the archive that are done with, each of which is applied in the transaction that moves it; tries: since it last moved; remarks: the first of what was passed over, and why. Forgotten a month after the end';
