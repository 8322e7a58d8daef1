-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS drive_file_md5_idx;
CREATE INDEX CONCURRENTLY drive_file_md5_idx ON drive_file (user_id, md5) WHERE user_host IS NULL AND md5 <> '';
SELECT require_valid_index('drive_file_md5_idx');
