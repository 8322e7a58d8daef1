// Package reaction is in charge of reactions to notes, local and remote: their
// rows, their form, who hears of them. The counts on a note it leaves to note.
package reaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/emojidata"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Reasons for which a reaction is refused.
var (
	ErrAlready = errors.New("the same reaction is there already")
	ErrNone    = errors.New("there is no reaction")
	ErrBlocked = errors.New("the author blocks the account")
	ErrRenote  = errors.New("a renote is not reacted to")
)

// Reacted is emitted when somebody reacted to a note.
type Reacted struct {
	Note     *note.Note
	By       *user.User
	Reaction string // as stored
}

// Deps are what the service stands on.
type Deps struct {
	DB        *pg.DB
	Meta      *meta.Service
	Users     *user.Service
	Relations *relation.Service
	Notes     *note.Service
	Emojis    *emoji.Service
	Roles     *role.Service
	Instances *instance.Service
	Delivery  *delivery.Service
	Inbox     note.Burial
	IDs       *id.Maker
	Bus       *event.Bus
	Log       *log.Log
	Hub       *stream.Hub
}

// Service keeps reactions.
type Service struct{ Deps }

// New makes the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// fallback is what a reaction becomes that cannot be taken as it is.
const fallback = "❤"

// legacy are the words that stood for reactions long ago.
var legacy = map[string]string{
	"like": "👍", "love": "❤", "laugh": "😆", "hmm": "🤔", "surprise": "😮", "congrats": "🎉", "angry": "💢",
	"confused": "😥", "rip": "😇", "pudding": "🍮", "star": "⭐",
}

// Normalize brings a reaction into the form in which it is stored: an emoji
// without variation selector, :name: of a local emoji, :name@host: of a remote
// reactor's own. What is unknown, or not accepted by the note, becomes a heart
// (behaviour 3.8).
func (s *Service) Normalize(ctx context.Context, q pg.Q, text string, by *user.User, n *note.Note) (string, error) {
	acceptance := ""
	if n.ReactionAcceptance != nil {
		acceptance = *n.ReactionAcceptance
	}
	remote := by.Host != nil
	if acceptance == "likeOnly" || remote && (acceptance == "likeOnlyForRemote" || acceptance == "nonSensitiveOnlyForLocalLikeOnlyForRemote") {
		return fallback, nil
	}
	if word, ok := legacy[text]; ok {
		return word, nil
	}
	if name, ok := customName(text); ok {
		e, err := s.custom(ctx, q, name, by)
		if err != nil || e == nil {
			return fallback, err
		}
		if e.IsSensitive && (acceptance == "nonSensitiveOnly" || acceptance == "nonSensitiveOnlyForLocalLikeOnlyForRemote" && !remote) {
			return fallback, nil
		}
		if len(e.RoleIDs) > 0 && !remote {
			if ok, err := s.Roles.Holds(ctx, by.ID, e.RoleIDs); err != nil || !ok {
				return fallback, err
			}
		}
		if remote {
			return ":" + name + "@" + *by.ActorHost + ":", nil
		}
		return ":" + name + ":", nil
	}
	if e, ok := emojidata.First(text); ok {
		return emojidata.Normalize(e), nil
	}
	return fallback, nil
}

// customName reads :name:, :name@.: and, for remote reactors, :name@host:.
func customName(text string) (string, bool) {
	if len(text) < 3 || text[0] != ':' || text[len(text)-1] != ':' {
		return "", false
	}
	name, _, _ := strings.Cut(text[1:len(text)-1], "@")
	return name, name != "" && !strings.ContainsAny(name, ": ")
}

func (s *Service) custom(ctx context.Context, q pg.Q, name string, by *user.User) (*emoji.Emoji, error) {
	if by.Host == nil {
		local, err := s.Emojis.Local(ctx)
		return local[name], err
	}
	if s.Instances.MediaSilenced(*by.ActorHost) {
		return nil, nil
	}
	known, err := s.Emojis.Remote(ctx, q, *by.ActorHost, []string{name})
	return known[name], err
}

const (
	sqlMine   = `SELECT id, reaction, coalesce(uri, '') FROM note_reaction WHERE user_id = $1 AND note_id = $2 FOR UPDATE`
	sqlInsert = `INSERT INTO note_reaction (id, note_id, user_id, reaction, uri) VALUES ($1, $2, $3, $4, $5)`
	sqlDelete = `DELETE FROM note_reaction WHERE id = $1`
	// The note's row is locked first: reactions to one note are counted one
	// after the other.
	sqlLockStat = `SELECT FROM note_stat WHERE note_id = $1 FOR UPDATE`
)

// row is a reaction.
type row struct{ id, reaction, uri string }

func (s *Service) mine(ctx context.Context, tx *pg.Tx, userID, noteID string) (*row, error) {
	r := &row{}
	err := tx.QueryRow(ctx, sqlMine, userID, noteID).Scan(&r.id, &r.reaction, &r.uri)
	if pg.NoRows(err) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("reaction: %w", err)
	}
	return r, nil
}

// lock takes the note's row and its counts for the transaction.
func (s *Service) lock(ctx context.Context, tx *pg.Tx, noteID string) error {
	if err := s.Notes.Keep(ctx, tx, noteID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlLockStat, noteID); err != nil {
		return fmt.Errorf("react: %w", err)
	}
	return nil
}

// Create reacts to a note, in tx; another reaction of the same account is
// replaced. uri is a remote Like's id.
func (s *Service) Create(ctx context.Context, tx *pg.Tx, by *user.User, n *note.Note, text, uri string) error {
	if n.IsPureRenote {
		return ErrRenote
	}
	if by.ID != n.UserID {
		_, blocked, err := s.Relations.Blocks(ctx, tx, by.ID, n.UserID)
		if err != nil {
			return err
		}
		if blocked {
			return ErrBlocked
		}
	}
	reaction, err := s.Normalize(ctx, tx, text, by, n)
	if err != nil {
		return err
	}
	if err := s.lock(ctx, tx, n.ID); err != nil {
		return err
	}
	have, err := s.mine(ctx, tx, by.ID, n.ID)
	switch {
	case err == nil && have.reaction == reaction:
		return ErrAlready
	case err == nil:
		if err := s.remove(ctx, tx, by, n, have); err != nil {
			return err
		}
	case !errors.Is(err, ErrNone):
		return err
	}
	return s.add(ctx, tx, by, n, reaction, uri)
}

func (s *Service) add(ctx context.Context, tx *pg.Tx, by *user.User, n *note.Note, reaction, uri string) error {
	id := s.IDs.Now()
	var u *string
	if uri != "" {
		u = &uri
	}
	if _, err := tx.Exec(ctx, sqlInsert, id, n.ID, by.ID, reaction, u); err != nil {
		return fmt.Errorf("react: %w", err)
	}
	if err := s.Notes.AddReaction(ctx, tx, n.ID, reaction, by.ID+"/"+reaction); err != nil {
		return err
	}
	if err := s.Log.Append(ctx, tx, "note.reacted", n.ID, by.ID, changed{Reaction: reaction, Author: n.UserID, Remote: !by.Local()}); err != nil {
		return err
	}
	if err := s.Bus.Emit(ctx, tx, Reacted{Note: n, By: by, Reaction: reaction}); err != nil {
		return err
	}
	if by.Local() && !n.LocalOnly {
		return s.sendLike(ctx, tx, by, n, id, reaction)
	}
	return nil
}

// changed goes with "note.reacted" and "note.unreacted".
type changed struct {
	Reaction string `json:"reaction"`
	Author   string `json:"author"`           // of the note
	Remote   bool   `json:"remote,omitempty"` // who reacts is of another server
}

// Delete takes a reaction back, in tx. ErrNone when there is none.
func (s *Service) Delete(ctx context.Context, tx *pg.Tx, by *user.User, n *note.Note) error {
	if err := s.lock(ctx, tx, n.ID); err != nil {
		return err
	}
	have, err := s.mine(ctx, tx, by.ID, n.ID)
	if err != nil {
		return err
	}
	return s.remove(ctx, tx, by, n, have)
}

func (s *Service) remove(ctx context.Context, tx *pg.Tx, by *user.User, n *note.Note, have *row) error {
	if _, err := tx.Exec(ctx, sqlDelete, have.id); err != nil {
		return fmt.Errorf("unreact: %w", err)
	}
	if err := s.Notes.RemoveReaction(ctx, tx, n.ID, have.reaction, by.ID+"/"+have.reaction); err != nil {
		return err
	}
	if err := s.Log.Append(ctx, tx, "note.unreacted", n.ID, by.ID, changed{Reaction: have.reaction, Author: n.UserID, Remote: !by.Local()}); err != nil {
		return err
	}
	if by.Local() && !n.LocalOnly {
		return s.sendUndo(ctx, tx, by, n, have)
	}
	return nil
}

// renderLike is the Like of a local account (behaviour 3.8).
func (s *Service) renderLike(ctx context.Context, by *user.User, n *note.Note, id, reaction string) (*ap.Activity, error) {
	like := &ap.Activity{ID: s.Meta.Origin + "/likes/" + id, Type: "Like", Actor: s.Users.URI(by), Object: s.Notes.URI(n),
		Content: reaction, MisskeyReaction: reaction}
	if name, ok := customName(reaction); ok {
		tags, err := s.Emojis.Tags(ctx, []string{name})
		if err != nil {
			return nil, err
		}
		like.Tag = tags
	}
	return like, nil
}

func (s *Service) sendLike(ctx context.Context, tx *pg.Tx, by *user.User, n *note.Note, id, reaction string) error {
	like, err := s.renderLike(ctx, by, n, id, reaction)
	if err != nil {
		return err
	}
	return s.send(ctx, tx, by, n, like)
}

func (s *Service) sendUndo(ctx context.Context, tx *pg.Tx, by *user.User, n *note.Note, have *row) error {
	like, err := s.renderLike(ctx, by, n, have.id, have.reaction)
	if err != nil {
		return err
	}
	return s.send(ctx, tx, by, n, &ap.Activity{ID: like.ID + "/undo", Type: "Undo", Actor: like.Actor, Object: like})
}

// send tells the note's author, and who can see the note of those who follow
// the reactor: his followers' servers, but for followers-only and direct notes
// only those that hold the note.
func (s *Service) send(ctx context.Context, tx *pg.Tx, by *user.User, n *note.Note, a *ap.Activity) error {
	a.Context = ap.Context()
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("render %s: %w", a.Type, err)
	}
	m := delivery.Message{ActorID: by.ID, ActivityID: a.ID, Type: a.Type, Object: "react:" + by.ID + ":" + n.ID, Body: body, Class: delivery.Direct}
	if n.UserHost != nil {
		author, err := s.Users.ByIDIn(ctx, tx, n.UserID)
		if err != nil {
			return err
		}
		if author.Inbox != nil {
			m.Extra = append(m.Extra, author.Recipient())
		}
	}
	switch {
	case n.Visibility == note.Public || n.Visibility == note.Home:
		if m.Audience, err = s.Relations.FollowerInboxes(ctx, tx, by.ID); err != nil {
			return err
		}
	case n.Local():
		m.To = &delivery.Recipients{AudienceID: n.AudienceID, Extra: n.AudienceExtra}
	}
	_, err = s.Delivery.Send(ctx, tx, m)
	return err
}

const sqlByID = `SELECT note_id, user_id, reaction FROM note_reaction WHERE id = $1`

// LikeDocument renders the Like at /likes/<id>; note.ErrNotFound when there is
// none that may be shown.
func (s *Service) LikeDocument(ctx context.Context, id string) (*ap.Activity, error) {
	var noteID, userID, reaction string
	err := s.DB.QueryRow(ctx, sqlByID, id).Scan(&noteID, &userID, &reaction)
	if pg.NoRows(err) {
		return nil, note.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("like: %w", err)
	}
	n, err := s.Notes.Fetchable(ctx, noteID)
	if err != nil {
		return nil, err
	}
	by, err := s.Users.ByID(ctx, userID)
	if err != nil {
		return nil, err
	}
	if !by.Local() {
		return nil, note.ErrNotFound
	}
	like, err := s.renderLike(ctx, by, n, id, reaction)
	if err == nil {
		like.Context = ap.Context()
	}
	return like, err
}

// Consumers tell those who captured a note.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{{Name: "reaction.stream", Kinds: []string{"note.reacted", "note.unreacted"}, After: "relation.graph", Handle: s.onChanges}}
}

// streamEmoji is the picture of a reaction in an event.
type streamEmoji struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

type streamReaction struct {
	Reaction string       `json:"reaction"`
	Emoji    *streamEmoji `json:"emoji"`
	UserID   string       `json:"userId"`
}

func (s *Service) onChanges(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		topic := stream.NoteTopic(c.ObjectID)
		if !s.Hub.Heard(topic) {
			continue
		}
		var d changed
		if err := c.Into(&d); err != nil {
			return err
		}
		e, err := s.picture(ctx, d.Reaction)
		if err != nil {
			return err
		}
		typ := strings.TrimPrefix(c.Kind, "note.")
		s.Hub.Publish(topic, stream.Event{Type: typ, Body: streamReaction{Reaction: note.ShownReaction(d.Reaction), Emoji: e, UserID: c.ActorID}})
	}
	return nil
}

func (s *Service) picture(ctx context.Context, reaction string) (*streamEmoji, error) {
	if !strings.HasPrefix(reaction, ":") {
		return nil, nil
	}
	name, host, remote := strings.Cut(strings.Trim(reaction, ":"), "@")
	if !remote {
		local, err := s.Emojis.Local(ctx)
		if e := local[name]; e != nil {
			return &streamEmoji{Name: name + "@.", URL: e.URL()}, err
		}
		return nil, err
	}
	urls, err := s.Emojis.URLs(ctx, &host, []string{name})
	if u := urls[name]; u != "" {
		return &streamEmoji{Name: name + "@" + host, URL: u}, err
	}
	return nil, err
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("notes/reactions", s.apiList, api.Visitors, api.Get(60)),
		api.Post("users/reactions", s.apiOfUser, api.Visitors, api.Errors(errNotPublic, errElsewhere)),
		api.Post("notes/reactions/create", s.apiCreate, api.Scope("write:reactions"), api.NotMoved),
		api.Post("notes/reactions/delete", s.apiDelete, api.Scope("write:reactions"), api.Limit(60, time.Hour), api.Gap(3*time.Second)),
	}
}

type listReq struct {
	api.Page
	NoteID string  `json:"noteId" api:"required,id"`
	Type   *string `json:"type" api:"nullable"`
	Limit  int     `json:"limit" api:"min=1,max=100,default=10"`
}

// Packed is a reaction as clients see it.
type Packed struct {
	ID        string     `json:"id"`
	CreatedAt api.Time   `json:"createdAt"`
	User      *user.Lite `json:"user"`
	Type      string     `json:"type"`
}

const sqlList = `SELECT t.id, t.user_id, t.reaction FROM note_reaction t`

var errListNoNote = api.Err("NO_SUCH_NOTE", "263fff3d-d0e1-4af4-bea7-8408059b451a", "There is no such note.")

func (s *Service) apiList(ctx context.Context, c *api.Call, req listReq) ([]Packed, error) {
	if _, err := s.Notes.Seen(ctx, c.ID(), req.NoteID); err != nil {
		if errors.Is(err, note.ErrNotFound) {
			err = errListNoNote
		}
		return nil, err
	}
	var w pg.Where
	w.And("t.note_id = ?", req.NoteID)
	if req.Type != nil {
		typ := *req.Type
		if strings.HasSuffix(typ, "@.:") {
			typ = strings.TrimSuffix(typ, "@.:") + ":"
		}
		w.And("t.reaction = ?", typ)
	}
	order := req.Apply(&w, s.IDs.Method(), req.Limit)
	rows, err := s.DB.Query(ctx, sqlList+w.SQL()+order, w.Args...)
	if err != nil {
		return nil, fmt.Errorf("reactions: %w", err)
	}
	type listed struct{ id, userID, reaction string }
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (listed, error) {
		var t listed
		err := r.Scan(&t.id, &t.userID, &t.reaction)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("reactions: %w", err)
	}
	ids := make([]string, 0, len(list))
	for _, t := range list {
		ids = append(ids, t.userID)
	}
	lites, err := s.Users.LiteByIDs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Packed, 0, len(list))
	for _, t := range list {
		at, err := s.IDs.Method().Time(t.id)
		if err != nil {
			return nil, err
		}
		out = append(out, Packed{ID: t.id, CreatedAt: api.Time(at), User: lites[t.userID], Type: note.ShownReaction(t.reaction)})
	}
	return out, nil
}

type createReq struct {
	NoteID   string `json:"noteId" api:"required,id"`
	Reaction string `json:"reaction" api:"required,max=260"`
}

var (
	errCreateNoNote  = api.Err("NO_SUCH_NOTE", "033d0620-5bfe-4027-965d-980b0c85a3ea", "There is no such note.")
	errCreateAlready = api.Err("ALREADY_REACTED", "71efcf98-86d6-4e2b-b2ad-9d032369366b", "You have reacted so already.")
	errCreateBlocked = api.Err("YOU_HAVE_BEEN_BLOCKED", "20ef5475-9f38-4e4c-bd33-de6d979498ec", "The author blocks you.")
	errCreateRenote  = api.Err("CANNOT_REACT_TO_RENOTE", "eaccdc08-ddef-43fe-908f-d108faad57f5", "A renote cannot be reacted to.")
	errDeleteNoNote  = api.Err("NO_SUCH_NOTE", "764d9fce-f9f2-4a0e-92b1-6ceac9a7ad37", "There is no such note.")
	errDeleteNone    = api.Err("NOT_REACTED", "92f4426d-4196-4125-aa5b-02943e2ec8fc", "You have not reacted to the note.")
)

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req createReq) (api.None, error) {
	err := s.change(ctx, c, req.NoteID, errCreateNoNote, func(ctx context.Context, tx *pg.Tx, me *user.User, n *note.Note) error {
		return s.Create(ctx, tx, me, n, req.Reaction, "")
	})
	for cause, e := range map[error]*api.Error{ErrAlready: errCreateAlready, ErrBlocked: errCreateBlocked, ErrRenote: errCreateRenote} {
		if errors.Is(err, cause) {
			return api.None{}, e
		}
	}
	return api.None{}, err
}

type deleteReq struct {
	NoteID string `json:"noteId" api:"required,id"`
}

func (s *Service) apiDelete(ctx context.Context, c *api.Call, req deleteReq) (api.None, error) {
	err := s.change(ctx, c, req.NoteID, errDeleteNoNote, s.Delete)
	if errors.Is(err, ErrNone) {
		err = errDeleteNone
	}
	return api.None{}, err
}

func (s *Service) change(ctx context.Context, c *api.Call, noteID string, noNote *api.Error, do func(ctx context.Context, tx *pg.Tx, me *user.User, n *note.Note) error) error {
	n, err := s.Notes.Seen(ctx, c.UserID, noteID)
	if errors.Is(err, note.ErrNotFound) {
		return noNote
	}
	if err != nil {
		return err
	}
	me, err := s.Users.ByID(ctx, c.UserID)
	if err != nil {
		return err
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error { return do(ctx, tx, me, n) })
	if errors.Is(err, note.ErrNotFound) {
		return noNote // deleted meanwhile
	}
	return err
}
