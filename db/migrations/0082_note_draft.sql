-- +goose Up

CREATE TABLE note_draft (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	text text,
	cw text,
	visibility text NOT NULL,
	visible_user_ids text[] COLLATE "C" NOT NULL DEFAULT '{}',
	local_only bool NOT NULL DEFAULT false,
	reaction_acceptance text,
	hashtag text,
	reply_id text COLLATE "C",
	renote_id text COLLATE "C",
	channel_id text COLLATE "C",
	file_ids text[] COLLATE "C" NOT NULL DEFAULT '{}',
	poll jsonb,
	scheduled_at timestamptz,
	is_scheduled bool NOT NULL DEFAULT false,
	CONSTRAINT note_draft_pkey PRIMARY KEY (id),
	CONSTRAINT note_draft_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT note_draft_visibility_check CHECK (visibility IN ('public', 'home', 'followers', 'specified')),
	CONSTRAINT note_draft_scheduled_check CHECK (NOT is_scheduled OR scheduled_at IS NOT NULL)
);
CREATE INDEX note_draft_user_idx ON note_draft (user_id, id DESC);
COMMENT ON TABLE note_draft IS 'owner: draft. Notes that are not posted yet; those that are scheduled post themselves';
