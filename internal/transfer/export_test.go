package transfer

import (
	"context"
	"errors"
	"time"

	"buttersc.one/oven/internal/socket/errand"
)

// ReadLines gives what the lines of a file say, and why lines are left out.
func ReadLines(file string, lists bool) (out []string) {
	for at := int64(0); ; {
		l := readLine([]byte(file), at, lists)
		if l == nil {
			return out
		}
		at = l.next
		text := l.name + "@" + l.host
		if l.replies != nil {
			text += " " + replies(*l.replies)
		}
		if lists {
			text = l.list + ": " + text
		}
		if !l.why.None() {
			text = l.why.String()
		}
		out = append(out, text)
	}
}

// TakeInFrom goes on with an import from where a process thinks that it is, and
// tells whether it was wrong.
func (s *Service) TakeInFrom(ctx context.Context, id, what, userID, fileID string, position int64) (wrong bool, err error) {
	err = s.takeIn(ctx, &carry{Row: errand.Row{ID: id, Tries: 1}, What: what, UserID: userID, FileID: &fileID, Position: position})
	if errors.Is(err, errand.ErrElsewhere) {
		return true, nil
	}
	return false, err
}

// WriteOutLate writes an export as a process that is late, and tells whether it saw
// that.
func (s *Service) WriteOutLate(ctx context.Context, id, what, userID string) (late bool, err error) {
	err = s.writeOut(ctx, &carry{Row: errand.Row{ID: id, Tries: 1}, What: what, UserID: userID, AskedAt: time.Unix(0, 0)})
	if errors.Is(err, errand.ErrElsewhere) {
		return true, nil
	}
	return false, err
}

// Patience sets how long an account is asked for.
func (s *Service) Patience(d time.Duration) { s.patience = d }
