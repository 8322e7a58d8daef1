-- +goose Up

CREATE TABLE role (
	id text COLLATE "C" PRIMARY KEY,
	updated_at timestamptz NOT NULL,
	name text NOT NULL,
	description text NOT NULL,
	color text,
	icon_url text,
	target text NOT NULL CHECK (target IN ('manual', 'conditional')),
	cond_formula jsonb NOT NULL,
	is_public bool NOT NULL,
	is_moderator bool NOT NULL,
	is_administrator bool NOT NULL,
	is_explorable bool NOT NULL,
	as_badge bool NOT NULL,
	preserve_on_move bool NOT NULL DEFAULT false,
	can_edit_members_by_moderator bool NOT NULL,
	display_order int NOT NULL,
	policies jsonb NOT NULL
);
COMMENT ON TABLE role IS 'owner: role. policies: name → value, priority, useDefault';

CREATE TABLE role_assignment (
	id text COLLATE "C" PRIMARY KEY,
	user_id text COLLATE "C" NOT NULL REFERENCES "user" ON DELETE CASCADE,
	role_id text COLLATE "C" NOT NULL REFERENCES role ON DELETE CASCADE,
	expires_at timestamptz,
	CONSTRAINT role_assignment_key UNIQUE (user_id, role_id)
);
COMMENT ON TABLE role_assignment IS 'owner: role. A row past expires_at counts for nothing';
CREATE INDEX role_assignment_role_idx ON role_assignment (role_id, id DESC);
CREATE INDEX role_assignment_expiry_idx ON role_assignment (expires_at) WHERE expires_at IS NOT NULL;
