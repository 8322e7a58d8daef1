-- +goose Up

CREATE TABLE reversi_game (
	id text COLLATE "C" NOT NULL,
	user1_id text COLLATE "C" NOT NULL,
	user2_id text COLLATE "C" NOT NULL,
	created_at timestamptz NOT NULL,
	user1_ready bool NOT NULL DEFAULT false,
	user2_ready bool NOT NULL DEFAULT false,
	due_at timestamptz,
	started_at timestamptz,
	ended_at timestamptz,
	black smallint CONSTRAINT reversi_game_black_check CHECK (black IN (1, 2)),
	turn smallint CONSTRAINT reversi_game_turn_check CHECK (turn IN (1, 2)),
	turn_at timestamptz,
	winner smallint CONSTRAINT reversi_game_winner_check CHECK (winner IN (1, 2)),
	surrendered smallint CONSTRAINT reversi_game_surrendered_check CHECK (surrendered IN (1, 2)),
	timed_out smallint CONSTRAINT reversi_game_timed_out_check CHECK (timed_out IN (1, 2)),
	map text[] NOT NULL,
	bw text NOT NULL DEFAULT 'random' CONSTRAINT reversi_game_bw_check CHECK (bw IN ('random', '1', '2')),
	time_limit int NOT NULL DEFAULT 90,
	no_irregular_rules bool NOT NULL,
	is_llotheo bool NOT NULL DEFAULT false,
	can_put_everywhere bool NOT NULL DEFAULT false,
	looped_board bool NOT NULL DEFAULT false,
	crc32 int,
	CONSTRAINT reversi_game_pkey PRIMARY KEY (id),
	CONSTRAINT reversi_game_user1_id_fkey FOREIGN KEY (user1_id) REFERENCES "user" (id) ON DELETE CASCADE,
	CONSTRAINT reversi_game_user2_id_fkey FOREIGN KEY (user2_id) REFERENCES "user" (id) ON DELETE CASCADE
);
CREATE INDEX reversi_game_user1_idx ON reversi_game (user1_id, id DESC);
CREATE INDEX reversi_game_user2_idx ON reversi_game (user2_id, id DESC);
CREATE INDEX reversi_game_due_idx ON reversi_game (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX reversi_game_waiting_idx ON reversi_game (created_at) WHERE started_at IS NULL AND ended_at IS NULL;
CREATE INDEX reversi_game_turn_idx ON reversi_game (turn_at) WHERE started_at IS NOT NULL AND ended_at IS NULL;
COMMENT ON TABLE reversi_game IS 'owner: game. Games of reversi. black, turn, winner, surrendered, timed_out: which of the two players, 1 or 2; due_at: when a game for which both are ready begins; turn_at: since when it has been whose turn it is; time_limit: seconds a turn; crc32: of the board as it stands';

CREATE TABLE reversi_move (
	game_id text COLLATE "C" NOT NULL,
	number int NOT NULL,
	at timestamptz NOT NULL,
	black bool NOT NULL,
	pos int NOT NULL,
	CONSTRAINT reversi_move_pkey PRIMARY KEY (game_id, number),
	CONSTRAINT reversi_move_game_id_fkey FOREIGN KEY (game_id) REFERENCES reversi_game (id) ON DELETE CASCADE
);
COMMENT ON TABLE reversi_move IS 'owner: game. The stones that were put in a game, in their order; each is written under the lock of its game';
