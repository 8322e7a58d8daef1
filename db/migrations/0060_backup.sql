-- +goose Up

CREATE TABLE backup_run (
	id bigint GENERATED ALWAYS AS IDENTITY,
	kind text NOT NULL CONSTRAINT backup_run_kind_check CHECK (kind IN ('backup', 'verify')),
	place text NOT NULL,
	backup_id text COLLATE "C" NOT NULL,
	began_at timestamptz NOT NULL,
	ended_at timestamptz NOT NULL DEFAULT now(),
	error text NOT NULL DEFAULT '',
	encrypted bool NOT NULL DEFAULT false,
	files bigint NOT NULL DEFAULT 0,
	file_bytes bigint NOT NULL DEFAULT 0,
	missing bigint NOT NULL DEFAULT 0,
	added_bytes bigint NOT NULL DEFAULT 0,
	CONSTRAINT backup_run_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE backup_run IS 'owner: backup. Backups that were made, and restores of them that were tried to prove them; error is empty when it went well';
