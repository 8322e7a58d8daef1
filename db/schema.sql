-- The schema as the migrations leave it. Written by make schema; a test compares it.

-- owner: moderation. Reports to the moderators of this server, of people here and of other servers. assignee_id is who closed it
CREATE TABLE "abuse_report" (
	id text COLLATE "C" NOT NULL,
	target_user_id text COLLATE "C" NOT NULL,
	target_user_host text COLLATE "C",
	reporter_id text COLLATE "C" NOT NULL,
	reporter_host text COLLATE "C",
	comment text NOT NULL,
	note_ids text[] NOT NULL DEFAULT '{}'::text[],
	resolved boolean NOT NULL DEFAULT false,
	assignee_id text COLLATE "C",
	resolved_as text,
	forwarded boolean NOT NULL DEFAULT false,
	moderation_note text NOT NULL DEFAULT ''::text,
	CONSTRAINT abuse_report_pkey PRIMARY KEY (id),
	CONSTRAINT abuse_report_assignee_id_fkey FOREIGN KEY (assignee_id) REFERENCES "user"(id) ON DELETE SET NULL,
	CONSTRAINT abuse_report_reporter_id_fkey FOREIGN KEY (reporter_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT abuse_report_target_user_id_fkey FOREIGN KEY (target_user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT abuse_report_resolved_as_check CHECK ((resolved_as = ANY (ARRAY['accept'::text, 'reject'::text])))
);
CREATE INDEX abuse_report_assignee_idx ON public.abuse_report USING btree (assignee_id) WHERE (assignee_id IS NOT NULL);
CREATE INDEX abuse_report_notes_idx ON public.abuse_report USING gin (note_ids) WHERE (note_ids <> '{}'::text[]);
CREATE INDEX abuse_report_open_idx ON public.abuse_report USING btree (id DESC) WHERE (NOT resolved);
CREATE INDEX abuse_report_reporter_idx ON public.abuse_report USING btree (reporter_id);
CREATE INDEX abuse_report_target_idx ON public.abuse_report USING btree (target_user_id);

-- owner: auth. Tokens of apps (MiAuth and later OAuth); token_enc until the app has fetched it
CREATE TABLE "access_token" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	token_hash bytea NOT NULL,
	token_enc bytea NOT NULL,
	session text COLLATE "C",
	name text,
	description text,
	icon_url text,
	permission text[] NOT NULL DEFAULT '{}'::text[],
	fetched boolean NOT NULL DEFAULT false,
	last_used_at timestamp with time zone,
	app_id text COLLATE "C",
	digest_hash bytea,
	CONSTRAINT access_token_digest_key UNIQUE (digest_hash),
	CONSTRAINT access_token_token_key UNIQUE (token_hash),
	CONSTRAINT access_token_pkey PRIMARY KEY (id),
	CONSTRAINT access_token_app_id_fkey FOREIGN KEY (app_id) REFERENCES app(id) ON DELETE CASCADE,
	CONSTRAINT access_token_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX access_token_app_key ON public.access_token USING btree (app_id, user_id) WHERE (app_id IS NOT NULL);
CREATE INDEX access_token_session_idx ON public.access_token USING btree (session) WHERE (session IS NOT NULL);
CREATE INDEX access_token_user_idx ON public.access_token USING btree (user_id);

-- owner: auth. What signs a local user in; token_enc is sealed with the server's secret key
CREATE TABLE "account" (
	user_id text COLLATE "C" NOT NULL,
	password_hash text NOT NULL,
	token_hash bytea NOT NULL,
	token_enc bytea NOT NULL,
	email text,
	email_verified boolean NOT NULL DEFAULT false,
	two_factor_enabled boolean NOT NULL DEFAULT false,
	totp_enc bytea,
	totp_next_enc bytea,
	totp_step bigint NOT NULL DEFAULT 0,
	backup_codes bytea[] NOT NULL DEFAULT '{}'::bytea[],
	password_less boolean NOT NULL DEFAULT false,
	CONSTRAINT account_token_key UNIQUE (token_hash),
	CONSTRAINT account_pkey PRIMARY KEY (user_id),
	CONSTRAINT account_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX account_email_key ON public.account USING btree (lower(email)) WHERE email_verified;

-- owner: account. The last move of an account that was followed here. While it runs, those who block or follow the old account are taken along, some at a time: due_at is when the next are, or how long they are somebody's who is at it; stream_id is where it is told
CREATE TABLE "account_move" (
	user_id text COLLATE "C" NOT NULL,
	target_id text COLLATE "C" NOT NULL,
	at timestamp with time zone NOT NULL,
	state text NOT NULL DEFAULT 'done'::text,
	due_at timestamp with time zone NOT NULL DEFAULT now(),
	stepped_at timestamp with time zone NOT NULL DEFAULT now(),
	stream_id bigint,
	CONSTRAINT account_move_pkey PRIMARY KEY (user_id),
	CONSTRAINT account_move_target_id_fkey FOREIGN KEY (target_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT account_move_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT account_move_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text])))
);
CREATE INDEX account_move_due_idx ON public.account_move USING btree (due_at) WHERE (state = 'running'::text);
CREATE INDEX account_move_target_idx ON public.account_move USING btree (target_id);

-- owner: announcement. What the server tells everybody, or one account
CREATE TABLE "announcement" (
	id text COLLATE "C" NOT NULL,
	updated_at timestamp with time zone,
	title text NOT NULL,
	text text NOT NULL,
	image_url text,
	icon text NOT NULL,
	display text NOT NULL,
	need_confirmation boolean NOT NULL,
	for_existing_users boolean NOT NULL,
	silence boolean NOT NULL,
	is_active boolean NOT NULL DEFAULT true,
	user_id text COLLATE "C",
	CONSTRAINT announcement_pkey PRIMARY KEY (id),
	CONSTRAINT announcement_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT announcement_display_check CHECK ((display = ANY (ARRAY['normal'::text, 'banner'::text, 'dialog'::text]))),
	CONSTRAINT announcement_icon_check CHECK ((icon = ANY (ARRAY['info'::text, 'warning'::text, 'error'::text, 'success'::text])))
);
CREATE INDEX announcement_active_idx ON public.announcement USING btree (id DESC) WHERE is_active;
CREATE INDEX announcement_user_idx ON public.announcement USING btree (user_id, id DESC) WHERE (user_id IS NOT NULL);

-- owner: announcement
CREATE TABLE "announcement_read" (
	user_id text COLLATE "C" NOT NULL,
	announcement_id text COLLATE "C" NOT NULL,
	CONSTRAINT announcement_read_pkey PRIMARY KEY (user_id, announcement_id),
	CONSTRAINT announcement_read_announcement_id_fkey FOREIGN KEY (announcement_id) REFERENCES announcement(id) ON DELETE CASCADE,
	CONSTRAINT announcement_read_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX announcement_read_announcement_idx ON public.announcement_read USING btree (announcement_id);

-- owner: antenna. What an account wants to be collected out of everything that is written. read_id: the newest that was shown
CREATE TABLE "antenna" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	src text NOT NULL,
	user_list_id text COLLATE "C",
	keywords jsonb NOT NULL,
	exclude_keywords jsonb NOT NULL,
	users text[] NOT NULL,
	case_sensitive boolean NOT NULL,
	local_only boolean NOT NULL,
	exclude_bots boolean NOT NULL,
	with_replies boolean NOT NULL,
	with_file boolean NOT NULL,
	exclude_sensitive_channel boolean NOT NULL,
	is_active boolean NOT NULL DEFAULT true,
	last_used_at timestamp with time zone NOT NULL DEFAULT now(),
	changed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
	read_id text COLLATE "C" NOT NULL DEFAULT ''::text,
	CONSTRAINT antenna_pkey PRIMARY KEY (id),
	CONSTRAINT antenna_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT antenna_user_list_id_fkey FOREIGN KEY (user_list_id) REFERENCES user_list(id) ON DELETE SET NULL,
	CONSTRAINT antenna_src_check CHECK ((src = ANY (ARRAY['home'::text, 'all'::text, 'users'::text, 'list'::text, 'users_blacklist'::text])))
);
CREATE INDEX antenna_list_idx ON public.antenna USING btree (user_list_id) WHERE (user_list_id IS NOT NULL);
CREATE INDEX antenna_user_idx ON public.antenna USING btree (user_id);

-- owner: antenna. What antennas have caught, the newest of it
CREATE TABLE "antenna_note" (
	antenna_id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	CONSTRAINT antenna_note_pkey PRIMARY KEY (antenna_id, note_id),
	CONSTRAINT antenna_note_antenna_id_fkey FOREIGN KEY (antenna_id) REFERENCES antenna(id) ON DELETE CASCADE,
	CONSTRAINT antenna_note_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE
);
CREATE INDEX antenna_note_note_idx ON public.antenna_note USING btree (note_id);

-- owner: auth. Apps of the older kind; secret_enc is sealed with the server's secret key
CREATE TABLE "app" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C",
	name text NOT NULL,
	description text NOT NULL,
	permission text[] NOT NULL,
	callback_url text,
	secret_hash bytea NOT NULL,
	secret_enc bytea NOT NULL,
	CONSTRAINT app_secret_key UNIQUE (secret_hash),
	CONSTRAINT app_pkey PRIMARY KEY (id),
	CONSTRAINT app_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE SET NULL
);
CREATE INDEX app_user_idx ON public.app USING btree (user_id, id DESC) WHERE (user_id IS NOT NULL);

-- owner: auth. What an authenticator was asked to sign; taken once. subject is a user id, or the context of a sign-in without a name
CREATE TABLE "auth_challenge" (
	challenge text COLLATE "C" NOT NULL,
	purpose text NOT NULL,
	subject text COLLATE "C" NOT NULL,
	session_enc bytea NOT NULL,
	proof bytea,
	expires_at timestamp with time zone NOT NULL,
	CONSTRAINT auth_challenge_pkey PRIMARY KEY (challenge)
);
CREATE INDEX auth_challenge_expires_idx ON public.auth_challenge USING btree (expires_at);

-- owner: auth. An app of the older kind waits to be let in; user_id is who let it in
CREATE TABLE "auth_session" (
	id text COLLATE "C" NOT NULL,
	token text COLLATE "C" NOT NULL,
	app_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C",
	expires_at timestamp with time zone NOT NULL,
	CONSTRAINT auth_session_token_key UNIQUE (token),
	CONSTRAINT auth_session_pkey PRIMARY KEY (id),
	CONSTRAINT auth_session_app_id_fkey FOREIGN KEY (app_id) REFERENCES app(id) ON DELETE CASCADE,
	CONSTRAINT auth_session_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX auth_session_app_idx ON public.auth_session USING btree (app_id);
CREATE INDEX auth_session_expires_idx ON public.auth_session USING btree (expires_at);
CREATE INDEX auth_session_user_idx ON public.auth_session USING btree (user_id) WHERE (user_id IS NOT NULL);

-- owner: decoration. What people can lay over their avatars
CREATE TABLE "avatar_decoration" (
	id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	description text NOT NULL,
	url text NOT NULL,
	role_ids text[] NOT NULL DEFAULT '{}'::text[],
	category text,
	updated_at timestamp with time zone,
	CONSTRAINT avatar_decoration_pkey PRIMARY KEY (id)
);

-- owner: backup. Backups that were made, and restores of them that were tried to prove them; error is empty when it went well
CREATE TABLE "backup_run" (
	id bigint NOT NULL GENERATED AS IDENTITY,
	kind text NOT NULL,
	place text NOT NULL,
	backup_id text COLLATE "C" NOT NULL,
	began_at timestamp with time zone NOT NULL,
	ended_at timestamp with time zone NOT NULL DEFAULT now(),
	error text NOT NULL DEFAULT ''::text,
	encrypted boolean NOT NULL DEFAULT false,
	files bigint NOT NULL DEFAULT 0,
	file_bytes bigint NOT NULL DEFAULT 0,
	missing bigint NOT NULL DEFAULT 0,
	added_bytes bigint NOT NULL DEFAULT 0,
	CONSTRAINT backup_run_pkey PRIMARY KEY (id),
	CONSTRAINT backup_run_kind_check CHECK ((kind = ANY (ARRAY['backup'::text, 'verify'::text])))
);

-- owner: relation
CREATE TABLE "blocking" (
	id text COLLATE "C" NOT NULL,
	blocker_id text COLLATE "C" NOT NULL,
	blockee_id text COLLATE "C" NOT NULL,
	CONSTRAINT blocking_pair_key UNIQUE (blocker_id, blockee_id),
	CONSTRAINT blocking_pkey PRIMARY KEY (id),
	CONSTRAINT blocking_blockee_id_fkey FOREIGN KEY (blockee_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT blocking_blocker_id_fkey FOREIGN KEY (blocker_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX blocking_blockee_idx ON public.blocking USING btree (blockee_id);

-- owner: game. Scores of the bubble game, each of the game that began at seeded_at; nobody proves them. logs: what the player did, as the client told it
CREATE TABLE "bubble_game_record" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	seeded_at timestamp with time zone NOT NULL,
	game_mode text NOT NULL,
	game_version bigint NOT NULL,
	score bigint NOT NULL,
	logs jsonb NOT NULL,
	CONSTRAINT bubble_game_record_user_id_seeded_at_key UNIQUE (user_id, seeded_at),
	CONSTRAINT bubble_game_record_pkey PRIMARY KEY (id),
	CONSTRAINT bubble_game_record_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX bubble_game_record_mode_idx ON public.bubble_game_record USING btree (game_mode, seeded_at);

-- owner: log. What happened, without gaps; ids only, never text
CREATE TABLE "change_log" (
	seq bigint NOT NULL,
	kind text NOT NULL,
	object_id text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	data jsonb NOT NULL,
	at timestamp with time zone NOT NULL,
	CONSTRAINT change_log_pkey PRIMARY KEY (seq)
);
CREATE INDEX change_log_at_idx ON public.change_log USING brin (at);

-- owner: log. Written in business transactions, emptied by the sequencer
CREATE TABLE "change_stage" (
	id bigint NOT NULL GENERATED AS IDENTITY,
	kind text NOT NULL,
	object_id text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	data jsonb NOT NULL,
	at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT change_stage_pkey PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000);

-- owner: channel. Places for notes on one subject; counts follow the change log
CREATE TABLE "channel" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C",
	name text NOT NULL,
	description text,
	banner_id text COLLATE "C",
	pinned_note_ids text[] COLLATE "C" NOT NULL DEFAULT '{}'::text[],
	color text NOT NULL DEFAULT '#86b300'::text,
	is_archived boolean NOT NULL DEFAULT false,
	is_sensitive boolean NOT NULL DEFAULT false,
	allow_renote_to_external boolean NOT NULL DEFAULT true,
	last_noted_at timestamp with time zone,
	notes_count bigint NOT NULL DEFAULT 0,
	users_count bigint NOT NULL DEFAULT 0,
	CONSTRAINT channel_pkey PRIMARY KEY (id),
	CONSTRAINT channel_banner_id_fkey FOREIGN KEY (banner_id) REFERENCES drive_file(id) ON DELETE SET NULL,
	CONSTRAINT channel_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE SET NULL
);
CREATE INDEX channel_banner_idx ON public.channel USING btree (banner_id) WHERE (banner_id IS NOT NULL);
CREATE INDEX channel_noted_idx ON public.channel USING btree (last_noted_at DESC) WHERE ((NOT is_archived) AND (last_noted_at IS NOT NULL));
CREATE INDEX channel_user_idx ON public.channel USING btree (user_id, id DESC);

-- owner: channel. How many notes each account has in a channel, for counting accounts
CREATE TABLE "channel_author" (
	channel_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	notes bigint NOT NULL,
	CONSTRAINT channel_author_pkey PRIMARY KEY (channel_id, user_id),
	CONSTRAINT channel_author_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id) ON DELETE CASCADE
);

-- owner: channel. Channels that accounts keep at hand
CREATE TABLE "channel_favorite" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	channel_id text COLLATE "C" NOT NULL,
	CONSTRAINT channel_favorite_pkey PRIMARY KEY (user_id, channel_id),
	CONSTRAINT channel_favorite_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id) ON DELETE CASCADE,
	CONSTRAINT channel_favorite_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX channel_favorite_channel_idx ON public.channel_favorite USING btree (channel_id);

-- owner: channel. Whose home timelines the notes of a channel come to
CREATE TABLE "channel_following" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	channel_id text COLLATE "C" NOT NULL,
	CONSTRAINT channel_following_pkey PRIMARY KEY (user_id, channel_id),
	CONSTRAINT channel_following_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id) ON DELETE CASCADE,
	CONSTRAINT channel_following_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX channel_following_channel_idx ON public.channel_following USING btree (channel_id);

-- owner: channel. Channels of which an account wants to see nothing, for a time or for good
CREATE TABLE "channel_muting" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	channel_id text COLLATE "C" NOT NULL,
	expires_at timestamp with time zone,
	CONSTRAINT channel_muting_pkey PRIMARY KEY (user_id, channel_id),
	CONSTRAINT channel_muting_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id) ON DELETE CASCADE,
	CONSTRAINT channel_muting_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX channel_muting_channel_idx ON public.channel_muting USING btree (channel_id);

-- owner: chart. What was added to each column of a chart in an hour and in a day (UTC), in the order in which package stats names the columns; span all, at the epoch: what was added to its totals ever. grp: an account's id or a server's authority, empty where the chart has no groups
CREATE TABLE "chart" (
	name text COLLATE "C" NOT NULL,
	grp text COLLATE "C" NOT NULL DEFAULT ''::text,
	span text COLLATE "C" NOT NULL,
	at timestamp with time zone NOT NULL,
	v bigint[] NOT NULL,
	CONSTRAINT chart_pkey PRIMARY KEY (name, grp, span, at),
	CONSTRAINT chart_span_check CHECK ((span = ANY (ARRAY['hour'::text, 'day'::text, 'all'::text])))
) WITH (fillfactor=70);

-- owner: chart. Hours in which the server was there to count: where there is none, nothing is known, which is not the same as nothing has happened
CREATE TABLE "chart_hour" (
	at timestamp with time zone NOT NULL,
	CONSTRAINT chart_hour_pkey PRIMARY KEY (at)
);

-- owner: chart. Who was counted already in a column that counts each once; of the last days
CREATE TABLE "chart_member" (
	at timestamp with time zone NOT NULL,
	span text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL,
	grp text COLLATE "C" NOT NULL,
	member text COLLATE "C" NOT NULL,
	col text COLLATE "C" NOT NULL,
	CONSTRAINT chart_member_pkey PRIMARY KEY (at, span, name, grp, member, col)
);

-- owner: account. The clearing of an account's notes and files, one run an account, the last: what lies before before_id goes, up to after_id it has come. Whoever works at it holds the row for one batch
CREATE TABLE "cleanup" (
	user_id text COLLATE "C" NOT NULL,
	state text NOT NULL,
	phase text NOT NULL DEFAULT 'keep'::text,
	due_at timestamp with time zone NOT NULL,
	notes boolean NOT NULL,
	files boolean NOT NULL,
	keep_favorited boolean NOT NULL,
	before_id text COLLATE "C" NOT NULL,
	after_id text COLLATE "C" NOT NULL DEFAULT ''::text,
	stream_id bigint,
	notes_total bigint NOT NULL DEFAULT 0,
	notes_done bigint NOT NULL DEFAULT 0,
	files_total bigint NOT NULL DEFAULT 0,
	files_done bigint NOT NULL DEFAULT 0,
	last_error text NOT NULL DEFAULT ''::text,
	requested_at timestamp with time zone NOT NULL DEFAULT now(),
	updated_at timestamp with time zone NOT NULL DEFAULT now(),
	finished_at timestamp with time zone,
	CONSTRAINT cleanup_pkey PRIMARY KEY (user_id),
	CONSTRAINT cleanup_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT cleanup_phase_check CHECK ((phase = ANY (ARRAY['keep'::text, 'notes'::text, 'files'::text]))),
	CONSTRAINT cleanup_state_check CHECK ((state = ANY (ARRAY['running'::text, 'paused'::text, 'done'::text, 'cancelled'::text])))
);
CREATE INDEX cleanup_due_idx ON public.cleanup USING btree (due_at) WHERE (state = 'running'::text);

-- owner: account. Notes that a clearing leaves: pinned and direct ones, and what hangs together with them
CREATE TABLE "cleanup_keep" (
	user_id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	CONSTRAINT cleanup_keep_pkey PRIMARY KEY (user_id, note_id),
	CONSTRAINT cleanup_keep_user_id_fkey FOREIGN KEY (user_id) REFERENCES cleanup(user_id) ON DELETE CASCADE
);

-- owner: clip. Notes that somebody keeps together
CREATE TABLE "clip" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	description text,
	is_public boolean NOT NULL DEFAULT false,
	last_clipped_at timestamp with time zone,
	CONSTRAINT clip_pkey PRIMARY KEY (id),
	CONSTRAINT clip_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX clip_user_idx ON public.clip USING btree (user_id, id DESC);

-- owner: clip. Clips that somebody likes
CREATE TABLE "clip_favorite" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	clip_id text COLLATE "C" NOT NULL,
	CONSTRAINT clip_favorite_key UNIQUE (user_id, clip_id),
	CONSTRAINT clip_favorite_pkey PRIMARY KEY (id),
	CONSTRAINT clip_favorite_clip_id_fkey FOREIGN KEY (clip_id) REFERENCES clip(id) ON DELETE CASCADE,
	CONSTRAINT clip_favorite_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX clip_favorite_clip_idx ON public.clip_favorite USING btree (clip_id);

-- owner: clip
CREATE TABLE "clip_note" (
	id text COLLATE "C" NOT NULL,
	clip_id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	CONSTRAINT clip_note_key UNIQUE (clip_id, note_id),
	CONSTRAINT clip_note_pkey PRIMARY KEY (id),
	CONSTRAINT clip_note_clip_id_fkey FOREIGN KEY (clip_id) REFERENCES clip(id) ON DELETE CASCADE,
	CONSTRAINT clip_note_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE
);
CREATE INDEX clip_note_note_idx ON public.clip_note USING btree (note_id);

-- owner: stats. Totals, folded from the change log
CREATE TABLE "counter" (
	name text NOT NULL,
	value bigint NOT NULL,
	CONSTRAINT counter_pkey PRIMARY KEY (name)
) WITH (fillfactor=70);

-- owner: drive. What is in the store of files. Bytes of no file are erased once their time (until) is over, at once when they have none. kind cache: a picture of another server, under its name (name) once it is whole; used_at: when it was last looked at, to an hour
CREATE TABLE "drive_blob" (
	key text COLLATE "C" NOT NULL,
	file_id text COLLATE "C",
	kind text NOT NULL,
	type text NOT NULL,
	size bigint NOT NULL DEFAULT 0,
	until timestamp with time zone,
	name text COLLATE "C",
	used_at timestamp with time zone,
	CONSTRAINT drive_blob_pkey PRIMARY KEY (key),
	CONSTRAINT drive_blob_file_id_fkey FOREIGN KEY (file_id) REFERENCES drive_file(id) ON DELETE SET NULL
);
CREATE INDEX drive_blob_file_idx ON public.drive_blob USING btree (file_id) WHERE (file_id IS NOT NULL);
CREATE UNIQUE INDEX drive_blob_name_key ON public.drive_blob USING btree (name) WHERE (name IS NOT NULL);
CREATE INDEX drive_blob_until_idx ON public.drive_blob USING btree (until NULLS FIRST) WHERE (file_id IS NULL);
CREATE INDEX drive_blob_used_idx ON public.drive_blob USING btree (used_at, key) INCLUDE (size) WHERE (name IS NOT NULL);

-- owner: drive. is_link: a remote file known by its address only
CREATE TABLE "drive_file" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C",
	user_host text COLLATE "C",
	md5 text NOT NULL DEFAULT ''::text,
	name text NOT NULL,
	type text NOT NULL,
	size bigint NOT NULL DEFAULT 0,
	comment text,
	blurhash text,
	properties jsonb NOT NULL DEFAULT '{}'::jsonb,
	url text NOT NULL,
	thumbnail_url text,
	uri text COLLATE "C",
	is_sensitive boolean NOT NULL DEFAULT false,
	is_link boolean NOT NULL DEFAULT false,
	folder_id text COLLATE "C",
	public_type text,
	CONSTRAINT drive_file_pkey PRIMARY KEY (id),
	CONSTRAINT drive_file_folder_id_fkey FOREIGN KEY (folder_id) REFERENCES drive_folder(id) ON DELETE SET NULL,
	CONSTRAINT drive_file_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE SET NULL
);
CREATE INDEX drive_file_folder_idx ON public.drive_file USING btree (user_id, folder_id, id DESC) WHERE (user_host IS NULL);
CREATE INDEX drive_file_in_folder_idx ON public.drive_file USING btree (folder_id) WHERE (folder_id IS NOT NULL);
CREATE INDEX drive_file_md5_idx ON public.drive_file USING btree (user_id, md5) WHERE ((user_host IS NULL) AND (md5 <> ''::text));
CREATE INDEX drive_file_size_idx ON public.drive_file USING btree (user_id) INCLUDE (size) WHERE (NOT is_link);
CREATE INDEX drive_file_uri_idx ON public.drive_file USING btree (uri) WHERE (uri IS NOT NULL);
CREATE INDEX drive_file_url_idx ON public.drive_file USING btree (url) WHERE (NOT is_link);
CREATE INDEX drive_file_user_idx ON public.drive_file USING btree (user_id, id DESC);

-- owner: drive. Folders of an account's files
CREATE TABLE "drive_folder" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	parent_id text COLLATE "C",
	name text NOT NULL,
	CONSTRAINT drive_folder_pkey PRIMARY KEY (id),
	CONSTRAINT drive_folder_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES drive_folder(id) ON DELETE SET NULL,
	CONSTRAINT drive_folder_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX drive_folder_parent_idx ON public.drive_folder USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX drive_folder_user_idx ON public.drive_folder USING btree (user_id, parent_id, id DESC);

-- owner: auth. Addresses that still have to be proven; a code is good for the one address it was sent to
CREATE TABLE "email_proof" (
	user_id text COLLATE "C" NOT NULL,
	code_hash bytea NOT NULL,
	email text NOT NULL,
	expires_at timestamp with time zone NOT NULL,
	CONSTRAINT email_proof_code_hash_key UNIQUE (code_hash),
	CONSTRAINT email_proof_pkey PRIMARY KEY (user_id),
	CONSTRAINT email_proof_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);

-- owner: emoji. Custom emoji, local (host NULL) and remote
CREATE TABLE "emoji" (
	id text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL,
	host text COLLATE "C",
	category text,
	original_url text NOT NULL,
	public_url text NOT NULL DEFAULT ''::text,
	uri text COLLATE "C",
	type text,
	aliases text[] NOT NULL DEFAULT '{}'::text[],
	license text,
	local_only boolean NOT NULL DEFAULT false,
	is_sensitive boolean NOT NULL DEFAULT false,
	role_ids text[] NOT NULL DEFAULT '{}'::text[],
	updated_at timestamp with time zone,
	CONSTRAINT emoji_name_host_key UNIQUE NULLS NOT DISTINCT (name, host),
	CONSTRAINT emoji_pkey PRIMARY KEY (id)
);

-- owner: catalogue. Archives of emoji that are taken in (file_id) or written (file_id once it is). position: entries of the archive that are done with, each of which is applied in the transaction that moves it; tries: since it last moved; remarks: the first of what was passed over, and why. Forgotten a month after the end
CREATE TABLE "emoji_carry" (
	id text COLLATE "C" NOT NULL,
	kind text NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	file_id text COLLATE "C",
	asked_at timestamp with time zone NOT NULL DEFAULT now(),
	due_at timestamp with time zone NOT NULL DEFAULT now(),
	finished_at timestamp with time zone,
	tries integer NOT NULL DEFAULT 0,
	"position" integer NOT NULL DEFAULT 0,
	added integer NOT NULL DEFAULT 0,
	replaced integer NOT NULL DEFAULT 0,
	same integer NOT NULL DEFAULT 0,
	passed integer NOT NULL DEFAULT 0,
	remarks jsonb NOT NULL DEFAULT '[]'::jsonb,
	CONSTRAINT emoji_carry_pkey PRIMARY KEY (id),
	CONSTRAINT emoji_carry_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT emoji_carry_kind_check CHECK ((kind = ANY (ARRAY['import'::text, 'export'::text])))
);
CREATE INDEX emoji_carry_due_idx ON public.emoji_carry USING btree (due_at) WHERE (finished_at IS NULL);

-- owner: delivery. Sets of endpoints, each stored once; digest is of the sorted ids
CREATE TABLE "fed_audience" (
	audience_id bigint NOT NULL GENERATED AS IDENTITY,
	digest bytea NOT NULL,
	endpoints integer[] NOT NULL,
	CONSTRAINT fed_audience_digest_key UNIQUE (digest),
	CONSTRAINT fed_audience_pkey PRIMARY KEY (audience_id)
);

-- owner: delivery. What is done: all up to acked that was for the endpoint, and the numbers in above (differences, as varints). skipped: numbers passed because they were too old
CREATE TABLE "fed_cursor" (
	endpoint_id integer NOT NULL,
	stream_id bigint NOT NULL,
	acked bigint NOT NULL,
	above bytea NOT NULL DEFAULT '\x'::bytea,
	skipped bigint NOT NULL DEFAULT 0,
	CONSTRAINT fed_cursor_pkey PRIMARY KEY (endpoint_id, stream_id),
	CONSTRAINT fed_cursor_stream_id_fkey FOREIGN KEY (stream_id) REFERENCES fed_stream(stream_id)
) WITH (fillfactor=50);
CREATE INDEX fed_cursor_stream_idx ON public.fed_cursor USING btree (stream_id) WHERE (stream_id >= 16);

-- owner: delivery. Inboxes; gone_at: when it last answered that it does not exist
CREATE TABLE "fed_endpoint" (
	endpoint_id integer NOT NULL GENERATED AS IDENTITY,
	host_id integer NOT NULL,
	url text COLLATE "C" NOT NULL,
	shared boolean NOT NULL DEFAULT false,
	gone_at timestamp with time zone,
	CONSTRAINT fed_endpoint_url_key UNIQUE (url),
	CONSTRAINT fed_endpoint_pkey PRIMARY KEY (endpoint_id),
	CONSTRAINT fed_endpoint_host_id_fkey FOREIGN KEY (host_id) REFERENCES fed_host(host_id)
);
CREATE INDEX fed_endpoint_host_idx ON public.fed_endpoint USING btree (host_id);

-- owner: delivery. Single activities that are tried again after the cursor has passed them, and those of the same object that wait behind them
CREATE TABLE "fed_exception" (
	endpoint_id integer NOT NULL,
	stream_id bigint NOT NULL,
	seq bigint NOT NULL,
	attempts integer NOT NULL,
	next_at timestamp with time zone NOT NULL,
	reason text NOT NULL,
	CONSTRAINT fed_exception_pkey PRIMARY KEY (endpoint_id, stream_id, seq),
	CONSTRAINT fed_exception_stream_id_fkey FOREIGN KEY (stream_id) REFERENCES fed_stream(stream_id)
);

-- owner: delivery. Authorities that are delivered to and how they do: fails in a row (0: up), next_try while failing; refused counts activities given up because the host would not have them, last_refused is the newest; refusals are those in a row, refusing_since when it was taken for refusing everything; gone_since and gone_probes: its shared inbox says that it does not exist; replay_since: what was deleted and undone since then is still to be told; heard_at: when it last spoke to a node that does not deliver to it
CREATE TABLE "fed_host" (
	host_id integer NOT NULL GENERATED AS IDENTITY,
	host text COLLATE "C" NOT NULL,
	fails integer NOT NULL DEFAULT 0,
	fail_since timestamp with time zone,
	next_try timestamp with time zone,
	last_ok timestamp with time zone,
	last_error text NOT NULL DEFAULT ''::text,
	refused bigint NOT NULL DEFAULT 0,
	last_refused text NOT NULL DEFAULT ''::text,
	paused boolean NOT NULL DEFAULT false,
	shard smallint NOT NULL GENERATED ALWAYS AS ((('x'::text || substr(md5(host), 1, 2)))::bit(8))::integer STORED,
	refusals integer NOT NULL DEFAULT 0,
	refusing_since timestamp with time zone,
	gone_since timestamp with time zone,
	gone_probes integer NOT NULL DEFAULT 0,
	replay_since timestamp with time zone,
	heard_at timestamp with time zone,
	CONSTRAINT fed_host_host_key UNIQUE (host),
	CONSTRAINT fed_host_pkey PRIMARY KEY (host_id)
) WITH (fillfactor=70);
CREATE INDEX fed_host_heard_idx ON public.fed_host USING btree (heard_at) WHERE (heard_at IS NOT NULL);
CREATE INDEX fed_host_paused_idx ON public.fed_host USING btree (host_id) WHERE paused;
CREATE INDEX fed_host_shard_idx ON public.fed_host USING btree (shard);

-- owner: inbox. Activities that were verified and answered with 202, until they are processed. state: 0 ready, 1 to be tried again at due_at, 2 waits for waits_for to be fetched at due_at, 3 failed for good. hash: of the activity's id, NULL for what may be said again in the same words. A failed row loses its body after a day
CREATE TABLE "fed_inbox" (
	id bigint NOT NULL GENERATED AS IDENTITY,
	state smallint NOT NULL DEFAULT 0,
	lane smallint NOT NULL,
	host text COLLATE "C" NOT NULL,
	object_key bytea NOT NULL,
	hash bytea,
	actor text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	body bytea,
	received_at timestamp with time zone NOT NULL,
	due_at timestamp with time zone NOT NULL,
	attempts smallint NOT NULL DEFAULT 0,
	parks smallint NOT NULL DEFAULT 0,
	fetches smallint NOT NULL DEFAULT 0,
	last boolean NOT NULL DEFAULT false,
	waits_for text COLLATE "C" NOT NULL DEFAULT ''::text,
	wait_host text COLLATE "C" NOT NULL DEFAULT ''::text,
	CONSTRAINT fed_inbox_hash_key UNIQUE (hash),
	CONSTRAINT fed_inbox_pkey PRIMARY KEY (id)
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000);
CREATE INDEX fed_inbox_failed_idx ON public.fed_inbox USING btree (received_at) WHERE (state = 3);
CREATE INDEX fed_inbox_order_idx ON public.fed_inbox USING btree (host, object_key, id) WHERE (state < 3);
CREATE INDEX fed_inbox_parked_idx ON public.fed_inbox USING btree (wait_host, due_at) WHERE (state = 2);
CREATE INDEX fed_inbox_ready_idx ON public.fed_inbox USING btree (host, lane, id) WHERE (state = 0);
CREATE INDEX fed_inbox_retry_idx ON public.fed_inbox USING btree (due_at) WHERE (state = 1);
CREATE INDEX fed_inbox_waits_idx ON public.fed_inbox USING btree (waits_for) WHERE (state = 2);

-- owner: delivery. Keys of local actors, sealed with the server's secret key. They outlive the account, whose Delete is still to be signed
CREATE TABLE "fed_key" (
	key_id bigint NOT NULL GENERATED AS IDENTITY,
	actor_id text COLLATE "C" NOT NULL,
	key_uri text COLLATE "C" NOT NULL,
	private_enc bytea NOT NULL,
	public_pem text NOT NULL,
	created_at timestamp with time zone NOT NULL DEFAULT now(),
	retired_at timestamp with time zone,
	gone_at timestamp with time zone,
	CONSTRAINT fed_key_pkey PRIMARY KEY (key_id)
);
CREATE UNIQUE INDEX fed_key_actor_key ON public.fed_key USING btree (actor_id) WHERE (retired_at IS NULL);

-- owner: delivery. The same for bulk streams
CREATE TABLE "fed_log_bulk" (
	day date NOT NULL,
	stream_id bigint NOT NULL,
	seq bigint NOT NULL,
	ord bigint NOT NULL,
	after_direct bigint NOT NULL,
	after_fanout bigint NOT NULL,
	after_background bigint NOT NULL,
	object_key bigint NOT NULL,
	audience_id bigint,
	extra integer[] NOT NULL,
	activity_id text COLLATE "C" NOT NULL,
	type text NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	object text COLLATE "C" NOT NULL,
	body bytea NOT NULL,
	CONSTRAINT fed_log_bulk_pkey PRIMARY KEY (stream_id, seq, day)
) PARTITION BY RANGE (day);
CREATE INDEX fed_log_bulk_object_idx ON ONLY public.fed_log_bulk USING btree (object_key) WHERE (type <> ALL (ARRAY['Delete'::text, 'Undo'::text]));

-- owner: delivery. Activities of the direct, fanout and background streams, numbered without gaps; an empty body is not sent. A partition a day, kept 7 days
CREATE TABLE "fed_log_live" (
	day date NOT NULL,
	stream_id bigint NOT NULL,
	seq bigint NOT NULL,
	ord bigint NOT NULL,
	after_direct bigint NOT NULL,
	after_fanout bigint NOT NULL,
	after_background bigint NOT NULL,
	object_key bigint NOT NULL,
	audience_id bigint,
	extra integer[] NOT NULL,
	activity_id text COLLATE "C" NOT NULL,
	type text NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	object text COLLATE "C" NOT NULL,
	body bytea NOT NULL,
	CONSTRAINT fed_log_live_pkey PRIMARY KEY (stream_id, seq, day)
) PARTITION BY RANGE (day);
CREATE INDEX fed_log_live_object_idx ON ONLY public.fed_log_live USING btree (object_key) WHERE (type <> ALL (ARRAY['Delete'::text, 'Undo'::text]));

-- owner: delivery. What was deleted (ids alone) and undone (body), kept 90 days: longer than the activities themselves, for servers that were away
CREATE TABLE "fed_log_tomb" (
	day date NOT NULL,
	ord bigint NOT NULL,
	audience_id bigint,
	extra integer[] NOT NULL,
	activity_id text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	object text COLLATE "C" NOT NULL,
	type text NOT NULL DEFAULT 'Delete'::text,
	body bytea,
	CONSTRAINT fed_log_tomb_pkey PRIMARY KEY (ord, day)
) PARTITION BY RANGE (day);

-- owner: delivery. Processes that deliver; lock_key is the session lock that each holds while its connection lives
CREATE TABLE "fed_node" (
	node uuid NOT NULL,
	lock_key integer NOT NULL,
	heartbeat timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT fed_node_pkey PRIMARY KEY (node)
);

-- owner: inbox. Hashes of the ids of activities that have been processed, written in the transaction of their effect; kept 14 days
CREATE TABLE "fed_seen" (
	hash bytea NOT NULL,
	day date NOT NULL,
	CONSTRAINT fed_seen_pkey PRIMARY KEY (hash)
);
CREATE INDEX fed_seen_day_idx ON public.fed_seen USING btree (day);

-- owner: inbox. When an authority last sent something that was kept, to a minute: written with it
CREATE TABLE "fed_sender" (
	host text COLLATE "C" NOT NULL,
	last_at timestamp with time zone NOT NULL,
	CONSTRAINT fed_sender_pkey PRIMARY KEY (host)
) WITH (fillfactor=50);

-- owner: delivery. Which process delivers to the hosts of a shard; epoch grows with every take-over, so that one who lost it writes nothing more
CREATE TABLE "fed_shard" (
	shard smallint NOT NULL,
	node uuid,
	epoch bigint NOT NULL DEFAULT 0,
	lease_until timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
	CONSTRAINT fed_shard_pkey PRIMARY KEY (shard)
) WITH (fillfactor=50);

-- owner: delivery. Activities written in business transactions, emptied by the sequencer
CREATE TABLE "fed_stage" (
	id bigint NOT NULL GENERATED AS IDENTITY,
	stream_id bigint NOT NULL,
	activity_id text COLLATE "C" NOT NULL,
	type text NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	object_key bigint NOT NULL,
	object text COLLATE "C" NOT NULL,
	audience_id bigint,
	extra integer[] NOT NULL DEFAULT '{}'::integer[],
	body bytea NOT NULL,
	CONSTRAINT fed_stage_pkey PRIMARY KEY (id),
	CONSTRAINT fed_stage_stream_id_fkey FOREIGN KEY (stream_id) REFERENCES fed_stream(stream_id)
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=2000);
CREATE INDEX fed_stage_object_idx ON public.fed_stage USING btree (object_key);
CREATE INDEX fed_stage_stream_idx ON public.fed_stage USING btree (stream_id) WHERE (stream_id >= 16);

-- owner: delivery. Logs that are numbered apart. 0 to 3 are one for each class, 4 is of what was deleted and undone, for hosts that were long away: these are never removed. Others belong to one operation (kind, owner_id): closed_at: nothing is added any more; done_at: delivered to all who are there
CREATE TABLE "fed_stream" (
	stream_id bigint NOT NULL,
	class smallint NOT NULL,
	next_seq bigint NOT NULL DEFAULT 1,
	kind text NOT NULL DEFAULT 'lane'::text,
	owner_id text COLLATE "C",
	state text NOT NULL DEFAULT 'running'::text,
	created_at timestamp with time zone NOT NULL DEFAULT now(),
	closed_at timestamp with time zone,
	done_at timestamp with time zone,
	CONSTRAINT fed_stream_pkey PRIMARY KEY (stream_id),
	CONSTRAINT fed_stream_state_check CHECK ((state = ANY (ARRAY['running'::text, 'paused'::text, 'cancelled'::text])))
) WITH (fillfactor=50);
CREATE INDEX fed_stream_open_idx ON public.fed_stream USING btree (stream_id) WHERE (done_at IS NULL);

-- owner: inbox. Hashes of ids that were deleted or undone before they came; kept 7 days
CREATE TABLE "fed_tombstone" (
	hash bytea NOT NULL,
	buried_at timestamp with time zone NOT NULL,
	CONSTRAINT fed_tombstone_pkey PRIMARY KEY (hash)
);
CREATE INDEX fed_tombstone_buried_idx ON public.fed_tombstone USING btree (buried_at);

-- owner: relation. activity_id is the Follow's, echoed by Accept and Reject
CREATE TABLE "follow_request" (
	id text COLLATE "C" NOT NULL,
	follower_id text COLLATE "C" NOT NULL,
	followee_id text COLLATE "C" NOT NULL,
	activity_id text,
	with_replies boolean NOT NULL DEFAULT false,
	CONSTRAINT follow_request_pair_key UNIQUE (follower_id, followee_id),
	CONSTRAINT follow_request_pkey PRIMARY KEY (id),
	CONSTRAINT follow_request_followee_id_fkey FOREIGN KEY (followee_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT follow_request_follower_id_fkey FOREIGN KEY (follower_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX follow_request_followee_idx ON public.follow_request USING btree (followee_id, id DESC);

-- owner: relation. follower_host and followee_host are authorities (actor_host), NULL for accounts of this server
CREATE TABLE "following" (
	id text COLLATE "C" NOT NULL,
	follower_id text COLLATE "C" NOT NULL,
	followee_id text COLLATE "C" NOT NULL,
	follower_host text COLLATE "C",
	followee_host text COLLATE "C",
	notify text,
	with_replies boolean NOT NULL DEFAULT false,
	CONSTRAINT following_pair_key UNIQUE (follower_id, followee_id),
	CONSTRAINT following_pkey PRIMARY KEY (id),
	CONSTRAINT following_followee_id_fkey FOREIGN KEY (followee_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT following_follower_id_fkey FOREIGN KEY (follower_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT following_not_self CHECK ((follower_id <> followee_id)),
	CONSTRAINT following_notify_check CHECK ((notify = 'normal'::text))
);
CREATE INDEX following_followee_host_idx ON public.following USING btree (followee_host, id DESC) WHERE (followee_host IS NOT NULL);
CREATE INDEX following_followee_idx ON public.following USING btree (followee_id, id DESC);
CREATE INDEX following_follower_host_idx ON public.following USING btree (follower_host, id DESC) WHERE (follower_host IS NOT NULL);
CREATE INDEX following_follower_idx ON public.following USING btree (follower_id, id DESC);
CREATE INDEX following_notify_idx ON public.following USING btree (followee_id) WHERE (notify = 'normal'::text);
CREATE INDEX following_remote_idx ON public.following USING btree (followee_id, follower_id) WHERE (follower_host IS NOT NULL);

-- owner: hashtag. How many accounts use a hashtag: in notes, and on themselves
CREATE TABLE "hashtag" (
	name text COLLATE "C" NOT NULL,
	mentioned_local integer NOT NULL DEFAULT 0,
	mentioned_remote integer NOT NULL DEFAULT 0,
	attached_local integer NOT NULL DEFAULT 0,
	attached_remote integer NOT NULL DEFAULT 0,
	CONSTRAINT hashtag_pkey PRIMARY KEY (name)
);

-- owner: hashtag. Who used a hashtag in ten minutes, of the last hours: what trends is made of
CREATE TABLE "hashtag_use" (
	bucket timestamp with time zone NOT NULL,
	name text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	CONSTRAINT hashtag_use_pkey PRIMARY KEY (bucket, name, user_id),
	CONSTRAINT hashtag_use_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX hashtag_use_user_idx ON public.hashtag_use USING btree (user_id);

-- owner: hashtag. Who uses a hashtag, each counted once
CREATE TABLE "hashtag_user" (
	name text COLLATE "C" NOT NULL,
	attached boolean NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	is_local boolean NOT NULL,
	CONSTRAINT hashtag_user_pkey PRIMARY KEY (name, attached, user_id),
	CONSTRAINT hashtag_user_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX hashtag_user_user_idx ON public.hashtag_user USING btree (user_id, attached);

-- owner: instance. Other servers, by authority
CREATE TABLE "instance" (
	id text COLLATE "C" NOT NULL,
	host text COLLATE "C" NOT NULL,
	first_retrieved_at timestamp with time zone NOT NULL DEFAULT now(),
	info_updated_at timestamp with time zone,
	software_name text,
	software_version text,
	name text,
	description text,
	maintainer_name text,
	maintainer_email text,
	icon_url text,
	favicon_url text,
	theme_color text,
	open_registrations boolean,
	is_silenced boolean NOT NULL DEFAULT false,
	moderation_note text NOT NULL DEFAULT ''::text,
	asked_at timestamp with time zone,
	CONSTRAINT instance_host_key UNIQUE (host),
	CONSTRAINT instance_pkey PRIMARY KEY (id)
);
CREATE INDEX instance_reverse_idx ON public.instance USING btree (reverse(host));

-- owner: instance. What is known here of each authority, folded from the change log: accounts that are not deleted, notes, follows of ours by its accounts (following) and of its accounts by ours (followers)
CREATE TABLE "instance_stat" (
	host text COLLATE "C" NOT NULL,
	users_count integer NOT NULL DEFAULT 0,
	notes_count integer NOT NULL DEFAULT 0,
	following_count integer NOT NULL DEFAULT 0,
	followers_count integer NOT NULL DEFAULT 0,
	CONSTRAINT instance_stat_pkey PRIMARY KEY (host)
) WITH (fillfactor=50);

-- owner: letter. Whom a letter will tell of notifications from since on, when it is due, and when the last one was sent
CREATE TABLE "letter_due" (
	user_id text COLLATE "C" NOT NULL,
	since text COLLATE "C" NOT NULL,
	due_at timestamp with time zone,
	sent_at timestamp with time zone,
	CONSTRAINT letter_due_pkey PRIMARY KEY (user_id),
	CONSTRAINT letter_due_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX letter_due_idx ON public.letter_due USING btree (due_at) WHERE (due_at IS NOT NULL);

-- owner: letter. Announcements that are being written to accounts, and the account that was last
CREATE TABLE "letter_news" (
	announcement_id text COLLATE "C" NOT NULL,
	after_id text COLLATE "C" NOT NULL DEFAULT ''::text,
	CONSTRAINT letter_news_pkey PRIMARY KEY (announcement_id),
	CONSTRAINT letter_news_announcement_id_fkey FOREIGN KEY (announcement_id) REFERENCES announcement(id) ON DELETE CASCADE
);

-- owner: preview. What is shown beside links, for a while; key: of the address and the reader's language. summary: NULL where none could be made
CREATE TABLE "link_preview" (
	key bytea NOT NULL,
	summary jsonb,
	until timestamp with time zone NOT NULL,
	CONSTRAINT link_preview_pkey PRIMARY KEY (key)
);
CREATE INDEX link_preview_until_idx ON public.link_preview USING btree (until);

-- owner: log. How far each durable consumer has come
CREATE TABLE "log_cursor" (
	name text NOT NULL,
	seq bigint NOT NULL,
	moved_at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT log_cursor_pkey PRIMARY KEY (name)
) WITH (fillfactor=50);

-- owner: log
CREATE TABLE "log_head" (
	name text NOT NULL,
	next_seq bigint NOT NULL,
	CONSTRAINT log_head_pkey PRIMARY KEY (name)
);

-- owner: meta. Settings that administrators change while the server runs
CREATE TABLE "meta" (
	one boolean NOT NULL DEFAULT true,
	settings jsonb NOT NULL DEFAULT '{}'::jsonb,
	updated_at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT meta_pkey PRIMARY KEY (one),
	CONSTRAINT meta_one_check CHECK (one)
);

-- owner: moderation. What moderators did, and whose private data they looked at. What the operator did is the server's own account's
CREATE TABLE "moderation_log" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	type text NOT NULL,
	info jsonb NOT NULL,
	CONSTRAINT moderation_log_pkey PRIMARY KEY (id),
	CONSTRAINT moderation_log_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX moderation_log_type_idx ON public.moderation_log USING btree (type, id DESC);
CREATE INDEX moderation_log_user_idx ON public.moderation_log USING btree (user_id, id DESC);

-- owner: moderation. One row: when moderators were last warned that none of them has been here for long
CREATE TABLE "moderator_watch" (
	one boolean NOT NULL DEFAULT true,
	warned_at timestamp with time zone,
	CONSTRAINT moderator_watch_pkey PRIMARY KEY (one),
	CONSTRAINT moderator_watch_one_check CHECK (one)
);

-- owner: relation. A row past expires_at counts for nothing
CREATE TABLE "muting" (
	id text COLLATE "C" NOT NULL,
	muter_id text COLLATE "C" NOT NULL,
	mutee_id text COLLATE "C" NOT NULL,
	expires_at timestamp with time zone,
	CONSTRAINT muting_pair_key UNIQUE (muter_id, mutee_id),
	CONSTRAINT muting_pkey PRIMARY KEY (id),
	CONSTRAINT muting_mutee_id_fkey FOREIGN KEY (mutee_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT muting_muter_id_fkey FOREIGN KEY (muter_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX muting_mutee_idx ON public.muting USING btree (mutee_id);

-- owner: meta. Running processes; the slot is the node part of ids
CREATE TABLE "node" (
	slot integer NOT NULL,
	boot uuid NOT NULL,
	lease_until timestamp with time zone NOT NULL,
	CONSTRAINT node_pkey PRIMARY KEY (slot)
);

-- owner: note. Changes by edits only; what changes often is in note_stat. reply_id and renote_id may name notes that are gone
CREATE TABLE "note" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	user_host text COLLATE "C",
	text text,
	cw text,
	visibility text NOT NULL,
	local_only boolean NOT NULL DEFAULT false,
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
	file_ids text[] COLLATE "C" NOT NULL DEFAULT '{}'::text[],
	visible_user_ids text[] COLLATE "C" NOT NULL DEFAULT '{}'::text[],
	mentions text[] COLLATE "C" NOT NULL DEFAULT '{}'::text[],
	emojis text[] NOT NULL DEFAULT '{}'::text[],
	tags text[] NOT NULL DEFAULT '{}'::text[],
	has_poll boolean NOT NULL DEFAULT false,
	is_pure_renote boolean NOT NULL GENERATED ALWAYS AS ((renote_id IS NOT NULL) AND (text IS NULL) AND (cw IS NULL) AND (reply_id IS NULL) AND (NOT has_poll) AND (file_ids = '{}'::text[])) STORED,
	updated_at timestamp with time zone,
	audience_id bigint,
	audience_extra integer[],
	CONSTRAINT note_uri_key UNIQUE (uri),
	CONSTRAINT note_pkey PRIMARY KEY (id),
	CONSTRAINT note_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT note_not_own_reply CHECK (((reply_id <> id) AND (renote_id <> id))),
	CONSTRAINT note_visibility_check CHECK ((visibility = ANY (ARRAY['public'::text, 'home'::text, 'followers'::text, 'specified'::text])))
);
CREATE INDEX note_channel_idx ON public.note USING btree (channel_id, id DESC) WHERE (channel_id IS NOT NULL);
CREATE INDEX note_files_idx ON public.note USING gin (file_ids) WHERE (file_ids <> '{}'::text[]);
CREATE INDEX note_local_idx ON public.note USING btree (id DESC) WHERE ((user_host IS NULL) AND (visibility = 'public'::text) AND (channel_id IS NULL));
CREATE INDEX note_mentions_idx ON public.note USING gin (mentions) WHERE (mentions <> '{}'::text[]);
CREATE INDEX note_public_idx ON public.note USING btree (id DESC) WHERE ((visibility = 'public'::text) AND (channel_id IS NULL));
CREATE INDEX note_renote_idx ON public.note USING btree (renote_id, id DESC) WHERE (renote_id IS NOT NULL);
CREATE INDEX note_reply_idx ON public.note USING btree (reply_id, id DESC) WHERE (reply_id IS NOT NULL);
CREATE INDEX note_tags_idx ON public.note USING gin (tags) WHERE (tags <> '{}'::text[]);
CREATE INDEX note_user_idx ON public.note USING btree (user_id, id DESC);
CREATE INDEX note_visible_users_idx ON public.note USING gin (visible_user_ids) WHERE (visible_user_ids <> '{}'::text[]);

-- owner: draft. Notes that are not posted yet; those that are scheduled post themselves
CREATE TABLE "note_draft" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	text text,
	cw text,
	visibility text NOT NULL,
	visible_user_ids text[] COLLATE "C" NOT NULL DEFAULT '{}'::text[],
	local_only boolean NOT NULL DEFAULT false,
	reaction_acceptance text,
	hashtag text,
	reply_id text COLLATE "C",
	renote_id text COLLATE "C",
	channel_id text COLLATE "C",
	file_ids text[] COLLATE "C" NOT NULL DEFAULT '{}'::text[],
	poll jsonb,
	scheduled_at timestamp with time zone,
	is_scheduled boolean NOT NULL DEFAULT false,
	CONSTRAINT note_draft_pkey PRIMARY KEY (id),
	CONSTRAINT note_draft_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT note_draft_scheduled_check CHECK (((NOT is_scheduled) OR (scheduled_at IS NOT NULL))),
	CONSTRAINT note_draft_visibility_check CHECK ((visibility = ANY (ARRAY['public'::text, 'home'::text, 'followers'::text, 'specified'::text])))
);
CREATE INDEX note_draft_user_idx ON public.note_draft USING btree (user_id, id DESC);

-- owner: note. How a note was before it was edited; editor_id ended that version. Seen by those who may see the note now
CREATE TABLE "note_edit" (
	id bigint NOT NULL GENERATED AS IDENTITY,
	note_id text COLLATE "C" NOT NULL,
	text text,
	cw text,
	visibility text NOT NULL,
	written_at timestamp with time zone NOT NULL,
	editor_id text COLLATE "C",
	CONSTRAINT note_edit_pkey PRIMARY KEY (id),
	CONSTRAINT note_edit_editor_id_fkey FOREIGN KEY (editor_id) REFERENCES "user"(id) ON DELETE SET NULL,
	CONSTRAINT note_edit_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE
);
CREATE INDEX note_edit_editor_idx ON public.note_edit USING btree (editor_id);
CREATE INDEX note_edit_note_idx ON public.note_edit USING btree (note_id, id);

-- owner: note
CREATE TABLE "note_favorite" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	CONSTRAINT note_favorite_key UNIQUE (user_id, note_id),
	CONSTRAINT note_favorite_pkey PRIMARY KEY (id),
	CONSTRAINT note_favorite_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE,
	CONSTRAINT note_favorite_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX note_favorite_note_idx ON public.note_favorite USING btree (note_id);
CREATE INDEX note_favorite_user_idx ON public.note_favorite USING btree (user_id, id DESC);

-- owner: note. Endpoints outside the audience that are known to hold a public or home note
CREATE TABLE "note_holder" (
	note_id text COLLATE "C" NOT NULL,
	endpoint_id integer NOT NULL,
	CONSTRAINT note_holder_pkey PRIMARY KEY (note_id, endpoint_id),
	CONSTRAINT note_holder_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE
);

-- owner: reaction. uri is the Like's, of a remote user
CREATE TABLE "note_reaction" (
	id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	reaction text NOT NULL,
	uri text COLLATE "C",
	CONSTRAINT note_reaction_key UNIQUE (user_id, note_id),
	CONSTRAINT note_reaction_pkey PRIMARY KEY (id),
	CONSTRAINT note_reaction_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE,
	CONSTRAINT note_reaction_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX note_reaction_note_idx ON public.note_reaction USING btree (note_id, id DESC);
CREATE INDEX note_reaction_uri_idx ON public.note_reaction USING btree (uri) WHERE (uri IS NOT NULL);

-- owner: note. Counts of a note; reaction_pairs are the first 16 as user/reaction
CREATE TABLE "note_stat" (
	note_id text COLLATE "C" NOT NULL,
	renote_count integer NOT NULL DEFAULT 0,
	replies_count integer NOT NULL DEFAULT 0,
	clipped_count integer NOT NULL DEFAULT 0,
	reactions jsonb NOT NULL DEFAULT '{}'::jsonb,
	reaction_pairs text[] NOT NULL DEFAULT '{}'::text[],
	CONSTRAINT note_stat_pkey PRIMARY KEY (note_id),
	CONSTRAINT note_stat_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE
) WITH (fillfactor=70);

-- owner: note
CREATE TABLE "note_thread_muting" (
	user_id text COLLATE "C" NOT NULL,
	thread_id text COLLATE "C" NOT NULL,
	CONSTRAINT note_thread_muting_pkey PRIMARY KEY (user_id, thread_id),
	CONSTRAINT note_thread_muting_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);

-- owner: notification. data: reaction, choice and the like
CREATE TABLE "notification" (
	id text COLLATE "C" NOT NULL,
	notifiee_id text COLLATE "C" NOT NULL,
	type text NOT NULL,
	notifier_id text COLLATE "C",
	note_id text COLLATE "C",
	data jsonb NOT NULL DEFAULT '{}'::jsonb,
	CONSTRAINT notification_pkey PRIMARY KEY (id),
	CONSTRAINT notification_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE,
	CONSTRAINT notification_notifiee_id_fkey FOREIGN KEY (notifiee_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT notification_notifier_id_fkey FOREIGN KEY (notifier_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX notification_note_idx ON public.notification USING btree (note_id) WHERE (note_id IS NOT NULL);
CREATE INDEX notification_notifiee_idx ON public.notification USING btree (notifiee_id, id DESC);
CREATE INDEX notification_notifier_idx ON public.notification USING btree (notifier_id) WHERE (notifier_id IS NOT NULL);

-- owner: notification. All up to last_id is read
CREATE TABLE "notification_read" (
	user_id text COLLATE "C" NOT NULL,
	last_id text COLLATE "C" NOT NULL,
	CONSTRAINT notification_read_pkey PRIMARY KEY (user_id),
	CONSTRAINT notification_read_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);

-- owner: auth. What a person allowed an OAuth client; kept for a day, so that a code that comes again takes back what it gave
CREATE TABLE "oauth_code" (
	code_hash bytea NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	client_id text COLLATE "C" NOT NULL,
	redirect_uri text COLLATE "C" NOT NULL,
	challenge text COLLATE "C" NOT NULL,
	permission text[] NOT NULL,
	name text NOT NULL,
	icon_url text,
	expires_at timestamp with time zone NOT NULL,
	used boolean NOT NULL DEFAULT false,
	token_id text COLLATE "C",
	CONSTRAINT oauth_code_pkey PRIMARY KEY (code_hash),
	CONSTRAINT oauth_code_token_id_fkey FOREIGN KEY (token_id) REFERENCES access_token(id) ON DELETE SET NULL,
	CONSTRAINT oauth_code_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX oauth_code_expires_idx ON public.oauth_code USING btree (expires_at);
CREATE INDEX oauth_code_token_idx ON public.oauth_code USING btree (token_id) WHERE (token_id IS NOT NULL);
CREATE INDEX oauth_code_user_idx ON public.oauth_code USING btree (user_id);

-- owner: auth. Passwords that somebody who has the mail may set anew, once
CREATE TABLE "password_reset" (
	token_hash bytea NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	expires_at timestamp with time zone NOT NULL,
	CONSTRAINT password_reset_pkey PRIMARY KEY (token_hash),
	CONSTRAINT password_reset_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX password_reset_user_idx ON public.password_reset USING btree (user_id);

-- owner: note. ended: its end has been told; unsent: votes have come since the tallies were last sent out
CREATE TABLE "poll" (
	note_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	user_host text COLLATE "C",
	multiple boolean NOT NULL,
	choices text[] NOT NULL,
	votes integer[] NOT NULL,
	expires_at timestamp with time zone,
	ended boolean NOT NULL DEFAULT false,
	unsent boolean NOT NULL DEFAULT false,
	checked_at timestamp with time zone,
	CONSTRAINT poll_pkey PRIMARY KEY (note_id),
	CONSTRAINT poll_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE
);
CREATE INDEX poll_due_idx ON public.poll USING btree (expires_at) WHERE ((NOT ended) AND (expires_at IS NOT NULL));
CREATE INDEX poll_unsent_idx ON public.poll USING btree (note_id) WHERE unsent;

-- owner: note
CREATE TABLE "poll_vote" (
	id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	choice integer NOT NULL,
	CONSTRAINT poll_vote_key UNIQUE (user_id, note_id, choice),
	CONSTRAINT poll_vote_pkey PRIMARY KEY (id),
	CONSTRAINT poll_vote_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE,
	CONSTRAINT poll_vote_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX poll_vote_note_idx ON public.poll_vote USING btree (note_id);

-- owner: meta. The key by which push services know this server (RFC 8292)
CREATE TABLE "push_key" (
	one boolean NOT NULL DEFAULT true,
	public text NOT NULL,
	private_enc bytea NOT NULL,
	CONSTRAINT push_key_pkey PRIMARY KEY (one),
	CONSTRAINT push_key_one_check CHECK (one)
);

-- owner: doctor. Rows of the table "kind" that have become part of others: links and clients that remember the old id find the new one
CREATE TABLE "redirect" (
	kind text NOT NULL,
	old_id text COLLATE "C" NOT NULL,
	new_id text COLLATE "C" NOT NULL,
	CONSTRAINT redirect_pkey PRIMARY KEY (kind, old_id)
);

-- owner: auth. Invitations. pending_id holds one for a sign-up under way; one that is spent is never good again, whatever becomes of the account
CREATE TABLE "registration_ticket" (
	id text COLLATE "C" NOT NULL,
	code text COLLATE "C" NOT NULL,
	created_by_id text COLLATE "C",
	expires_at timestamp with time zone,
	pending_id text COLLATE "C",
	used_by_id text COLLATE "C",
	used_at timestamp with time zone,
	spent boolean NOT NULL DEFAULT false,
	CONSTRAINT registration_ticket_code_key UNIQUE (code),
	CONSTRAINT registration_ticket_pkey PRIMARY KEY (id),
	CONSTRAINT registration_ticket_created_by_id_fkey FOREIGN KEY (created_by_id) REFERENCES "user"(id) ON DELETE SET NULL,
	CONSTRAINT registration_ticket_used_by_id_fkey FOREIGN KEY (used_by_id) REFERENCES "user"(id) ON DELETE SET NULL
);
CREATE INDEX registration_ticket_by_idx ON public.registration_ticket USING btree (created_by_id, id);
CREATE INDEX registration_ticket_pending_idx ON public.registration_ticket USING btree (pending_id) WHERE (pending_id IS NOT NULL);
CREATE INDEX registration_ticket_used_by_idx ON public.registration_ticket USING btree (used_by_id) WHERE (used_by_id IS NOT NULL);

-- owner: profile. What clients keep for an account; domain is the access token of an app, null for Misskey's own clients
CREATE TABLE "registry_item" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	domain text COLLATE "C",
	scope text[] NOT NULL,
	key text COLLATE "C" NOT NULL,
	value jsonb NOT NULL,
	updated_at timestamp with time zone NOT NULL,
	CONSTRAINT registry_item_key UNIQUE NULLS NOT DISTINCT (user_id, domain, scope, key),
	CONSTRAINT registry_item_pkey PRIMARY KEY (id),
	CONSTRAINT registry_item_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);

-- owner: relation
CREATE TABLE "renote_muting" (
	id text COLLATE "C" NOT NULL,
	muter_id text COLLATE "C" NOT NULL,
	mutee_id text COLLATE "C" NOT NULL,
	CONSTRAINT renote_muting_pair_key UNIQUE (muter_id, mutee_id),
	CONSTRAINT renote_muting_pkey PRIMARY KEY (id),
	CONSTRAINT renote_muting_mutee_id_fkey FOREIGN KEY (mutee_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT renote_muting_muter_id_fkey FOREIGN KEY (muter_id) REFERENCES "user"(id) ON DELETE CASCADE
);

-- owner: moderation. Who is told of reports: moderators by mail, addresses of the server by webhook
CREATE TABLE "report_recipient" (
	id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	method text NOT NULL,
	user_id text COLLATE "C",
	webhook_id text COLLATE "C",
	active boolean NOT NULL DEFAULT true,
	updated_at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT report_recipient_pkey PRIMARY KEY (id),
	CONSTRAINT report_recipient_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT report_recipient_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES system_webhook(id) ON DELETE CASCADE,
	CONSTRAINT report_recipient_method_check CHECK ((((method = 'email'::text) AND (user_id IS NOT NULL) AND (webhook_id IS NULL)) OR ((method = 'webhook'::text) AND (webhook_id IS NOT NULL) AND (user_id IS NULL))))
);
CREATE INDEX report_recipient_user_idx ON public.report_recipient USING btree (user_id) WHERE (user_id IS NOT NULL);
CREATE INDEX report_recipient_webhook_idx ON public.report_recipient USING btree (webhook_id) WHERE (webhook_id IS NOT NULL);

-- owner: retention. The pass over what other servers' accounts wrote that is under way, or the last: by what days, up to where, and what stayed why. Notes are looked at from before_id down to at_id, files from at_id up to before_id. Whoever works at it holds the row for one batch
CREATE TABLE "retention" (
	one boolean NOT NULL DEFAULT true,
	phase text NOT NULL DEFAULT 'idle'::text,
	notes_days integer,
	files_days integer,
	before_id text COLLATE "C" NOT NULL DEFAULT ''::text,
	at_id text COLLATE "C" NOT NULL DEFAULT ''::text,
	due_at timestamp with time zone NOT NULL DEFAULT now(),
	started_at timestamp with time zone,
	finished_at timestamp with time zone,
	notes_removed bigint NOT NULL DEFAULT 0,
	files_removed bigint NOT NULL DEFAULT 0,
	kept jsonb NOT NULL DEFAULT '{}'::jsonb,
	last_error text NOT NULL DEFAULT ''::text,
	CONSTRAINT retention_pkey PRIMARY KEY (one),
	CONSTRAINT retention_one_check CHECK (one),
	CONSTRAINT retention_phase_check CHECK ((phase = ANY (ARRAY['idle'::text, 'notes'::text, 'files'::text])))
);

-- owner: stats. Accounts that were made here on a day (UTC), and how many of them came on each later one: data is {"2026-1-31": n}
CREATE TABLE "retention_cohort" (
	day date NOT NULL,
	users integer NOT NULL,
	data jsonb NOT NULL DEFAULT '{}'::jsonb,
	CONSTRAINT retention_cohort_pkey PRIMARY KEY (day)
);

-- owner: game. Games of reversi. black, turn, winner, surrendered, timed_out: which of the two players, 1 or 2; due_at: when a game for which both are ready begins; turn_at: since when it has been whose turn it is; time_limit: seconds a turn; crc32: of the board as it stands
CREATE TABLE "reversi_game" (
	id text COLLATE "C" NOT NULL,
	user1_id text COLLATE "C" NOT NULL,
	user2_id text COLLATE "C" NOT NULL,
	created_at timestamp with time zone NOT NULL,
	user1_ready boolean NOT NULL DEFAULT false,
	user2_ready boolean NOT NULL DEFAULT false,
	due_at timestamp with time zone,
	started_at timestamp with time zone,
	ended_at timestamp with time zone,
	black smallint,
	turn smallint,
	turn_at timestamp with time zone,
	winner smallint,
	surrendered smallint,
	timed_out smallint,
	map text[] NOT NULL,
	bw text NOT NULL DEFAULT 'random'::text,
	time_limit integer NOT NULL DEFAULT 90,
	no_irregular_rules boolean NOT NULL,
	is_llotheo boolean NOT NULL DEFAULT false,
	can_put_everywhere boolean NOT NULL DEFAULT false,
	looped_board boolean NOT NULL DEFAULT false,
	crc32 integer,
	CONSTRAINT reversi_game_pkey PRIMARY KEY (id),
	CONSTRAINT reversi_game_user1_id_fkey FOREIGN KEY (user1_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT reversi_game_user2_id_fkey FOREIGN KEY (user2_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT reversi_game_black_check CHECK ((black = ANY (ARRAY[1, 2]))),
	CONSTRAINT reversi_game_bw_check CHECK ((bw = ANY (ARRAY['random'::text, '1'::text, '2'::text]))),
	CONSTRAINT reversi_game_surrendered_check CHECK ((surrendered = ANY (ARRAY[1, 2]))),
	CONSTRAINT reversi_game_timed_out_check CHECK ((timed_out = ANY (ARRAY[1, 2]))),
	CONSTRAINT reversi_game_turn_check CHECK ((turn = ANY (ARRAY[1, 2]))),
	CONSTRAINT reversi_game_winner_check CHECK ((winner = ANY (ARRAY[1, 2])))
);
CREATE INDEX reversi_game_due_idx ON public.reversi_game USING btree (due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX reversi_game_turn_idx ON public.reversi_game USING btree (turn_at) WHERE ((started_at IS NOT NULL) AND (ended_at IS NULL));
CREATE INDEX reversi_game_user1_idx ON public.reversi_game USING btree (user1_id, id DESC);
CREATE INDEX reversi_game_user2_idx ON public.reversi_game USING btree (user2_id, id DESC);
CREATE INDEX reversi_game_waiting_idx ON public.reversi_game USING btree (created_at) WHERE ((started_at IS NULL) AND (ended_at IS NULL));

-- owner: game. Who wants to play with whom, as long as his client says so
CREATE TABLE "reversi_invitation" (
	from_id text COLLATE "C" NOT NULL,
	to_id text COLLATE "C" NOT NULL,
	expires_at timestamp with time zone NOT NULL,
	CONSTRAINT reversi_invitation_pkey PRIMARY KEY (to_id, from_id),
	CONSTRAINT reversi_invitation_from_id_fkey FOREIGN KEY (from_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT reversi_invitation_to_id_fkey FOREIGN KEY (to_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX reversi_invitation_from_idx ON public.reversi_invitation USING btree (from_id);

-- owner: game. The stones that were put in a game, in their order; each is written under the lock of its game
CREATE TABLE "reversi_move" (
	game_id text COLLATE "C" NOT NULL,
	number integer NOT NULL,
	at timestamp with time zone NOT NULL,
	black boolean NOT NULL,
	pos integer NOT NULL,
	CONSTRAINT reversi_move_pkey PRIMARY KEY (game_id, number),
	CONSTRAINT reversi_move_game_id_fkey FOREIGN KEY (game_id) REFERENCES reversi_game(id) ON DELETE CASCADE
);

-- owner: game. Who wants to play with anybody, as long as his client says so
CREATE TABLE "reversi_waiting" (
	user_id text COLLATE "C" NOT NULL,
	no_irregular_rules boolean NOT NULL,
	since timestamp with time zone NOT NULL,
	expires_at timestamp with time zone NOT NULL,
	CONSTRAINT reversi_waiting_pkey PRIMARY KEY (user_id),
	CONSTRAINT reversi_waiting_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);

-- owner: role. policies: name → value, priority, useDefault
CREATE TABLE "role" (
	id text COLLATE "C" NOT NULL,
	updated_at timestamp with time zone NOT NULL,
	name text NOT NULL,
	description text NOT NULL,
	color text,
	icon_url text,
	target text NOT NULL,
	cond_formula jsonb NOT NULL,
	is_public boolean NOT NULL,
	is_moderator boolean NOT NULL,
	is_administrator boolean NOT NULL,
	is_explorable boolean NOT NULL,
	as_badge boolean NOT NULL,
	preserve_on_move boolean NOT NULL DEFAULT false,
	can_edit_members_by_moderator boolean NOT NULL,
	display_order integer NOT NULL,
	policies jsonb NOT NULL,
	CONSTRAINT role_pkey PRIMARY KEY (id),
	CONSTRAINT role_target_check CHECK ((target = ANY (ARRAY['manual'::text, 'conditional'::text])))
);

-- owner: role. A row past expires_at counts for nothing
CREATE TABLE "role_assignment" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	role_id text COLLATE "C" NOT NULL,
	expires_at timestamp with time zone,
	CONSTRAINT role_assignment_key UNIQUE (user_id, role_id),
	CONSTRAINT role_assignment_pkey PRIMARY KEY (id),
	CONSTRAINT role_assignment_role_id_fkey FOREIGN KEY (role_id) REFERENCES role(id) ON DELETE CASCADE,
	CONSTRAINT role_assignment_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX role_assignment_expiry_idx ON public.role_assignment USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX role_assignment_role_idx ON public.role_assignment USING btree (role_id, id DESC);

-- owner: search. The index of every process that has one: how far it is, how large, and what an operator asks of it
CREATE TABLE "search_node" (
	name text NOT NULL,
	driver text NOT NULL,
	state text NOT NULL DEFAULT 'starting'::text,
	done bigint NOT NULL DEFAULT 0,
	total bigint NOT NULL DEFAULT 0,
	seq bigint NOT NULL DEFAULT 0,
	stats jsonb NOT NULL DEFAULT '{}'::jsonb,
	error text NOT NULL DEFAULT ''::text,
	wanted text NOT NULL DEFAULT ''::text,
	wanted_at timestamp with time zone,
	updated_at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT search_node_pkey PRIMARY KEY (name),
	CONSTRAINT search_node_wanted_check CHECK ((wanted = ANY (ARRAY[''::text, 'reindex'::text, 'verify'::text, 'optimize'::text])))
);

-- owner: auth. Passkeys and security keys; id is the credential's in base64url, credential_enc its record, sealed
CREATE TABLE "security_key" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	credential_enc bytea NOT NULL,
	last_used_at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT security_key_pkey PRIMARY KEY (id),
	CONSTRAINT security_key_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX security_key_user_idx ON public.security_key USING btree (user_id);

-- owner: meta. What is decided once, at the first start
CREATE TABLE "server" (
	one boolean NOT NULL DEFAULT true,
	id_method text NOT NULL,
	secret_fingerprint text NOT NULL,
	origin text NOT NULL,
	created_at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT server_pkey PRIMARY KEY (one),
	CONSTRAINT server_one_check CHECK (one)
);

-- owner: auth. Sign-ins, good and failed; no request headers
CREATE TABLE "signin" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	ip text NOT NULL,
	success boolean NOT NULL,
	network text,
	CONSTRAINT signin_pkey PRIMARY KEY (id),
	CONSTRAINT signin_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX signin_user_idx ON public.signin USING btree (user_id, id DESC);

-- owner: auth. Accounts that do not exist yet: they wait for the mail's code or for a moderator. Address and reason are sealed
CREATE TABLE "signup_pending" (
	id text COLLATE "C" NOT NULL,
	username text NOT NULL,
	username_lower text COLLATE "C" NOT NULL,
	password_hash text NOT NULL,
	email_enc bytea,
	reason_enc bytea,
	lang text NOT NULL,
	waits_for text NOT NULL,
	code_hash bytea,
	expires_at timestamp with time zone,
	CONSTRAINT signup_pending_code_hash_key UNIQUE (code_hash),
	CONSTRAINT signup_pending_pkey PRIMARY KEY (id),
	CONSTRAINT signup_pending_waits_for_check CHECK ((waits_for = ANY (ARRAY['mail'::text, 'approval'::text])))
);
CREATE UNIQUE INDEX signup_pending_name_key ON public.signup_pending USING btree (username_lower) WHERE (waits_for = 'approval'::text);

-- owner: moderation. The Delete by which other servers were told that an account here is suspended, until it is undone
CREATE TABLE "suspension" (
	user_id text COLLATE "C" NOT NULL,
	activity_id text NOT NULL,
	CONSTRAINT suspension_pkey PRIMARY KEY (user_id),
	CONSTRAINT suspension_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);

-- owner: push. Browsers and devices that want to be told of notifications
CREATE TABLE "sw_subscription" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	endpoint text NOT NULL,
	auth text NOT NULL,
	public_key text NOT NULL,
	send_read_message boolean NOT NULL DEFAULT false,
	CONSTRAINT sw_subscription_endpoint_key UNIQUE (user_id, endpoint),
	CONSTRAINT sw_subscription_pkey PRIMARY KEY (id),
	CONSTRAINT sw_subscription_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX sw_subscription_endpoint_idx ON public.sw_subscription USING btree (endpoint);

-- owner: webhook. Addresses that whoever looks after the server wants to be told at what happens to the server
CREATE TABLE "system_webhook" (
	id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	events text[] NOT NULL,
	url text NOT NULL,
	secret_enc bytea NOT NULL,
	active boolean NOT NULL DEFAULT true,
	updated_at timestamp with time zone NOT NULL DEFAULT now(),
	latest_sent_at timestamp with time zone,
	latest_status integer,
	CONSTRAINT system_webhook_pkey PRIMARY KEY (id)
);

-- owner: transfer. What people carry out into files (file_id once it is written) and in from them (file_id). position: how far a file was taken in, in bytes or entries; each line is carried out in the transaction that moves it; tries: since it last moved; stream_id: of the deliveries it makes; remarks: the first of what was left out, and why. Forgotten a month after the end
CREATE TABLE "transfer" (
	id text COLLATE "C" NOT NULL,
	way text NOT NULL,
	what text NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	file_id text COLLATE "C",
	options jsonb NOT NULL DEFAULT '{}'::jsonb,
	asked_at timestamp with time zone NOT NULL DEFAULT now(),
	due_at timestamp with time zone NOT NULL DEFAULT now(),
	finished_at timestamp with time zone,
	tries integer NOT NULL DEFAULT 0,
	"position" bigint NOT NULL DEFAULT 0,
	stream_id bigint,
	added integer NOT NULL DEFAULT 0,
	same integer NOT NULL DEFAULT 0,
	passed integer NOT NULL DEFAULT 0,
	remarks jsonb NOT NULL DEFAULT '[]'::jsonb,
	CONSTRAINT transfer_pkey PRIMARY KEY (id),
	CONSTRAINT transfer_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT transfer_way_check CHECK ((way = ANY (ARRAY['import'::text, 'export'::text])))
);
CREATE INDEX transfer_due_idx ON public.transfer USING btree (due_at) WHERE (finished_at IS NULL);

-- owner: auth. Names are never given out twice
CREATE TABLE "used_username" (
	username_lower text COLLATE "C" NOT NULL,
	at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT used_username_pkey PRIMARY KEY (username_lower)
);

-- owner: user. Accounts. host is the acct's, actor_host the uri's; both NULL for accounts of this server
CREATE TABLE "user" (
	id text COLLATE "C" NOT NULL,
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
	avatar_decorations jsonb NOT NULL DEFAULT '[]'::jsonb,
	emojis text[] NOT NULL DEFAULT '{}'::text[],
	tags text[] NOT NULL DEFAULT '{}'::text[],
	is_root boolean NOT NULL DEFAULT false,
	is_bot boolean NOT NULL DEFAULT false,
	is_cat boolean NOT NULL DEFAULT false,
	is_locked boolean NOT NULL DEFAULT false,
	is_explorable boolean NOT NULL DEFAULT true,
	is_suspended boolean NOT NULL DEFAULT false,
	is_deleted boolean NOT NULL DEFAULT false,
	is_system boolean NOT NULL DEFAULT false,
	hide_online_status boolean NOT NULL DEFAULT false,
	moved_to_uri text,
	moved_at timestamp with time zone,
	also_known_as text[],
	updated_at timestamp with time zone,
	last_fetched_at timestamp with time zone,
	require_signin boolean NOT NULL DEFAULT false,
	followers_only_before bigint,
	hidden_before bigint,
	is_guarded boolean GENERATED ALWAYS AS (require_signin OR (followers_only_before IS NOT NULL) OR (hidden_before IS NOT NULL)) STORED,
	is_indexable boolean NOT NULL DEFAULT true,
	CONSTRAINT user_uri_key UNIQUE (uri),
	CONSTRAINT user_username_lower_host_key UNIQUE NULLS NOT DISTINCT (username_lower, host),
	CONSTRAINT user_pkey PRIMARY KEY (id),
	CONSTRAINT user_remote_has_actor_host CHECK (((host IS NULL) = (actor_host IS NULL))),
	CONSTRAINT user_remote_has_uri CHECK (((host IS NULL) = (uri IS NULL)))
);
CREATE INDEX user_actor_host_idx ON public."user" USING btree (actor_host, id DESC) WHERE (actor_host IS NOT NULL);
CREATE INDEX user_guarded_idx ON public."user" USING btree (id) WHERE is_guarded;
CREATE INDEX user_host_idx ON public."user" USING btree (host, id) WHERE (host IS NOT NULL);

-- owner: user. Addresses that led to an actor whose id is another
CREATE TABLE "user_alias" (
	uri text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	seen_at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT user_alias_pkey PRIMARY KEY (uri),
	CONSTRAINT user_alias_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX user_alias_user_idx ON public.user_alias USING btree (user_id);

-- owner: list. Accounts that somebody reads together
CREATE TABLE "user_list" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	is_public boolean NOT NULL DEFAULT false,
	CONSTRAINT user_list_pkey PRIMARY KEY (id),
	CONSTRAINT user_list_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX user_list_user_idx ON public.user_list USING btree (user_id, id);

-- owner: list. Public lists that somebody likes
CREATE TABLE "user_list_favorite" (
	id text COLLATE "C" NOT NULL,
	list_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	CONSTRAINT user_list_favorite_pair_key UNIQUE (user_id, list_id),
	CONSTRAINT user_list_favorite_pkey PRIMARY KEY (id),
	CONSTRAINT user_list_favorite_list_id_fkey FOREIGN KEY (list_id) REFERENCES user_list(id) ON DELETE CASCADE,
	CONSTRAINT user_list_favorite_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX user_list_favorite_list_idx ON public.user_list_favorite USING btree (list_id);

-- owner: list
CREATE TABLE "user_list_membership" (
	id text COLLATE "C" NOT NULL,
	list_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	with_replies boolean NOT NULL DEFAULT false,
	CONSTRAINT user_list_membership_pair_key UNIQUE (list_id, user_id),
	CONSTRAINT user_list_membership_pkey PRIMARY KEY (id),
	CONSTRAINT user_list_membership_list_id_fkey FOREIGN KEY (list_id) REFERENCES user_list(id) ON DELETE CASCADE,
	CONSTRAINT user_list_membership_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX user_list_membership_user_idx ON public.user_list_membership USING btree (user_id);

-- owner: profile. What an account notes down about another, for itself
CREATE TABLE "user_memo" (
	user_id text COLLATE "C" NOT NULL,
	target_user_id text COLLATE "C" NOT NULL,
	memo text NOT NULL,
	CONSTRAINT user_memo_pkey PRIMARY KEY (user_id, target_user_id),
	CONSTRAINT user_memo_target_user_id_fkey FOREIGN KEY (target_user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT user_memo_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX user_memo_target_idx ON public.user_memo USING btree (target_user_id);

-- owner: profile
CREATE TABLE "user_note_pining" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	note_id text COLLATE "C" NOT NULL,
	CONSTRAINT user_note_pining_key UNIQUE (user_id, note_id),
	CONSTRAINT user_note_pining_pkey PRIMARY KEY (id),
	CONSTRAINT user_note_pining_note_id_fkey FOREIGN KEY (note_id) REFERENCES note(id) ON DELETE CASCADE,
	CONSTRAINT user_note_pining_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX user_note_pining_note_idx ON public.user_note_pining USING btree (note_id);

-- owner: user. What only a profile page or the account itself needs
CREATE TABLE "user_profile" (
	user_id text COLLATE "C" NOT NULL,
	description text,
	followed_message text,
	fields jsonb NOT NULL DEFAULT '[]'::jsonb,
	verified_links text[] NOT NULL DEFAULT '{}'::text[],
	location text,
	birthday text,
	lang text,
	following_visibility text NOT NULL DEFAULT 'public'::text,
	followers_visibility text NOT NULL DEFAULT 'public'::text,
	public_reactions boolean NOT NULL DEFAULT true,
	auto_accept_followed boolean NOT NULL DEFAULT true,
	careful_bot boolean NOT NULL DEFAULT false,
	no_crawle boolean NOT NULL DEFAULT false,
	prevent_ai_learning boolean NOT NULL DEFAULT true,
	always_mark_nsfw boolean NOT NULL DEFAULT false,
	auto_sensitive boolean NOT NULL DEFAULT false,
	inject_featured_note boolean NOT NULL DEFAULT true,
	receive_announcement_email boolean NOT NULL DEFAULT true,
	muted_words jsonb NOT NULL DEFAULT '[]'::jsonb,
	hard_muted_words jsonb NOT NULL DEFAULT '[]'::jsonb,
	muted_instances text[] NOT NULL DEFAULT '{}'::text[],
	notification_recieve_config jsonb NOT NULL DEFAULT '{}'::jsonb,
	email_notification_types text[] NOT NULL DEFAULT '{follow,receiveFollowRequest}'::text[],
	logged_in_dates date[] NOT NULL DEFAULT '{}'::date[],
	achievements jsonb NOT NULL DEFAULT '[]'::jsonb,
	moderation_note text NOT NULL DEFAULT ''::text,
	chat_scope text NOT NULL DEFAULT 'mutual'::text,
	CONSTRAINT user_profile_pkey PRIMARY KEY (user_id),
	CONSTRAINT user_profile_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE,
	CONSTRAINT user_profile_chat_scope_check CHECK ((chat_scope = ANY (ARRAY['everyone'::text, 'followers'::text, 'following'::text, 'mutual'::text, 'none'::text]))),
	CONSTRAINT user_profile_followers_visibility_check CHECK ((followers_visibility = ANY (ARRAY['public'::text, 'followers'::text, 'private'::text]))),
	CONSTRAINT user_profile_following_visibility_check CHECK ((following_visibility = ANY (ARRAY['public'::text, 'followers'::text, 'private'::text])))
);

-- owner: user. Keys of remote actors
CREATE TABLE "user_publickey" (
	key_id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	pem text NOT NULL,
	fetched_at timestamp with time zone NOT NULL DEFAULT now(),
	CONSTRAINT user_publickey_pkey PRIMARY KEY (key_id),
	CONSTRAINT user_publickey_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX user_publickey_user_idx ON public.user_publickey USING btree (user_id);

-- owner: user. Journal: an acct came with another actor id. The old row was moved aside, or, when it is the same account, kept under the new id
CREATE TABLE "user_rebirth" (
	id bigint NOT NULL GENERATED AS IDENTITY,
	acct text COLLATE "C" NOT NULL,
	old_user_id text COLLATE "C" NOT NULL,
	old_uri text COLLATE "C" NOT NULL,
	new_uri text COLLATE "C" NOT NULL,
	at timestamp with time zone NOT NULL DEFAULT now(),
	kept boolean NOT NULL DEFAULT false,
	CONSTRAINT user_rebirth_pkey PRIMARY KEY (id)
);

-- owner: user. What changes often about an account
CREATE TABLE "user_stat" (
	user_id text COLLATE "C" NOT NULL,
	notes_count integer NOT NULL DEFAULT 0,
	followers_count integer NOT NULL DEFAULT 0,
	following_count integer NOT NULL DEFAULT 0,
	last_active_at timestamp with time zone,
	CONSTRAINT user_stat_pkey PRIMARY KEY (user_id),
	CONSTRAINT user_stat_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
) WITH (fillfactor=70);

-- owner: webhook. Addresses that accounts want to be told at what happens to them
CREATE TABLE "webhook" (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	name text NOT NULL,
	events text[] NOT NULL,
	url text NOT NULL,
	secret_enc bytea NOT NULL,
	active boolean NOT NULL DEFAULT true,
	latest_sent_at timestamp with time zone,
	latest_status integer,
	CONSTRAINT webhook_pkey PRIMARY KEY (id),
	CONSTRAINT webhook_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user"(id) ON DELETE CASCADE
);
CREATE INDEX webhook_user_idx ON public.webhook USING btree (user_id);

CREATE OR REPLACE FUNCTION public.id_bound(seconds bigint)
 RETURNS text
 LANGUAGE plpgsql
 STABLE PARALLEL SAFE STRICT
AS $function$
DECLARE
	method text := (SELECT id_method FROM server);
	ms bigint := CASE WHEN seconds > 0 THEN least(seconds, 3700000000) * 1000
		ELSE floor(extract(epoch FROM now()) * 1000)::bigint + greatest(seconds, -3700000000) * 1000 END;
	digits text := '0123456789abcdefghijklmnopqrstuvwxyz';
	base int := 36;
	width int := 8;
	prefix text := '';
	made text := '';
BEGIN
	CASE method
		WHEN 'aid', 'aidx' THEN ms := ms - 946684800000;
		WHEN 'meid' THEN base := 16; width := 12;
		WHEN 'meidg' THEN base := 16; width := 11; prefix := 'g';
		WHEN 'objectid' THEN base := 16; ms := ms / 1000;
		WHEN 'ulid' THEN base := 32; width := 10; digits := '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
	END CASE;
	ms := greatest(ms, 0);
	IF method = 'meid' THEN
		ms := ms + 140737488355328;
	END IF;
	FOR i IN 1..width LOOP
		made := substr(digits, (ms % base)::int + 1, 1) || made;
		ms := ms / base;
	END LOOP;
	RETURN prefix || made;
END $function$;

CREATE OR REPLACE FUNCTION public.require_valid_index(index_name text)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_index x WHERE x.indexrelid = to_regclass('public.' || quote_ident(index_name)) AND x.indisvalid AND x.indisready) THEN
		RAISE EXCEPTION 'index % was not finished: remove what stands in its way and migrate again', index_name;
	END IF;
END $function$;
