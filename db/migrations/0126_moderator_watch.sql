-- +goose Up

CREATE TABLE moderator_watch (
	one bool NOT NULL DEFAULT true,
	warned_at timestamptz,
	CONSTRAINT moderator_watch_pkey PRIMARY KEY (one),
	CONSTRAINT moderator_watch_one_check CHECK (one)
);
COMMENT ON TABLE moderator_watch IS 'owner: moderation. One row: when moderators were last warned that none of them has been here for long';
