package stats

import (
	"context"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/chart"
	"buttersc.one/oven/internal/socket/log"
)

// folded are the changes that charts are made of.
var folded = []string{
	"note.created", "note.deleted", "note.reacted", "user.created", "user.deleted", "user.movedAside", "user.returned", "user.rehomed", "user.tieEnded",
	"relation.followed", "relation.unfollowed", "drive.created", "drive.deleted",
}

// change is what charts want to know of a change; which of it there is depends on
// its kind.
type change struct {
	Server     string `json:"server"` // authority of the account's or author's server, "" for this one
	Local      bool   `json:"local"`
	System     bool   `json:"system"`
	FromServer string `json:"fromServer"`
	ToServer   string `json:"toServer"`
	From       string `json:"from"`
	To         string `json:"to"`
	Users      int64  `json:"users"`
	Notes      int64  `json:"notes"`
	Follows    int64  `json:"follows"`
	Followed   int64  `json:"followed"`
	Author     string `json:"author"`
	Remote     bool   `json:"remote"`
	Reply      string `json:"reply"`
	Renote     string `json:"renote"`
	Files      bool   `json:"files"`
	UserID     string `json:"userId"`
	Host       string `json:"host"`
	Size       int64  `json:"size"` // bytes
}

// onCharts folds the change log into the charts: the cursor moves in the same
// transaction, so each change counts once.
func (s *Service) onCharts(ctx context.Context, tx *pg.Tx, batch []log.Change) error {
	f := fold{Sums: s.Engine.Sums()}
	for _, c := range batch {
		var d change
		if err := c.Into(&d); err != nil {
			return err
		}
		// The log has the database's clock. Charts have the server's, which only test
		// mode moves.
		f.at = c.At.Add(time.Until(s.Now()))
		f.add(c, &d)
	}
	return s.Engine.Write(ctx, tx, f.Sums)
}

// fold adds changes to sums.
type fold struct {
	*chart.Sums
	at time.Time
}

func (f *fold) count(name, grp, col string, n int64) { f.Add(f.at, name, grp, col, n) }

// moved counts one more of a total, or one less.
func (f *fold) moved(name, grp, prefix string, by int64) {
	f.count(name, grp, prefix+"total", by)
	if by > 0 {
		f.count(name, grp, prefix+"inc", by)
	} else {
		f.count(name, grp, prefix+"dec", -by)
	}
}

// side is the half of a chart that a server's accounts are in.
func side(server string) string {
	if server == "" {
		return "local."
	}
	return "remote."
}

func (f *fold) add(c log.Change, d *change) {
	switch c.Kind {
	case "note.created":
		f.note(c, d, 1)
	case "note.deleted":
		f.note(c, d, -1)
	case "note.reacted":
		if d.Remote {
			f.count("perUserReaction", d.Author, "remote.count", 1)
		} else {
			f.count("perUserReaction", d.Author, "local.count", 1)
		}
	case "user.created", "user.returned":
		f.user(d, 1)
	case "user.deleted", "user.movedAside":
		f.user(d, -1)
	case "user.rehomed":
		f.rehomed(d.FromServer, d, -1)
		f.rehomed(d.ToServer, d, 1)
	case "relation.followed":
		f.follow(d, 1)
	case "relation.unfollowed", "user.tieEnded":
		f.follow(d, -1)
	case "drive.created":
		f.file(d, 1)
	case "drive.deleted":
		f.file(d, -1)
	}
}

func (f *fold) note(c log.Change, d *change, by int64) {
	type series struct{ name, grp, prefix string }
	all := []series{{"notes", "", side(d.Server)}, {"perUserNotes", c.ActorID, ""}}
	if d.Server != "" {
		all = append(all, series{"instance", d.Server, "notes."})
	}
	for _, s := range all {
		f.moved(s.name, s.grp, s.prefix, by)
		for diff, is := range map[string]bool{"normal": d.Reply == "" && d.Renote == "", "reply": d.Reply != "", "renote": d.Renote != "", "withFile": d.Files} {
			if is {
				f.count(s.name, s.grp, s.prefix+"diffs."+diff, by)
			}
		}
	}
	if by > 0 && d.Server == "" {
		f.Seen(f.at, "activeUsers", "", "write", c.ActorID)
	}
}

func (f *fold) user(d *change, by int64) {
	switch {
	case d.Server != "":
		f.moved("users", "", "remote.", by)
		f.moved("instance", d.Server, "users.", by)
	case d.Local && !d.System:
		f.moved("users", "", "local.", by)
	}
}

// rehomed moves what an account counts for from one server to another. It is
// nothing that has come or gone.
func (f *fold) rehomed(server string, d *change, by int64) {
	f.count("instance", server, "users.total", by*d.Users)
	f.count("instance", server, "notes.total", by*d.Notes)
	f.count("instance", server, "following.total", by*d.Follows)
	f.count("instance", server, "followers.total", by*d.Followed)
}

// follow counts a tie for both: followings are by where who is followed is,
// followers by where they are.
func (f *fold) follow(d *change, by int64) {
	f.moved("perUserFollowing", d.From, side(d.ToServer)+"followings.", by)
	f.moved("perUserFollowing", d.To, side(d.FromServer)+"followers.", by)
	if d.FromServer != "" {
		f.moved("instance", d.FromServer, "following.", by)
	}
	if d.ToServer != "" {
		f.moved("instance", d.ToServer, "followers.", by)
	}
}

func (f *fold) file(d *change, by int64) {
	count, size := "incCount", "incSize"
	if by < 0 {
		count, size = "decCount", "decSize"
	}
	f.count("drive", "", side(d.Host)+count, 1)
	f.count("drive", "", side(d.Host)+size, d.Size)
	if d.UserID != "" {
		f.count("perUserDrive", d.UserID, "totalCount", by)
		f.count("perUserDrive", d.UserID, "totalSize", by*d.Size)
		f.count("perUserDrive", d.UserID, count, 1)
		f.count("perUserDrive", d.UserID, size, d.Size)
	}
	if d.Host != "" {
		files, usage := "drive.incFiles", "drive.incUsage"
		if by < 0 {
			files, usage = "drive.decFiles", "drive.decUsage"
		}
		f.count("instance", d.Host, "drive.totalFiles", by)
		f.count("instance", d.Host, files, 1)
		f.count("instance", d.Host, usage, d.Size)
	}
}
