-- +goose Up

-- Operations that make many activities have a stream each, beside the four lanes.
ALTER TABLE fed_stream
	ADD COLUMN kind text NOT NULL DEFAULT 'lane',
	ADD COLUMN owner_id text COLLATE "C",
	ADD COLUMN state text NOT NULL DEFAULT 'running' CONSTRAINT fed_stream_state_check CHECK (state IN ('running', 'paused', 'cancelled')),
	ADD COLUMN created_at timestamptz NOT NULL DEFAULT now(),
	ADD COLUMN closed_at timestamptz,
	ADD COLUMN done_at timestamptz;
COMMENT ON TABLE fed_stream IS 'owner: delivery. Logs that are numbered apart. 0 to 3 are one for each class, 4 is of what was deleted and undone, for hosts that were long away: these are never removed. Others belong to one operation (kind, owner_id): closed_at: nothing is added any more; done_at: delivered to all who are there';
INSERT INTO fed_stream (stream_id, class, kind) VALUES (4, 2, 'tombstones') ON CONFLICT (stream_id) DO NOTHING;
CREATE SEQUENCE fed_stream_operation_seq START 16;
CREATE INDEX fed_stream_open_idx ON fed_stream (stream_id) WHERE done_at IS NULL;
CREATE INDEX fed_stage_stream_idx ON fed_stage (stream_id) WHERE stream_id >= 16;
CREATE INDEX fed_cursor_stream_idx ON fed_cursor (stream_id) WHERE stream_id >= 16;

-- Everything about one host is on one node: hosts are in 256 shards, which nodes lease.
ALTER TABLE fed_host
	ADD COLUMN shard smallint NOT NULL GENERATED ALWAYS AS (('x' || substr(md5(host), 1, 2))::bit(8)::int) STORED,
	ADD COLUMN refusals int NOT NULL DEFAULT 0,
	ADD COLUMN refusing_since timestamptz,
	ADD COLUMN gone_since timestamptz,
	ADD COLUMN gone_probes int NOT NULL DEFAULT 0,
	ADD COLUMN replay_since timestamptz,
	ADD COLUMN heard_at timestamptz;
COMMENT ON TABLE fed_host IS 'owner: delivery. Authorities that are delivered to and how they do: fails in a row (0: up), next_try while failing; refused counts activities given up because the host would not have them, last_refused is the newest; refusals are those in a row, refusing_since when it was taken for refusing everything; gone_since and gone_probes: its shared inbox says that it does not exist; replay_since: what was deleted and undone since then is still to be told; heard_at: when it last spoke to a node that does not deliver to it';
CREATE INDEX fed_host_shard_idx ON fed_host (shard);
CREATE INDEX fed_host_heard_idx ON fed_host (heard_at) WHERE heard_at IS NOT NULL;
CREATE INDEX fed_endpoint_host_idx ON fed_endpoint (host_id);

CREATE TABLE fed_node (
	node uuid PRIMARY KEY,
	lock_key int NOT NULL,
	heartbeat timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE fed_node IS 'owner: delivery. Processes that deliver; lock_key is the session lock that each holds while its connection lives';

CREATE TABLE fed_shard (
	shard smallint PRIMARY KEY,
	node uuid,
	epoch bigint NOT NULL DEFAULT 0,
	lease_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
COMMENT ON TABLE fed_shard IS 'owner: delivery. Which process delivers to the hosts of a shard; epoch grows with every take-over, so that one who lost it writes nothing more';
INSERT INTO fed_shard (shard) SELECT generate_series(0, 255);

-- An Undo cannot be told by ids alone.
ALTER TABLE fed_log_tomb ADD COLUMN type text NOT NULL DEFAULT 'Delete', ADD COLUMN body bytea;
COMMENT ON TABLE fed_log_tomb IS 'owner: delivery. What was deleted (ids alone) and undone (body), kept 90 days: longer than the activities themselves, for servers that were away';
