package doctor_test

import (
	"testing"

	"buttersc.one/oven/internal/doctor"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/testsrv"
)

// Of two rows with one name the one stays whose actor the other server knows by it,
// if it says so without doubt; else a person decides.
func TestTheLivingStays(t *testing.T) {
	t.Parallel()
	client := remote.New(remote.Config{AllowLoopback: true, AllowPlainHTTP: true}, nil, nil)
	t.Cleanup(client.Close)
	for _, c := range []struct {
		name  string
		as    func(far *testsrv.Remote)
		stays string
	}{
		{"the old one is gone", func(far *testsrv.Remote) { far.Actor("cat") }, "cat"},
		{"the old one says that it is the new one", func(far *testsrv.Remote) {
			a := far.Actor("cat")
			far.Put("/users/old", testsrv.M{"id": a.ID, "type": "Person", "preferredUsername": "cat"})
		}, "cat"},
		{"both are there", func(far *testsrv.Remote) {
			far.Put("/users/old", testsrv.M{"type": "Person", "preferredUsername": "cat"})
			far.Actor("cat")
		}, ""},
		{"neither is known by the name", func(far *testsrv.Remote) {
			far.Put("/users/cat", testsrv.M{"type": "Person", "preferredUsername": "cat"})
		}, ""},
		{"both are gone", func(*testsrv.Remote) {}, ""},
	} {
		far := testsrv.NewRemote(t)
		c.as(far)
		conn := connect(t, testsrv.Database(t).Config().ConnString())
		exec1(t, conn, people)
		exec1(t, conn, `ALTER TABLE "user" DROP CONSTRAINT user_username_lower_host_key`)
		exec1(t, conn, `INSERT INTO "user" (id, username, username_lower, host, actor_host, uri) SELECT n, 'cat', 'cat', $1, $1, $2 || n FROM unnest(ARRAY['cat', 'old']) n`, far.Host, far.Origin+"/users/")
		exec1(t, conn, `INSERT INTO user_profile (user_id) VALUES ('cat'), ('old')`)
		exec1(t, conn, `INSERT INTO user_stat (user_id) VALUES ('cat'), ('old')`)
		p, err := doctor.Plan(t.Context(), conn, doctor.Options{}, client)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Groups) != 1 || p.Groups[0].Survivor != c.stays || (c.stays == "") != (p.Undecided() == 1) {
			t.Errorf("%s: %+v", c.name, p.Groups)
		}
	}
}
