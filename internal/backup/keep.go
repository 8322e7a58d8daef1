package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Keep says which backups stay. All zero: all of them. The newest always does.
type Keep struct {
	Last   int // the newest ones
	Daily  int // the newest of each of as many days that have one
	Weekly int // the newest of each of as many weeks that have one
}

func (k Keep) all() bool { return k == Keep{} }

// goes lists those of the complete backups, oldest first, that do not stay.
func (k Keep) goes(all []Info) []Info {
	if k.all() {
		return nil
	}
	stays := map[string]bool{}
	last, days, weeks := max(k.Last, 1), map[string]bool{}, map[string]bool{}
	for i := len(all) - 1; i >= 0; i-- {
		b := all[i]
		if last > 0 {
			last--
			stays[b.ID] = true
		}
		if day := b.At.Format("2006-01-02"); !days[day] && len(days) < k.Daily {
			days[day], stays[b.ID] = true, true
		}
		y, w := b.At.ISOWeek()
		if week := fmt.Sprint(y, "/", w); !weeks[week] && len(weeks) < k.Weekly {
			weeks[week], stays[b.ID] = true, true
		}
	}
	var out []Info
	for _, b := range all {
		if !stays[b.ID] {
			out = append(out, b)
		}
	}
	return out
}

// clean removes what runs that were ended left half, then the backups that need not
// stay, then the objects that none of the others names. Whoever calls it holds the
// place's lock. It may be ended anywhere: a manifest goes before what it names.
func clean(ctx context.Context, p Place, k Keep) (removed []string, err error) {
	all, err := List(ctx, p)
	if err != nil {
		return nil, err
	}
	var complete []Info
	for _, b := range all {
		switch {
		case b.Complete:
			complete = append(complete, b)
		default:
			if err := removeBackup(ctx, p, b.ID); err != nil {
				return nil, err
			}
		}
	}
	for _, b := range k.goes(complete) {
		if err := removeBackup(ctx, p, b.ID); err != nil {
			return removed, err
		}
		removed = append(removed, b.ID)
	}
	return removed, nil
}

func removeBackup(ctx context.Context, p Place, id string) error {
	dir := backupsDir + id + "/"
	for _, name := range []string{manifestName, manifestName + sealed} {
		if err := p.remove(ctx, dir+name); err != nil {
			return err
		}
	}
	var names []string
	for o, err := range p.list(ctx, dir) {
		if err != nil {
			return err
		}
		names = append(names, o.Name)
	}
	for _, n := range names {
		if err := p.remove(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes objects that no backup names.
func sweep(ctx context.Context, p Place) (bytes int64, err error) {
	all, err := List(ctx, p)
	if err != nil {
		return 0, err
	}
	named := map[string]bool{}
	for _, b := range all {
		if !b.Complete {
			return 0, nil // should not be: whoever makes one holds the lock
		}
		if err := names(ctx, p, b.ID, named); err != nil {
			return 0, err
		}
	}
	var gone []object
	for o, err := range p.list(ctx, objectsDir) {
		if err != nil {
			return 0, err
		}
		if !named[strings.TrimPrefix(o.Name, objectsDir)] {
			gone = append(gone, o)
		}
	}
	for _, o := range gone {
		if err := p.remove(ctx, o.Name); err != nil {
			return bytes, err
		}
		bytes += o.Size
	}
	return bytes, nil
}

// names adds the objects that a backup needs. The list's last line is a hash of the
// others: one that was cut or altered would have files removed that are needed.
func names(ctx context.Context, p Place, id string, into map[string]bool) error {
	f, err := p.open(ctx, backupsDir+id+"/"+objectsName)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	in, h, end := bufio.NewReader(f), sha256.New(), ""
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			break
		}
		if err != nil || end != "" {
			return damaged("the list of objects of %s", id)
		}
		if sum, ok := strings.CutPrefix(line, endOfObjects); ok {
			end = strings.TrimSuffix(sum, "\n")
			continue
		}
		h.Write([]byte(line))
		into[strings.TrimSuffix(line, "\n")] = true
	}
	if end != hex.EncodeToString(h.Sum(nil)) {
		return damaged("the list of objects of %s", id)
	}
	return nil
}

const endOfObjects = "end "

// objectsOf is the list of what files need.
func objectsOf(files []File) []byte {
	var list []string
	for _, f := range files {
		list = append(list, f.Object+"\n")
	}
	slices.Sort(list)
	text := []byte(strings.Join(slices.Compact(list), ""))
	sum := sha256.Sum256(text)
	return append(text, endOfObjects+hex.EncodeToString(sum[:])+"\n"...)
}
