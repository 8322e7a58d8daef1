package antenna

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
)

var (
	errCreateNoList = api.Err("NO_SUCH_USER_LIST", "95063e93-a283-4b8b-9aa5-bcdb8df69a7f", "There is no such list.")
	errTooMany      = api.Err("TOO_MANY_ANTENNAS", "faf47050-e8b5-438c-913c-db2b1576fde4", "No more antennas can be kept.")
	errCreateEmpty  = api.Err("EMPTY_KEYWORD", "53ee222e-1ddd-4f9a-92e5-9fb82ddb463a", "An antenna needs a keyword, or one to leave out.")
	errUpdateNone   = api.Err("NO_SUCH_ANTENNA", "10c673ac-8852-48eb-aa1f-f5b67f069290", "There is no such antenna.")
	errUpdateNoList = api.Err("NO_SUCH_USER_LIST", "1c6b35c9-943e-48c2-81e4-2844989407f7", "There is no such list.")
	errUpdateEmpty  = api.Err("EMPTY_KEYWORD", "721aaff6-4e1b-4d88-8de6-877fae9f68c4", "An antenna needs a keyword, or one to leave out.")
	errDeleteNone   = api.Err("NO_SUCH_ANTENNA", "b34dcf9d-348f-44bb-99d0-6c9314cfe2df", "There is no such antenna.")
	errShowNone     = api.Err("NO_SUCH_ANTENNA", "c06569fb-b025-4f23-b22d-1fcd20d2816b", "There is no such antenna.")
	errNotesNone    = api.Err("NO_SUCH_ANTENNA", "850926e0-fd3b-49b6-b69a-b28a5dbd82fe", "There is no such antenna.")
)

// Bounds of what an antenna asks for.
const (
	maxWords = 400 // in all keywords
	maxWord  = 200 // bytes
	maxUsers = 1000
)

// words are an OR of ANDs.
type words = [][]string

type createReq struct {
	Name             string   `json:"name" api:"required,min=1,max=100"`
	Src              string   `json:"src" api:"required,enum=home|all|users|list|users_blacklist"`
	ListID           *string  `json:"userListId" api:"nullable,id"`
	Keywords         words    `json:"keywords" api:"required"`
	Exclude          words    `json:"excludeKeywords" api:"required"`
	Users            []string `json:"users" api:"required"`
	CaseSensitive    bool     `json:"caseSensitive" api:"required"`
	LocalOnly        bool     `json:"localOnly" api:"optional"`
	ExcludeBots      bool     `json:"excludeBots" api:"optional"`
	WithReplies      bool     `json:"withReplies" api:"required"`
	WithFile         bool     `json:"withFile" api:"required"`
	ExcludeSensitive bool     `json:"excludeNotesInSensitiveChannel" api:"optional"`
}

const (
	sqlOwner   = `SELECT 1 FROM "user" WHERE id = $1 FOR NO KEY UPDATE`
	sqlCount   = `SELECT count(*) FROM antenna WHERE user_id = $1`
	sqlOwnList = `SELECT EXISTS (SELECT FROM user_list WHERE id = $1 AND user_id = $2)`
	sqlInsert  = `
INSERT INTO antenna (` + cols + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`
	sqlUpdate = `
UPDATE antenna SET name = $3, src = $4, user_list_id = $5, keywords = $6, exclude_keywords = $7, users = $8, case_sensitive = $9, local_only = $10, exclude_bots = $11,
	with_replies = $12, with_file = $13, exclude_sensitive_channel = $14, is_active = $15, last_used_at = now(), changed_at = clock_timestamp()
WHERE id = $1 AND user_id = $2`
	sqlDelete = `DELETE FROM antenna WHERE id = $1 AND user_id = $2`
)

func (a *Antenna) args() []any {
	return []any{a.ID, a.UserID, a.Name, a.Src, a.ListID, a.Keywords, a.Exclude, a.Users, a.CaseSensitive, a.LocalOnly, a.ExcludeBots, a.WithReplies, a.WithFile,
		a.ExcludeSensitive, a.Active}
}

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (*Packed, error) {
	a := &Antenna{ID: s.IDs.Now(), UserID: c.UserID, Name: req.Name, Src: req.Src, ListID: req.ListID, Keywords: req.Keywords, Exclude: req.Exclude, Users: req.Users,
		CaseSensitive: req.CaseSensitive, LocalOnly: req.LocalOnly, ExcludeBots: req.ExcludeBots, WithReplies: req.WithReplies, WithFile: req.WithFile,
		ExcludeSensitive: req.ExcludeSensitive, Active: true}
	if err := s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.add(ctx, tx, a) }); err != nil {
		return nil, err
	}
	return s.pack(a)
}

// add keeps an antenna; its errors are those of antennas/create.
func (s *Service) add(ctx context.Context, tx *pg.Tx, a *Antenna) error {
	if err := a.tidy(errCreateEmpty); err != nil {
		return err
	}
	policies, err := s.Roles.Of(ctx, a.UserID)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlOwner, a.UserID); err != nil { // one at a time
		return fmt.Errorf("antenna: %w", err)
	}
	var n int
	if err := tx.QueryRow(ctx, sqlCount, a.UserID).Scan(&n); err != nil {
		return fmt.Errorf("count antennas: %w", err)
	}
	if n >= policies.AntennaLimit {
		return errTooMany
	}
	if err := s.list(ctx, tx, a, errCreateNoList); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, sqlInsert, a.args()...)
	return err
}

// list makes sure that an antenna for a list names one of its owner's.
func (s *Service) list(ctx context.Context, tx *pg.Tx, a *Antenna, none *api.Error) error {
	if a.Src != "list" {
		a.ListID = nil
		return nil
	}
	if a.ListID == nil {
		return none
	}
	var own bool
	if err := tx.QueryRow(ctx, sqlOwnList, *a.ListID, a.UserID).Scan(&own); err != nil {
		return fmt.Errorf("list of an antenna: %w", err)
	}
	if !own {
		return none
	}
	return nil
}

// tidy drops what is empty, and refuses what is nothing, or too much.
func (a *Antenna) tidy(empty *api.Error) error {
	n := 0
	for _, list := range []*words{&a.Keywords, &a.Exclude} {
		out := words{}
		for _, all := range *list {
			kept := []string{}
			for _, w := range all {
				if len(w) > maxWord {
					return api.InvalidParam("#/properties/keywords", "a keyword is too long")
				}
				if w != "" {
					kept = append(kept, w)
				}
			}
			if len(kept) > 0 {
				out, n = append(out, kept), n+len(kept)
			}
		}
		*list = out
	}
	users := []string{}
	for _, u := range a.Users {
		if u = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(u), "@")); u != "" && !slices.Contains(users, u) {
			users = append(users, u)
		}
	}
	a.Users = users
	switch {
	case n == 0:
		return empty
	case n > maxWords:
		return api.InvalidParam("#/properties/keywords/maxItems", "too many keywords")
	case len(users) > maxUsers:
		return api.InvalidParam("#/properties/users/maxItems", "too many accounts")
	}
	return nil
}

type updateReq struct {
	AntennaID        string            `json:"antennaId" api:"required,id"`
	Name             api.Opt[string]   `json:"name" api:"min=1,max=100"`
	Src              api.Opt[string]   `json:"src" api:"enum=home|all|users|list|users_blacklist"`
	ListID           api.Opt[string]   `json:"userListId" api:"nullable,id"`
	Keywords         api.Opt[words]    `json:"keywords"`
	Exclude          api.Opt[words]    `json:"excludeKeywords"`
	Users            api.Opt[[]string] `json:"users"`
	CaseSensitive    api.Opt[bool]     `json:"caseSensitive"`
	LocalOnly        api.Opt[bool]     `json:"localOnly"`
	ExcludeBots      api.Opt[bool]     `json:"excludeBots"`
	WithReplies      api.Opt[bool]     `json:"withReplies"`
	WithFile         api.Opt[bool]     `json:"withFile"`
	ExcludeSensitive api.Opt[bool]     `json:"excludeNotesInSensitiveChannel"`
}

func set[T any](to *T, o api.Opt[T]) {
	if o.Set && !o.Null {
		*to = o.V
	}
}

func (r *updateReq) apply(a *Antenna) {
	set(&a.Name, r.Name)
	set(&a.Src, r.Src)
	if r.ListID.Set {
		if a.ListID = nil; !r.ListID.Null {
			a.ListID = &r.ListID.V
		}
	}
	set(&a.Keywords, r.Keywords)
	set(&a.Exclude, r.Exclude)
	set(&a.Users, r.Users)
	set(&a.CaseSensitive, r.CaseSensitive)
	set(&a.LocalOnly, r.LocalOnly)
	set(&a.ExcludeBots, r.ExcludeBots)
	set(&a.WithReplies, r.WithReplies)
	set(&a.WithFile, r.WithFile)
	set(&a.ExcludeSensitive, r.ExcludeSensitive)
	a.Active = true
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*Packed, error) {
	var a *Antenna
	err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
		if a, err = s.own(ctx, tx, c, req.AntennaID, errUpdateNone); err != nil {
			return err
		}
		req.apply(a)
		if err := a.tidy(errUpdateEmpty); err != nil {
			return err
		}
		if err := s.list(ctx, tx, a, errUpdateNoList); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlUpdate, a.args()...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.pack(a)
}

// own is an antenna of the caller's.
func (s *Service) own(ctx context.Context, q pg.Q, c *api.Call, antennaID string, none *api.Error) (*Antenna, error) {
	list, err := query(ctx, q, sqlOwn, antennaID, c.UserID)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, none
	}
	return list[0], nil
}

type antennaReq struct {
	AntennaID string `json:"antennaId" api:"required,id"`
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req antennaReq) (api.None, error) {
	tag, err := s.DB.Exec(ctx, sqlDelete, req.AntennaID, c.UserID)
	if err != nil {
		return api.None{}, fmt.Errorf("delete antenna: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return api.None{}, errDeleteNone
	}
	return api.None{}, nil
}

func (s *Service) apiList(ctx context.Context, c *api.Call, _ struct{}) ([]*Packed, error) {
	list, err := query(ctx, s.DB, sqlOfUser, c.UserID)
	if err != nil {
		return nil, err
	}
	out := make([]*Packed, 0, len(list))
	for _, a := range list {
		p, err := s.pack(a)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *Service) apiShow(ctx context.Context, c *api.Call, req antennaReq) (*Packed, error) {
	a, err := s.own(ctx, s.DB, c, req.AntennaID, errShowNone)
	if err != nil {
		return nil, err
	}
	return s.pack(a)
}

type notesReq struct {
	api.Page
	AntennaID string `json:"antennaId" api:"required,id"`
	Limit     int    `json:"limit" api:"min=1,max=100,default=10"`
}

const (
	sqlCaught = `SELECT n.id FROM antenna_note t JOIN note n ON n.id = t.note_id`
	// An antenna that is looked at is awake. The rest is written once an hour at most, but
	// what has been read always.
	sqlLooked = `
UPDATE antenna SET last_used_at = now(), read_id = greatest(read_id, $2),
	changed_at = CASE WHEN is_active THEN changed_at ELSE clock_timestamp() END, is_active = true
WHERE id = $1 AND (NOT is_active OR read_id < $2 OR last_used_at < now() - interval '1 hour')`
)

// apiNotes is what an antenna has caught, as far as its owner may and wants to see it.
func (s *Service) apiNotes(ctx context.Context, c *api.Call, req notesReq) ([]*note.Packed, error) {
	a, err := s.own(ctx, s.DB, c, req.AntennaID, errNotesNone)
	if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("t.antenna_id = ?", a.ID)
	note.SeeElsewhere(&w, c.UserID)
	list, err := s.Notes.Page(ctx, c.UserID, sqlCaught, &w, req.Page, req.Limit)
	if err != nil {
		return nil, err
	}
	newest := ""
	for _, n := range list {
		newest = max(newest, n.ID)
	}
	if _, err := s.DB.Exec(ctx, sqlLooked, a.ID, newest); err != nil {
		return nil, fmt.Errorf("antenna: %w", err)
	}
	return list, nil
}
