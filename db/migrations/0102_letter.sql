-- +goose Up

CREATE TABLE letter_due (
	user_id text COLLATE "C" NOT NULL,
	since text COLLATE "C" NOT NULL,
	due_at timestamptz,
	sent_at timestamptz,
	CONSTRAINT letter_due_pkey PRIMARY KEY (user_id),
	CONSTRAINT letter_due_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE
);
CREATE INDEX letter_due_idx ON letter_due (due_at) WHERE due_at IS NOT NULL;
COMMENT ON TABLE letter_due IS 'owner: letter. Whom a letter will tell of notifications from since on, when it is due, and when the last one was sent';

CREATE TABLE letter_news (
	announcement_id text COLLATE "C" NOT NULL,
	after_id text COLLATE "C" NOT NULL DEFAULT '',
	CONSTRAINT letter_news_pkey PRIMARY KEY (announcement_id),
	CONSTRAINT letter_news_announcement_id_fkey FOREIGN KEY (announcement_id) REFERENCES announcement (id) ON DELETE CASCADE
);
COMMENT ON TABLE letter_news IS 'owner: letter. Announcements that are being written to accounts, and the account that was last';
