-- +goose Up

CREATE TABLE link_preview (
	key bytea NOT NULL,
	summary jsonb,
	until timestamptz NOT NULL,
	CONSTRAINT link_preview_pkey PRIMARY KEY (key)
);
CREATE INDEX link_preview_until_idx ON link_preview (until);
COMMENT ON TABLE link_preview IS 'owner: preview. What is shown beside links, for a while; key: of the address and the reader''s language. summary: NULL where none could be made';
