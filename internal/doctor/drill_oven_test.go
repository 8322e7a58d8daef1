package doctor_test

import (
	"testing"

	"buttersc.one/oven/internal/testsrv"
)

// people is a small Oven: alice and bob here, carol elsewhere, who write, follow
// and react.
const people = `
INSERT INTO server (one, id_method, secret_fingerprint, origin) VALUES (true, 'aidx', 'x', 'https://oven.example') ON CONFLICT (one) DO UPDATE SET origin = excluded.origin;
INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) VALUES
	('alice', 'Alice', 'alice', NULL, NULL, NULL), ('bob', 'bob', 'bob', NULL, NULL, NULL),
	('carol', 'carol', 'carol', 'far.example', 'far.example', 'https://far.example/carol'), ('dave', 'dave', 'dave', 'far.example', 'far.example', 'https://far.example/dave');
INSERT INTO user_profile (user_id) SELECT id FROM "user";
INSERT INTO user_stat (user_id) SELECT id FROM "user";
INSERT INTO account (user_id, password_hash, token_hash, token_enc, email, email_verified) SELECT id, 'x', id::bytea, 'x', id || '@mail.example', true FROM "user" WHERE host IS NULL;
INSERT INTO fed_key (actor_id, key_uri, private_enc, public_pem) SELECT id, id, 'x', 'x' FROM "user" WHERE host IS NULL;
INSERT INTO user_publickey (key_id, user_id, pem) SELECT uri || '#key', id, 'x' FROM "user" WHERE host IS NOT NULL;
INSERT INTO note (id, user_id, user_host, text, visibility, uri, has_poll) VALUES ('n1', 'alice', NULL, 'bread', 'public', NULL, true), ('n2', 'carol', 'far.example', 'rolls', 'public', 'https://far.example/n2', false);
INSERT INTO note (id, user_id, text, visibility, reply_id, thread_id) VALUES ('n3', 'bob', 'warm?', 'public', 'n1', 'n1');
INSERT INTO note_stat (note_id, replies_count, reactions) VALUES ('n1', 1, '{"x": 1}'), ('n2', 0, '{}'), ('n3', 0, '{}');
INSERT INTO note_reaction (id, note_id, user_id, reaction) VALUES ('r1', 'n1', 'carol', 'x');
INSERT INTO poll (note_id, user_id, multiple, choices, votes) VALUES ('n1', 'alice', false, '{rye,oat}', '{1,0}');
INSERT INTO poll_vote (id, note_id, user_id, choice) VALUES ('v1', 'n1', 'bob', 0);
INSERT INTO following (id, follower_id, followee_id, follower_host) VALUES ('f1', 'carol', 'alice', 'far.example'), ('f2', 'bob', 'alice', NULL);
INSERT INTO blocking (id, blocker_id, blockee_id) VALUES ('b1', 'bob', 'carol');
INSERT INTO muting (id, muter_id, mutee_id) VALUES ('m1', 'bob', 'carol');
INSERT INTO emoji (id, name, original_url) VALUES ('e1', 'bun', 'x');
INSERT INTO instance (id, host) VALUES ('i1', 'far.example');
INSERT INTO clip (id, user_id, name) VALUES ('c1', 'alice', 'x');
INSERT INTO clip_note (id, clip_id, note_id) VALUES ('c2', 'c1', 'n3');
UPDATE note_stat SET clipped_count = 1 WHERE note_id = 'n3';
UPDATE user_stat SET notes_count = 1 WHERE user_id IN ('alice', 'bob');
UPDATE user_stat SET followers_count = 2 WHERE user_id = 'alice';
UPDATE user_stat SET following_count = 1 WHERE user_id = 'bob'`

// ovenTwin is a second carol.
const ovenTwin = `
INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) SELECT 'carol2', username, username_lower, host, actor_host, uri || '/2' FROM "user" WHERE id = 'carol';
INSERT INTO user_profile (user_id) VALUES ('carol2'); INSERT INTO user_stat (user_id) VALUES ('carol2'); INSERT INTO user_publickey (key_id, user_id, pem) VALUES ('k2', 'carol2', 'x')`

func ovenFaults() []fault {
	const dropName, dropURI = `ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key; `, `ALTER TABLE "user" DROP CONSTRAINT user_uri_key; `
	const lost, twice = "index-missing user.username_lower,host", "duplicate user.username_lower,host"
	return []fault{
		{"nothing", `SELECT 1`, ""},
		{"the key of names dropped", dropName, lost},
		{"and a second row", dropName + ovenTwin, lost + "," + twice},
		{"a key that lets NULL in twice", dropName + `CREATE UNIQUE INDEX user_username_lower_host_key ON "user" (username_lower, host)`, "index-differs user.username_lower,host"},
		{"and a second local row", dropName + `INSERT INTO "user" (id, username, username_lower) VALUES ('alice2', 'alice', 'alice'); INSERT INTO user_profile (user_id) VALUES ('alice2'); INSERT INTO user_stat (user_id) VALUES ('alice2');
INSERT INTO account (user_id, password_hash, token_hash, token_enc) VALUES ('alice2', 'x', 'y', 'x'); INSERT INTO fed_key (actor_id, key_uri, private_enc, public_pem) VALUES ('alice2', 'x', 'x', 'x')`, lost + "," + twice},
		{"a key that is no key", dropName + `CREATE INDEX user_username_lower_host_key ON "user" (username_lower, host)`, "index-differs user.username_lower,host"},
		{"a key that was never finished", `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'user_uri_key'::regclass`, "index-invalid user.uri"},
		{"a plain index that was never finished", `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'note_user_idx'::regclass`, "index-invalid note.note_user_idx"},
		{"a plain index dropped", `DROP INDEX note_user_idx`, "index-missing note.note_user_idx"},
		{"one uri on two rows", dropURI + `UPDATE "user" SET uri = 'https://far.example/carol' WHERE id = 'dave'`, "index-missing user.uri,duplicate user.uri"},
		{"an index that hides rows", lying("user_username_lower_host_key", ovenTwin), twice},
		{"an index that hides rows, looked into", `CREATE EXTENSION amcheck; ` + lying("user_username_lower_host_key", ovenTwin), twice + ",index-corrupt user.user_username_lower_host_key"},
		{"an order of texts that changed", `CREATE INDEX by_name ON "user" (username COLLATE "und-x-icu"); UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'und-x-icu'`, "collation-changed pg_collation.und-x-icu"},
		{"two emoji of one name", `ALTER TABLE emoji DROP CONSTRAINT emoji_name_host_key; INSERT INTO emoji (id, name, original_url) VALUES ('e2', 'bun', 'y')`, "index-missing emoji.name,host,duplicate emoji.name,host"},
		{"one address proved twice", `DROP INDEX account_email_key; UPDATE account SET email = 'ALICE@mail.example' WHERE user_id = 'bob'`, "index-missing account.lower(email),duplicate account.lower(email)"},
		{"a row whose note is gone", `ALTER TABLE note_reaction DROP CONSTRAINT note_reaction_note_id_fkey; UPDATE note_reaction SET note_id = 'gone'; UPDATE note_stat SET reactions = '{}';
ALTER TABLE note_reaction ADD CONSTRAINT later FOREIGN KEY (note_id) REFERENCES note (id) NOT VALID`, "orphan note_reaction.note_id,reference-unproved note_reaction.note_id"},
		{"a foreign key dropped", `ALTER TABLE note DROP CONSTRAINT note_user_id_fkey`, "reference-missing note.user_id"},
		{"counters", `UPDATE user_stat SET notes_count = 7, followers_count = 7, following_count = 7 WHERE user_id = 'bob'; UPDATE note_stat SET replies_count = 7, clipped_count = 7, reactions = '{"x": 7}' WHERE note_id = 'n1'; UPDATE poll SET votes = '{0,7}'`,
			"counter-differs user_stat.notes_count,counter-differs user_stat.followers_count,counter-differs user_stat.following_count,counter-differs note_stat.replies_count,counter-differs note_stat.clipped_count,counter-differs note_stat.reactions,counter-differs poll.votes"},
		{"a sequence behind its table", `INSERT INTO fed_host (host_id, host) OVERRIDING SYSTEM VALUE VALUES (900, 'far.example')`, "sequence-behind fed_host.host_id"},
		{"a migration listed twice", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (1, true)`, "migration-twice goose_db_version.version_id"},
		{"rows that belong to every account", `DELETE FROM user_profile; DELETE FROM user_stat WHERE user_id IN ('carol'); DELETE FROM account; DELETE FROM fed_key; DELETE FROM user_publickey`,
			"profile-missing user.id,stat-missing user.id,account-missing user.id,keypair-missing user.id,publickey-missing user.id"},
		{"this server as another", `UPDATE "user" SET host = 'oven.example', actor_host = 'oven.example' WHERE id = 'dave'; UPDATE instance SET host = 'oven.example'`, "own-host user.host,own-host instance.host"},
		{"forms", `UPDATE "user" SET host = 'Far.example', username_lower = 'Dave' WHERE id = 'dave'`, "host-form user.host,name-form user.username_lower"},
		{"oneself", `ALTER TABLE following DROP CONSTRAINT following_not_self; UPDATE following SET follower_id = 'alice' WHERE id = 'f2'; UPDATE user_stat SET following_count = 1 - following_count WHERE user_id IN ('alice', 'bob');
UPDATE blocking SET blockee_id = 'bob'; UPDATE muting SET mutee_id = 'bob'`, "self-follow following.follower_id,self-block blocking.blocker_id,self-mute muting.muter_id"},
		{"copies", `UPDATE note SET user_host = 'x.example' WHERE id = 'n3'; UPDATE following SET follower_host = NULL, followee_host = 'x.example'`, "copy-differs note.user_host,copy-differs following.follower_host,copy-differs following.followee_host"},
		{"polls", `UPDATE note SET has_poll = true WHERE id = 'n3'; UPDATE poll SET user_host = 'x', votes = '{1}'; UPDATE poll_vote SET choice = 9`, "poll-missing note.has_poll,poll-form poll.votes,vote-range poll_vote.choice"},
		{"a note without counters", `DELETE FROM note_stat WHERE note_id = 'n2'`, "stat-missing note.id"},
		{"a request of a follower", `INSERT INTO follow_request (id, follower_id, followee_id) VALUES ('q', 'bob', 'alice')`, "request-answered follow_request.followee_id"},
	}
}

func TestDrillOven(t *testing.T) {
	t.Parallel()
	d := testsrv.Database(t)
	pool, err := d.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Release()
	conn := pool.Conn()
	exec1(t, conn, people)
	for _, f := range ovenFaults() {
		inside(t, conn, f, false)
	}
	everyKeyTwice(t, conn, false)
}
