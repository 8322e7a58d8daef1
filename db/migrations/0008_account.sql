-- +goose Up

CREATE TABLE account_move (
	user_id text COLLATE "C" PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
	target_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	at timestamptz NOT NULL
);
COMMENT ON TABLE account_move IS 'owner: account. The last move of an account that was followed here';
CREATE INDEX account_move_target_idx ON account_move (target_id);
