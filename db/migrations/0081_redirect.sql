-- +goose Up

CREATE TABLE redirect (
	kind text NOT NULL,
	old_id text COLLATE "C" NOT NULL,
	new_id text COLLATE "C" NOT NULL,
	CONSTRAINT redirect_pkey PRIMARY KEY (kind, old_id)
);
COMMENT ON TABLE redirect IS 'owner: doctor. Rows of the table "kind" that have become part of others: links and clients that remember the old id find the new one';
