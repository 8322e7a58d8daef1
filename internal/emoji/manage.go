package emoji

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/log"
	"buttersc.one/oven/internal/socket/stream"
)

// changed is what the change log calls a new, other or gone emoji; the object is
// the emoji.
const changed = "emoji.changed"

// told goes with it.
type told struct {
	Event string    `json:"event"`          // added, updated, deleted
	Gone  *Detailed `json:"gone,omitempty"` // as it was
}

// CheckName refuses names with other characters than a-z, A-Z, 0-9 and _, and
// those that are too long.
func CheckName(name string) error {
	if !nameForm.MatchString(name) || len(name) > 128 {
		return fmt.Errorf("%w: %.100q", ErrName, name)
	}
	return nil
}

const (
	sqlByIDs  = `SELECT ` + cols + ` FROM emoji WHERE id = ANY($1) ORDER BY id`
	sqlLock   = `SELECT ` + cols + ` FROM emoji WHERE id = ANY($1) AND host IS NULL ORDER BY id FOR UPDATE`
	sqlNamed  = `SELECT ` + cols + ` FROM emoji WHERE host IS NULL AND name = $1`
	sqlInsert = `
INSERT INTO emoji (id, name, host, category, original_url, public_url, type, aliases, license, local_only, is_sensitive, role_ids, updated_at)
VALUES ($1, $2, NULL, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (name, host) DO NOTHING RETURNING id`
	sqlUpdate = `
UPDATE emoji SET name = $2, category = $3, original_url = $4, public_url = $5, type = $6, aliases = $7, license = $8, local_only = $9, is_sensitive = $10,
	role_ids = $11, updated_at = $12 WHERE id = $1`
	sqlDelete = `DELETE FROM emoji WHERE id = ANY($1) RETURNING ` + cols
)

// Query reads emoji by a statement that gives Columns.
func Query(ctx context.Context, q pg.Q, sql string, args ...any) ([]*Emoji, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("emoji: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("emoji: %w", err)
	}
	return list, nil
}

// Columns of the table emoji that Query reads.
const Columns = cols

// ByIDs reads emoji of any server by their ids; missing ones are missing.
func (s *Service) ByIDs(ctx context.Context, q pg.Q, ids []string) ([]*Emoji, error) {
	return Query(ctx, q, sqlByIDs, ids)
}

// Lock is ByIDs of this server's, which nobody else changes until tx ends.
func (s *Service) Lock(ctx context.Context, tx *pg.Tx, ids []string) ([]*Emoji, error) {
	return Query(ctx, tx, sqlLock, ids)
}

// Named gives this server's emoji of that name; ErrNotFound.
func (s *Service) Named(ctx context.Context, q pg.Q, name string) (*Emoji, error) {
	list, err := Query(ctx, q, sqlNamed, name)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

func (e *Emoji) tidy() {
	if e.Aliases == nil {
		e.Aliases = []string{}
	}
	if e.RoleIDs == nil {
		e.RoleIDs = []string{}
	}
	if e.PublicURL == "" {
		e.PublicURL = e.OriginalURL
	}
}

// Insert puts a local emoji into the catalogue, in tx; its id and date are set.
// ErrExists when the name is taken, ErrName when it is none.
func (s *Service) Insert(ctx context.Context, tx *pg.Tx, e *Emoji) error {
	if err := CheckName(e.Name); err != nil {
		return err
	}
	e.tidy()
	now := s.now().UTC()
	e.ID, e.Host, e.UpdatedAt = s.ids.Now(), nil, &now
	err := tx.QueryRow(ctx, sqlInsert, e.ID, e.Name, e.Category, e.OriginalURL, e.PublicURL, e.Type, e.Aliases, e.License, e.LocalOnly, e.IsSensitive, e.RoleIDs, e.UpdatedAt).Scan(&e.ID)
	if pg.NoRows(err) {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("insert emoji: %w", err)
	}
	return s.tell(ctx, tx, e.ID, told{Event: "added"})
}

// Change writes what has become of an emoji of this server, in tx; was is how it was, and its
// date is set, so that other servers read it anew. Under another name it is
// another one for clients. ErrExists, ErrName.
func (s *Service) Change(ctx context.Context, tx *pg.Tx, was, e *Emoji) error {
	if err := CheckName(e.Name); err != nil && e.Name != was.Name {
		return err
	}
	e.tidy()
	now := s.now().UTC()
	e.UpdatedAt = &now
	_, err := tx.Exec(ctx, sqlUpdate, e.ID, e.Name, e.Category, e.OriginalURL, e.PublicURL, e.Type, e.Aliases, e.License, e.LocalOnly, e.IsSensitive, e.RoleIDs, e.UpdatedAt)
	if pg.Violated(err) != "" {
		return ErrExists
	}
	if err != nil {
		return fmt.Errorf("change emoji: %w", err)
	}
	if e.Name == was.Name {
		return s.tell(ctx, tx, e.ID, told{Event: "updated"})
	}
	if err := s.tell(ctx, tx, e.ID, told{Event: "deleted", Gone: Pack(was)}); err != nil {
		return err
	}
	return s.tell(ctx, tx, e.ID, told{Event: "added"})
}

// Delete takes emoji out, in tx, and gives what was there.
func (s *Service) Delete(ctx context.Context, tx *pg.Tx, ids []string) ([]*Emoji, error) {
	list, err := Query(ctx, tx, sqlDelete, ids)
	if err != nil {
		return nil, err
	}
	var changes []log.Row
	for _, e := range list {
		d := told{}
		if e.Host == nil {
			d = told{Event: "deleted", Gone: Pack(e)}
		}
		changes = append(changes, log.Row{ObjectID: e.ID, Data: d})
	}
	tx.AfterCommit(s.Forget)
	return list, s.log.AppendRows(ctx, tx, changed, changes)
}

func (s *Service) tell(ctx context.Context, tx *pg.Tx, id string, d told) error {
	tx.AfterCommit(s.Forget)
	return s.log.Append(ctx, tx, changed, id, "", d)
}

// Pack is an emoji with all that is told of it.
func Pack(e *Emoji) *Detailed {
	return &Detailed{ID: e.ID, Aliases: e.Aliases, Name: e.Name, Category: e.Category, Host: e.Host, URL: e.URL(), License: e.License,
		IsSensitive: e.IsSensitive, LocalOnly: e.LocalOnly, RoleIDs: e.RoleIDs}
}

// onChanged tells everybody who is connected here.
func (s *Service) onChanged(ctx context.Context, _ *pg.Tx, batch []log.Change) error {
	s.Forget()
	if !s.hub.Heard(stream.BroadcastTopic) {
		return nil
	}
	var ids []string
	for _, c := range batch {
		ids = append(ids, c.ObjectID)
	}
	list, err := s.ByIDs(ctx, s.db, ids)
	if err != nil {
		return err
	}
	now := map[string]*Detailed{}
	for _, e := range list {
		now[e.ID] = Pack(e)
	}
	for _, c := range batch {
		var d told
		if err := c.Into(&d); err != nil {
			return err
		}
		e := now[c.ObjectID]
		if d.Event == "deleted" {
			e = d.Gone
		}
		switch {
		case e == nil: // gone since, which is told next
		case d.Event == "added":
			s.hub.Publish(stream.BroadcastTopic, stream.Event{Type: "emojiAdded", Body: map[string]any{"emoji": e}})
		case d.Event != "":
			s.hub.Publish(stream.BroadcastTopic, stream.Event{Type: "emoji" + strings.ToUpper(d.Event[:1]) + d.Event[1:], Body: map[string]any{"emojis": []*Detailed{e}}})
		}
	}
	return nil
}
