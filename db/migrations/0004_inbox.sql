-- +goose Up

CREATE TABLE fed_inbox (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	received_at timestamptz NOT NULL DEFAULT now(),
	host text COLLATE "C" NOT NULL,
	actor text COLLATE "C" NOT NULL,
	actor_id text COLLATE "C" NOT NULL,
	hash bytea NOT NULL,
	object_key bigint NOT NULL,
	lane smallint NOT NULL,
	body bytea,
	state smallint NOT NULL DEFAULT 0,
	attempts int NOT NULL DEFAULT 0,
	next_at timestamptz NOT NULL DEFAULT now(),
	waits_for text COLLATE "C",
	fetches int NOT NULL DEFAULT 0,
	last_error text,
	CONSTRAINT fed_inbox_hash_key UNIQUE (hash)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
COMMENT ON TABLE fed_inbox IS 'owner: inbox. Activities that were accepted and wait to be handled. state: 0 due at next_at, 1 waits for a fetch, 2 failed for good';
CREATE INDEX fed_inbox_due_idx ON fed_inbox (lane, id) WHERE state = 0;
CREATE INDEX fed_inbox_waits_idx ON fed_inbox (waits_for) WHERE state = 1;
CREATE INDEX fed_inbox_object_idx ON fed_inbox (object_key, id) WHERE state < 2;

CREATE TABLE fed_seen (
	hash bytea PRIMARY KEY,
	day date NOT NULL DEFAULT current_date
);
COMMENT ON TABLE fed_seen IS 'owner: inbox. Hashes of activity ids that have been handled, for 14 days';
CREATE INDEX fed_seen_day_idx ON fed_seen (day);

CREATE TABLE fed_tombstone (
	hash bytea PRIMARY KEY,
	until timestamptz NOT NULL
);
COMMENT ON TABLE fed_tombstone IS 'owner: inbox. Hashes of ids that were deleted or undone before they came';
CREATE INDEX fed_tombstone_until_idx ON fed_tombstone (until);
