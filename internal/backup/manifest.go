package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// format is the number of the layout. One that is higher is not read.
const format = 1

// Names in a place:
//
//	oven.json                    whose place it is
//	backups/ID/manifest.json     written last: without it there is no backup
//	backups/ID/database.dump     as pg_dump writes it
//	backups/ID/files.list        a line of JSON for each file, by key
//	backups/ID/objects           which objects it needs, never encrypted: for removing the others
//	backups/ID/settings.yaml, local.conf, secret.key
//	objects/ab/abcdef…           files, by what is in them
//
// Encrypted ones end with .age.
const (
	ownerName    = "oven.json"
	backupsDir   = "backups/"
	objectsDir   = "objects/"
	manifestName = "manifest.json"
	dumpName     = "database.dump"
	filesName    = "files.list"
	objectsName  = "objects"

	settingsName  = "settings.yaml"
	localConfName = "local.conf"
	secretName    = "secret.key"
)

// Manifest tells all of a backup.
type Manifest struct {
	ID         string          `json:"id"`
	Format     int             `json:"format"`
	Oven       string          `json:"oven"`     // version of the program
	Server     string          `json:"server"`   // its address
	BeganAt    time.Time       `json:"beganAt"`  // of the database, when it was begun
	EndedAt    time.Time       `json:"endedAt"`  //
	Postgres   int             `json:"postgres"` // server_version_num
	Schema     Schema          `json:"schema"`
	Secret     string          `json:"secret"` // fingerprint of the secret key that the database needs
	Tables     []Table         `json:"tables"`
	Files      int64           `json:"files"`
	FileBytes  int64           `json:"fileBytes"`
	Missing    int64           `json:"missing"`    // files that the database knows and that were nowhere
	AddedBytes int64           `json:"addedBytes"` // what this backup added to the place
	Parts      map[string]Part `json:"parts"`      // by name, without the mark of encryption
}

// Schema names a state of the schema.
type Schema struct {
	Version int64  `json:"version"` // of the last migration
	SHA256  string `json:"sha256"`  // of its description
}

// envelope is the manifest's file: a changed byte is noticed.
type envelope struct {
	Manifest json.RawMessage `json:"manifest"`
	SHA256   string          `json:"sha256"`
}

func (m *Manifest) encode() ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return wrap(text)
}

func wrap(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	return json.Marshal(envelope{text, hex.EncodeToString(sum[:])})
}

func decodeManifest(text []byte) (*Manifest, error) {
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, damaged("the manifest: %w", err)
	}
	again, err := wrap(e.Manifest)
	if err != nil || !bytes.Equal(again, text) {
		return nil, damaged("the manifest is not what was written")
	}
	var m Manifest
	if err := json.Unmarshal(e.Manifest, &m); err != nil {
		return nil, damaged("the manifest: %w", err)
	}
	if m.Format > format {
		return nil, fmt.Errorf("backup: made by a newer Oven (%s, format %d)", m.Oven, m.Format)
	}
	return &m, nil
}

// maxManifest is more than any manifest needs.
const maxManifest = 64 << 20

// Info is what is known of a backup without opening it.
type Info struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Encrypted bool      `json:"encrypted"`
	Complete  bool      `json:"complete"` // without that it is none: a run that was ended left it
	Bytes     int64     `json:"bytes"`    // of its own: the files are shared with others
}

// To the millisecond: backups are sorted by their ids.
const idTime = "20060102T150405.000Z"

var idForm = regexp.MustCompile(`^\d{8}T\d{6}\.\d{3}Z-[a-z0-9]{6}$`)

func newID(now time.Time) string {
	return now.UTC().Format(idTime) + "-" + strings.ToLower(rand.Text()[:6])
}

// List lists what is in a place, oldest first.
func List(ctx context.Context, p Place) ([]Info, error) {
	byID := map[string]*Info{}
	var out []Info
	for o, err := range p.list(ctx, backupsDir) {
		if err != nil {
			return nil, err
		}
		id, name, _ := strings.Cut(strings.TrimPrefix(o.Name, backupsDir), "/")
		if !idForm.MatchString(id) {
			continue
		}
		at, err := time.Parse(idTime, id[:len(idTime)])
		if err != nil {
			continue
		}
		i := byID[id]
		if i == nil {
			i = &Info{ID: id, At: at}
			byID[id] = i
		}
		i.Bytes += o.Size
		switch name {
		case manifestName:
			i.Complete = true
		case manifestName + sealed:
			i.Complete, i.Encrypted = true, true
		}
	}
	for _, i := range byID {
		out = append(out, *i)
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// ErrNoBackup says that there is none of that id, or none at all.
var ErrNoBackup = errors.New("there is no such backup")

// find gives the complete backup of an id, "" for the newest.
func find(ctx context.Context, p Place, id string) (Info, error) {
	all, err := List(ctx, p)
	if err != nil {
		return Info{}, err
	}
	half := false
	for i := len(all) - 1; i >= 0; i-- {
		if id != "" && all[i].ID != id {
			continue
		}
		if all[i].Complete {
			return all[i], nil
		}
		half = true
	}
	if half {
		return Info{}, fmt.Errorf("backup %s in %s was never finished: %w", id, p, ErrNoBackup)
	}
	if id == "" {
		return Info{}, fmt.Errorf("no backup in %s: %w", p, ErrNoBackup)
	}
	return Info{}, fmt.Errorf("backup %s in %s: %w", id, p, ErrNoBackup)
}

// opened is a backup that can be read.
type opened struct {
	*Manifest
	v *vault
	i Info
}

func (v *vault) openBackup(ctx context.Context, id string) (*opened, error) {
	i, err := find(ctx, v, id)
	if err != nil {
		return nil, err
	}
	o := &opened{v: v, i: i}
	f, err := v.read(ctx, o.stored(manifestName))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return nil, damaged("the manifest: %w", err)
	}
	if o.Manifest, err = decodeManifest(text); err != nil {
		return nil, err
	}
	if o.ID != i.ID {
		return nil, damaged("the manifest is of %s", o.ID)
	}
	return o, nil
}

// stored is the name under which a part lies.
func (o *opened) stored(name string) string {
	name = backupsDir + o.i.ID + "/" + name
	if o.i.Encrypted && !strings.HasSuffix(name, "/"+objectsName) {
		name += sealed
	}
	return name
}

// part opens one of the backup's own parts.
func (o *opened) part(ctx context.Context, name string) (io.ReadCloser, error) {
	want, ok := o.Parts[name]
	if !ok {
		return nil, damaged("the manifest does not name %s", name)
	}
	return o.v.readPart(ctx, o.stored(name), want)
}

// text is a small part.
func (o *opened) text(ctx context.Context, name string) ([]byte, error) {
	f, err := o.part(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// owner says whose place it is: two servers in one would remove each other's files.
type owner struct {
	Oven   string `json:"oven"`
	Server string `json:"server"`
}

// claim makes the place the server's, or finds that it is another's.
func claim(ctx context.Context, p Place, server string) error {
	f, err := p.open(ctx, ownerName)
	if errors.Is(err, errNone) {
		text, err := json.Marshal(owner{"backups", server})
		if err != nil {
			return err
		}
		_, err = p.put(ctx, ownerName, bytes.NewReader(text), int64(len(text)))
		return err
	}
	if err != nil {
		return err
	}
	_ = f.Close()
	return owned(ctx, p, server)
}

func owned(ctx context.Context, p Place, server string) error {
	f, err := p.open(ctx, ownerName)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return err
	}
	var o owner
	if err := json.Unmarshal(text, &o); err != nil {
		return damaged("%s: %w", ownerName, err)
	}
	if want, err := json.Marshal(owner{"backups", server}); err != nil || !bytes.Equal(want, text) {
		return fmt.Errorf("backup: %s has the backups of %s: give each server a place of its own", p, o.Server)
	}
	return nil
}
