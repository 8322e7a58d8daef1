-- +goose Up

CREATE TABLE fed_host (
	host_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	host text COLLATE "C" NOT NULL,
	fails int NOT NULL DEFAULT 0,
	fail_since timestamptz,
	next_try timestamptz,
	last_ok timestamptz,
	last_error text NOT NULL DEFAULT '',
	refused bigint NOT NULL DEFAULT 0,
	last_refused text NOT NULL DEFAULT '',
	paused bool NOT NULL DEFAULT false,
	CONSTRAINT fed_host_host_key UNIQUE (host)
) WITH (fillfactor = 70);
COMMENT ON TABLE fed_host IS 'owner: delivery. Authorities that are delivered to and how they do: fails in a row (0: up), next_try while failing; refused counts activities given up because the host would not have them, last_refused is the newest';
CREATE INDEX fed_host_paused_idx ON fed_host (host_id) WHERE paused;

CREATE TABLE fed_endpoint (
	endpoint_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	host_id int NOT NULL REFERENCES fed_host,
	url text COLLATE "C" NOT NULL,
	shared bool NOT NULL DEFAULT false,
	gone_at timestamptz,
	CONSTRAINT fed_endpoint_url_key UNIQUE (url)
);
COMMENT ON TABLE fed_endpoint IS 'owner: delivery. Inboxes; gone_at: when it last answered that it does not exist';

CREATE TABLE fed_audience (
	audience_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	digest bytea NOT NULL,
	endpoints int[] NOT NULL,
	CONSTRAINT fed_audience_digest_key UNIQUE (digest)
);
COMMENT ON TABLE fed_audience IS 'owner: delivery. Sets of endpoints, each stored once; digest is of the sorted ids';

CREATE TABLE fed_key (
	key_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	actor_id text COLLATE "C" NOT NULL,
	key_uri text COLLATE "C" NOT NULL,
	private_enc bytea NOT NULL,
	public_pem text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	retired_at timestamptz
);
COMMENT ON TABLE fed_key IS 'owner: delivery. Keys of local actors, sealed with the server''s secret key. They outlive the account, whose Delete is still to be signed';
CREATE UNIQUE INDEX fed_key_actor_key ON fed_key (actor_id) WHERE retired_at IS NULL;

CREATE TABLE fed_stream (
	stream_id bigint PRIMARY KEY,
	class smallint NOT NULL,
	next_seq bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);
COMMENT ON TABLE fed_stream IS 'owner: delivery. Logs that are numbered apart; 0 to 3 are one for each class and are never removed';
INSERT INTO fed_stream (stream_id, class) VALUES (0, 0), (1, 1), (2, 2), (3, 3);

CREATE TABLE fed_stage (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	stream_id bigint NOT NULL REFERENCES fed_stream,
	activity_id text COLLATE "C" NOT NULL,
	type text NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	object_key bigint NOT NULL,
	object text COLLATE "C" NOT NULL,
	audience_id bigint,
	extra int[] NOT NULL DEFAULT '{}',
	body bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE fed_stage IS 'owner: delivery. Activities written in business transactions, emptied by the sequencer';
CREATE INDEX fed_stage_object_idx ON fed_stage (object_key);

-- The order of all streams is ord, the id in the stage. after_x is the last number of a live stream before the row:
-- what is about the same object waits for those.
CREATE TABLE fed_log_live (
	day date NOT NULL,
	stream_id bigint NOT NULL,
	seq bigint NOT NULL,
	ord bigint NOT NULL,
	after_direct bigint NOT NULL,
	after_fanout bigint NOT NULL,
	after_background bigint NOT NULL,
	object_key bigint NOT NULL,
	audience_id bigint,
	extra int[] NOT NULL,
	activity_id text COLLATE "C" NOT NULL,
	type text NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	object text COLLATE "C" NOT NULL,
	body bytea NOT NULL,
	PRIMARY KEY (stream_id, seq, day)
) PARTITION BY RANGE (day);
COMMENT ON TABLE fed_log_live IS 'owner: delivery. Activities of the direct, fanout and background streams, numbered without gaps; an empty body is not sent. A partition a day, kept 7 days';
CREATE INDEX fed_log_live_object_idx ON fed_log_live (object_key) WHERE type NOT IN ('Delete', 'Undo');

CREATE TABLE fed_log_bulk (
	LIKE fed_log_live,
	PRIMARY KEY (stream_id, seq, day)
) PARTITION BY RANGE (day);
COMMENT ON TABLE fed_log_bulk IS 'owner: delivery. The same for bulk streams';
CREATE INDEX fed_log_bulk_object_idx ON fed_log_bulk (object_key) WHERE type NOT IN ('Delete', 'Undo');

CREATE TABLE fed_log_tomb (
	day date NOT NULL,
	ord bigint NOT NULL,
	audience_id bigint,
	extra int[] NOT NULL,
	activity_id text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	object text COLLATE "C" NOT NULL,
	PRIMARY KEY (ord, day)
) PARTITION BY RANGE (day);
COMMENT ON TABLE fed_log_tomb IS 'owner: delivery. Ids of what was deleted and undone, kept 90 days: longer than the activities themselves, for servers that were away';

CREATE TABLE fed_cursor (
	endpoint_id int NOT NULL,
	stream_id bigint NOT NULL REFERENCES fed_stream,
	acked bigint NOT NULL,
	above bytea NOT NULL DEFAULT '',
	skipped bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (endpoint_id, stream_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE fed_cursor IS 'owner: delivery. What is done: all up to acked that was for the endpoint, and the numbers in above (differences, as varints). skipped: numbers passed because they were too old';

CREATE TABLE fed_exception (
	endpoint_id int NOT NULL,
	stream_id bigint NOT NULL REFERENCES fed_stream,
	seq bigint NOT NULL,
	attempts int NOT NULL,
	next_at timestamptz NOT NULL,
	reason text NOT NULL,
	PRIMARY KEY (endpoint_id, stream_id, seq)
);
COMMENT ON TABLE fed_exception IS 'owner: delivery. Single activities that are tried again after the cursor has passed them, and those of the same object that wait behind them';
