-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS note_channel_idx;
CREATE INDEX CONCURRENTLY note_channel_idx ON note (channel_id, id DESC) WHERE channel_id IS NOT NULL;
SELECT require_valid_index('note_channel_idx');
