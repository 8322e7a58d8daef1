package reaction

import (
	"context"
	"errors"
	"strings"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/inbox"
)

// Activities this slice handles.
func (s *Service) Activities() []inbox.Handler {
	return []inbox.Handler{
		inbox.On("Like", s.onLike),
		inbox.On("EmojiReact", s.onLike), // FEP-c0e0
		inbox.On("EmojiReaction", s.onLike),
		inbox.On("Undo", s.onUndo, "Like", "EmojiReact", "EmojiReaction"),
	}
}

// onLike takes a remote reaction to a note that is known here. Nothing is
// fetched for it: what nobody here has seen needs no reactions.
func (s *Service) onLike(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	n, err := s.Notes.ByURI(ctx, tx, a.Object.Ref("object"))
	if errors.Is(err, note.ErrNotFound) {
		return inbox.Drop("unknown note")
	}
	if err != nil {
		return err
	}
	if buried, err := s.Inbox.Buried(ctx, tx, a.ID); err != nil || buried {
		return err
	}
	by, err := s.Users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return err
	}
	if ok, err := s.Notes.CanCapture(ctx, by.ID, n.ID); err != nil || !ok {
		if err == nil {
			err = inbox.Drop("the sender may not see the note")
		}
		return err
	}
	if _, err := s.Emojis.FromTags(ctx, *by.ActorHost, a.Object.Objects("tag")); err != nil {
		return err
	}
	err = s.Create(ctx, tx, by, n, reactionOf(a), a.ID)
	for _, final := range []error{ErrAlready, ErrBlocked, ErrRenote, note.ErrNotFound} {
		if errors.Is(err, final) {
			return inbox.Drop(final.Error())
		}
	}
	if err != nil || by.Inbox == nil {
		return err
	}
	in := delivery.Inbox{URL: *by.Inbox}
	if by.SharedInbox != nil {
		in.Shared = *by.SharedInbox
	}
	ids, err := s.Delivery.Endpoints(ctx, tx, []delivery.Inbox{in})
	if err != nil {
		return err
	}
	return s.Notes.Hold(ctx, tx, n, ids)
}

// reactionOf is what a Like says, in the forms in use; a bare Like is a heart.
func reactionOf(a *inbox.Activity) string {
	for _, key := range []string{"_misskey_reaction", "content", "name"} {
		if r := strings.TrimSpace(a.Object.String(key)); r != "" && len(r) <= 260 {
			return r
		}
	}
	return fallback
}

func (s *Service) onUndo(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	like := a.Object.Object("object")
	n, err := s.Notes.ByURI(ctx, tx, like.Ref("object"))
	if errors.Is(err, note.ErrNotFound) {
		return inbox.Drop("unknown note")
	}
	if err != nil {
		return err
	}
	by, err := s.Users.ByIDIn(ctx, tx, a.ActorID)
	if err != nil {
		return err
	}
	have, err := s.mine(ctx, tx, by.ID, n.ID)
	if errors.Is(err, ErrNone) {
		return s.Inbox.Tombstone(ctx, tx, like.ID())
	}
	if err != nil {
		return err
	}
	if have.uri != "" && like.ID() != "" && have.uri != like.ID() {
		return inbox.Drop("another reaction stands there now")
	}
	return s.Delete(ctx, tx, by, n)
}
