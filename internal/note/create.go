package note

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"time"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

// Create writes a note. Errors of this package say why a draft is refused.
func (s *Service) Create(ctx context.Context, author *user.User, d *Draft) (*Note, error) {
	if err := s.normalize(ctx, author, d); err != nil {
		return nil, err
	}
	var n *Note
	err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
		if n, err = s.insert(ctx, tx, author, d); err != nil || d.Also == nil {
			return err
		}
		return d.Also(ctx, tx, n)
	})
	if err != nil {
		return nil, fmt.Errorf("create note: %w", err)
	}
	return n, nil
}

const (
	sqlInsert = `
INSERT INTO note (id, user_id, user_host, text, cw, visibility, local_only, reaction_acceptance, reply_id, reply_user_id,
	reply_user_host, renote_id, renote_user_id, renote_user_host, thread_id, uri, url, file_ids, visible_user_ids, mentions,
	emojis, tags, has_poll, audience_id, audience_extra, channel_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)`
	sqlInsertStat = `INSERT INTO note_stat (note_id) VALUES ($1)`
	sqlCountReply = `UPDATE note_stat SET replies_count = greatest(0, replies_count + $2) WHERE note_id = $1`
	// A renote of a bot that is none any more was not counted.
	sqlCountShare = `UPDATE note_stat SET renote_count = greatest(0, renote_count + $2) WHERE note_id = $1`
)

// CreatedData goes with "note.created" in the change log; the object is the
// note, the actor its author.
type CreatedData struct {
	Visibility string  `json:"visibility"`
	Host       *string `json:"host,omitempty"`
	Server     *string `json:"server,omitempty"` // authority of the author's server
	Reply      string  `json:"reply,omitempty"`
	ReplyTo    string  `json:"replyTo,omitempty"` // whom it replies to
	Renote     string  `json:"renote,omitempty"`
	Channel    string  `json:"channelId,omitempty"`
	Pure       bool    `json:"pure,omitempty"`
	Files      bool    `json:"files,omitempty"`
}

// insert writes a normalised draft in tx: the note, its poll and counts, what
// goes out, and word of it to listeners and the change log.
func (s *Service) insert(ctx context.Context, tx *pg.Tx, author *user.User, d *Draft) (*Note, error) {
	n := s.fromDraft(author, d)
	if err := s.keepTargets(ctx, tx, n); err != nil {
		return nil, err
	}
	if d.Attachments != nil {
		files, err := s.Drive.Link(ctx, tx, author.ID, author.Host, d.At, d.Attachments, d.Sensitive)
		if err != nil {
			return nil, err
		}
		d.Files = files
		n.FileIDs = fileIDs(files)
	}
	if author.Local() && !n.LocalOnly {
		to, err := s.announceOrCreate(ctx, tx, author, n, d)
		if err != nil {
			return nil, err
		}
		n.AudienceID, n.AudienceExtra = to.AudienceID, to.Extra
	}
	if err := s.insertRow(ctx, tx, n); err != nil {
		return nil, err
	}
	if d.Poll != nil {
		if err := s.insertPoll(ctx, tx, n, d.Poll); err != nil {
			return nil, err
		}
	}
	if err := s.countTargets(ctx, tx, author, n); err != nil {
		return nil, err
	}
	if err := s.Users.Count(ctx, tx, author.ID, 1, 0, 0); err != nil {
		return nil, err
	}
	data := CreatedData{Visibility: n.Visibility, Host: n.UserHost, Server: author.ActorHost, Reply: deref(n.ReplyID), ReplyTo: deref(n.ReplyUserID), Renote: deref(n.RenoteID),
		Channel: deref(n.ChannelID), Pure: n.IsPureRenote, Files: len(n.FileIDs) > 0}
	if err := s.Log.Append(ctx, tx, "note.created", n.ID, author.ID, data); err != nil {
		return nil, err
	}
	return n, s.Bus.Emit(ctx, tx, Created{Note: n, Author: author, Reply: d.Reply, Renote: d.Renote, Mentioned: d.Mentions})
}

func (s *Service) fromDraft(author *user.User, d *Draft) *Note {
	n := &Note{
		UserID: author.ID, UserHost: author.Host, Text: d.Text, CW: d.CW, Visibility: d.Visibility, LocalOnly: d.LocalOnly,
		ReactionAcceptance: d.ReactionAcceptance, URI: d.URI, URL: d.URL, FileIDs: fileIDs(d.Files),
		VisibleUserIDs: userIDs(d.VisibleUsers), Mentions: userIDs(d.Mentions), Emojis: orEmpty(d.Emojis), Tags: orEmpty(d.Tags),
		HasPoll: d.Poll != nil, IsPureRenote: d.pure(), Reactions: map[string]int{},
	}
	if d.At.IsZero() {
		n.ID = s.IDs.Now()
	} else {
		n.ID = s.IDs.At(d.At)
	}
	if d.Channel != nil {
		n.ChannelID = &d.Channel.ID
	}
	if r := d.Reply; r != nil {
		thread := r.Thread()
		n.ReplyID, n.ReplyUserID, n.ReplyUserHost, n.ThreadID = &r.ID, &r.UserID, r.UserHost, &thread
	}
	if r := d.Renote; r != nil {
		n.RenoteID, n.RenoteUserID, n.RenoteUserHost = &r.ID, &r.UserID, r.UserHost
	}
	return n
}

// errReplyGone says that the note to be replied to has gone meanwhile.
var errReplyGone = errors.New("the note to reply to is gone")

const sqlKeepTargets = `SELECT id FROM note WHERE id = ANY($1) ORDER BY id FOR KEY SHARE`

// keepTargets holds what a note refers to against deletion. What is written here
// must have it: ErrNotFound for a renote, errReplyGone. Of what comes from
// elsewhere only a pure renote must: it would go with its target.
func (s *Service) keepTargets(ctx context.Context, tx *pg.Tx, n *Note) error {
	var ids []string
	for _, id := range []*string{n.ReplyID, n.RenoteID} {
		if id != nil {
			ids = append(ids, *id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, sqlKeepTargets, ids)
	if err != nil {
		return fmt.Errorf("keep notes: %w", err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return fmt.Errorf("keep notes: %w", err)
	case n.RenoteID != nil && (n.IsPureRenote || n.Local()) && !slices.Contains(there, *n.RenoteID):
		return ErrNotFound
	case n.ReplyID != nil && n.Local() && !slices.Contains(there, *n.ReplyID):
		return errReplyGone
	}
	return nil
}

func (s *Service) insertRow(ctx context.Context, tx *pg.Tx, n *Note) error {
	_, err := tx.Exec(ctx, sqlInsert, n.ID, n.UserID, n.UserHost, n.Text, n.CW, n.Visibility, n.LocalOnly, n.ReactionAcceptance,
		n.ReplyID, n.ReplyUserID, n.ReplyUserHost, n.RenoteID, n.RenoteUserID, n.RenoteUserHost, n.ThreadID, n.URI, n.URL,
		n.FileIDs, n.VisibleUserIDs, n.Mentions, n.Emojis, n.Tags, n.HasPoll, n.AudienceID, n.AudienceExtra, n.ChannelID)
	if err != nil {
		return fmt.Errorf("insert note: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlInsertStat, n.ID); err != nil {
		return fmt.Errorf("insert note: %w", err)
	}
	return nil
}

// countTargets counts the reply and, unless it is one's own or a bot's, the
// renote, in the order of the notes' ids.
func (s *Service) countTargets(ctx context.Context, tx *pg.Tx, author *user.User, n *Note) error {
	return s.countTargetsBy(ctx, tx, n, author.IsBot, 1)
}

func (s *Service) countTargetsBy(ctx context.Context, tx *pg.Tx, n *Note, bot bool, by int) error {
	type step struct{ sql, id string }
	var steps []step
	if n.ReplyID != nil {
		steps = append(steps, step{sqlCountReply, *n.ReplyID})
	}
	if n.RenoteID != nil && *n.RenoteUserID != n.UserID && !bot {
		steps = append(steps, step{sqlCountShare, *n.RenoteID})
	}
	slices.SortFunc(steps, func(a, b step) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	for _, st := range steps {
		if _, err := tx.Exec(ctx, st.sql, st.id, by); err != nil {
			return fmt.Errorf("count: %w", err)
		}
	}
	return nil
}

// announceOrCreate sends a local note to whom it is for, and says to whom that
// was.
func (s *Service) announceOrCreate(ctx context.Context, tx *pg.Tx, author *user.User, n *Note, d *Draft) (delivery.Recipients, error) {
	act, err := s.render(ctx, tx, author, n, d)
	if err != nil {
		return delivery.Recipients{}, err
	}
	act.Context = ap.Context()
	body, err := json.Marshal(act)
	if err != nil {
		return delivery.Recipients{}, fmt.Errorf("render note: %w", err)
	}
	m := delivery.Message{ActorID: author.ID, ActivityID: act.ID, Type: act.Type, Object: s.URI(n), Body: body, Class: delivery.Fanout}
	if n.Visibility != Specified {
		if m.Audience, err = s.Relations.FollowerInboxes(ctx, tx, author.ID); err != nil {
			return delivery.Recipients{}, err
		}
	} else {
		m.Class = delivery.Direct
	}
	for _, u := range d.Mentions {
		if !u.Local() && u.Inbox != nil {
			m.Extra = append(m.Extra, inboxOf(u))
		}
	}
	if d.Renote != nil && d.Renote.UserHost != nil {
		u, err := s.Users.ByIDIn(ctx, tx, d.Renote.UserID)
		if err != nil {
			return delivery.Recipients{}, err
		}
		if u.Inbox != nil {
			m.Extra = append(m.Extra, inboxOf(u))
		}
	}
	return s.Delivery.Send(ctx, tx, m)
}

// inboxOf is an account's inbox with its shared one, so that a host is not
// told twice.
func inboxOf(u *user.User) delivery.Inbox {
	in := u.Recipient()
	if u.SharedInbox != nil {
		in.Shared = *u.SharedInbox
	}
	return in
}

func fileIDs(files []*drive.File) []string {
	ids := make([]string, 0, len(files))
	for _, f := range files {
		ids = append(ids, f.ID)
	}
	return ids
}

func userIDs(users []*user.User) []string {
	ids := make([]string, 0, len(users))
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return ids
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// clock is the moment now on the server's clock.
func (s *Service) clock() time.Time { return s.Now() }
