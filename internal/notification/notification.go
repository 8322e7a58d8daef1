// Package notification is in charge of telling people: the rows that say what
// happened to them, reading and marking them, and the main channel of the
// stream. Rows are written by listeners in the transaction of their cause.
package notification

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/draft"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/reaction"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/errand"
	"buttersc.one/oven/internal/socket/event"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
	"buttersc.one/oven/internal/user"
)

// Service tells people.
type Service struct {
	db     *pg.DB
	ids    *id.Maker
	users  *user.Service
	notes  *note.Service
	drafts *draft.Service
	roles  *role.Service
	log    *log.Log
	hub    *stream.Hub
}

// New makes the service.
func New(db *pg.DB, ids *id.Maker, us *user.Service, ns *note.Service, ds *draft.Service, roles *role.Service, lg *log.Log, hub *stream.Hub) *Service {
	return &Service{db: db, ids: ids, users: us, notes: ns, drafts: ds, roles: roles, log: lg, hub: hub}
}

// Listeners write what happened to whom.
func (s *Service) Listeners() []event.Listener {
	return []event.Listener{
		event.On("notification.note", s.onNote),
		event.On("notification.edit", s.onEdited),
		event.On("notification.reaction", s.onReacted),
		event.On("notification.follow", func(ctx context.Context, tx *pg.Tx, e relation.Followed) error {
			return s.add(ctx, tx, row{to: e.Followee, typ: "follow", by: e.Follower.ID})
		}),
		event.On("notification.request", func(ctx context.Context, tx *pg.Tx, e relation.Requested) error {
			return s.add(ctx, tx, row{to: e.Followee, typ: "receiveFollowRequest", by: e.Follower.ID})
		}),
		event.On("notification.accepted", func(ctx context.Context, tx *pg.Tx, e relation.Accepted) error {
			return s.add(ctx, tx, row{to: e.Follower, typ: "followRequestAccepted", by: e.Followee.ID})
		}),
		event.On("notification.poll", s.onPollEnded),
		event.On("notification.posted", func(ctx context.Context, tx *pg.Tx, e draft.Posted) error {
			return s.addTo(ctx, tx, e.UserID, row{typ: "scheduledNotePosted", noteID: e.NoteID})
		}),
		event.On("notification.unposted", func(ctx context.Context, tx *pg.Tx, e draft.Failed) error {
			return s.addTo(ctx, tx, e.UserID, row{typ: "scheduledNotePostFailed", data: data{DraftID: e.DraftID}})
		}),
		event.On("notification.login", func(ctx context.Context, tx *pg.Tx, e auth.SignedIn) error {
			return s.addTo(ctx, tx, e.UserID, row{typ: "login"})
		}),
		event.On("notification.achievement", func(ctx context.Context, tx *pg.Tx, e user.Achieved) error {
			return s.addTo(ctx, tx, e.UserID, row{typ: "achievementEarned", data: data{Achievement: e.Name}})
		}),
		event.On("notification.export", func(ctx context.Context, tx *pg.Tx, e drive.Exported) error {
			return s.addTo(ctx, tx, e.UserID, row{typ: "exportCompleted", data: data{Exported: e.What, FileID: e.FileID}})
		}),
		event.On("notification.errand", func(ctx context.Context, tx *pg.Tx, e errand.Reported) error {
			return s.addTo(ctx, tx, e.UserID, row{typ: "app", data: data{App: &appData{Body: e.Body, Header: &e.Header}}})
		}),
		event.On("notification.role", s.onAssigned),
		event.On("notification.token", func(ctx context.Context, tx *pg.Tx, e auth.TokenGiven) error {
			return s.addTo(ctx, tx, e.UserID, row{typ: "createToken"})
		}),
	}
}

// onAssigned tells an account of a role that others see, too.
func (s *Service) onAssigned(ctx context.Context, tx *pg.Tx, e role.Assigned) error {
	if !e.Local || !e.Role.Public {
		return nil
	}
	return s.addTo(ctx, tx, e.UserID, row{typ: "roleAssigned", data: data{RoleID: e.Role.ID}})
}

// row is a notification to be written.
type row struct {
	to     *user.User
	typ    string
	by     string // the account that caused it, "" for none
	noteID string
	thread string // a mute of this thread silences it
	data   data
}

// data is what a notification carries besides ids.
type data struct {
	Reaction    string   `json:"reaction,omitempty"`
	Achievement string   `json:"achievement,omitempty"`
	RoleID      string   `json:"roleId,omitempty"`
	DraftID     string   `json:"draftId,omitempty"`
	Exported    string   `json:"exported,omitempty"`
	FileID      string   `json:"fileId,omitempty"`
	App         *appData `json:"app,omitempty"`
}

// appData is what an app says.
type appData struct {
	Body   string  `json:"body"`
	Header *string `json:"header"`
	Icon   *string `json:"icon"`
}

// A notification is not written for what one did oneself, for people one has
// muted or blocked, muted instances, a muted thread, or whom the account's
// rule for the type leaves out.
const sqlAdd = `
INSERT INTO notification (id, notifiee_id, type, notifier_id, note_id, data)
SELECT $1, $2, $3, nullif($4, ''), nullif($5, ''), $6
WHERE $2 <> $4
	AND NOT EXISTS (SELECT FROM muting WHERE muter_id = $2 AND mutee_id = $4 AND (expires_at IS NULL OR expires_at > now()))
	AND NOT EXISTS (SELECT FROM blocking WHERE blocker_id = $2 AND blockee_id = $4)
	AND NOT EXISTS (SELECT FROM note_thread_muting WHERE user_id = $2 AND thread_id = $7)
	AND NOT EXISTS (SELECT FROM user_profile p JOIN "user" u ON u.id = $4 WHERE p.user_id = $2 AND u.host = ANY(p.muted_instances))
	AND NOT EXISTS (SELECT FROM user_profile p WHERE p.user_id = $2 AND NOT CASE p.notification_recieve_config -> $3 ->> 'type'
		WHEN 'never' THEN false
		WHEN 'following' THEN EXISTS (SELECT FROM following WHERE follower_id = $2 AND followee_id = $4)
		WHEN 'follower' THEN EXISTS (SELECT FROM following WHERE follower_id = $4 AND followee_id = $2)
		WHEN 'mutualFollow' THEN (SELECT count(*) = 2 FROM following WHERE follower_id IN ($2, $4) AND followee_id IN ($2, $4))
		WHEN 'followingOrFollower' THEN EXISTS (SELECT FROM following WHERE follower_id IN ($2, $4) AND followee_id IN ($2, $4))
		WHEN 'list' THEN EXISTS (SELECT FROM user_list l JOIN user_list_membership m ON m.list_id = l.id
			WHERE l.id = p.notification_recieve_config -> $3 ->> 'userListId' AND l.user_id = $2 AND m.user_id = $4)
		ELSE true END)`

func (s *Service) add(ctx context.Context, tx *pg.Tx, r row) error {
	if !r.to.Local() {
		return nil
	}
	return s.addTo(ctx, tx, r.to.ID, r)
}

func (s *Service) addTo(ctx context.Context, tx *pg.Tx, userID string, r row) error {
	b, err := json.Marshal(r.data)
	if err != nil {
		return err
	}
	nid := s.ids.Now()
	tag, err := tx.Exec(ctx, sqlAdd, nid, userID, r.typ, r.by, r.noteID, b, r.thread)
	if err != nil {
		return fmt.Errorf("notify %s: %w", r.typ, err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	return s.log.Append(ctx, tx, "notification.created", nid, userID, nil)
}

// onNote tells those whom a note renotes, answers or mentions, once each: a
// quote is more than a reply, and that more than a mention.
func (s *Service) onNote(ctx context.Context, tx *pg.Tx, e note.Created) error {
	told := map[string]bool{e.Author.ID: true}
	thread := e.Note.Thread()
	tell := func(userID, typ, thread string) error {
		if told[userID] {
			return nil
		}
		told[userID] = true
		return s.addTo(ctx, tx, userID, row{typ: typ, by: e.Author.ID, noteID: e.Note.ID, thread: thread})
	}
	if e.Renote != nil && e.Renote.Local() {
		typ := "quote"
		if e.Note.IsPureRenote {
			typ = "renote"
		}
		if err := tell(e.Renote.UserID, typ, ""); err != nil {
			return err
		}
	}
	if e.Reply != nil && e.Reply.Local() {
		if err := tell(e.Reply.UserID, "reply", thread); err != nil {
			return err
		}
	}
	for _, u := range e.Mentioned {
		if u.Local() {
			if err := tell(u.ID, "mention", thread); err != nil {
				return err
			}
		}
	}
	return nil
}

// onEdited tells those whom an edited note mentions now and did not before.
func (s *Service) onEdited(ctx context.Context, tx *pg.Tx, e note.Updated) error {
	for _, u := range e.Added {
		if !u.Local() {
			continue
		}
		if err := s.addTo(ctx, tx, u.ID, row{typ: "mention", by: e.Author.ID, noteID: e.Note.ID, thread: e.Note.Thread()}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) onReacted(ctx context.Context, tx *pg.Tx, e reaction.Reacted) error {
	if !e.Note.Local() {
		return nil
	}
	return s.addTo(ctx, tx, e.Note.UserID, row{typ: "reaction", by: e.By.ID, noteID: e.Note.ID, data: data{Reaction: e.Reaction}})
}

func (s *Service) onPollEnded(ctx context.Context, tx *pg.Tx, e note.PollEnded) error {
	to := e.Voters
	if e.Note.Local() {
		to = append([]string{e.Note.UserID}, to...)
	}
	told := map[string]bool{}
	for _, userID := range to {
		if told[userID] {
			continue
		}
		told[userID] = true
		if err := s.addPollEnd(ctx, tx, userID, e.Note); err != nil {
			return err
		}
	}
	return nil
}

const sqlAddPollEnd = `INSERT INTO notification (id, notifiee_id, type, notifier_id, note_id) VALUES ($1, $2, 'pollEnded', $3, $4)`

// addPollEnd tells the poll's own author too, which other notifications never
// do.
func (s *Service) addPollEnd(ctx context.Context, tx *pg.Tx, userID string, n *note.Note) error {
	nid := s.ids.Now()
	if _, err := tx.Exec(ctx, sqlAddPollEnd, nid, userID, n.UserID, n.ID); err != nil {
		return fmt.Errorf("notify pollEnded: %w", err)
	}
	return s.log.Append(ctx, tx, "notification.created", nid, userID, nil)
}

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("i/notifications", s.apiList, api.Scope("read:notifications"), api.Limit(30, 30*time.Second)),
		api.Post("i/notifications-grouped", s.apiGrouped, api.Scope("read:notifications"), api.Limit(30, 30*time.Second)),
		api.Post("notifications/mark-all-as-read", s.apiMarkAll, api.Scope("write:notifications")),
		api.Post("i/read-all-unread-notes", s.apiMarkAll, api.Scope("write:account")),
		api.Post("notifications/create", s.apiApp, api.Scope("write:notifications"), api.Limit(10, time.Minute)),
		api.Post("notifications/flush", s.apiFlush, api.Scope("write:notifications")),
		api.Post("notifications/test-notification", s.apiTest, api.Scope("write:notifications"), api.Limit(10, time.Minute)),
	}
}

// Channels: main is everything that concerns the account.
func (s *Service) Channels() []stream.Channel {
	return []stream.Channel{{
		Name: "main", Login: true, Scope: "read:account", Shared: true,
		Open: func(_ context.Context, sub *stream.Sub, _ json.RawMessage) error {
			sub.On(stream.MainTopic(sub.UserID()), func(msg any) (string, any, bool) {
				e, ok := msg.(stream.Event)
				return e.Type, e.Body, ok
			})
			return nil
		},
	}}
}

// Consumers bring notifications to the main channel.
func (s *Service) Consumers() []log.Consumer {
	return []log.Consumer{
		{Name: "notification.stream", Kinds: []string{"notification.created", "notification.read", "notification.flushed", "user.updated"}, Handle: s.onChanges},
		{Name: "notification.subscribers", Durable: true, Kinds: []string{"note.created"}, Handle: s.onNotes},
	}
}

// unreadAfter is how long a client has to read a notification before it is
// told that it is unread.
const unreadAfter = 2 * time.Second

func (s *Service) onChanges(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	for _, c := range batch {
		topic := stream.MainTopic(c.ActorID)
		if !s.hub.Heard(topic) {
			continue
		}
		var err error
		switch c.Kind {
		case "notification.created":
			err = s.publish(ctx, topic, c.ActorID, c.ObjectID)
		case "notification.read":
			s.hub.Publish(topic, stream.Event{Type: "readAllNotifications"})
		case "notification.flushed":
			s.hub.Publish(topic, stream.Event{Type: "notificationFlushed"})
		case "user.updated":
			err = s.publishMe(ctx, topic, c.ActorID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) publishMe(ctx context.Context, topic, userID string) error {
	u, err := s.users.ByID(ctx, userID)
	if err != nil {
		return err
	}
	me, err := s.users.PackMe(ctx, u, false)
	if err != nil {
		return err
	}
	s.hub.Publish(topic, stream.Event{Type: "meUpdated", Body: me})
	return nil
}

func (s *Service) publish(ctx context.Context, topic, userID, notificationID string) error {
	list, err := s.byIDs(ctx, userID, []string{notificationID})
	if err != nil || len(list) == 0 {
		return err
	}
	p := list[0]
	s.hub.Publish(topic, stream.Event{Type: "notification", Body: p})
	switch p.Type {
	case "mention", "reply", "renote":
		s.hub.Publish(topic, stream.Event{Type: p.Type, Body: p.Note})
	case "quote":
		s.hub.Publish(topic, stream.Event{Type: "renote", Body: p.Note})
	}
	time.AfterFunc(unreadAfter, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if unread, err := s.isUnread(ctx, userID, notificationID); err == nil && unread {
			s.hub.Publish(topic, stream.Event{Type: "unreadNotification", Body: p})
		}
	})
	return nil
}

const sqlIsUnread = `SELECT EXISTS (SELECT FROM notification WHERE id = $2 AND notifiee_id = $1)
	AND NOT EXISTS (SELECT FROM notification_read WHERE user_id = $1 AND last_id >= $2)`

// Unread is a notification of an account, if it has not been read and can be shown; else
// nil.
func (s *Service) Unread(ctx context.Context, userID, notificationID string) (*Packed, error) {
	unread, err := s.isUnread(ctx, userID, notificationID)
	if err != nil || !unread {
		return nil, err
	}
	list, err := s.byIDs(ctx, userID, []string{notificationID})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

func (s *Service) isUnread(ctx context.Context, userID, notificationID string) (bool, error) {
	var unread bool
	err := s.db.QueryRow(ctx, sqlIsUnread, userID, notificationID).Scan(&unread)
	return unread, err
}
