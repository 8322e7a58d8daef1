package note

import (
	"context"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/socket/api"
)

var (
	errThreadMuteNoNote   = api.Err("NO_SUCH_NOTE", "5ff67ada-ed3b-2e71-8e87-a1a421e177d2", "There is no such note.")
	errThreadUnmuteNoNote = api.Err("NO_SUCH_NOTE", "bddd57ac-ceb3-b29d-4334-86ea5fae481a", "There is no such note.")
)

const (
	sqlMuteThread   = `INSERT INTO note_thread_muting (user_id, thread_id) VALUES ($1, $2) ON CONFLICT (user_id, thread_id) DO NOTHING`
	sqlUnmuteThread = `DELETE FROM note_thread_muting WHERE user_id = $1 AND thread_id = $2`
)

func (s *Service) threadEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("notes/thread-muting/create", s.apiMuteThread, api.Scope("write:account"), api.Limit(10, time.Hour), api.Errors(errThreadMuteNoNote)),
		api.Post("notes/thread-muting/delete", s.apiUnmuteThread, api.Scope("write:account"), api.Errors(errThreadUnmuteNoNote)),
	}
}

// apiMuteThread silences the thread a note belongs to: no notifications of
// replies and mentions in it.
func (s *Service) apiMuteThread(ctx context.Context, c *api.Call, req noteReq) (api.None, error) {
	return api.None{}, s.onThread(ctx, c, req.NoteID, sqlMuteThread, errThreadMuteNoNote)
}

func (s *Service) apiUnmuteThread(ctx context.Context, c *api.Call, req noteReq) (api.None, error) {
	return api.None{}, s.onThread(ctx, c, req.NoteID, sqlUnmuteThread, errThreadUnmuteNoNote)
}

func (s *Service) onThread(ctx context.Context, c *api.Call, noteID, sql string, noNote *api.Error) error {
	n, err := s.Seen(ctx, c.UserID, noteID)
	if errors.Is(err, ErrNotFound) {
		return noNote
	}
	if err != nil {
		return err
	}
	if _, err := s.DB.Exec(ctx, sql, c.UserID, n.Thread()); err != nil {
		return fmt.Errorf("mute thread: %w", err)
	}
	return nil
}
