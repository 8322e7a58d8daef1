-- +goose Up

-- What is kept of another server's picture has a key of its own each time, and its name besides: what is being erased is
-- never what is being stored, however soon somebody asks for it again.
ALTER TABLE drive_blob
	ADD COLUMN name text COLLATE "C",
	ADD COLUMN used_at timestamptz;
UPDATE drive_blob SET name = key, used_at = now() WHERE kind = 'cache' AND file_id IS NULL AND size > 0 AND until IS NOT NULL;
COMMENT ON TABLE drive_blob IS 'owner: drive. What is in the store of files. Bytes of no file are erased once their time (until) is over, at once when they have none. kind cache: a picture of another server, under its name (name) once it is whole; used_at: when it was last looked at, to an hour';
