package catalogue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/lib/unzip"
	"buttersc.one/oven/internal/socket/errand"
)

// Bounds of an archive of emoji, so that none can take more than it looks like.
const (
	metaName     = "meta.json"
	maxMeta      = 16 << 20
	maxEntries   = 20_000
	maxDirectory = 8 << 20
	maxUnpacked  = 2 << 30
	maxFileName  = 255
	metaVersion  = 2
)

var errArchive = errors.New("not an archive of emoji")

// archive is meta.json of an archive of emoji, as Misskey writes it. When it was
// made is written and never read: Misskey has it in the form of a browser's.
type archive struct {
	MetaVersion int       `json:"metaVersion"`
	Host        string    `json:"host"`
	ExportedAt  exported  `json:"exportedAt"`
	Emojis      emojiList `json:"emojis"`
}

// exported is a time that anything may stand for.
type exported string

// UnmarshalJSON passes over what there is.
func (*exported) UnmarshalJSON([]byte) error { return nil }

// emojiList is as long as an archive may be.
type emojiList []packed

// UnmarshalJSON counts while it reads: an empty object takes two bytes of a text
// and a hundred times as many of the memory.
func (l *emojiList) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.Join(errors.New("emojis are no list"), err)
	}
	*l = nil
	for d.More() {
		if len(*l) == maxEntries {
			return fmt.Errorf("more than %d emoji", maxEntries)
		}
		var p packed
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("emoji %d: %w", len(*l)+1, err)
		}
		*l = append(*l, p)
	}
	return nil
}

type packed struct {
	ID         string `json:"id,omitempty"` // the file's name, in archives of older versions
	FileName   string `json:"fileName"`
	Downloaded bool   `json:"downloaded"`
	Emoji      entry  `json:"emoji"`

	again bool // there is another of the name before it
}

// entry is what an archive tells of an emoji.
type entry struct {
	Name        string   `json:"name"`
	Category    *string  `json:"category"`
	Aliases     []string `json:"aliases"`
	License     *string  `json:"license"`
	IsSensitive bool     `json:"isSensitive"`
	LocalOnly   bool     `json:"localOnly"`
	RoleIDs     []string `json:"roleIdsThatCanBeUsedThisEmojiAsReaction,omitempty"`
	Type        *string  `json:"type,omitempty"`
}

// opened is an archive that has been looked through.
type opened struct {
	zip   *unzip.Archive
	meta  archive
	stems map[string]string // files by their names without the type
}

// open reads what is in an archive; errArchive when it is none, or one that does
// harm.
func open(r io.ReaderAt, size int64) (*opened, error) {
	z, err := unzip.Open(r, size, unzip.Bounds{Entries: maxEntries, Directory: maxDirectory, Name: maxFileName, Unpacked: maxUnpacked})
	if errors.Is(err, unzip.ErrRefused) {
		err = fmt.Errorf("%w: %w", errArchive, err)
	}
	if err != nil {
		return nil, err
	}
	o := &opened{zip: z, stems: map[string]string{}}
	for _, name := range z.Names() {
		if !strings.Contains(name, "/") { // folders, and what is in them, are of programs that pack archives
			o.stems[strings.TrimSuffix(name, path.Ext(name))] = name
		}
	}
	b, err := o.read(metaName, maxMeta)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &o.meta); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errArchive, metaName, err)
	}
	if o.meta.MetaVersion > metaVersion {
		return nil, fmt.Errorf("%w: made by a later version", errArchive)
	}
	seen := map[string]bool{}
	for i := range o.meta.Emojis {
		p := &o.meta.Emojis[i]
		p.again, seen[p.Emoji.Name] = seen[p.Emoji.Name], true
	}
	return o, nil
}

// read gives a file of up to max bytes; errArchive.
func (o *opened) read(name string, max int64) ([]byte, error) {
	b, err := o.zip.Read(name, max)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: there is no %.60q", errArchive, name)
	case errors.Is(err, unzip.ErrRefused):
		err = fmt.Errorf("%w: %w", errArchive, err)
	}
	return b, err
}

// picture gives the name and the bytes of an emoji's picture, or why the emoji is
// passed over.
func (o *opened) picture(p *packed) (name string, b []byte, why errand.Text, err error) {
	switch {
	case emoji.CheckName(p.Emoji.Name) != nil:
		return "", nil, noName, nil //nolint:nilerr // which is told in other words
	case !p.Downloaded:
		return "", nil, madeWithout, nil
	case p.again:
		return "", nil, namedBefore, nil
	}
	name = p.FileName
	if name == "" {
		name = o.stems[p.ID]
	}
	if name == "" {
		name = o.stems[p.Emoji.Name]
	}
	if name == "" || strings.Contains(name, "/") || name == metaName {
		return "", nil, noPicture, nil
	}
	b, err = o.read(name, drive.MaxStored)
	if errors.Is(err, errArchive) {
		return "", nil, badPicture.With(strings.TrimPrefix(err.Error(), errArchive.Error()+": ")), nil
	}
	return name, b, errand.Text{}, err
}

// tidy brings what an archive says into the form that admin/emoji/add takes.
func (x *entry) tidy() {
	x.Category, x.License = bounded(x.Category, 128), bounded(x.License, 1024)
	for i, a := range x.Aliases {
		x.Aliases[i] = *bounded(&a, 128)
	}
	x.Aliases = tidy(x.Aliases)
	x.Aliases = x.Aliases[:min(len(x.Aliases), 256)]
}

// bounded is a text of at most so many characters.
func bounded(t *string, max int) *string {
	if t == nil {
		return nil
	}
	s := errand.Bounded(*t, max)
	return &s
}
