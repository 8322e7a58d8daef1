-- +goose Up

CREATE TABLE reversi_invitation (
	from_id text COLLATE "C" NOT NULL,
	to_id text COLLATE "C" NOT NULL,
	expires_at timestamptz NOT NULL,
	CONSTRAINT reversi_invitation_pkey PRIMARY KEY (to_id, from_id),
	CONSTRAINT reversi_invitation_from_id_fkey FOREIGN KEY (from_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT reversi_invitation_to_id_fkey FOREIGN KEY (to_id) REFERENCES "user" (id) ON DELETE CASCADE
);
CREATE INDEX reversi_invitation_from_idx ON reversi_invitation (from_id);
COMMENT ON TABLE reversi_invitation IS 'owner: game. Who wants to play with whom, as long as his client says so';

CREATE TABLE reversi_waiting (
	user_id text COLLATE "C" NOT NULL,
	no_irregular_rules bool NOT NULL,
	since timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	CONSTRAINT reversi_waiting_pkey PRIMARY KEY (user_id),
	CONSTRAINT reversi_waiting_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE
);
COMMENT ON TABLE reversi_waiting IS 'owner: game. Who wants to play with anybody, as long as his client says so';
