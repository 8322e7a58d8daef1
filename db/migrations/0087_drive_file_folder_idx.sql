-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS drive_file_folder_idx;
CREATE INDEX CONCURRENTLY drive_file_folder_idx ON drive_file (user_id, folder_id, id DESC) WHERE user_host IS NULL;
SELECT require_valid_index('drive_file_folder_idx');
