package doctor_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/db"
	"buttersc.one/oven/internal/doctor"
	mech "buttersc.one/oven/internal/socket/doctor"
	"buttersc.one/oven/internal/testsrv"
)

// The drill's second half: what was found is repaired, and only what the plan said
// that it leaves is still found.

// left are the codes of what no repair touches: it is not known what was meant.
var left = []string{"migration-missing", "migration-twice", "dangling", "counter-differs", "profile-missing", "stat-missing", "account-missing", "keypair-missing", "publickey-missing",
	"self-follow", "self-block", "self-mute", "own-host", "host-form", "name-form", "uri-missing", "uri-unexpected", "copy-differs", "poll-missing", "poll-form", "vote-range", "request-answered"}

// byHand are faults that no merge may repair: two people, of whom each has a row.
var byHand = map[string]string{"one address proved twice": "account.lower(email)", "one key for two accounts": "user_publickey.keyId"}

// mend repairs a database, with every doubt decided for the first row.
func mend(t *testing.T, name string, conn *pgx.Conn, o doctor.Options) {
	t.Helper()
	p, err := doctor.Plan(t.Context(), conn, o, nil)
	if err != nil {
		t.Errorf("%s: plan: %v", name, err)
		return
	}
	decided := false
	for _, g := range p.Groups {
		if g.Undecided != "" && len(g.IDs) > 1 {
			decided = true
			if err := mech.Decide(t.Context(), conn, g.ID, g.IDs[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if decided {
		if p, err = doctor.Plan(t.Context(), conn, o, nil); err != nil {
			t.Fatal(err)
		}
	}
	done, err := doctor.Apply(t.Context(), conn, o, p, nil)
	if err != nil || len(done.Failed) > 0 {
		t.Errorf("%s: apply: %v, %+v", name, err, done)
		return
	}
	if found, err := doctor.Verify(t.Context(), conn, o, done.Run); err != nil || len(found) > 0 {
		t.Errorf("%s: verify: %v, %+v", name, err, found)
	}
	for _, f := range check(t, conn, o.Misskey).Findings {
		told := slices.ContainsFunc(p.Left, func(l mech.Left) bool { return l.Code == f.Code && l.Where == f.Where })
		if !told || !slices.Contains(left, f.Code) && byHand[name] != f.Where {
			t.Errorf("%s: still %s %s (told beforehand: %v): %s", name, f.Code, f.Where, told, f.Detail)
		}
	}
}

func TestDrillRepairsMisskey(t *testing.T) {
	t.Parallel()
	for _, f := range misskeyFaults() {
		dsn := cleanMisskey(t)
		if dsn == "" {
			return
		}
		conn := connect(t, dsn)
		exec1(t, conn, f.sql)
		mend(t, f.name, conn, doctor.Options{Misskey: true})
		_ = conn.Close(t.Context())
	}
}

func TestDrillRepairsOven(t *testing.T) {
	t.Parallel()
	for _, f := range ovenFaults() {
		conn := connect(t, testsrv.Database(t).Config().ConnString())
		exec1(t, conn, people)
		exec1(t, conn, f.sql)
		mend(t, f.name, conn, doctor.Options{Newest: db.Newest()})
		_ = conn.Close(t.Context())
	}
}
