-- +goose Up

CREATE TABLE registry_item (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	domain text COLLATE "C",
	scope text[] NOT NULL,
	key text COLLATE "C" NOT NULL,
	value jsonb NOT NULL,
	updated_at timestamptz NOT NULL,
	CONSTRAINT registry_item_key UNIQUE NULLS NOT DISTINCT (user_id, domain, scope, key)
);
COMMENT ON TABLE registry_item IS 'owner: profile. What clients keep for an account; domain is the access token of an app, null for Misskey''s own clients';

CREATE TABLE user_memo (
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	target_user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	memo text NOT NULL,
	PRIMARY KEY (user_id, target_user_id)
);
COMMENT ON TABLE user_memo IS 'owner: profile. What an account notes down about another, for itself';
CREATE INDEX user_memo_target_idx ON user_memo (target_user_id);

CREATE TABLE abuse_report (
	id text COLLATE "C" PRIMARY KEY,
	target_user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	target_user_host text COLLATE "C",
	reporter_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	reporter_host text COLLATE "C",
	comment text NOT NULL,
	note_ids text[] NOT NULL DEFAULT '{}',
	resolved bool NOT NULL DEFAULT false
);
COMMENT ON TABLE abuse_report IS 'owner: profile. Reports to the moderators of this server';
CREATE INDEX abuse_report_open_idx ON abuse_report (id DESC) WHERE NOT resolved;
CREATE INDEX abuse_report_target_idx ON abuse_report (target_user_id);
CREATE INDEX abuse_report_reporter_idx ON abuse_report (reporter_id);

CREATE INDEX following_notify_idx ON following (followee_id) WHERE notify = 'normal';
CREATE INDEX note_favorite_user_idx ON note_favorite (user_id, id DESC);
