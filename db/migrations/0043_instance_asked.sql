-- +goose Up

-- When a server was last asked what it is, whether it answered or not.
ALTER TABLE instance ADD COLUMN asked_at timestamptz;
UPDATE instance SET asked_at = info_updated_at;
