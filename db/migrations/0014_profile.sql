-- +goose Up

-- How an account withdraws its notes: seconds since 1970, or, up to 0, how long ago.
ALTER TABLE "user"
	ADD COLUMN require_signin bool NOT NULL DEFAULT false,
	ADD COLUMN followers_only_before bigint,
	ADD COLUMN hidden_before bigint,
	ADD COLUMN is_guarded bool GENERATED ALWAYS AS (require_signin OR followers_only_before IS NOT NULL OR hidden_before IS NOT NULL) STORED;
CREATE INDEX user_guarded_idx ON "user" (id) WHERE is_guarded;

ALTER TABLE user_profile
	ADD COLUMN chat_scope text NOT NULL DEFAULT 'mutual'
		CONSTRAINT user_profile_chat_scope_check CHECK (chat_scope IN ('everyone', 'followers', 'following', 'mutual', 'none'));

CREATE TABLE avatar_decoration (
	id text COLLATE "C" PRIMARY KEY,
	name text NOT NULL,
	description text NOT NULL,
	url text NOT NULL,
	role_ids text[] NOT NULL DEFAULT '{}',
	category text,
	updated_at timestamptz
);
COMMENT ON TABLE avatar_decoration IS 'owner: decoration. What people can lay over their avatars';

-- +goose StatementBegin
-- The least id of what was made from a time on, as package id makes them. Times beyond what every form can say
-- (2089) count as that.
CREATE FUNCTION id_bound(seconds bigint) RETURNS text LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
	method text := (SELECT id_method FROM server);
	ms bigint := CASE WHEN seconds > 0 THEN least(seconds, 3700000000) * 1000
		ELSE floor(extract(epoch FROM now()) * 1000)::bigint + greatest(seconds, -3700000000) * 1000 END;
	digits text := '0123456789abcdefghijklmnopqrstuvwxyz';
	base int := 36;
	width int := 8;
	prefix text := '';
	made text := '';
BEGIN
	CASE method
		WHEN 'aid', 'aidx' THEN ms := ms - 946684800000;
		WHEN 'meid' THEN base := 16; width := 12;
		WHEN 'meidg' THEN base := 16; width := 11; prefix := 'g';
		WHEN 'objectid' THEN base := 16; ms := ms / 1000;
		WHEN 'ulid' THEN base := 32; width := 10; digits := '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
	END CASE;
	ms := greatest(ms, 0);
	IF method = 'meid' THEN
		ms := ms + 140737488355328;
	END IF;
	FOR i IN 1..width LOOP
		made := substr(digits, (ms % base)::int + 1, 1) || made;
		ms := ms / base;
	END LOOP;
	RETURN prefix || made;
END $$;
-- +goose StatementEnd
