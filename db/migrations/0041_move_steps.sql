-- +goose Up

-- What a move makes people here do is worked off step by step.
ALTER TABLE account_move
	ADD COLUMN state text NOT NULL DEFAULT 'done' CONSTRAINT account_move_state_check CHECK (state IN ('running', 'done')),
	ADD COLUMN due_at timestamptz NOT NULL DEFAULT now(),
	ADD COLUMN stepped_at timestamptz NOT NULL DEFAULT now(),
	ADD COLUMN stream_id bigint;
CREATE INDEX account_move_due_idx ON account_move (due_at) WHERE state = 'running';
COMMENT ON TABLE account_move IS 'owner: account. The last move of an account that was followed here. While it runs, those who block or follow the old account are taken along, some at a time: due_at is when the next are, or how long they are somebody''s who is at it; stream_id is where it is told';
