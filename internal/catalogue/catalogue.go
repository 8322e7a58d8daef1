// Package catalogue is in charge of looking after custom emoji: adding, changing
// and taking them out, alone and by the many, taking them over from other servers,
// and carrying the whole of them from server to server.
package catalogue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/errand"
	"buttersc.one/oven/internal/socket/event"
)

// Deps are what the slice stands on.
type Deps struct {
	DB     *pg.DB
	Meta   *meta.Service
	IDs    *id.Maker
	Emojis *emoji.Service
	Drive  *drive.Service
	Roles  *role.Service
	Auth   *auth.Service
	Bus    *event.Bus
	Slog   *slog.Logger
	Dir    string // for files in the making
	Now    func() time.Time
}

// Service looks after the emoji.
type Service struct {
	Deps
	runs map[string]*errand.Runner[*carry] // by the way that an archive goes
}

// New makes the service.
func New(d Deps) *Service {
	s := &Service{Deps: d}
	s.runs = map[string]*errand.Runner[*carry]{wayIn: s.runner(wayIn, 0, s.takeIn), wayOut: s.runner(wayOut, 1, s.writeOut)}
	return s
}

const policy = "canManageCustomEmojis"

// Endpoints is the API of this slice.
func (s *Service) Endpoints() []api.Endpoint {
	read, write := api.Scope("read:admin:emoji"), api.Scope("write:admin:emoji")
	may := api.Policy(policy)
	return []api.Endpoint{
		api.Post("admin/emoji/add", s.apiAdd, write, may, api.Errors(errAddNoFile, errAddExists, errNoPicture)),
		api.Post("admin/emoji/update", s.apiUpdate, write, may, api.Errors(errUpdateNone, errUpdateNoFile, errUpdateExists, errNoPicture)),
		api.Post("admin/emoji/copy", s.apiCopy, write, may, api.Errors(errCopyNone, errCopyExists, errNoPicture)),
		api.Post("admin/emoji/delete", s.apiDelete, write, may, api.Errors(errDeleteNone)),
		api.Post("admin/emoji/delete-bulk", s.apiDeleteBulk, write, may),
		api.Post("admin/emoji/add-aliases-bulk", s.apiAddAliases, write, may),
		api.Post("admin/emoji/remove-aliases-bulk", s.apiRemoveAliases, write, may),
		api.Post("admin/emoji/set-aliases-bulk", s.apiSetAliases, write, may),
		api.Post("admin/emoji/set-category-bulk", s.apiSetCategory, write, may),
		api.Post("admin/emoji/set-license-bulk", s.apiSetLicense, write, may),
		api.Post("admin/emoji/list", s.apiList, read, may),
		api.Post("admin/emoji/list-remote", s.apiListRemote, read, may),
		api.Post("v2/admin/emoji/list", s.apiTable, read, may),
		api.Post("admin/emoji/import-zip", s.apiImport, api.Secure, may, api.Errors(errImportNoFile)),
		api.Post("export-custom-emojis", s.apiExport, api.Secure, may, api.Limit(1, time.Hour)),
	}
}

var errNoPicture = api.Err("UNSUPPORTED_FILE_TYPE", "f7599d96-8750-af68-1633-9575d625c1a7", "An emoji is a PNG, GIF, JPEG, WebP or AVIF of up to 8 MiB.")

// picture makes of what somebody has, or another server shows, a picture of this
// server's own.
func picture(f *drive.File, err error, none *api.Error) (*drive.File, error) {
	switch {
	case errors.Is(err, drive.ErrNotFound):
		return nil, none
	case errors.Is(err, drive.ErrPicture):
		return nil, errNoPicture
	}
	return f, err
}

// acted puts what was done into the moderation log.
func (s *Service) acted(ctx context.Context, tx *pg.Tx, c *api.Call, what string, e *emoji.Emoji, more map[string]any) error {
	info := map[string]any{"emojiId": e.ID}
	for k, v := range more {
		info[k] = v
	}
	if err := s.Bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: what, Info: info}); err != nil {
		return fmt.Errorf("emoji: %w", err)
	}
	return nil
}
