package federation

import (
	"context"
	"errors"
	"net/http"

	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/remote"
	"buttersc.one/oven/internal/user"
)

type showReq struct {
	URI string `json:"uri" api:"required,min=1,max=2048"`
}

// showRes is what an address led to.
type showRes struct {
	Type   string `json:"type"` // User or Note
	Object any    `json:"object"`
}

var (
	errNoSuchObject = api.Err("NO_SUCH_OBJECT", "dc94d745-1262-4e63-a17d-fecaa57efc82", "Nothing was found there.").WithStatus(http.StatusNotFound)
	errNotAllowed   = api.Err("FEDERATION_NOT_ALLOWED", "974b799e-1a29-4889-b706-18d4dd93e266", "This server does not federate with that host.")
	errURIInvalid   = api.Err("URI_INVALID", "1a5eab56-e47b-48c2-8d5e-217b897d70db", "That is not an address that can be asked.")
	errFailed       = api.Err("REQUEST_FAILED", "81b539cf-4f57-4b29-bc98-032c33c0792e", "The other server could not be asked.")
	errResponse     = api.Err("RESPONSE_INVALID", "70193c39-54f3-4813-82f0-70a680f7495b", "The other server's answer cannot be used.")
)

func showErrors() []*api.Error {
	return []*api.Error{errNoSuchObject, errNotAllowed, errURIInvalid, errFailed, errResponse}
}

func (s *Service) apiShow(ctx context.Context, c *api.Call, req showReq) (*showRes, error) {
	u, n, err := s.lookup(ctx, req.URI)
	if err != nil {
		return nil, showError(err)
	}
	if u != nil {
		packed, err := s.Users.PackDetailed(ctx, c.UserID, map[string]*user.User{u.ID: u}, false)
		if err != nil {
			return nil, err
		}
		return &showRes{Type: "User", Object: packed[u.ID]}, nil
	}
	if ok, err := s.Notes.CanCapture(ctx, c.UserID, n.ID); err != nil || !ok {
		if err == nil {
			err = errNoSuchObject
		}
		return nil, err
	}
	packed, err := s.Notes.Pack(ctx, c.UserID, []*note.Note{n})
	if err != nil {
		return nil, err
	}
	return &showRes{Type: "Note", Object: packed[0]}, nil
}

// showError says to the person why nothing was found.
func showError(err error) error {
	var re *remote.Error
	switch {
	case errors.Is(err, instance.ErrBlocked):
		return errNotAllowed
	case errors.Is(err, remote.ErrScheme), errors.Is(err, remote.ErrGuard), errors.Is(err, remote.ErrLocal):
		return errURIInvalid
	case errors.Is(err, user.ErrNotFound), errors.Is(err, note.ErrNotFound), errors.Is(err, errGone), remote.IsGone(err):
		return errNoSuchObject
	case errors.Is(err, remote.ErrOrigin), errors.Is(err, remote.ErrType), errors.Is(err, user.ErrActor), errors.Is(err, remote.ErrTooLong):
		return errResponse
	case errors.As(err, &re):
		return errFailed
	}
	return err
}
