-- +goose Up

CREATE TABLE retention (
	one bool NOT NULL DEFAULT true CONSTRAINT retention_one_check CHECK (one),
	phase text NOT NULL DEFAULT 'idle' CONSTRAINT retention_phase_check CHECK (phase IN ('idle', 'notes', 'files')),
	notes_days int,
	files_days int,
	before_id text COLLATE "C" NOT NULL DEFAULT '',
	at_id text COLLATE "C" NOT NULL DEFAULT '',
	due_at timestamptz NOT NULL DEFAULT now(),
	started_at timestamptz,
	finished_at timestamptz,
	notes_removed bigint NOT NULL DEFAULT 0,
	files_removed bigint NOT NULL DEFAULT 0,
	kept jsonb NOT NULL DEFAULT '{}',
	last_error text NOT NULL DEFAULT '',
	CONSTRAINT retention_pkey PRIMARY KEY (one)
);
COMMENT ON TABLE retention IS 'owner: retention. The pass over what other servers'' accounts wrote that is under way, or the last: by what days, up to where, and what stayed why. Notes are looked at from before_id down to at_id, files from at_id up to before_id. Whoever works at it holds the row for one batch';
INSERT INTO retention (one) VALUES (true);

-- Which notes reports are about.
CREATE INDEX abuse_report_notes_idx ON abuse_report USING gin (note_ids) WHERE note_ids <> '{}';
