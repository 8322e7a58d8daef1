-- +goose Up

-- What other servers have here is counted by authority: who follows whom is kept by it, too.
UPDATE following f SET follower_host = u.actor_host FROM "user" u WHERE u.id = f.follower_id AND f.follower_host IS DISTINCT FROM u.actor_host;
UPDATE following f SET followee_host = u.actor_host FROM "user" u WHERE u.id = f.followee_id AND f.followee_host IS DISTINCT FROM u.actor_host;
COMMENT ON TABLE following IS 'owner: relation. follower_host and followee_host are authorities (actor_host), NULL for accounts of this server';
CREATE INDEX following_follower_host_idx ON following (follower_host, id DESC) WHERE follower_host IS NOT NULL;
CREATE INDEX following_followee_host_idx ON following (followee_host, id DESC) WHERE followee_host IS NOT NULL;

DROP INDEX user_actor_host_idx;
CREATE INDEX user_actor_host_idx ON "user" (actor_host, id DESC) WHERE actor_host IS NOT NULL;

CREATE TABLE instance_stat (
	host text COLLATE "C" NOT NULL,
	users_count int NOT NULL DEFAULT 0,
	notes_count int NOT NULL DEFAULT 0,
	following_count int NOT NULL DEFAULT 0,
	followers_count int NOT NULL DEFAULT 0,
	CONSTRAINT instance_stat_pkey PRIMARY KEY (host)
) WITH (fillfactor = 50);
COMMENT ON TABLE instance_stat IS 'owner: instance. What is known here of each authority, folded from the change log: accounts that are not deleted, notes, follows of ours by its accounts (following) and of its accounts by ours (followers)';

-- Nobody stages a change from here on until this is committed: what is counted now is not told by a change after the
-- cursor, and what is not counted now is.
LOCK TABLE change_stage IN EXCLUSIVE MODE;
INSERT INTO instance_stat (host, users_count, notes_count, following_count, followers_count)
SELECT host, sum(users), sum(notes), sum(following), sum(followers) FROM (
	SELECT actor_host, count(*), 0, 0, 0 FROM "user" WHERE actor_host IS NOT NULL AND NOT is_deleted GROUP BY actor_host
	UNION ALL SELECT u.actor_host, 0, count(*), 0, 0 FROM note n JOIN "user" u ON u.id = n.user_id WHERE u.actor_host IS NOT NULL GROUP BY u.actor_host
	UNION ALL SELECT follower_host, 0, 0, count(*), 0 FROM following WHERE follower_host IS NOT NULL GROUP BY follower_host
	UNION ALL SELECT followee_host, 0, 0, 0, count(*) FROM following WHERE followee_host IS NOT NULL GROUP BY followee_host
) s (host, users, notes, following, followers) GROUP BY host;
INSERT INTO log_cursor (name, seq)
SELECT 'instance.counts', next_seq - 1 + (SELECT count(*) FROM change_stage) FROM log_head WHERE name = 'change';

CREATE TABLE fed_sender (
	host text COLLATE "C" NOT NULL,
	last_at timestamptz NOT NULL,
	CONSTRAINT fed_sender_pkey PRIMARY KEY (host)
) WITH (fillfactor = 50);
COMMENT ON TABLE fed_sender IS 'owner: inbox. When an authority last sent something that was kept, to a minute: written with it';
INSERT INTO fed_sender (host, last_at) SELECT host, max(received_at) FROM fed_inbox GROUP BY host;

-- Whether a server is delivered to is the delivery engine's to say, and nobody else's.
INSERT INTO fed_host (host, paused) SELECT host, true FROM instance WHERE suspension = 'manuallySuspended'
ON CONFLICT (host) DO UPDATE SET paused = true;
ALTER TABLE instance DROP COLUMN suspension;
CREATE INDEX instance_reverse_idx ON instance (reverse(host));
