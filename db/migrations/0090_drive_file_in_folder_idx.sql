-- +goose NO TRANSACTION
-- +goose Up
DROP INDEX CONCURRENTLY IF EXISTS drive_file_in_folder_idx;
CREATE INDEX CONCURRENTLY drive_file_in_folder_idx ON drive_file (folder_id) WHERE folder_id IS NOT NULL;
SELECT require_valid_index('drive_file_in_folder_idx');
