-- +goose Up

CREATE TABLE chart (
	name text COLLATE "C" NOT NULL,
	grp text COLLATE "C" NOT NULL DEFAULT '',
	span text COLLATE "C" NOT NULL CONSTRAINT chart_span_check CHECK (span IN ('hour', 'day', 'all')),
	at timestamptz NOT NULL,
	v bigint[] NOT NULL,
	CONSTRAINT chart_pkey PRIMARY KEY (name, grp, span, at)
) WITH (fillfactor = 70);
COMMENT ON TABLE chart IS 'owner: chart. What was added to each column of a chart in an hour and in a day (UTC), in the order in which package stats names the columns; span all, at the epoch: what was added to its totals ever. grp: an account''s id or a server''s authority, empty where the chart has no groups';

CREATE TABLE chart_member (
	at timestamptz NOT NULL,
	span text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL,
	grp text COLLATE "C" NOT NULL,
	member text COLLATE "C" NOT NULL,
	col text COLLATE "C" NOT NULL,
	CONSTRAINT chart_member_pkey PRIMARY KEY (at, span, name, grp, member, col)
);
COMMENT ON TABLE chart_member IS 'owner: chart. Who was counted already in a column that counts each once; of the last days';

CREATE TABLE chart_hour (
	at timestamptz NOT NULL,
	CONSTRAINT chart_hour_pkey PRIMARY KEY (at)
);
COMMENT ON TABLE chart_hour IS 'owner: chart. Hours in which the server was there to count: where there is none, nothing is known, which is not the same as nothing has happened';

CREATE TABLE retention_cohort (
	day date NOT NULL,
	users int NOT NULL,
	data jsonb NOT NULL DEFAULT '{}',
	CONSTRAINT retention_cohort_pkey PRIMARY KEY (day)
);
COMMENT ON TABLE retention_cohort IS 'owner: stats. Accounts that were made here on a day (UTC), and how many of them came on each later one: data is {"2026-1-31": n}';

-- What is there is where the totals begin. Nobody stages a change from here on until this is committed: what is counted
-- now is not told by a change after the cursor, and what is not counted now is.
LOCK TABLE change_stage IN EXCLUSIVE MODE;
INSERT INTO chart (name, grp, span, at, v)
SELECT 'users', '', 'all', timestamptz 'epoch', ARRAY[count(*) FILTER (WHERE host IS NULL), 0, 0, count(*) FILTER (WHERE host IS NOT NULL)]
	FROM "user" WHERE NOT is_system AND NOT is_deleted
UNION ALL SELECT 'notes', '', 'all', 'epoch', ARRAY[count(*) FILTER (WHERE user_host IS NULL), 0, 0, 0, 0, 0, 0, count(*) FILTER (WHERE user_host IS NOT NULL)] FROM note
UNION ALL SELECT 'perUserNotes', user_id, 'all', 'epoch', ARRAY[count(*)] FROM note GROUP BY user_id
UNION ALL SELECT 'perUserFollowing', who, 'all', 'epoch', ARRAY[count(*) FILTER (WHERE follows AND host IS NULL), 0, 0, count(*) FILTER (WHERE NOT follows AND host IS NULL), 0, 0,
		count(*) FILTER (WHERE follows AND host IS NOT NULL), 0, 0, count(*) FILTER (WHERE NOT follows AND host IS NOT NULL)]
	FROM (SELECT follower_id, true, followee_host FROM following UNION ALL SELECT followee_id, false, follower_host FROM following) f (who, follows, host) GROUP BY who
UNION ALL SELECT 'perUserDrive', user_id, 'all', 'epoch', ARRAY[count(*), sum(size)::bigint] FROM drive_file WHERE user_id IS NOT NULL AND NOT is_link GROUP BY user_id
UNION ALL SELECT 'instance', host, 'all', 'epoch', ARRAY[0, 0, 0, sum(notes), 0, 0, 0, 0, 0, 0, sum(users), 0, 0, sum(following), 0, 0, sum(followers), 0, 0, sum(files)]::bigint[]
	FROM (
		SELECT actor_host, 0, count(*), 0, 0, 0 FROM "user" WHERE actor_host IS NOT NULL AND NOT is_deleted GROUP BY actor_host
		UNION ALL SELECT u.actor_host, count(*), 0, 0, 0, 0 FROM note n JOIN "user" u ON u.id = n.user_id WHERE u.actor_host IS NOT NULL GROUP BY u.actor_host
		UNION ALL SELECT follower_host, 0, 0, count(*), 0, 0 FROM following WHERE follower_host IS NOT NULL GROUP BY follower_host
		UNION ALL SELECT followee_host, 0, 0, 0, count(*), 0 FROM following WHERE followee_host IS NOT NULL GROUP BY followee_host
		UNION ALL SELECT u.actor_host, 0, 0, 0, 0, count(*) FROM drive_file f JOIN "user" u ON u.id = f.user_id WHERE u.actor_host IS NOT NULL AND NOT f.is_link GROUP BY u.actor_host
	) s (host, notes, users, following, followers, files) GROUP BY host;
DELETE FROM counter WHERE name <> 'reactions';
INSERT INTO log_cursor (name, seq)
SELECT 'stats.charts', next_seq - 1 + (SELECT count(*) FROM change_stage) FROM log_head WHERE name = 'change';
