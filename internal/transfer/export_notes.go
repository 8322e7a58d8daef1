package transfer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// notesAtATime is how many notes are read at once.
const notesAtATime = 100

// plain is a note as Misskey writes it into files.
type plain struct {
	ID                 string   `json:"id"`
	Text               *string  `json:"text"`
	CreatedAt          api.Time `json:"createdAt"`
	FileIDs            []string `json:"fileIds"`
	ReplyID            *string  `json:"replyId"`
	RenoteID           *string  `json:"renoteId"`
	Poll               *poll    `json:"poll"`
	CW                 *string  `json:"cw"`
	Visibility         string   `json:"visibility"`
	VisibleUserIDs     []string `json:"visibleUserIds"`
	LocalOnly          bool     `json:"localOnly"`
	ReactionAcceptance *string  `json:"reactionAcceptance"`
}

// own is a note of whoever asked: its files are told.
type own struct {
	plain
	Files []*drive.Packed `json:"files"`
}

// others is a note of anybody's.
type others struct {
	plain
	URI  *string `json:"uri"`
	URL  *string `json:"url"`
	User author  `json:"user"`
}

type author struct {
	ID       string  `json:"id"`
	Name     *string `json:"name"`
	Username string  `json:"username"`
	Host     *string `json:"host"`
	URI      *string `json:"uri"`
}

type poll struct {
	NoteID         string    `json:"noteId"`
	ExpiresAt      *api.Time `json:"expiresAt"`
	Multiple       bool      `json:"multiple"`
	Choices        []string  `json:"choices"`
	Votes          []int     `json:"votes"`
	NoteVisibility string    `json:"noteVisibility"`
	UserID         string    `json:"userId"`
	UserHost       *string   `json:"userHost"`
}

// time of an id.
func (s *Service) timeOf(id string) (api.Time, error) {
	at, err := s.IDs.Method().Time(id)
	if err != nil {
		return api.Time{}, fmt.Errorf("export: %w", err)
	}
	return api.Time(at), nil
}

func (s *Service) plain(n *note.Note, polls map[string]*poll) (plain, error) {
	at, err := s.timeOf(n.ID)
	if err != nil {
		return plain{}, err
	}
	p := plain{ID: n.ID, Text: n.Text, CreatedAt: at, FileIDs: some(n.FileIDs), ReplyID: n.ReplyID, RenoteID: n.RenoteID, CW: n.CW, Visibility: n.Visibility,
		VisibleUserIDs: some(n.VisibleUserIDs), LocalOnly: n.LocalOnly, ReactionAcceptance: n.ReactionAcceptance}
	if p.Poll = polls[n.ID]; p.Poll != nil {
		p.Poll.NoteVisibility = n.Visibility
	}
	return p, nil
}

// some is a list that is not null.
func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

const sqlPolls = `SELECT note_id, expires_at, multiple, choices, votes, user_id, user_host FROM poll WHERE note_id = ANY($1)`

func (s *Service) polls(ctx context.Context, list []*note.Note) (map[string]*poll, error) {
	var ids []string
	for _, n := range list {
		if n.HasPoll {
			ids = append(ids, n.ID)
		}
	}
	out := map[string]*poll{}
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := s.DB.Query(ctx, sqlPolls, ids)
	if err != nil {
		return nil, fmt.Errorf("polls: %w", err)
	}
	polls, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*poll, error) {
		p := &poll{}
		var until *time.Time
		err := r.Scan(&p.NoteID, &until, &p.Multiple, &p.Choices, &p.Votes, &p.UserID, &p.UserHost)
		p.ExpiresAt = api.TimePtr(until)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("polls: %w", err)
	}
	for _, p := range polls {
		out[p.NoteID] = p
	}
	return out, nil
}

const sqlNotes = `SELECT ` + note.Columns + note.From + `WHERE n.user_id = $1 AND n.id > $2 ORDER BY n.id LIMIT $3`

func (s *Service) writeNotes(ctx context.Context, w *bufio.Writer, c *carry) error {
	a := openArray(w)
	for after := ""; ; {
		list, err := s.Notes.Rows(ctx, sqlNotes, c.UserID, after, notesAtATime)
		if err != nil {
			return err
		}
		if err := s.addOwn(ctx, a, list); err != nil {
			return err
		}
		if len(list) < notesAtATime {
			a.end()
			return nil
		}
		after = list[len(list)-1].ID
		if err := s.rest(ctx, 0); err != nil {
			return err
		}
	}
}

func (s *Service) addOwn(ctx context.Context, a *array, list []*note.Note) error {
	polls, err := s.polls(ctx, list)
	if err != nil {
		return err
	}
	var ids []string
	for _, n := range list {
		ids = append(ids, n.FileIDs...)
	}
	files, err := s.Drive.ByIDs(ctx, s.DB, ids)
	if err != nil {
		return err
	}
	for _, n := range list {
		p, err := s.plain(n, polls)
		if err != nil {
			return err
		}
		o := own{plain: p, Files: []*drive.Packed{}}
		for _, id := range n.FileIDs {
			if f := files[id]; f != nil {
				o.Files = append(o.Files, s.Drive.Pack(f))
			}
		}
		if err := a.add(o); err != nil {
			return err
		}
	}
	return nil
}

// kept is a note among favourites, or in a clip.
type kept struct {
	ID        string   `json:"id"`
	CreatedAt api.Time `json:"createdAt"`
	Note      others   `json:"note"`
}

const (
	sqlFavorites = `SELECT id, note_id FROM note_favorite WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3`
	sqlClipNotes = `SELECT id, note_id FROM clip_note WHERE clip_id = $1 AND id > $2 ORDER BY id LIMIT $3`
)

// keep adds what a statement finds for an owner, as far as the viewer may still see
// it.
func (s *Service) keep(ctx context.Context, a *array, sql, ownerID, viewerID string) error {
	for after := ""; ; {
		rows, err := s.DB.Query(ctx, sql, ownerID, after, notesAtATime)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		page, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ ID, NoteID string }])
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		var ids []string
		for _, k := range page {
			ids = append(ids, k.NoteID)
		}
		found, err := s.seen(ctx, viewerID, ids)
		if err != nil {
			return err
		}
		for _, k := range page {
			n, ok := found[k.NoteID]
			if !ok {
				continue
			}
			at, err := s.timeOf(k.ID)
			if err != nil {
				return err
			}
			if err := a.add(kept{ID: k.ID, CreatedAt: at, Note: n}); err != nil {
				return err
			}
		}
		if len(page) < notesAtATime {
			return nil
		}
		after = page[len(page)-1].ID
		if err := s.rest(ctx, 0); err != nil {
			return err
		}
	}
}

// seen gives those of the notes that the viewer may see.
func (s *Service) seen(ctx context.Context, viewerID string, ids []string) (map[string]others, error) {
	ids, err := s.Notes.StillSeen(ctx, viewerID, ids)
	if err != nil {
		return nil, err
	}
	found, err := s.Notes.ByIDs(ctx, s.DB, ids)
	if err != nil {
		return nil, err
	}
	var list []*note.Note
	var by []string
	for _, n := range found {
		list, by = append(list, n), append(by, n.UserID)
	}
	polls, err := s.polls(ctx, list)
	if err != nil {
		return nil, err
	}
	users, err := s.Users.ByIDs(ctx, s.DB, by)
	if err != nil {
		return nil, err
	}
	out := map[string]others{}
	for _, n := range list {
		u := users[n.UserID]
		if u == nil { // gone meanwhile, and its notes with it
			continue
		}
		p, err := s.plain(n, polls)
		if err != nil {
			return nil, err
		}
		out[n.ID] = others{plain: p, URI: n.URI, URL: n.URL, User: whose(u)}
	}
	return out, nil
}

func whose(u *user.User) author {
	return author{ID: u.ID, Name: u.Name, Username: u.Username, Host: u.Host, URI: u.URI}
}

func (s *Service) writeFavorites(ctx context.Context, w *bufio.Writer, c *carry) error {
	a := openArray(w)
	if err := s.keep(ctx, a, sqlFavorites, c.UserID, c.UserID); err != nil {
		return err
	}
	a.end()
	return nil
}

// clip without its notes, which are written one by one.
type clip struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	Description   *string   `json:"description"`
	LastClippedAt *api.Time `json:"lastClippedAt"`
	Notes         []kept    `json:"clipNotes"`
}

const sqlClips = `SELECT id, name, description, last_clipped_at FROM clip WHERE user_id = $1 ORDER BY id`

func (s *Service) writeClips(ctx context.Context, w *bufio.Writer, c *carry) error {
	rows, err := s.DB.Query(ctx, sqlClips, c.UserID)
	if err != nil {
		return fmt.Errorf("clips: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (clip, error) {
		k := clip{Notes: []kept{}}
		var last *time.Time
		err := r.Scan(&k.ID, &k.Name, &k.Description, &last)
		k.LastClippedAt = api.TimePtr(last)
		return k, err
	})
	if err != nil {
		return fmt.Errorf("clips: %w", err)
	}
	a := openArray(w)
	for _, k := range list {
		b, err := json.Marshal(k)
		if err != nil {
			return err
		}
		a.raw(bytes.TrimSuffix(b, []byte("[]}"))) // its notes come between
		inside := openArray(w)
		if err := s.keep(ctx, inside, sqlClipNotes, k.ID, c.UserID); err != nil {
			return err
		}
		inside.end()
		_, _ = w.WriteString("}")
	}
	a.end()
	return nil
}

// trap is an antenna as Misskey writes it into files: one for a list names the
// accounts on it.
type trap struct {
	Name             string     `json:"name"`
	Src              string     `json:"src"`
	Keywords         [][]string `json:"keywords"`
	Exclude          [][]string `json:"excludeKeywords"`
	Users            []string   `json:"users"`
	Accts            []string   `json:"userListAccts"`
	CaseSensitive    bool       `json:"caseSensitive"`
	LocalOnly        bool       `json:"localOnly"`
	ExcludeBots      bool       `json:"excludeBots"`
	WithReplies      bool       `json:"withReplies"`
	WithFile         bool       `json:"withFile"`
	ExcludeSensitive bool       `json:"excludeNotesInSensitiveChannel"`
	Notify           bool       `json:"notify"` // older versions ask for it
}

func (s *Service) writeAntennas(ctx context.Context, w *bufio.Writer, c *carry) error {
	list, err := s.Antennas.Of(ctx, s.DB, c.UserID)
	if err != nil {
		return err
	}
	a := openArray(w)
	for _, x := range list {
		t := trap{Name: x.Name, Src: x.Src, Keywords: x.Keywords, Exclude: x.Exclude, Users: x.Users, CaseSensitive: x.CaseSensitive, LocalOnly: x.LocalOnly,
			ExcludeBots: x.ExcludeBots, WithReplies: x.WithReplies, WithFile: x.WithFile, ExcludeSensitive: x.ExcludeSensitive}
		if x.ListID != nil {
			t.Accts = []string{}
			if err := s.accounts(ctx, sqlMembers, *x.ListID, func(m tie) { t.Accts = append(t.Accts, s.acct(m.name, m.host)) }); err != nil {
				return err
			}
		}
		if err := a.add(t); err != nil {
			return err
		}
	}
	a.end()
	return nil
}
