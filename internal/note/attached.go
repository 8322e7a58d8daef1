package note

import (
	"context"
	"errors"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

var errAttachedNoFile = api.Err("NO_SUCH_FILE", "c118ece3-2e4b-4296-99d1-51756e32d232", "There is no such file.")

type attachedReq struct {
	api.Page
	FileID string `json:"fileId" api:"required,id"`
	Limit  int    `json:"limit" api:"min=1,max=100,default=10"`
}

// apiAttached gives the notes that have one of the caller's files; to a
// moderator, anybody's.
func (s *Service) apiAttached(ctx context.Context, c *api.Call, req attachedReq) ([]*Packed, error) {
	if c.IsModerator() {
		have, err := s.Drive.ByIDs(ctx, s.DB, []string{req.FileID})
		if err != nil {
			return nil, err
		}
		if have[req.FileID] == nil {
			return nil, errAttachedNoFile
		}
	} else if _, err := s.Drive.Owned(ctx, s.DB, c.UserID, []string{req.FileID}); errors.Is(err, drive.ErrNotFound) {
		return nil, errAttachedNoFile
	} else if err != nil {
		return nil, err
	}
	var w pg.Where
	w.And("n.file_ids @> ARRAY[?] AND n.file_ids <> '{}'", req.FileID)
	return s.list(ctx, c, &w, req.Page, req.Limit)
}
