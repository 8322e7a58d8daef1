-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS drive_blob_used_idx;
CREATE INDEX CONCURRENTLY drive_blob_used_idx ON drive_blob (used_at, key) INCLUDE (size) WHERE name IS NOT NULL;
SELECT require_valid_index('drive_blob_used_idx');
