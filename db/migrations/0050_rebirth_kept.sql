-- +goose Up

-- An account that has another id and its old key is the same account, and keeps its row.
ALTER TABLE user_rebirth ADD COLUMN kept boolean NOT NULL DEFAULT false;
COMMENT ON TABLE user_rebirth IS 'owner: user. Journal: an acct came with another actor id. The old row was moved aside, or, when it is the same account, kept under the new id';
