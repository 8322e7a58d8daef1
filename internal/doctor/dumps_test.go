package doctor_test

import (
	"slices"
	"testing"

	mech "buttersc.one/oven/internal/socket/doctor"
)

// What Misskey 2024.10 itself leaves behind: counters that drift, ids of what was
// deleted. Every one was compared by hand with the rows.
func misskeysOwn() map[string][]string {
	return map[string][]string{
		"misskey-2024.10-a.dump": {
			"counter-differs instance.followersCount 1", "counter-differs instance.followingCount 1", "counter-differs instance.notesCount 1",
			"counter-differs instance.usersCount 1", "counter-differs note.renoteCount 1", "counter-differs user.followersCount 1",
			"counter-differs user.followingCount 1", "counter-differs user.notesCount 19", "dangling note.fileIds 1",
		},
		"misskey-2024.10-b.dump": {
			"counter-differs instance.followersCount 1", "counter-differs instance.followingCount 1", "counter-differs instance.notesCount 1",
			"counter-differs instance.usersCount 1", "counter-differs note.reactions 25", "counter-differs note.renoteCount 7",
			"counter-differs note.repliesCount 4", "counter-differs user.followersCount 6", "counter-differs user.followingCount 4",
			"counter-differs user.notesCount 2", "dangling note.mentions 2",
		},
	}
}

func TestRealMisskeyDatabases(t *testing.T) {
	t.Parallel()
	for name, want := range misskeysOwn() {
		dsn := misskeyDump(t, name)
		if dsn == "" {
			continue
		}
		r := check(t, connect(t, dsn), true)
		if got := counted(r); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
		for _, n := range r.Notes {
			if n.Where != "amcheck" {
				t.Errorf("%s: note %s: %s", name, n.Where, n.Says)
			}
		}
	}
}

// The description covers what Misskey made: each of its unique indexes.
func TestMisskeyIsDescribed(t *testing.T) {
	t.Parallel()
	dsn := misskeyDump(t, "misskey-2024.10-a.dump")
	if dsn == "" {
		return
	}
	covers(t, connect(t, dsn), true)
}

func counted(r *mech.Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Code+" "+f.Where+" "+itoa(f.Count))
	}
	slices.Sort(out)
	return out
}
