package note

import (
	"context"
	"errors"
	"slices"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/inbox"
)

// onUpdate takes an edit of a post from its author only. An older one than the
// note's own is late, and nothing happens; who may see a note stays as it was.
func (s *Service) onUpdate(ctx context.Context, tx *pg.Tx, a *inbox.Activity) error {
	o := a.Object.Object("object")
	n, err := s.ByURI(ctx, tx, o.ID())
	if errors.Is(err, ErrNotFound) {
		return inbox.Drop("not known here")
	}
	if err != nil {
		return err
	}
	if n.UserID != a.ActorID || n.Local() {
		return inbox.Drop("not the author")
	}
	if o.Is("Question") {
		if err := s.onUpdateQuestion(ctx, tx, a); err != nil {
			return err
		}
	}
	at, dated := o.Time("updated")
	switch {
	case !dated && o.Is("Question"):
		return nil // tallies only
	case !dated || at.After(a.Received.Add(clockSkew)):
		at = a.Received
	case n.UpdatedAt != nil && !at.After(*n.UpdatedAt):
		return nil
	}
	author, err := s.Users.ByIDIn(ctx, tx, n.UserID)
	if err != nil {
		return err
	}
	d, err := s.fromAP(ctx, tx, author, o)
	if err != nil {
		return dropping(err)
	}
	d.Text, d.CW = clean(d.Text), clean(d.CW)
	if matchesWords(d.allText(), s.Meta.Get().ProhibitedWords) {
		return inbox.Drop(ErrProhibited.Error())
	}
	e := &edit{text: d.Text, cw: d.CW, visibility: n.Visibility, mentions: d.Mentions, tags: cleanTags(d.Tags),
		emojis: slices.Compact(d.Emojis[:min(len(d.Emojis), maxEmojis)]), at: at.UTC(), editor: n.UserID}
	if e.files, err = s.relink(ctx, tx, n, d); err != nil {
		return err
	}
	return dropping(s.update(ctx, tx, author, n.ID, e))
}

// relink links the attachments of an edited post, unless they are the same as
// before.
func (s *Service) relink(ctx context.Context, tx *pg.Tx, n *Note, d *Draft) ([]string, error) {
	have, err := s.Drive.ByIDs(ctx, tx, n.FileIDs)
	if err != nil {
		return nil, err
	}
	var before []string
	for _, id := range n.FileIDs {
		if f := have[id]; f != nil {
			before = append(before, f.URL)
		}
	}
	var after []string
	for _, a := range d.Attachments {
		if u := address(a); u != "" && len(after) < drive.MaxAttachments {
			after = append(after, u)
		}
	}
	if slices.Equal(before, after) {
		return nil, nil
	}
	files, err := s.Drive.Link(ctx, tx, n.UserID, n.UserHost, s.CreatedAt(n), d.Attachments, d.Sensitive)
	if err != nil {
		return nil, err
	}
	return fileIDs(files), nil
}

func address(a *ap.Object) string {
	if u := a.URL(""); u != "" {
		return u
	}
	return a.String("href")
}
