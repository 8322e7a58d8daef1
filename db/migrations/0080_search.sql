-- +goose Up

-- FEP-5feb. Accounts that were fetched before say it when they are fetched anew.
ALTER TABLE "user" ADD COLUMN is_indexable bool NOT NULL DEFAULT true;

CREATE TABLE search_node (
	name text NOT NULL,
	driver text NOT NULL,
	state text NOT NULL DEFAULT 'starting',
	done bigint NOT NULL DEFAULT 0,
	total bigint NOT NULL DEFAULT 0,
	seq bigint NOT NULL DEFAULT 0,
	stats jsonb NOT NULL DEFAULT '{}',
	error text NOT NULL DEFAULT '',
	wanted text NOT NULL DEFAULT '' CONSTRAINT search_node_wanted_check CHECK (wanted IN ('', 'reindex', 'verify', 'optimize')),
	wanted_at timestamptz,
	updated_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT search_node_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE search_node IS 'owner: search. The index of every process that has one: how far it is, how large, and what an operator asks of it';
