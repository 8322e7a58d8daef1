package doctor_test

import (
	"testing"

	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/lib/pg"
	mech "buttersc.one/oven/internal/socket/doctor"
)

// A fence keeps new duplicates out of a table without its index, and lets the old ones
// be; taken away, it leaves nothing.
func TestFence(t *testing.T) {
	t.Parallel()
	conn, dsn := dirty(t)
	if dsn == "" {
		return
	}
	const left = `SELECT (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal) || ' ' || (SELECT count(*) FROM pg_indexes WHERE schemaname = 'public')
		|| ' ' || (SELECT count(*) FROM pg_proc WHERE pronamespace = to_regnamespace('doctor_archive'))`
	again := twin(sencha, "atv8t94dsf2t9995")
	before := one(t, conn, left)
	o := doctor.Options{Misskey: true}
	for range 2 { // a second one changes nothing
		if err := doctor.Fence(t.Context(), conn, o); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), again); pg.Code(err) != "23505" {
		t.Errorf("one more of an account that is there twice: %v", err)
	}
	exec1(t, conn, `UPDATE "user" SET "notesCount" = "notesCount" + 1 WHERE id IN ($1, $2)`, sencha, twinOfSencha)
	for range 2 {
		if err := mech.Unfence(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
	}
	if after := one(t, conn, left); after != before {
		t.Errorf("triggers, indexes and functions: %s, there were %s", after, before)
	}
	exec1(t, conn, again)
}
