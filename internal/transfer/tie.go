package transfer

import (
	"context"
	"errors"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/list"
	"buttersc.one/oven/internal/relation"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/errand"
	"buttersc.one/oven/internal/user"
)

// carryOut does what a line says.
func (s *Service) carryOut(ctx context.Context, c *carry, me *user.User, l *found) error {
	if l.user != nil && !l.user.Local() && c.Stream == nil && (c.What == following || c.What == blocking) {
		if err := s.openStream(ctx, c); err != nil {
			return err
		}
	}
	err := s.once(ctx, c, l.next, l.label(), func(ctx context.Context, tx *pg.Tx) (string, error) {
		err := s.tie(ctx, tx, c, me, l)
		switch {
		case err == nil:
			return added, nil
		case errors.Is(err, relation.ErrAlready), errors.Is(err, list.ErrAlready):
			return same, nil
		}
		for _, r := range refusals {
			if errors.Is(err, r.err) {
				return "", &leftOut{r.why}
			}
		}
		return "", err
	})
	switch {
	case errors.Is(err, delivery.ErrStream):
		return errand.Refuse(stopped)
	case errors.Is(err, delivery.ErrStreams):
		return errand.Rest(streamWait)
	}
	return err
}

// label is what a line is called when it is left out.
func (l *line) label() string {
	if l.name == "" {
		return l.text
	}
	return l.name + "@" + l.host
}

// tie follows, mutes, blocks or lists the account of a line.
func (s *Service) tie(ctx context.Context, tx *pg.Tx, c *carry, me *user.User, l *found) error {
	switch {
	case !l.why.None():
		return &leftOut{l.why}
	case l.user == nil:
		return &leftOut{noAccount}
	case l.user.ID == me.ID && c.What != userLists:
		return &leftOut{thatIsYou}
	}
	stream := int64(0)
	if c.Stream != nil {
		stream = *c.Stream
	}
	ctx = relation.Calmly(ctx, stream)
	replies := c.Options.WithReplies
	if l.replies != nil {
		replies = *l.replies
	}
	switch c.What {
	case following:
		asked, err := s.Relations.Asked(ctx, tx, me.ID, l.user.ID)
		if err != nil {
			return err
		}
		if asked {
			return relation.ErrAlready
		}
		return s.Relations.Follow(ctx, tx, me, l.user, replies, "")
	case muting:
		return s.Relations.Mute(ctx, tx, me, l.user)
	case blocking:
		return s.Relations.Block(ctx, tx, me, l.user)
	case userLists:
		name := errand.Bounded(l.list, maxListName)
		return s.Lists.Put(ctx, tx, me.ID, name, l.user.ID, replies)
	}
	return &leftOut{unknownIn}
}

// maxListName is how long a list's name may be, in characters.
const maxListName = 100

const sqlStream = `UPDATE transfer SET stream_id = $2 WHERE id = $1 AND finished_at IS NULL AND stream_id IS NULL`

// openStream gives what is sent a stream of its own, so that live deliveries never
// wait for it.
func (s *Service) openStream(ctx context.Context, c *carry) error {
	var id int64
	err := s.DB.Tx(ctx, func(tx *pg.Tx) (err error) {
		if id, err = s.Delivery.Open(ctx, tx, "import", c.UserID); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sqlStream, c.ID, id)
		if err == nil && tag.RowsAffected() == 0 {
			err = errand.ErrElsewhere
		}
		return err
	})
	switch {
	case errors.Is(err, delivery.ErrStreams):
		return errand.Rest(streamWait)
	case err != nil:
		return err
	}
	c.Stream = &id
	return nil
}
