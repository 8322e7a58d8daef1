package drive

import (
	"context"
	"crypto/md5" //nolint:gosec // the API's name for a content, not a proof
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/text/unicode/norm"

	"buttersc.one/oven/internal/lib/media"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
)

// Upload is a file that somebody puts into their drive.
type Upload struct {
	UserID    string
	Path      string // on the disk; it may be changed
	Name      string // as its owner calls it
	Comment   *string
	FolderID  *string
	Sensitive bool
	Force     bool   // also when the same content is there already
	URI       string // where it was fetched from; "": it was sent
	Marker    string // of a fetch
	Ours      bool   // made by this server for its owner: of any type and size

	// With is done in the transaction that makes the file; its error undoes that.
	With func(ctx context.Context, tx *pg.Tx, f *File) error
}

// The errors of Add, as drive/files/create gives them.
var (
	ErrName     = api.Err("INVALID_FILE_NAME", "f449b209-0c60-4e51-84d5-29486263bfd4", "That is no name for a file.")
	ErrNoSpace  = api.Err("NO_FREE_SPACE", "d08dbc37-a6a9-463a-8c47-96c32ab5f064", "Your drive is full.")
	ErrTooLarge = api.Err("MAX_FILE_SIZE_EXCEEDED", "b9d8c348-33f0-4673-b9a9-5d4da058977a", "The file is larger than your role allows.")
	ErrType     = api.Err("UNALLOWED_FILE_TYPE", "4becd248-7f2c-48c4-a9f0-75edc4f9a1ea", "Your role does not allow files of this type.")
	ErrNoFolder = api.Err("NO_SUCH_FOLDER", "ea8fb7a5-af77-4a08-b608-c0218176cd73", "There is no such folder.")
)

// maxName of a file in characters.
const maxName = 200

// CheckName makes a file's name of what somebody called it: one name, no path.
func CheckName(name string) (string, bool) {
	name = norm.NFC.String(strings.TrimSpace(name))
	ok := name != "" && len([]rune(name)) <= maxName && !strings.ContainsAny(name, `/\`) && !strings.Contains(name, "..") && cut(name, maxName) == name
	return name, ok
}

const (
	sqlOwner = `SELECT p.always_mark_nsfw FROM "user" u JOIN user_profile p ON p.user_id = u.id WHERE u.id = $1 FOR NO KEY UPDATE OF u`
	sqlUsage = `SELECT coalesce(sum(size), 0) FROM drive_file WHERE user_id = $1 AND NOT is_link`
	sqlSame  = `
SELECT ` + cols + ` FROM drive_file WHERE user_id = $1 AND md5 = $2 AND user_host IS NULL AND md5 <> '' ORDER BY id LIMIT 1`
	sqlAdd = `
INSERT INTO drive_file (id, user_id, md5, name, type, public_type, size, comment, blurhash, properties, url, thumbnail_url, uri, folder_id, is_sensitive)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`
)

// Add keeps an upload, or gives the file that has the same content already. What
// it is is read from its bytes. The errors above, ErrNoFolder among them.
func (s *Service) Add(ctx context.Context, up Upload) (*File, error) {
	policies, err := s.Roles.Of(ctx, up.UserID)
	if err != nil {
		return nil, err
	}
	f, err := s.examine(ctx, &up, policies)
	if err != nil {
		return nil, err
	}
	if up.FolderID != nil {
		if _, err := s.folder(ctx, s.DB, up.UserID, *up.FolderID); errors.Is(err, ErrNotFound) {
			return nil, ErrNoFolder
		} else if err != nil {
			return nil, err
		}
	}
	if !up.Force {
		have, err := query(ctx, s.DB, sqlSame, up.UserID, f.MD5)
		if err != nil {
			return nil, err
		}
		if len(have) > 0 {
			return s.again(ctx, have[0], up)
		}
	}
	parts, err := s.make(ctx, f, up.Path)
	if err != nil {
		return nil, err
	}
	return f, s.insert(ctx, f, up, parts, policies)
}

// mayCarry tells whether the file is an archive of somebody who looks after custom
// emoji: they come in archives, whatever other people may upload.
func (s *Service) mayCarry(ctx context.Context, userID, typ string) (bool, error) {
	if typ != "application/zip" {
		return false, nil
	}
	_, admin, err := s.Roles.Ranks(ctx, userID)
	if err != nil || admin {
		return admin, err
	}
	return s.Roles.Allows(ctx, userID, "canManageCustomEmojis")
}

// examine reads what the upload is and checks what needs no database.
func (s *Service) examine(ctx context.Context, up *Upload, policies *role.Policies) (*File, error) {
	in, err := os.Open(up.Path)
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	defer func() { _ = in.Close() }()
	hash := md5.New() //nolint:gosec // see above
	size, err := io.Copy(hash, in)
	if err == nil {
		_, err = in.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	if size > int64(policies.MaxFileSizeMb)<<20 && !up.Ours {
		return nil, ErrTooLarge
	}
	info, err := media.Look(in)
	if err != nil {
		return nil, err
	}
	f := &File{ID: s.IDs.Now(), UserID: &up.UserID, MD5: hex.EncodeToString(hash.Sum(nil)), Type: info.Type, Size: size, Comment: up.Comment,
		FolderID: up.FolderID, IsSensitive: up.Sensitive || policies.AlwaysMarkNsfw}
	if info.Type == "video/mp4" || info.Type == "video/webm" { // it may have nothing but sound
		if film, err := s.Engine.Watch(ctx, up.Path, info); err == nil && film.Width == 0 {
			f.Type = strings.Replace(info.Type, "video/", "audio/", 1)
		}
	}
	if !up.Ours && !allowed(policies.UploadableFileTypes, f.Type) {
		carries, err := s.mayCarry(ctx, up.UserID, f.Type)
		if err != nil {
			return nil, err
		}
		if !carries {
			return nil, ErrType
		}
	}
	name, ok := CheckName(up.Name)
	if !ok {
		return nil, ErrName
	}
	f.Name = name
	if up.URI != "" {
		f.URI = &up.URI
	}
	f.Properties = sizes(info)
	return f, nil
}

// allowed tells whether a type is among those of a role: "*/*", "image/*",
// "image/png". A table is a text: that it is one is guessed from its commas.
func allowed(types []string, typ string) bool {
	if typ == "text/csv" && allowed(types, "text/plain") {
		return true
	}
	major, _, _ := strings.Cut(typ, "/")
	for _, t := range types {
		t = strings.ToLower(strings.TrimSpace(t))
		if t == "*" || t == "*/*" || t == typ || t == major+"/*" {
			return true
		}
	}
	return false
}

// again gives a file that is there already; sent once more as sensitive it
// becomes so.
func (s *Service) again(ctx context.Context, f *File, up Upload) (*File, error) {
	if !up.Sensitive || f.IsSensitive {
		return f, nil
	}
	f.IsSensitive = true
	return f, s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.change(ctx, tx, f) })
}

// insert makes the upload a file: what it takes is counted while nobody else of
// the account can add to it.
func (s *Service) insert(ctx context.Context, f *File, up Upload, parts []stored, policies *role.Policies) error {
	return s.DB.Tx(ctx, func(tx *pg.Tx) error {
		var nsfw bool
		if err := tx.QueryRow(ctx, sqlOwner, up.UserID).Scan(&nsfw); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		f.IsSensitive = f.IsSensitive || nsfw
		var used int64
		if err := tx.QueryRow(ctx, sqlUsage, up.UserID).Scan(&used); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		if used+f.Size > int64(policies.DriveCapacityMb)<<20 {
			return ErrNoSpace
		}
		if _, err := tx.Exec(ctx, sqlAdd, f.ID, f.UserID, f.MD5, f.Name, f.Type, f.PublicType, f.Size, f.Comment, f.Blurhash, []byte(f.Properties),
			f.URL, f.ThumbnailURL, f.URI, f.FolderID, f.IsSensitive); err != nil {
			if pg.Unreferenced(err) == "drive_file_folder_id_fkey" { // it has just been deleted
				return ErrNoFolder
			}
			return fmt.Errorf("upload: %w", err)
		}
		if err := adopt(ctx, tx, f.ID, parts); err != nil {
			return err
		}
		if up.Marker != "" {
			if err := s.Log.Append(ctx, tx, urlDone, f.ID, up.UserID, Change{UserID: up.UserID, Marker: up.Marker}); err != nil {
				return err
			}
		}
		if up.With != nil {
			if err := up.With(ctx, tx, f); err != nil {
				return err
			}
		}
		return s.Log.Append(ctx, tx, created, f.ID, up.UserID, Change{UserID: up.UserID, Size: f.Size})
	})
}
