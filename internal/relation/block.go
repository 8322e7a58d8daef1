package relation

import (
	"context"
	"errors"
	"fmt"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/user"
)

const (
	sqlInsertBlock = `INSERT INTO blocking (id, blocker_id, blockee_id) VALUES ($1, $2, $3) ON CONFLICT (blocker_id, blockee_id) DO NOTHING`
	sqlDeleteBlock = `DELETE FROM blocking WHERE blocker_id = $1 AND blockee_id = $2`
)

// Block makes a block, ends follows and requests both ways and tells a remote
// blockee. ErrAlready when it exists.
func (s *Service) Block(ctx context.Context, tx *pg.Tx, blocker, blockee *user.User) error {
	tag, err := tx.Exec(ctx, sqlInsertBlock, s.ids.Now(), blocker.ID, blockee.ID)
	if err != nil {
		return fmt.Errorf("block: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrAlready
	}
	if err := s.sever(ctx, tx, blocker, blockee); err != nil {
		return err
	}
	if err := s.note(ctx, tx, "blocked", blocker.ID, blockee.ID); err != nil {
		return err
	}
	if blocker.Local() && !blockee.Local() {
		return s.send(ctx, tx, blocker, blockee, s.renderBlock(blocker, blockee), "Block")
	}
	return nil
}

// sever ends follows and requests between two accounts, in the name of the
// first.
func (s *Service) sever(ctx context.Context, tx *pg.Tx, a, b *user.User) error {
	err := s.Unfollow(ctx, tx, a, b)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	err = s.Invalidate(ctx, tx, b, a)
	if errors.Is(err, ErrNone) {
		if _, _, _, err = s.takeRequest(ctx, tx, b.ID, a.ID); errors.Is(err, ErrNone) {
			return nil
		}
		if err == nil && !b.Local() && a.Local() {
			return s.reject(ctx, tx, b, a, "")
		}
	}
	return err
}

// Unblock ends a block; ErrNone when there is none.
func (s *Service) Unblock(ctx context.Context, tx *pg.Tx, blocker, blockee *user.User) error {
	if err := s.unblock(ctx, tx, blocker, blockee); err != nil {
		return err
	}
	if blocker.Local() && !blockee.Local() {
		return s.send(ctx, tx, blocker, blockee, s.renderUndo(blocker, s.renderBlock(blocker, blockee)), "Undo")
	}
	return nil
}

func (s *Service) unblock(ctx context.Context, tx *pg.Tx, blocker, blockee *user.User) error {
	tag, err := tx.Exec(ctx, sqlDeleteBlock, blocker.ID, blockee.ID)
	if err != nil {
		return fmt.Errorf("unblock: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNone
	}
	return s.note(ctx, tx, "unblocked", blocker.ID, blockee.ID)
}

func (s *Service) renderBlock(blocker, blockee *user.User) *ap.Activity {
	return &ap.Activity{ID: s.meta.Origin + "/blocks/" + blocker.ID + "/" + blockee.ID + "/" + s.ids.Now(), Type: "Block",
		Actor: s.users.URI(blocker), Object: s.users.URI(blockee)}
}
