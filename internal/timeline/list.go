package timeline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/stream"
)

var errListNoList = api.Err("NO_SUCH_LIST", "8fb1fbd5-e476-4c37-9fb0-43d55b63a2ff", "You have no such list.")

// ListTopic carries what happens to a list, as stream.Events, to those who
// listen to it.
func ListTopic(listID string) string { return "list:" + listID }

// ListChanged has the list's timeline built anew after tx.
func (s *Service) ListChanged(tx *pg.Tx, listID string) {
	tx.AfterCommit(func() {
		s.feeds.drop(feedKey{listFeed, listID})
		s.hub.Publish(ListTopic(listID), membersChanged{})
	})
}

type listReq struct {
	lineReq
	ListID string `json:"listId" api:"required,id"`
}

const (
	sqlOwnList     = `SELECT EXISTS (SELECT FROM user_list WHERE id = $1 AND user_id = $2)`
	sqlListAuthors = `SELECT user_id AS uid FROM user_list_membership WHERE list_id = $1`
)

func (s *Service) ownsList(ctx context.Context, userID, listID string) (own bool, err error) {
	if err := s.db.QueryRow(ctx, sqlOwnList, listID, userID).Scan(&own); err != nil {
		return false, fmt.Errorf("list: %w", err)
	}
	return own, nil
}

// apiList gives what the members of a list of one's own write, as one may see
// it: being listed is not being followed.
func (s *Service) apiList(ctx context.Context, c *api.Call, req listReq) ([]*note.Packed, error) {
	own, err := s.ownsList(ctx, c.UserID, req.ListID)
	if err != nil {
		return nil, err
	}
	if !own {
		return nil, errListNoList
	}
	return s.page(ctx, listLine(c.UserID, &req), req.Page, req.Limit)
}

func listLine(me string, req *listReq) *line {
	l := &line{me: me, authors: sqlListAuthors, arg: req.ListID, conds: func(w *pg.Where) {
		w.And("n.user_id IN (SELECT user_id FROM user_list_membership WHERE list_id = ?)", req.ListID)
		w.And(`(n.reply_id IS NULL OR n.user_id = ?1 OR n.reply_user_id IN (?1, n.user_id)
			OR n.user_id IN (SELECT user_id FROM user_list_membership WHERE list_id = ?2 AND with_replies))`, me, req.ListID)
		req.common(w, me)
	}}
	if !req.WithFiles {
		l.feeds = []feedKey{{listFeed, req.ListID}}
	}
	return l
}

// membersChanged tells those who listen to a list to read its members again.
type membersChanged struct{}

// members are a list's accounts → with replies to others. It never changes.
type members map[string]bool

func (s *Service) members(ctx context.Context, listID string) (members, error) {
	rows, err := s.db.Query(ctx, sqlMembers, listID)
	if err != nil {
		return nil, fmt.Errorf("members of a list: %w", err)
	}
	m := members{}
	var id string
	var replies bool
	_, err = pgx.ForEachRow(rows, []any{&id, &replies}, func() error {
		m[id] = replies
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("members of a list: %w", err)
	}
	return m, nil
}

// openList opens the channel userList: new notes of a list's members, and who
// comes and goes.
func (s *Service) openList(ctx context.Context, sub *stream.Sub, raw json.RawMessage) error {
	var p struct {
		ListID string `json:"listId"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return stream.ErrRefused
	}
	own, err := s.ownsList(ctx, sub.UserID(), p.ListID)
	if err != nil {
		return err
	}
	if !own {
		return stream.ErrRefused
	}
	var now atomic.Pointer[members]
	sub.On(ListTopic(p.ListID), func(msg any) (string, any, bool) {
		switch e := msg.(type) {
		case stream.Event:
			return e.Type, e.Body, true
		case membersChanged:
			m, err := s.members(context.WithoutCancel(ctx), p.ListID)
			if err != nil {
				m = members{} // nothing rather than what somebody took off the list
			}
			now.Store(&m)
		}
		return "", nil, false
	})
	m, err := s.members(ctx, p.ListID)
	if err != nil {
		return err
	}
	now.CompareAndSwap(nil, &m)
	return s.open(ctx, sub, raw, func(v *viewer, p *published) bool { return v.ofList(p, *now.Load()) })
}

// ofList tells whether the note belongs into the timeline of a list.
func (v *viewer) ofList(p *published, of members) bool {
	n := p.note
	replies, ok := of[n.UserID]
	switch {
	case !ok, n.ChannelID != nil:
		return false
	case n.UserID == v.id:
		return true
	case n.Visibility == note.Specified && !slices.Contains(n.VisibleUserIDs, v.id):
		return false
	}
	return v.takesReply(p, replies)
}

// takesReply is the rule on replies: to oneself or the reader always, to
// others when asked for, and never what answers a followers-only note of
// somebody the reader does not follow.
func (v *viewer) takesReply(p *published, replies bool) bool {
	n := p.note
	if n.ReplyID == nil || *n.ReplyUserID == v.id || *n.ReplyUserID == n.UserID {
		return true
	}
	return replies && (p.reply == nil || p.reply.Visibility != note.Followers || v.graph().Follows(p.reply.UserID))
}
