-- +goose Up

CREATE TABLE note_edit (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	note_id text COLLATE "C" NOT NULL REFERENCES note ON DELETE CASCADE,
	text text,
	cw text,
	visibility text NOT NULL,
	written_at timestamptz NOT NULL,
	editor_id text COLLATE "C" REFERENCES "user" ON DELETE SET NULL
);
COMMENT ON TABLE note_edit IS 'owner: note. How a note was before it was edited; editor_id ended that version. Seen by those who may see the note now';
CREATE INDEX note_edit_note_idx ON note_edit (note_id, id);
CREATE INDEX note_edit_editor_idx ON note_edit (editor_id);
