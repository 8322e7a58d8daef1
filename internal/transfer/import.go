package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// maxFile is how large a file of accounts may be: some hundred thousand of them.
const maxFile = 5 << 20

// fileErrors are what an endpoint says of a file that cannot be taken in.
type fileErrors struct{ none, typ, big, empty *api.Error }

func (e *fileErrors) all() []*api.Error { return []*api.Error{e.none, e.typ, e.big, e.empty} }

func noFile(id string) *api.Error { return api.Err("NO_SUCH_FILE", id, "You have no such file.") }

func notText(id string) *api.Error {
	return api.Err("UNEXPECTED_FILE_TYPE", id, "That is no text with a line for each account.")
}

func tooBig(id string) *api.Error {
	return api.Err("TOO_BIG_FILE", id, "The file is larger than 5 MiB.")
}

func noText(id string) *api.Error { return api.Err("EMPTY_FILE", id, "There is nothing in the file.") }

var (
	followingErrors = &fileErrors{
		none: noFile("b98644cf-a5ac-4277-a502-0b8054a709a3"), typ: notText("660f3599-bce0-4f95-9dde-311fd841c183"),
		big: tooBig("dee9d4ed-ad07-43ed-8b34-b2856398bc60"), empty: noText("31a1b42c-06f7-42ae-8a38-a661c5c9f691"),
	}
	mutingErrors = &fileErrors{
		none: noFile("e674141e-bd2a-ba85-e616-aefb187c9c2a"), typ: notText("568c6e42-c86c-ba09-c004-517f83f9f1a8"),
		big: tooBig("9b4ada6d-d7f7-0472-0713-4f558bd1ec9c"), empty: noText("d2f12af1-e7b4-feac-86a3-519548f2728e"),
	}
	blockingErrors = &fileErrors{
		none: noFile("ebb53e5f-6574-9c0c-0b92-7ca6def56d7e"), typ: notText("b6fab7d6-d945-d67c-dfdb-32da1cd12cfe"),
		big: tooBig("b7fbf0b1-aeef-3b21-29ef-fadd4cb72ccf"), empty: noText("6f3a4dcc-f060-a707-4950-806fbdbe60d6"),
	}
	listErrors = &fileErrors{
		none: noFile("ea9cc34f-c415-4bc6-a6fe-28ac40357049"), typ: notText("a3c9edda-dd9b-4596-be6a-150ef813745c"),
		big: tooBig("ae6e7a22-971b-4b52-b2be-fc0b9b121fe9"), empty: noText("99efe367-ce6e-4d44-93f8-5fae7b040356"),
	}

	errAntennasNoFile  = api.Err("NO_SUCH_FILE", "3b71d086-c3fa-431c-b01d-ded65a777172", "You have no such file.")
	errAntennasNoUser  = api.Err("NO_SUCH_USER", "e842c379-8ac7-4cf7-b07a-4d4de7e4671c", "There is no such account.")
	errAntennasEmpty   = api.Err("EMPTY_FILE", "7f60115d-8d93-4b0f-bd0e-3815dcbb389f", "There is nothing in the file.")
	errAntennasTooMany = api.Err("TOO_MANY_ANTENNAS", "600917d4-a4cb-4cc5-8ba8-7ac8ea3c7779", "There are more antennas in the file than you may keep.")
)

type importReq struct {
	FileID string `json:"fileId" api:"required,id"`
}

type importFollowingReq struct {
	FileID      string `json:"fileId" api:"required,id"`
	WithReplies bool   `json:"withReplies" api:"optional"`
}

func (s *Service) apiImportFollowing(ctx context.Context, c *api.Call, req importFollowingReq) (api.None, error) {
	return s.begin(ctx, c, following, req.FileID, options{WithReplies: req.WithReplies}, followingErrors)
}

func (s *Service) apiImport(what string, e *fileErrors) func(context.Context, *api.Call, importReq) (api.None, error) {
	return func(ctx context.Context, c *api.Call, req importReq) (api.None, error) {
		return s.begin(ctx, c, what, req.FileID, options{}, e)
	}
}

// begin looks at a file of the caller's and has it taken in.
func (s *Service) begin(ctx context.Context, c *api.Call, what, fileID string, o options, e *fileErrors) (api.None, error) {
	f, err := s.own(ctx, c, fileID)
	switch {
	case errors.Is(err, drive.ErrNotFound):
		return api.None{}, e.none
	case err != nil:
		return api.None{}, err
	case f.Size == 0:
		return api.None{}, e.empty
	case !strings.HasPrefix(f.Type, "text/"):
		return api.None{}, e.typ
	case f.Size > maxFile:
		return api.None{}, e.big
	}
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.ask(ctx, tx, wayIn, what, c.UserID, &f.ID, o) })
}

// own is a file of the caller's that is kept here; drive.ErrNotFound.
func (s *Service) own(ctx context.Context, c *api.Call, fileID string) (*drive.File, error) {
	files, err := s.Drive.Owned(ctx, s.DB, c.UserID, []string{fileID})
	if err != nil {
		return nil, err
	}
	return files[0], nil
}

// read gives the bytes of a file; drive.ErrNotFound when it is gone, errLarge.
func (s *Service) read(ctx context.Context, f *drive.File) ([]byte, error) {
	in, err := s.Drive.Original(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	if len(b) > maxFile {
		return nil, errLarge
	}
	return b, nil
}

var errLarge = errors.New("the file is too large")
