-- +goose Up

-- Lists of accounts -----------------------------------------------------------

CREATE TABLE user_list (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	name text NOT NULL,
	is_public bool NOT NULL DEFAULT false
);
COMMENT ON TABLE user_list IS 'owner: list. Accounts that somebody reads together';
CREATE INDEX user_list_user_idx ON user_list (user_id, id);

CREATE TABLE user_list_membership (
	id text COLLATE "C" PRIMARY KEY,
	list_id text COLLATE "C" NOT NULL REFERENCES user_list ON DELETE CASCADE,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	with_replies bool NOT NULL DEFAULT false,
	CONSTRAINT user_list_membership_pair_key UNIQUE (list_id, user_id)
);
COMMENT ON TABLE user_list_membership IS 'owner: list';
CREATE INDEX user_list_membership_user_idx ON user_list_membership (user_id);

CREATE TABLE user_list_favorite (
	id text COLLATE "C" PRIMARY KEY,
	list_id text COLLATE "C" NOT NULL REFERENCES user_list ON DELETE CASCADE,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	CONSTRAINT user_list_favorite_pair_key UNIQUE (user_id, list_id)
);
COMMENT ON TABLE user_list_favorite IS 'owner: list. Public lists that somebody likes';
CREATE INDEX user_list_favorite_list_idx ON user_list_favorite (list_id);

-- Hashtags --------------------------------------------------------------------

CREATE TABLE hashtag (
	name text COLLATE "C" PRIMARY KEY,
	mentioned_local int NOT NULL DEFAULT 0,
	mentioned_remote int NOT NULL DEFAULT 0,
	attached_local int NOT NULL DEFAULT 0,
	attached_remote int NOT NULL DEFAULT 0
);
COMMENT ON TABLE hashtag IS 'owner: hashtag. How many accounts use a hashtag: in notes, and on themselves';

CREATE TABLE hashtag_user (
	name text COLLATE "C" NOT NULL,
	attached bool NOT NULL,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	is_local bool NOT NULL,
	PRIMARY KEY (name, attached, user_id)
);
COMMENT ON TABLE hashtag_user IS 'owner: hashtag. Who uses a hashtag, each counted once';
CREATE INDEX hashtag_user_user_idx ON hashtag_user (user_id, attached);

CREATE TABLE hashtag_use (
	bucket timestamptz NOT NULL,
	name text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	PRIMARY KEY (bucket, name, user_id)
);
COMMENT ON TABLE hashtag_use IS 'owner: hashtag. Who used a hashtag in ten minutes, of the last hours: what trends is made of';
CREATE INDEX hashtag_use_user_idx ON hashtag_use (user_id);
