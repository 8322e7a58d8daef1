-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS drive_blob_name_key;
CREATE UNIQUE INDEX CONCURRENTLY drive_blob_name_key ON drive_blob (name) WHERE name IS NOT NULL;
SELECT require_valid_index('drive_blob_name_key');
