-- +goose Up

CREATE TABLE transfer (
	id text COLLATE "C" NOT NULL,
	way text NOT NULL CONSTRAINT transfer_way_check CHECK (way IN ('import', 'export')),
	what text NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	file_id text COLLATE "C",
	options jsonb NOT NULL DEFAULT '{}',
	asked_at timestamptz NOT NULL DEFAULT now(),
	due_at timestamptz NOT NULL DEFAULT now(),
	finished_at timestamptz,
	tries int NOT NULL DEFAULT 0,
	position bigint NOT NULL DEFAULT 0,
	stream_id bigint,
	added int NOT NULL DEFAULT 0,
	same int NOT NULL DEFAULT 0,
	passed int NOT NULL DEFAULT 0,
	remarks jsonb NOT NULL DEFAULT '[]',
	CONSTRAINT transfer_pkey PRIMARY KEY (id),
	CONSTRAINT transfer_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE
);
CREATE INDEX transfer_due_idx ON transfer (due_at) WHERE finished_at IS NULL;
COMMENT ON TABLE transfer IS 'owner: transfer. What people carry out into files (file_id once it is written) and in from them (file_id). position: how far a file was taken in, in bytes or entries; each line is carried out in the transaction that moves it; tries: since it last moved; stream_id: of the deliveries it makes; remarks: the first of what was left out, and why. Forgotten a month after the end';
