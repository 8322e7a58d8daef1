-- +goose Up

-- The server itself -----------------------------------------------------------

CREATE TABLE server (
	one bool PRIMARY KEY DEFAULT true CHECK (one),
	id_method text NOT NULL,
	secret_fingerprint text NOT NULL,
	origin text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE server IS 'owner: meta. What is decided once, at the first start';

CREATE TABLE node (
	slot int PRIMARY KEY,
	boot uuid NOT NULL,
	lease_until timestamptz NOT NULL
);
COMMENT ON TABLE node IS 'owner: meta. Running processes; the slot is the node part of ids';

CREATE TABLE meta (
	one bool PRIMARY KEY DEFAULT true CHECK (one),
	settings jsonb NOT NULL DEFAULT '{}',
	updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE meta IS 'owner: meta. Settings that administrators change while the server runs';

CREATE TABLE instance (
	id text COLLATE "C" PRIMARY KEY,
	host text COLLATE "C" NOT NULL UNIQUE,
	first_retrieved_at timestamptz NOT NULL DEFAULT now(),
	info_updated_at timestamptz,
	software_name text,
	software_version text,
	name text,
	description text,
	maintainer_name text,
	maintainer_email text,
	icon_url text,
	favicon_url text,
	theme_color text,
	open_registrations bool,
	suspension text NOT NULL DEFAULT 'none' CHECK (suspension IN ('none', 'manuallySuspended', 'goneSuspended', 'autoSuspendedForNotResponding')),
	is_silenced bool NOT NULL DEFAULT false,
	moderation_note text NOT NULL DEFAULT ''
);
COMMENT ON TABLE instance IS 'owner: instance. Other servers, by authority';

CREATE TABLE emoji (
	id text COLLATE "C" PRIMARY KEY,
	name text COLLATE "C" NOT NULL,
	host text COLLATE "C",
	category text,
	original_url text NOT NULL,
	public_url text NOT NULL DEFAULT '',
	uri text COLLATE "C",
	type text,
	aliases text[] NOT NULL DEFAULT '{}',
	license text,
	local_only bool NOT NULL DEFAULT false,
	is_sensitive bool NOT NULL DEFAULT false,
	role_ids text[] NOT NULL DEFAULT '{}',
	updated_at timestamptz,
	CONSTRAINT emoji_name_host_key UNIQUE NULLS NOT DISTINCT (name, host)
);
COMMENT ON TABLE emoji IS 'owner: emoji. Custom emoji, local (host NULL) and remote';

-- People ------------------------------------------------------------------------

CREATE TABLE "user" (
	id text COLLATE "C" PRIMARY KEY,
	username text NOT NULL,
	username_lower text COLLATE "C" NOT NULL,
	host text COLLATE "C",
	actor_host text COLLATE "C",
	uri text COLLATE "C",
	url text,
	name text,
	inbox text,
	shared_inbox text,
	featured text,
	followers_uri text COLLATE "C",
	following_uri text COLLATE "C",
	outbox text,
	avatar_id text COLLATE "C",
	banner_id text COLLATE "C",
	avatar_url text,
	banner_url text,
	avatar_blurhash text,
	banner_blurhash text,
	avatar_decorations jsonb NOT NULL DEFAULT '[]',
	emojis text[] NOT NULL DEFAULT '{}',
	tags text[] NOT NULL DEFAULT '{}',
	is_root bool NOT NULL DEFAULT false,
	is_bot bool NOT NULL DEFAULT false,
	is_cat bool NOT NULL DEFAULT false,
	is_locked bool NOT NULL DEFAULT false,
	is_explorable bool NOT NULL DEFAULT true,
	is_suspended bool NOT NULL DEFAULT false,
	is_deleted bool NOT NULL DEFAULT false,
	is_system bool NOT NULL DEFAULT false,
	hide_online_status bool NOT NULL DEFAULT false,
	moved_to_uri text,
	moved_at timestamptz,
	also_known_as text[],
	updated_at timestamptz,
	last_fetched_at timestamptz,
	CONSTRAINT user_username_lower_host_key UNIQUE NULLS NOT DISTINCT (username_lower, host),
	CONSTRAINT user_uri_key UNIQUE (uri),
	CONSTRAINT user_remote_has_uri CHECK ((host IS NULL) = (uri IS NULL)),
	CONSTRAINT user_remote_has_actor_host CHECK ((host IS NULL) = (actor_host IS NULL))
);
COMMENT ON TABLE "user" IS 'owner: user. Accounts. host is the acct''s, actor_host the uri''s; both NULL for accounts of this server';
CREATE INDEX user_host_idx ON "user" (host, id) WHERE host IS NOT NULL;
CREATE INDEX user_actor_host_idx ON "user" (actor_host) WHERE actor_host IS NOT NULL;

CREATE TABLE user_stat (
	user_id text COLLATE "C" PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
	notes_count int NOT NULL DEFAULT 0,
	followers_count int NOT NULL DEFAULT 0,
	following_count int NOT NULL DEFAULT 0,
	last_active_at timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE user_stat IS 'owner: user. What changes often about an account';

CREATE TABLE user_profile (
	user_id text COLLATE "C" PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
	description text,
	followed_message text,
	fields jsonb NOT NULL DEFAULT '[]',
	verified_links text[] NOT NULL DEFAULT '{}',
	location text,
	birthday text,
	lang text,
	following_visibility text NOT NULL DEFAULT 'public' CHECK (following_visibility IN ('public', 'followers', 'private')),
	followers_visibility text NOT NULL DEFAULT 'public' CHECK (followers_visibility IN ('public', 'followers', 'private')),
	public_reactions bool NOT NULL DEFAULT true,
	auto_accept_followed bool NOT NULL DEFAULT true,
	careful_bot bool NOT NULL DEFAULT false,
	no_crawle bool NOT NULL DEFAULT false,
	prevent_ai_learning bool NOT NULL DEFAULT true,
	always_mark_nsfw bool NOT NULL DEFAULT false,
	auto_sensitive bool NOT NULL DEFAULT false,
	inject_featured_note bool NOT NULL DEFAULT true,
	receive_announcement_email bool NOT NULL DEFAULT true,
	muted_words jsonb NOT NULL DEFAULT '[]',
	hard_muted_words jsonb NOT NULL DEFAULT '[]',
	muted_instances text[] NOT NULL DEFAULT '{}',
	notification_recieve_config jsonb NOT NULL DEFAULT '{}',
	email_notification_types text[] NOT NULL DEFAULT '{follow,receiveFollowRequest}',
	logged_in_dates date[] NOT NULL DEFAULT '{}',
	achievements jsonb NOT NULL DEFAULT '[]',
	moderation_note text NOT NULL DEFAULT ''
);
COMMENT ON TABLE user_profile IS 'owner: user. What only a profile page or the account itself needs';

CREATE TABLE user_publickey (
	key_id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	pem text NOT NULL,
	fetched_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE user_publickey IS 'owner: user. Keys of remote actors';
CREATE INDEX user_publickey_user_idx ON user_publickey (user_id);

CREATE TABLE user_alias (
	uri text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE user_alias IS 'owner: user. Addresses that led to an actor whose id is another';
CREATE INDEX user_alias_user_idx ON user_alias (user_id);

CREATE TABLE user_rebirth (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	acct text COLLATE "C" NOT NULL,
	old_user_id text COLLATE "C" NOT NULL,
	old_uri text COLLATE "C" NOT NULL,
	new_uri text COLLATE "C" NOT NULL,
	at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE user_rebirth IS 'owner: user. Journal: an acct came back with another actor id, and the old row was moved aside';

-- Accounts of this server ---------------------------------------------------------

CREATE TABLE account (
	user_id text COLLATE "C" PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
	password_hash text NOT NULL,
	token_hash bytea NOT NULL,
	token_enc bytea NOT NULL,
	email text,
	email_verified bool NOT NULL DEFAULT false,
	two_factor_enabled bool NOT NULL DEFAULT false,
	CONSTRAINT account_token_key UNIQUE (token_hash)
);
COMMENT ON TABLE account IS 'owner: auth. What signs a local user in; token_enc is sealed with the server''s secret key';

CREATE TABLE used_username (
	username_lower text COLLATE "C" PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE used_username IS 'owner: auth. Names are never given out twice';

CREATE TABLE access_token (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	token_hash bytea NOT NULL,
	token_enc bytea NOT NULL,
	session text COLLATE "C",
	name text,
	description text,
	icon_url text,
	permission text[] NOT NULL DEFAULT '{}',
	fetched bool NOT NULL DEFAULT false,
	last_used_at timestamptz,
	CONSTRAINT access_token_token_key UNIQUE (token_hash)
);
COMMENT ON TABLE access_token IS 'owner: auth. Tokens of apps (MiAuth and later OAuth); token_enc until the app has fetched it';
CREATE INDEX access_token_user_idx ON access_token (user_id);
CREATE INDEX access_token_session_idx ON access_token (session) WHERE session IS NOT NULL;

CREATE TABLE signin (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	ip text NOT NULL,
	success bool NOT NULL
);
COMMENT ON TABLE signin IS 'owner: auth. Sign-ins, good and failed; no request headers';
CREATE INDEX signin_user_idx ON signin (user_id, id DESC);

-- Ties ------------------------------------------------------------------------------

CREATE TABLE following (
	id text COLLATE "C" PRIMARY KEY,
	follower_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	followee_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	follower_host text COLLATE "C",
	followee_host text COLLATE "C",
	notify text CHECK (notify IN ('normal')),
	with_replies bool NOT NULL DEFAULT false,
	CONSTRAINT following_pair_key UNIQUE (follower_id, followee_id),
	CONSTRAINT following_not_self CHECK (follower_id <> followee_id)
);
COMMENT ON TABLE following IS 'owner: relation';
CREATE INDEX following_followee_idx ON following (followee_id, id DESC);
CREATE INDEX following_follower_idx ON following (follower_id, id DESC);
CREATE INDEX following_remote_idx ON following (followee_id, follower_id) WHERE follower_host IS NOT NULL;

CREATE TABLE follow_request (
	id text COLLATE "C" PRIMARY KEY,
	follower_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	followee_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	activity_id text,
	with_replies bool NOT NULL DEFAULT false,
	CONSTRAINT follow_request_pair_key UNIQUE (follower_id, followee_id)
);
COMMENT ON TABLE follow_request IS 'owner: relation. activity_id is the Follow''s, echoed by Accept and Reject';
CREATE INDEX follow_request_followee_idx ON follow_request (followee_id, id DESC);

CREATE TABLE blocking (
	id text COLLATE "C" PRIMARY KEY,
	blocker_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	blockee_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	CONSTRAINT blocking_pair_key UNIQUE (blocker_id, blockee_id)
);
COMMENT ON TABLE blocking IS 'owner: relation';
CREATE INDEX blocking_blockee_idx ON blocking (blockee_id);

CREATE TABLE muting (
	id text COLLATE "C" PRIMARY KEY,
	muter_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	mutee_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	expires_at timestamptz,
	CONSTRAINT muting_pair_key UNIQUE (muter_id, mutee_id)
);
COMMENT ON TABLE muting IS 'owner: relation. A row past expires_at counts for nothing';
CREATE INDEX muting_mutee_idx ON muting (mutee_id);

CREATE TABLE renote_muting (
	id text COLLATE "C" PRIMARY KEY,
	muter_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	mutee_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	CONSTRAINT renote_muting_pair_key UNIQUE (muter_id, mutee_id)
);
COMMENT ON TABLE renote_muting IS 'owner: relation';

-- Files ---------------------------------------------------------------------------------

CREATE TABLE drive_file (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" REFERENCES "user" ON DELETE SET NULL,
	user_host text COLLATE "C",
	md5 text NOT NULL DEFAULT '',
	name text NOT NULL,
	type text NOT NULL,
	size bigint NOT NULL DEFAULT 0,
	comment text,
	blurhash text,
	properties jsonb NOT NULL DEFAULT '{}',
	url text NOT NULL,
	thumbnail_url text,
	uri text COLLATE "C",
	is_sensitive bool NOT NULL DEFAULT false,
	is_link bool NOT NULL DEFAULT false
);
COMMENT ON TABLE drive_file IS 'owner: drive. is_link: a remote file known by its address only';
CREATE INDEX drive_file_user_idx ON drive_file (user_id, id DESC);
CREATE INDEX drive_file_url_idx ON drive_file (url) WHERE NOT is_link;
CREATE INDEX drive_file_uri_idx ON drive_file (uri) WHERE uri IS NOT NULL;

-- Writing ---------------------------------------------------------------------------------

CREATE TABLE note (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	user_host text COLLATE "C",
	text text,
	cw text,
	visibility text NOT NULL CHECK (visibility IN ('public', 'home', 'followers', 'specified')),
	local_only bool NOT NULL DEFAULT false,
	reaction_acceptance text,
	reply_id text COLLATE "C",
	reply_user_id text COLLATE "C",
	reply_user_host text COLLATE "C",
	renote_id text COLLATE "C",
	renote_user_id text COLLATE "C",
	renote_user_host text COLLATE "C",
	thread_id text COLLATE "C",
	channel_id text COLLATE "C",
	uri text COLLATE "C",
	url text,
	file_ids text[] COLLATE "C" NOT NULL DEFAULT '{}',
	visible_user_ids text[] COLLATE "C" NOT NULL DEFAULT '{}',
	mentions text[] COLLATE "C" NOT NULL DEFAULT '{}',
	emojis text[] NOT NULL DEFAULT '{}',
	tags text[] NOT NULL DEFAULT '{}',
	has_poll bool NOT NULL DEFAULT false,
	is_pure_renote bool NOT NULL GENERATED ALWAYS AS (renote_id IS NOT NULL AND text IS NULL AND cw IS NULL AND reply_id IS NULL AND NOT has_poll AND file_ids = '{}') STORED,
	updated_at timestamptz,
	audience_id bigint,
	audience_extra int[],
	CONSTRAINT note_uri_key UNIQUE (uri),
	CONSTRAINT note_not_own_reply CHECK (reply_id <> id AND renote_id <> id)
);
COMMENT ON TABLE note IS 'owner: note. Changes by edits only; what changes often is in note_stat. reply_id and renote_id may name notes that are gone';
CREATE INDEX note_user_idx ON note (user_id, id DESC);
CREATE INDEX note_local_idx ON note (id DESC) WHERE user_host IS NULL AND visibility = 'public' AND channel_id IS NULL;
CREATE INDEX note_public_idx ON note (id DESC) WHERE visibility = 'public' AND channel_id IS NULL;
CREATE INDEX note_reply_idx ON note (reply_id, id DESC) WHERE reply_id IS NOT NULL;
CREATE INDEX note_renote_idx ON note (renote_id, id DESC) WHERE renote_id IS NOT NULL;
CREATE INDEX note_tags_idx ON note USING gin (tags) WHERE tags <> '{}';
CREATE INDEX note_mentions_idx ON note USING gin (mentions) WHERE mentions <> '{}';
CREATE INDEX note_visible_users_idx ON note USING gin (visible_user_ids) WHERE visible_user_ids <> '{}';
CREATE INDEX note_files_idx ON note USING gin (file_ids) WHERE file_ids <> '{}';

CREATE TABLE note_stat (
	note_id text COLLATE "C" PRIMARY KEY REFERENCES note ON DELETE CASCADE,
	renote_count int NOT NULL DEFAULT 0,
	replies_count int NOT NULL DEFAULT 0,
	clipped_count int NOT NULL DEFAULT 0,
	reactions jsonb NOT NULL DEFAULT '{}',
	reaction_pairs text[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 70);
COMMENT ON TABLE note_stat IS 'owner: note. Counts of a note; reaction_pairs are the first 16 as user/reaction';

CREATE TABLE note_holder (
	note_id text COLLATE "C" NOT NULL REFERENCES note ON DELETE CASCADE,
	endpoint_id int NOT NULL,
	PRIMARY KEY (note_id, endpoint_id)
);
COMMENT ON TABLE note_holder IS 'owner: note. Endpoints outside the audience that are known to hold a public or home note';

CREATE TABLE poll (
	note_id text COLLATE "C" PRIMARY KEY REFERENCES note ON DELETE CASCADE,
	user_id text COLLATE "C" NOT NULL,
	user_host text COLLATE "C",
	multiple bool NOT NULL,
	choices text[] NOT NULL,
	votes int[] NOT NULL,
	expires_at timestamptz,
	ended bool NOT NULL DEFAULT false,
	unsent bool NOT NULL DEFAULT false
);
COMMENT ON TABLE poll IS 'owner: note. ended: its end has been told; unsent: votes have come since the tallies were last sent out';
CREATE INDEX poll_unsent_idx ON poll (note_id) WHERE unsent;
CREATE INDEX poll_due_idx ON poll (expires_at) WHERE NOT ended AND expires_at IS NOT NULL;

CREATE TABLE poll_vote (
	id text COLLATE "C" PRIMARY KEY,
	note_id text COLLATE "C" NOT NULL REFERENCES note ON DELETE CASCADE,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	choice int NOT NULL,
	CONSTRAINT poll_vote_key UNIQUE (user_id, note_id, choice)
);
COMMENT ON TABLE poll_vote IS 'owner: note';
CREATE INDEX poll_vote_note_idx ON poll_vote (note_id);

CREATE TABLE note_reaction (
	id text COLLATE "C" PRIMARY KEY,
	note_id text COLLATE "C" NOT NULL REFERENCES note ON DELETE CASCADE,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	reaction text NOT NULL,
	uri text COLLATE "C",
	CONSTRAINT note_reaction_key UNIQUE (user_id, note_id)
);
COMMENT ON TABLE note_reaction IS 'owner: reaction. uri is the Like''s, of a remote user';
CREATE INDEX note_reaction_note_idx ON note_reaction (note_id, id DESC);
CREATE INDEX note_reaction_uri_idx ON note_reaction (uri) WHERE uri IS NOT NULL;

CREATE TABLE note_thread_muting (
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	thread_id text COLLATE "C" NOT NULL,
	PRIMARY KEY (user_id, thread_id)
);
COMMENT ON TABLE note_thread_muting IS 'owner: note';

CREATE TABLE note_favorite (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	note_id text COLLATE "C" NOT NULL REFERENCES note ON DELETE CASCADE,
	CONSTRAINT note_favorite_key UNIQUE (user_id, note_id)
);
COMMENT ON TABLE note_favorite IS 'owner: note';
CREATE INDEX note_favorite_note_idx ON note_favorite (note_id);

CREATE TABLE user_note_pining (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	note_id text COLLATE "C" NOT NULL REFERENCES note ON DELETE CASCADE,
	CONSTRAINT user_note_pining_key UNIQUE (user_id, note_id)
);
COMMENT ON TABLE user_note_pining IS 'owner: profile';
CREATE INDEX user_note_pining_note_idx ON user_note_pining (note_id);

-- Who is told -------------------------------------------------------------------------------

CREATE TABLE notification (
	id text COLLATE "C" PRIMARY KEY,
	notifiee_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	type text NOT NULL,
	notifier_id text COLLATE "C" REFERENCES "user" ON DELETE CASCADE,
	note_id text COLLATE "C" REFERENCES note ON DELETE CASCADE,
	data jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE notification IS 'owner: notification. data: reaction, choice and the like';
CREATE INDEX notification_notifiee_idx ON notification (notifiee_id, id DESC);
CREATE INDEX notification_note_idx ON notification (note_id) WHERE note_id IS NOT NULL;
CREATE INDEX notification_notifier_idx ON notification (notifier_id) WHERE notifier_id IS NOT NULL;

CREATE TABLE notification_read (
	user_id text COLLATE "C" PRIMARY KEY REFERENCES "user" ON DELETE CASCADE,
	last_id text COLLATE "C" NOT NULL
);
COMMENT ON TABLE notification_read IS 'owner: notification. All up to last_id is read';

-- The change log ------------------------------------------------------------------------------

CREATE TABLE change_stage (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind text NOT NULL,
	object_id text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	data jsonb NOT NULL,
	at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE change_stage IS 'owner: log. Written in business transactions, emptied by the sequencer';

CREATE TABLE change_log (
	seq bigint PRIMARY KEY,
	kind text NOT NULL,
	object_id text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	data jsonb NOT NULL,
	at timestamptz NOT NULL
);
COMMENT ON TABLE change_log IS 'owner: log. What happened, without gaps; ids only, never text';
CREATE INDEX change_log_at_idx ON change_log USING brin (at);

CREATE TABLE log_head (
	name text PRIMARY KEY,
	next_seq bigint NOT NULL
);
COMMENT ON TABLE log_head IS 'owner: log';
INSERT INTO log_head (name, next_seq) VALUES ('change', 1);

CREATE TABLE log_cursor (
	name text PRIMARY KEY,
	seq bigint NOT NULL,
	moved_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
COMMENT ON TABLE log_cursor IS 'owner: log. How far each durable consumer has come';

-- Numbers ---------------------------------------------------------------------------------------

CREATE TABLE counter (
	name text PRIMARY KEY,
	value bigint NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE counter IS 'owner: stats. Totals, folded from the change log';
