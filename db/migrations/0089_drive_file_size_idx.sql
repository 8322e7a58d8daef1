-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS drive_file_size_idx;
CREATE INDEX CONCURRENTLY drive_file_size_idx ON drive_file (user_id) INCLUDE (size) WHERE NOT is_link;
SELECT require_valid_index('drive_file_size_idx');
