-- +goose Up

CREATE TABLE fed_inbox (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	state smallint NOT NULL DEFAULT 0,
	lane smallint NOT NULL,
	host text COLLATE "C" NOT NULL,
	object_key bytea NOT NULL,
	hash bytea,
	actor text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	body bytea,
	received_at timestamptz NOT NULL,
	due_at timestamptz NOT NULL,
	attempts smallint NOT NULL DEFAULT 0,
	parks smallint NOT NULL DEFAULT 0,
	fetches smallint NOT NULL DEFAULT 0,
	last bool NOT NULL DEFAULT false,
	waits_for text COLLATE "C" NOT NULL DEFAULT '',
	wait_host text COLLATE "C" NOT NULL DEFAULT '',
	CONSTRAINT fed_inbox_hash_key UNIQUE (hash)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE fed_inbox IS 'owner: inbox. Activities that were verified and answered with 202, until they are processed. state: 0 ready, 1 to be tried again at due_at, 2 waits for waits_for to be fetched at due_at, 3 failed for good. hash: of the activity''s id, NULL for what may be said again in the same words. A failed row loses its body after a day';
CREATE INDEX fed_inbox_ready_idx ON fed_inbox (host, lane, id) WHERE state = 0;
CREATE INDEX fed_inbox_retry_idx ON fed_inbox (due_at) WHERE state = 1;
CREATE INDEX fed_inbox_parked_idx ON fed_inbox (wait_host, due_at) WHERE state = 2;
CREATE INDEX fed_inbox_waits_idx ON fed_inbox (waits_for) WHERE state = 2;
CREATE INDEX fed_inbox_order_idx ON fed_inbox (host, object_key, id) WHERE state < 3;
CREATE INDEX fed_inbox_failed_idx ON fed_inbox (received_at) WHERE state = 3;

CREATE TABLE fed_seen (
	hash bytea PRIMARY KEY,
	day date NOT NULL
);
COMMENT ON TABLE fed_seen IS 'owner: inbox. Hashes of the ids of activities that have been processed, written in the transaction of their effect; kept 14 days';
CREATE INDEX fed_seen_day_idx ON fed_seen (day);

CREATE TABLE fed_tombstone (
	hash bytea PRIMARY KEY,
	buried_at timestamptz NOT NULL
);
COMMENT ON TABLE fed_tombstone IS 'owner: inbox. Hashes of ids that were deleted or undone before they came; kept 7 days';
CREATE INDEX fed_tombstone_buried_idx ON fed_tombstone (buried_at);
