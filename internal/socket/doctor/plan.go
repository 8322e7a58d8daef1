package doctor

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Plan is a repair, said beforehand: what becomes of every group of rows that are
// one thing, what is built, and what is left. The same database gives the same plan,
// byte by byte. It holds names of tables and columns, ids and numbers.
type Plan struct {
	Format   int     `json:"format"`
	Database string  `json:"database"` // which one: its cluster's number and its own
	Schema   string  `json:"schema"`   // hash of its tables, columns and indexes
	Groups   []Merge `json:"groups"`
	Work     []Work  `json:"work"` // after the merges, in this order
	Left     []Left  `json:"left"` // what is not repaired, and why

	Rows      int64            `json:"rows"`      // that are changed or deleted, about
	Collide   map[string]int64 `json:"collide"`   // rows by table that say the same thing once the groups are merged
	Seconds   int64            `json:"seconds"`   // about
	WALBytes  int64            `json:"walBytes"`  // about
	DiskBytes int64            `json:"diskBytes"` // that the new indexes and the archive take, about
	Hash      string           `json:"hash"`      // of all that stands above
}

// Merge is one group of rows that are one thing.
type Merge struct {
	ID        string           `json:"id"`
	Table     string           `json:"table"`
	Keys      []string         `json:"keys"` // that they share
	IDs       []string         `json:"ids"`
	Survivor  string           `json:"survivor,omitempty"`
	Reason    string           `json:"reason,omitempty"`
	Moves     map[string]int64 `json:"moves,omitempty"` // by column: rows that name a loser
	Undecided string           `json:"undecided,omitempty"`
	Same      bool             `json:"same,omitempty"` // rows with one id, and alike in everything
}

// Work is something that is built, proved or cleared.
type Work struct {
	Kind  string   `json:"kind"` // key, index, reindex, drop-index, reference, prove, sequence, enum, collation
	Where string   `json:"where"`
	SQL   []string `json:"sql"`
	Locks string   `json:"locks"`
	Bytes int64    `json:"bytes"`          // of the table
	Rows  int64    `json:"rows,omitempty"` // that are archived first

	Table   string   `json:"table,omitempty"`
	Columns []string `json:"columns,omitempty"`
	Index   string   `json:"index,omitempty"`
}

// Left is a finding that is not repaired.
type Left struct {
	Code  string `json:"code"`
	Where string `json:"where"`
	Count int64  `json:"count"`
	Why   string `json:"why"`
}

// Alive asks the network which of several addresses of an actor is the one that is
// alive and has the key; "" when nobody can tell.
type Alive func(ctx context.Context, uris []string) (string, error)

// PlanOptions are what a plan may use besides the database.
type PlanOptions struct {
	Host     string
	Progress func(done, total int, what string)
	Alive    Alive // nil: nobody is asked
}

const planFormat = 1

// Undecided is how many groups wait for a person.
func (p *Plan) Undecided() (n int) {
	for _, g := range p.Groups {
		if g.Undecided != "" {
			n++
		}
	}
	return n
}

// seal gives the plan its hash.
func (p *Plan) seal() error {
	p.Hash = ""
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	p.Hash = hex.EncodeToString(sum[:])
	return nil
}

// ReadPlan reads a plan and checks that it is as it was made.
func ReadPlan(b []byte) (*Plan, error) {
	p := &Plan{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("not a plan: %w", err)
	}
	hash := p.Hash
	if err := p.seal(); err != nil {
		return nil, err
	}
	if p.Format != planFormat || p.Hash != hash {
		return nil, errors.New("the plan was changed after it was made, or by another version: its hash is another")
	}
	return p, nil
}

// planner makes one plan, from one state of the database.
type planner struct {
	merger
	tx    pgx.Tx
	o     PlanOptions
	plan  *Plan
	made  map[string]bool // keys that have groups nobody has decided
	twice map[string]bool // keys that rows share, by the check

	become map[string]map[string]string // table → row → the one that it is merged into

	decided map[string]string
}

// MakePlan looks at a database, which it does not change, and says how it would be
// repaired. See Check for what is an error.
func MakePlan(ctx context.Context, src Source, s *Schema, o PlanOptions) (*Plan, *Report, error) {
	report, err := Check(ctx, src, s, Options{Host: o.Host, Progress: o.Progress})
	if err != nil {
		return nil, nil, err
	}
	tx, err := Begin(ctx, src)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	pl := &planner{merger: merger{s: s}, tx: tx, o: o, plan: &Plan{Format: planFormat, Groups: []Merge{}, Work: []Work{}, Left: []Left{}, Collide: map[string]int64{}}, made: map[string]bool{}}
	if err := pl.make(ctx, report); err != nil {
		return nil, nil, fmt.Errorf("plan: %w", Plain(err))
	}
	return pl.plan, report, pl.plan.seal()
}

func (pl *planner) make(ctx context.Context, report *Report) (err error) {
	if pl.cat, err = readCatalogue(ctx, pl.tx); err != nil {
		return err
	}
	if pl.plan.Database, pl.plan.Schema, err = fingerprint(ctx, pl.tx, pl.cat); err != nil {
		return err
	}
	if pl.decided, err = decisions(ctx, pl.tx); err != nil {
		return err
	}
	pl.twice = shared(report)
	if pl.plan.Groups, err = pl.groups(ctx); err != nil {
		return err
	}
	for i := range pl.plan.Groups {
		g := &pl.plan.Groups[i]
		if g.Undecided != "" {
			for _, k := range g.Keys {
				pl.made[g.Table+"."+k] = true
			}
		}
	}
	if err := pl.collide(ctx); err != nil {
		return err
	}
	if err := pl.work(ctx, report); err != nil {
		return err
	}
	return pl.estimate(ctx)
}

// shared are the keys that a check found rows to share.
func shared(r *Report) map[string]bool {
	out := map[string]bool{}
	for _, f := range r.Findings {
		if f.Code == "duplicate" {
			out[f.Where] = true
		}
	}
	return out
}

const sqlFingerprint = `
SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())`

const sqlFingerprintPlain = `SELECT oid::text || '/' || datname FROM pg_database WHERE datname = current_database()`

// fingerprint tells which database it is, and what its schema is. The repair's own
// indexes do not count.
func fingerprint(ctx context.Context, tx pgx.Tx, cat *catalogue) (database, schema string, err error) {
	sp, err := tx.Begin(ctx)
	if err != nil {
		return "", "", err
	}
	// Who may not read the cluster's number is told its own.
	if err = sp.QueryRow(ctx, sqlFingerprint).Scan(&database); err != nil {
		if err = sp.Rollback(ctx); err != nil {
			return "", "", err
		}
		err = tx.QueryRow(ctx, sqlFingerprintPlain).Scan(&database)
	} else {
		err = sp.Commit(ctx)
	}
	if err != nil {
		return "", "", err
	}
	h := sha256.New()
	for _, name := range sortedKeys(cat.tables) {
		fmt.Fprintln(h, "table", name)
		for _, c := range sortedKeys(cat.tables[name].columns) {
			fmt.Fprintln(h, c, cat.tables[name].columns[c])
		}
		for _, x := range cat.indexes[name] {
			if !strings.HasPrefix(x.Name, fencePrefix) {
				fmt.Fprintln(h, "index", x.Name, x.Columns, x.Unique, x.Valid, x.NullsNotDistinct)
			}
		}
	}
	for _, f := range sortedKeys(cat.foreign) {
		fmt.Fprintln(h, "foreign", f, cat.foreign[f].proved)
	}
	return database, hex.EncodeToString(h.Sum(nil)), nil
}

func decisions(ctx context.Context, tx pgx.Tx) (map[string]string, error) {
	out := map[string]string{}
	there, err := hasArchive(ctx, tx)
	if err != nil || !there {
		return out, err
	}
	var group, survivor string
	return out, each(ctx, tx, sqlDecisions, []any{&group, &survivor}, func() { out[group] = survivor })
}

// groups finds all groups of rows that are one thing, and says what becomes of them.
func (pl *planner) groups(ctx context.Context) ([]Merge, error) {
	if _, err := pl.tx.Exec(ctx, sqlNoIndexes); err != nil {
		return nil, err
	}
	// What most others refer to comes first: its merges make and end groups of others.
	tables := slices.Clone(pl.s.Tables)
	weight := map[string]int{}
	for _, t := range tables {
		weight[t.Name] = len(pl.pointers(t.Name))
	}
	slices.SortStableFunc(tables, func(a, b *Table) int {
		return cmp.Or(cmp.Compare(weight[b.Name], weight[a.Name]), cmp.Compare(a.Name, b.Name))
	})
	var out []Merge
	pl.become = map[string]map[string]string{}
	for _, t := range tables {
		list, err := pl.components(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		if len(list) == 0 {
			continue
		}
		if err := pl.judge(ctx, t, list); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		slices.SortFunc(list, func(a, b Merge) int { return cmp.Or(cmp.Compare(a.IDs[0], b.IDs[0]), cmp.Compare(a.ID, b.ID)) })
		for _, g := range list {
			if pl.goesWith(t, g) {
				continue
			}
			out = append(out, g)
			for _, id := range g.IDs {
				if g.Survivor != "" {
					if pl.become[t.Name] == nil {
						pl.become[t.Name] = map[string]string{}
					}
					pl.become[t.Name][id] = g.Survivor
				}
			}
		}
	}
	return out, nil
}

// goesWith tells whether a group is one row for each of rows that are merged: it ends
// with their merge.
func (pl *planner) goesWith(t *Table, g Merge) bool {
	at := pl.address(t.Name)
	for _, ref := range t.Refs {
		if ref.Column != at {
			continue
		}
		first := pl.become[ref.Table][g.IDs[0]]
		return first != "" && !g.Same && !slices.ContainsFunc(g.IDs, func(id string) bool { return pl.become[ref.Table][id] != first })
	}
	return false
}

const (
	sqlAllGroups = `SELECT array_agg(%s ORDER BY t.%s), %s FROM %s t WHERE %s GROUP BY %s HAVING count(*) > 1`
	sqlWhich     = `SELECT t.%s::text FROM %s t WHERE t.%s = ANY(%s) AND (%s)`
	sqlColumnOf  = `SELECT t.%s::text, md5(t.%s::text) FROM %s t WHERE t.%s = ANY(%s) AND t.%s IS NOT NULL ORDER BY 1, 2`
	sqlNames     = `SELECT t.%s::text, count(*) FROM %s t WHERE t.%s = ANY(%s) GROUP BY 1`
	sqlURIs      = `SELECT t.%s::text, t.%s FROM %s t WHERE t.%s = ANY(%s) AND t.%s IS NOT NULL ORDER BY 1`
)

// components are the groups of a table, those that share a row put together.
func (pl *planner) components(ctx context.Context, t *Table) ([]Merge, error) {
	if pl.cat.tables[t.Name] == nil {
		return nil, nil
	}
	at := pl.address(t.Name)
	owner := map[string]string{} // row → first row of its group
	find := func(id string) string {
		for owner[id] != id {
			id = owner[id]
		}
		return id
	}
	keys := map[string]map[string]bool{}
	var twins []Merge
	for _, k := range t.Keys {
		if !pl.twice[t.Name+"."+k.name()] || !pl.has(t.Name, k.Columns...) {
			continue
		}
		p := k.parts()
		var ids []string
		var same bool
		name, single := "t."+quote(at)+"::text", at != "ctid" && len(k.Columns) == 1 && k.Columns[0] == at
		if at == "ctid" {
			name = k.mark()
		}
		alike := "false"
		if at == "ctid" || single {
			alike = "min(md5(t::text)) = max(md5(t::text))"
		}
		err := each(ctx, pl.tx, fmt.Sprintf(sqlAllGroups, name, quote(at), alike, quote(t.Name), p.where, p.by), []any{&ids, &same}, func() {
			if at == "ctid" || single {
				g := Merge{Table: t.Name, Keys: []string{k.name()}, IDs: []string{ids[0]}, Survivor: ids[0], Same: true, Reason: fmt.Sprintf("%d rows alike in everything: one stays", len(ids))}
				if !same {
					g.Survivor, g.Reason, g.Same, g.Undecided = "", "", false, fmt.Sprintf("%d rows have one key and differ, and nothing else names them", len(ids))
				}
				g.ID = groupID(g)
				twins = append(twins, g)
				return
			}
			for _, id := range ids {
				if owner[id] == "" {
					owner[id] = id
				}
				a, b := find(ids[0]), find(id)
				owner[max(a, b)] = min(a, b)
			}
			root := find(ids[0])
			if keys[root] == nil {
				keys[root] = map[string]bool{}
			}
			keys[root][k.name()] = true
		})
		if err != nil {
			return nil, err
		}
	}
	members := map[string][]string{}
	for id := range owner {
		members[find(id)] = append(members[find(id)], id)
	}
	named := map[string]map[string]bool{}
	for root, set := range keys {
		to := find(root)
		if named[to] == nil {
			named[to] = map[string]bool{}
		}
		for k := range set {
			named[to][k] = true
		}
	}
	out := twins
	for _, root := range sortedKeys(members) {
		g := Merge{Table: t.Name, Keys: sortedKeys(named[root]), IDs: members[root]}
		slices.Sort(g.IDs)
		g.ID = groupID(g)
		out = append(out, g)
	}
	return out, nil
}

// mark names rows of a key that may be somebody's secret: enough to find them again,
// too little to guess them.
func (k Key) mark() string {
	var parts []string
	for _, c := range k.Columns {
		x := quote(c)
		if !strings.Contains(c, "(") {
			x = "t." + x
		}
		parts = append(parts, "coalesce("+x+"::text, E'\\x1e')")
	}
	return "'#' || left(md5(concat_ws(E'\\x1f', " + strings.Join(parts, ", ") + ")), 8)"
}

// groupID names a group by what is in it.
func groupID(g Merge) string {
	h := sha256.New()
	fmt.Fprint(h, g.Table, "\x00", strings.Join(g.Keys, "\x00"), "\x00\x00", strings.Join(g.IDs, "\x00"))
	return g.Table + "-" + hex.EncodeToString(h.Sum(nil))[:12]
}

// judge says of each group which row stays, or that a person has to say it.
func (pl *planner) judge(ctx context.Context, t *Table, list []Merge) error {
	if _, err := pl.tx.Exec(ctx, sqlIndexesAgain); err != nil {
		return err
	}
	defer func() { _, _ = pl.tx.Exec(ctx, sqlNoIndexes) }()
	at := pl.address(t.Name)
	if at == "ctid" {
		return nil
	}
	var ids []string
	for _, g := range list {
		ids = append(ids, g.IDs...)
	}
	facts, err := pl.facts(ctx, t, at, ids)
	if err != nil {
		return err
	}
	for i := range list {
		g := &list[i]
		if g.Same || g.Undecided != "" {
			continue
		}
		if err := pl.decide(ctx, t, g, facts); err != nil {
			return err
		}
	}
	return nil
}

// facts are what decides about the rows of a table's groups.
type facts struct {
	asked  map[string]string              // row → why only a person may merge it
	agree  map[string]map[string]string   // column → row → hash of what it says
	alike  []map[string]string            // row → hash
	uris   map[string]string              // row → its address, where the first of alike is one
	moves  map[string]map[string]int64    // row → column that names it → rows
	total  map[string]int64               // row → rows that name it
	owned  map[string]map[string]struct{} // row → tables of a person's own that name it
	narrow map[string]string              // row → hash of columns of which the narrowest is taken
}

func (pl *planner) facts(ctx context.Context, t *Table, at string, ids []string) (*facts, error) {
	f := &facts{asked: map[string]string{}, agree: map[string]map[string]string{}, uris: map[string]string{}, moves: map[string]map[string]int64{},
		total: map[string]int64{}, owned: map[string]map[string]struct{}{}, narrow: map[string]string{}}
	list := pl.list(1, t.Name, at)
	for _, ask := range t.Merging.Asks {
		rows, err := pl.tx.Query(ctx, fmt.Sprintf(sqlWhich, quote(at), quote(t.Name), quote(at), list, ask.Where), ids)
		if err != nil {
			return nil, err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			f.asked[id] = ask.Says
		}
	}
	column := func(table, ref, col string) (map[string]string, error) {
		out := map[string]string{}
		if !pl.has(table, ref, col) {
			return out, nil
		}
		rows, err := pl.tx.Query(ctx, fmt.Sprintf(sqlColumnOf, quote(ref), quote(col), quote(table), quote(ref), pl.list(1, table, ref), quote(col)), ids)
		if err != nil {
			return nil, err
		}
		var id, hash string
		_, err = pgx.ForEachRow(rows, []any{&id, &hash}, func() error { out[id] += hash; return nil })
		return out, err
	}
	for _, c := range t.Merging.Agree {
		values, err := column(t.Name, at, c)
		if i := slices.IndexFunc(t.Refs, func(r Ref) bool { return r.Column == c }); i >= 0 && err == nil {
			values, err = pl.willName(ctx, t, at, t.Refs[i], ids)
		}
		if err != nil {
			return nil, err
		}
		f.agree[c] = values
	}
	for _, a := range t.Merging.Alike {
		table, ref := a.Table, a.Ref
		if table == "" {
			table, ref = t.Name, at
		}
		values, err := column(table, ref, a.Column)
		if err != nil {
			return nil, err
		}
		f.alike = append(f.alike, values)
		if a.Table == "" && len(f.uris) == 0 && pl.has(t.Name, a.Column) && pl.o.Alive != nil {
			rows, err := pl.tx.Query(ctx, fmt.Sprintf(sqlURIs, quote(at), quote(a.Column), quote(t.Name), quote(at), list, quote(a.Column)), ids)
			if err != nil {
				return nil, err
			}
			var id, uri string
			if _, err = pgx.ForEachRow(rows, []any{&id, &uri}, func() error { f.uris[id] = uri; return nil }); err != nil {
				return nil, err
			}
		}
	}
	for _, x := range t.Merging.Fields {
		if x.Rule == "narrowest" {
			values, err := column(t.Name, at, x.Column)
			if err != nil {
				return nil, err
			}
			for id, h := range values {
				f.narrow[id] += h
			}
		}
	}
	return f, pl.references(ctx, t, at, ids, f)
}

// willName tells what a column that names other rows will say once those are merged.
func (pl *planner) willName(ctx context.Context, t *Table, at string, ref Ref, ids []string) (map[string]string, error) {
	rows, err := pl.tx.Query(ctx, fmt.Sprintf(sqlURIs, quote(at), quote(ref.Column), quote(t.Name), quote(at), pl.list(1, t.Name, at), quote(ref.Column)), ids)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var id, other string
	_, err = pgx.ForEachRow(rows, []any{&id, &other}, func() error {
		if to := pl.become[ref.Table][other]; to != "" {
			other = to
		}
		out[id] = other
		return nil
	})
	return out, err
}

// references counts what names the rows.
func (pl *planner) references(ctx context.Context, t *Table, at string, ids []string, f *facts) error {
	for _, ref := range pl.pointers(t.Name) {
		if ref.kind == Array || ref.to != at {
			continue
		}
		human := pl.s.byName[ref.table] != nil && pl.s.byName[ref.table].Merging.Human
		rows, err := pl.tx.Query(ctx, fmt.Sprintf(sqlNames, quote(ref.column), quote(ref.table), quote(ref.column), pl.list(1, ref.table, ref.column)), ids)
		if err != nil {
			return err
		}
		var id string
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error {
			if f.moves[id] == nil {
				f.moves[id] = map[string]int64{}
			}
			f.moves[id][ref.table+"."+ref.column] = n
			f.total[id] += n
			if human {
				if f.owned[id] == nil {
					f.owned[id] = map[string]struct{}{}
				}
				f.owned[id][ref.table] = struct{}{}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// decide says which row of a group stays: the one that a person chose; of actors the
// one that its own server knows, or that most refers to; the oldest.
func (pl *planner) decide(ctx context.Context, t *Table, g *Merge, f *facts) error {
	chosen := pl.decided[g.ID]
	if chosen != "" && !slices.Contains(g.IDs, chosen) {
		chosen = ""
	}
	if at := pl.address(t.Name); slices.ContainsFunc(t.Refs, func(r Ref) bool { return r.Column == at }) {
		g.Undecided = "they are of different rows that are not one: repaired by hand, or not at all"
		return nil
	}
	why := pl.doubts(g, f)
	best := slices.MaxFunc(g.IDs, func(a, b string) int { return cmp.Or(cmp.Compare(f.total[a], f.total[b]), cmp.Compare(b, a)) })
	reason := "most refer to it"
	if len(t.Merging.Alike) == 0 || !slices.ContainsFunc(g.IDs, func(id string) bool { return f.total[id] != f.total[best] }) {
		best, reason = slices.Min(g.IDs), "the oldest"
	}
	switch {
	case chosen != "":
		best, reason = chosen, "decided by a person"
	case why == differ && pl.o.Alive != nil:
		alive, err := pl.living(ctx, g, f)
		if err != nil {
			return err
		}
		if alive == "" {
			g.Undecided = why + ", and their server does not tell which of them is the one"
			return nil
		}
		best, reason = alive, "its server knows this one, and no other"
	case why != "":
		g.Undecided = why
		return nil
	}
	narrow := false
	for _, id := range g.IDs {
		narrow = narrow || f.narrow[id] != f.narrow[best]
		if id == best {
			continue
		}
		for col, n := range f.moves[id] {
			if g.Moves == nil {
				g.Moves = map[string]int64{}
			}
			g.Moves[col] += n
		}
	}
	if narrow {
		reason += "; narrowed to the narrowest of them"
	}
	g.Survivor, g.Reason = best, reason
	return nil
}

const differ = "they have different addresses and different keys, or one has none"

// doubts says why a group is not merged by itself; "": it is.
func (pl *planner) doubts(g *Merge, f *facts) string {
	for _, id := range g.IDs {
		if why := f.asked[id]; why != "" {
			return why
		}
	}
	for _, c := range sortedKeys(f.agree) {
		if slices.ContainsFunc(g.IDs, func(id string) bool { return f.agree[c][id] != f.agree[c][g.IDs[0]] }) {
			return "they differ in " + c
		}
	}
	owned := map[string]int{}
	for _, id := range g.IDs {
		for table := range f.owned[id] {
			owned[table]++
		}
	}
	for _, table := range sortedKeys(owned) {
		return "rows of " + table + " are somebody's own"
	}
	if len(f.alike) == 0 {
		return ""
	}
	for _, values := range f.alike {
		first := values[g.IDs[0]]
		if first != "" && !slices.ContainsFunc(g.IDs, func(id string) bool { return values[id] != first }) {
			return ""
		}
	}
	return differ
}

func (pl *planner) living(ctx context.Context, g *Merge, f *facts) (string, error) {
	byURI := map[string]string{}
	var uris []string
	for _, id := range g.IDs {
		if uri := f.uris[id]; uri != "" {
			byURI[uri] = id
			uris = append(uris, uri)
		}
	}
	if len(uris) != len(g.IDs) {
		return "", nil
	}
	uri, err := pl.o.Alive(ctx, uris)
	return byURI[uri], err
}

// sqlIndexesAgain: ids are looked up by their index.
const sqlIndexesAgain = `
SELECT set_config('enable_indexscan', 'on', true), set_config('enable_indexonlyscan', 'on', true), set_config('enable_bitmapscan', 'on', true), set_config('enable_mergejoin', 'on', true)`

// collide counts the rows that the merges make say the same thing twice.
func (pl *planner) collide(ctx context.Context) error {
	if _, err := pl.tx.Exec(ctx, sqlIndexesAgain); err != nil {
		return err
	}
	byTable := map[string]pairs{}
	for _, g := range pl.plan.Groups {
		p := byTable[g.Table]
		for _, id := range g.IDs {
			if g.Survivor != "" && id != g.Survivor {
				p.losers, p.survivors = append(p.losers, id), append(p.survivors, g.Survivor)
			}
		}
		byTable[g.Table] = p
		pl.plan.Rows += int64(len(g.IDs))
		for _, n := range g.Moves {
			pl.plan.Rows += n
		}
	}
	for _, table := range sortedKeys(byTable) {
		for _, ref := range pl.pointers(table) {
			t := pl.s.byName[ref.table]
			if t == nil || ref.kind == Array || ref.to != pl.address(table) || len(byTable[table].losers) == 0 {
				continue
			}
			for _, k := range t.Keys {
				if !slices.Contains(k.Columns, ref.column) || !pl.has(t.Name, k.Columns...) {
					continue
				}
				same, err := pl.collisions(ctx, pl.tx, ref, k, byTable[table])
				if err != nil {
					return err
				}
				if n := int64(len(same.losers)); n > 0 {
					pl.plan.Collide[ref.table] += n
				}
			}
		}
	}
	return nil
}
