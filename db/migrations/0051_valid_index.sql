-- +goose Up

-- Migrations that build an index while others write end with it: a build that failed leaves an index that guards nothing.
-- +goose StatementBegin
CREATE FUNCTION require_valid_index(index_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_index x WHERE x.indexrelid = to_regclass('public.' || quote_ident(index_name)) AND x.indisvalid AND x.indisready) THEN
		RAISE EXCEPTION 'index % was not finished: remove what stands in its way and migrate again', index_name;
	END IF;
END $$;
-- +goose StatementEnd
