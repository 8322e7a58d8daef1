-- +goose Up

ALTER TABLE poll ADD COLUMN checked_at timestamptz;
COMMENT ON COLUMN poll.checked_at IS 'When another server was last asked for the tallies';
