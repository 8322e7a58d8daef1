package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"buttersc.one/oven/internal/antenna"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/errand"
)

const sqlAntennas = `SELECT count(*) FROM antenna WHERE user_id = $1`

// apiImportAntennas refuses at once what would be too many. What the file is, is
// told later.
func (s *Service) apiImportAntennas(ctx context.Context, c *api.Call, req importReq) (api.None, error) {
	f, err := s.own(ctx, c, req.FileID)
	switch {
	case errors.Is(err, drive.ErrNotFound):
		return api.None{}, errAntennasNoFile
	case err != nil:
		return api.None{}, err
	case f.Size == 0:
		return api.None{}, errAntennasEmpty
	case f.Size > maxFile:
		return api.None{}, errAntennasTooMany
	}
	file, err := s.read(ctx, f)
	if errors.Is(err, drive.ErrNotFound) {
		return api.None{}, errAntennasNoFile
	}
	if err != nil {
		return api.None{}, err
	}
	policies, err := s.Roles.Of(ctx, c.UserID)
	if err != nil {
		return api.None{}, err
	}
	list, err := readAntennas(file, policies.AntennaLimit)
	if errors.Is(err, errMore) {
		return api.None{}, errAntennasTooMany
	}
	if err == nil {
		var have int
		if err := s.DB.QueryRow(ctx, sqlAntennas, c.UserID).Scan(&have); err != nil {
			return api.None{}, fmt.Errorf("count antennas: %w", err)
		}
		if have+len(list) > policies.AntennaLimit {
			return api.None{}, errAntennasTooMany
		}
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.ask(ctx, tx, wayIn, antennas, c.UserID, &f.ID, options{}) })
}

var (
	errMore       = errors.New("more antennas than somebody may have")
	errNoAntennas = errors.New("the file is no list of antennas")
)

// readAntennas reads a file of up to max antennas: errMore, errNoAntennas. Each is
// read when its turn comes.
func readAntennas(file []byte, max int) ([]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(file, []byte("\xef\xbb\xbf"))))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, errNoAntennas
	}
	var out []json.RawMessage
	for d.More() {
		var x json.RawMessage
		if d.Decode(&x) != nil {
			return nil, errNoAntennas
		}
		if out = append(out, x); len(out) > max {
			return nil, errMore
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errNoAntennas
	}
	return out, nil
}

// takeAntennas takes antennas over, each once.
func (s *Service) takeAntennas(ctx context.Context, c *carry, file []byte) error {
	policies, err := s.Roles.Of(ctx, c.UserID)
	if err != nil {
		return err
	}
	list, err := readAntennas(file, policies.AntennaLimit)
	if err != nil {
		return errand.Refuse(noGood(err))
	}
	for c.Position < int64(len(list)) {
		raw := list[c.Position]
		a, name, why := readAntenna(raw)
		err := s.once(ctx, c, c.Position+1, name, func(ctx context.Context, tx *pg.Tx) (string, error) {
			if !why.None() {
				return "", &leftOut{why}
			}
			fresh := *a
			fresh.UserID = c.UserID
			err := s.Antennas.Take(ctx, tx, &fresh)
			var no *api.Error
			switch {
			case errors.Is(err, antenna.ErrAlready):
				return same, nil
			case errors.As(err, &no):
				return "", &leftOut{errand.Refused(no.Code, no.Message)}
			}
			return added, err
		})
		if err != nil {
			return err
		}
	}
	return s.end(ctx, c, errand.Text{})
}

func noGood(err error) errand.Text {
	if errors.Is(err, errMore) {
		return moreAntennas
	}
	return noAntennas
}

// sources of what an antenna catches. What was for a list is for the accounts that
// were on it.
var sources = []string{"home", "all", "users", "users_blacklist", "list"}

// readAntenna gives an antenna, or why it cannot be one.
func readAntenna(raw json.RawMessage) (a *antenna.Antenna, name string, why errand.Text) {
	var t struct {
		trap
		Old json.RawMessage `json:"userListId"` // where older versions have the accounts
	}
	if json.Unmarshal(raw, &t) != nil {
		return nil, "…", noAntenna
	}
	name = strings.TrimSpace(t.Name)
	switch {
	case name == "" || len([]rune(name)) > 100 || errand.Bounded(name, 100) != name:
		return nil, name, noAntennaName
	case !slices.Contains(sources, t.Src):
		return nil, name, strangeSource
	}
	if t.Src == "list" {
		var old []string
		if t.Accts == nil && json.Unmarshal(t.Old, &old) == nil {
			t.Accts = old
		}
		t.Src, t.Users = "users", t.Accts
	}
	for _, group := range append(slices.Clone(t.Keywords), append(slices.Clone(t.Exclude), t.Users)...) {
		for i, w := range group {
			group[i] = errand.Bounded(w, len(w))
		}
	}
	return &antenna.Antenna{Name: name, Src: t.Src, Keywords: t.Keywords, Exclude: t.Exclude, Users: t.Users, CaseSensitive: t.CaseSensitive, LocalOnly: t.LocalOnly,
		ExcludeBots: t.ExcludeBots, WithReplies: t.WithReplies, WithFile: t.WithFile, ExcludeSensitive: t.ExcludeSensitive}, name, errand.Text{}
}
