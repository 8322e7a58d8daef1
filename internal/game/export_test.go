package game

import (
	"context"
	"encoding/json"
)

// Hear is what the channel of a game does with what somebody says on it.
func (s *Service) Hear(ctx context.Context, userID, gameID, typ string, body json.RawMessage) error {
	return s.hear(ctx, userID, gameID, typ, body)
}
