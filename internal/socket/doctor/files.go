package doctor

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/blob"
)

// Files is a store that rows name files of.
type Files interface {
	All(ctx context.Context) iter.Seq2[blob.Info, error]
}

// settled is how old a file has to be before it is asked for its row: one that is
// being uploaded has none yet.
const settled = time.Hour

// inventory is what a store holds, in 8 bytes a file: of names that differ two in
// ten million stores of a million files would be taken for one.
type inventory struct {
	seed  maphash.Seed
	names []uint64 // sorted
	named []bool   // by a row
	young map[uint64]bool
}

func (inv *inventory) hash(key string) uint64 { return maphash.String(inv.seed, key) }

func (inv *inventory) find(key string) (int, bool) {
	return slices.BinarySearch(inv.names, inv.hash(key))
}

func take(ctx context.Context, files Files, seed maphash.Seed) (*inventory, error) {
	inv := &inventory{seed: seed, young: map[uint64]bool{}}
	now := time.Now()
	for info, err := range files.All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
		h := inv.hash(info.Key)
		inv.names = append(inv.names, h)
		if now.Sub(info.Modified) < settled {
			inv.young[h] = true
		}
	}
	slices.Sort(inv.names)
	inv.named = make([]bool, len(inv.names))
	return inv, nil
}

// stray is a row whose file was not in the first inventory.
type stray struct{ table, id, key string }

const (
	sqlStored  = `SELECT %s, %s FROM %s t WHERE (%s) AND (%s) IS NOT NULL`
	maxStrays  = 10000 // that are looked for a second time; of more than that a count says enough
	strayShown = 100
)

// files compares what rows name with what is in the store, both ways. What differs
// is looked for in a second listing: people upload and delete meanwhile. Names of
// files open them to everybody, so none is told.
func (c *checker) files(ctx context.Context, tx pgx.Tx, r *Report) error {
	seed := maphash.MakeSeed()
	inv, err := take(ctx, c.o.Files, seed)
	if err != nil {
		return err
	}
	var strays []stray
	more := map[string]int64{}
	for _, t := range c.schema.Tables {
		for _, s := range t.Stored {
			if !c.has(t.Name) {
				continue
			}
			c.step(t.Name + " and files")
			err := c.try(ctx, tx, r, t.Name, func(tx pgx.Tx) error {
				var id *string
				var key string
				return each(ctx, tx, fmt.Sprintf(sqlStored, c.idOf(t.Name, "t"), s.Key, quote(t.Name), s.Where, s.Key), []any{&id, &key}, func() {
					i, ok := inv.find(key)
					switch {
					case ok:
						inv.named[i] = true
					case s.Erased:
					case len(strays) < maxStrays:
						strays = append(strays, stray{t.Name, value(id), key})
					default:
						more[t.Name]++
					}
				})
			})
			if err != nil {
				return err
			}
		}
	}
	return c.unlike(ctx, r, inv, strays, more)
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// unlike tells what two listings agree on.
func (c *checker) unlike(ctx context.Context, r *Report, inv *inventory, strays []stray, more map[string]int64) error {
	if len(strays) == 0 && !slices.Contains(inv.named, false) {
		return nil
	}
	again := &inventory{seed: inv.seed}
	var files, bytes int64
	for info, err := range c.o.Files.All(ctx) {
		if err != nil {
			return fmt.Errorf("list files: %w", err)
		}
		h := inv.hash(info.Key)
		again.names = append(again.names, h)
		if i, was := slices.BinarySearch(inv.names, h); was && !inv.named[i] && !inv.young[h] {
			files, bytes = files+1, bytes+info.Size
		}
	}
	slices.Sort(again.names)
	if files > 0 {
		r.find(Finding{Code: "file-unnamed", Where: "files", Detail: fmt.Sprintf("files that no row names, of %d bytes", bytes), Count: files})
	}
	lost := map[string]*Finding{}
	for _, s := range strays {
		if _, came := again.find(s.key); came {
			continue
		}
		f := lost[s.table]
		if f == nil {
			f = &Finding{Code: "file-missing", Where: s.table, Detail: "rows whose file is not in the store", Count: more[s.table]}
			lost[s.table] = f
		}
		f.Count++
		if s.id != "" && len(f.IDs) < strayShown && !slices.Contains(f.IDs, s.id) {
			f.IDs = append(f.IDs, s.id)
		}
	}
	for _, table := range sortedKeys(lost) {
		r.find(*lost[table])
	}
	return nil
}
