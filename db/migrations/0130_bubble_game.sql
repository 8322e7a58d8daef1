-- +goose Up

CREATE TABLE bubble_game_record (
	id text COLLATE "C" NOT NULL,
	user_id text COLLATE "C" NOT NULL,
	seeded_at timestamptz NOT NULL,
	game_mode text NOT NULL,
	game_version bigint NOT NULL,
	score bigint NOT NULL,
	logs jsonb NOT NULL,
	CONSTRAINT bubble_game_record_pkey PRIMARY KEY (id),
	CONSTRAINT bubble_game_record_user_id_seeded_at_key UNIQUE (user_id, seeded_at),
	CONSTRAINT bubble_game_record_user_id_fkey FOREIGN KEY (user_id) REFERENCES "user" (id) ON DELETE CASCADE
);
CREATE INDEX bubble_game_record_mode_idx ON bubble_game_record (game_mode, seeded_at);
COMMENT ON TABLE bubble_game_record IS 'owner: game. Scores of the bubble game, each of the game that began at seeded_at; nobody proves them. logs: what the player did, as the client told it';
