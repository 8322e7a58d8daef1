-- +goose Up

CREATE TABLE drive_folder (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	parent_id text COLLATE "C",
	name text NOT NULL,
	CONSTRAINT drive_folder_pkey PRIMARY KEY (id),
	CONSTRAINT drive_folder_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT drive_folder_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES drive_folder (id) ON DELETE SET NULL
);
CREATE INDEX drive_folder_user_idx ON drive_folder (user_id, parent_id, id DESC);
CREATE INDEX drive_folder_parent_idx ON drive_folder (parent_id) WHERE parent_id IS NOT NULL;
COMMENT ON TABLE drive_folder IS 'owner: drive. Folders of an account''s files';

ALTER TABLE drive_file
	ADD COLUMN folder_id text COLLATE "C",
	ADD COLUMN public_type text,
	ADD CONSTRAINT drive_file_folder_id_fkey FOREIGN KEY (folder_id) REFERENCES drive_folder (id) ON DELETE SET NULL NOT VALID;
ALTER TABLE drive_file VALIDATE CONSTRAINT drive_file_folder_id_fkey;

CREATE TABLE drive_blob (
	key text COLLATE "C" NOT NULL,
	file_id text COLLATE "C",
	kind text NOT NULL,
	type text NOT NULL,
	size bigint NOT NULL DEFAULT 0,
	until timestamp with time zone,
	CONSTRAINT drive_blob_pkey PRIMARY KEY (key),
	CONSTRAINT drive_blob_file_id_fkey FOREIGN KEY (file_id) REFERENCES drive_file (id) ON DELETE SET NULL
);
CREATE INDEX drive_blob_file_idx ON drive_blob (file_id) WHERE file_id IS NOT NULL;
CREATE INDEX drive_blob_until_idx ON drive_blob (until NULLS FIRST) WHERE file_id IS NULL;
COMMENT ON TABLE drive_blob IS 'owner: drive. What is in the store of files. Bytes of no file are erased once their time (until) is over, at once when they have none';

INSERT INTO drive_blob (key, file_id, kind, type, size)
SELECT DISTINCT ON (key) key, id, kind, type, size FROM (
	SELECT substr(f.url, length(s.origin) + 8) AS key, f.id, 'original' AS kind, f.type, f.size FROM drive_file f, server s
	WHERE NOT f.is_link AND starts_with(f.url, s.origin || '/files/')
	UNION ALL
	SELECT substr(f.thumbnail_url, length(s.origin) + 8), f.id, 'thumbnail', 'image/webp', 0 FROM drive_file f, server s
	WHERE NOT f.is_link AND starts_with(f.thumbnail_url, s.origin || '/files/')
) k ORDER BY key, kind;
INSERT INTO drive_blob (key, kind, type) SELECT key, 'original', 'application/octet-stream' FROM drive_erase ON CONFLICT (key) DO NOTHING;
DROP TABLE drive_erase;
