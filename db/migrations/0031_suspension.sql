-- +goose Up

CREATE TABLE suspension (
	user_id text COLLATE "C" PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
	activity_id text NOT NULL
);
COMMENT ON TABLE suspension IS 'owner: moderation. The Delete by which other servers were told that an account here is suspended, until it is undone';
