package search

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/lib/textindex"
	"buttersc.one/oven/internal/socket/api"
)

// Tasks that an operator can ask of every index.
const (
	Reindex  = "reindex"  // build it anew beside, and swap
	Verify   = "verify"   // read all of it, and compare it with the database
	Optimize = "optimize" // make it as small as it can be
)

// Node is an index of a process, as the processes last said.
type Node struct {
	Name      string          `json:"name"`
	Driver    string          `json:"driver"`
	State     string          `json:"state"` // ready, building, or the task that is carried out
	Done      int64           `json:"done"`
	Total     int64           `json:"total"`
	Seq       int64           `json:"seq"` // change up to which it is
	Stats     json.RawMessage `json:"stats"`
	Error     string          `json:"error"` // the last; "" = none
	Wanted    string          `json:"wanted"`
	UpdatedAt time.Time       `json:"updatedAt"`
	Running   bool            `json:"running"` // the process is there
}

// Verified adds what the node's last comparison found.
func (n Node) Verified(sum *Compared) {
	var stats struct {
		Verified *Compared `json:"verified"`
	}
	if json.Unmarshal(n.Stats, &stats) == nil && stats.Verified != nil {
		sum.Missing += stats.Verified.Missing
		sum.Extra += stats.Verified.Extra
		sum.Damaged += stats.Verified.Damaged
	}
}

const (
	reportEvery = 3 * time.Second
	// awayAfter a process counts as gone.
	awayAfter = 15 * time.Second

	sqlReport = `
INSERT INTO search_node (name, driver, state, done, total, seq, stats, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (name) DO UPDATE SET driver = excluded.driver, state = excluded.state, done = excluded.done, total = excluded.total, seq = excluded.seq,
	stats = search_node.stats || excluded.stats, error = excluded.error, updated_at = now()
RETURNING wanted`
	sqlTaskDone = `UPDATE search_node SET wanted = '', stats = stats || $3, error = $4 WHERE name = $1 AND wanted = $2`
	sqlNodes    = `
SELECT name, driver, state, done, total, seq, stats, error, wanted, updated_at, updated_at > now() - make_interval(secs => $1) FROM search_node ORDER BY name`
	sqlForgotten = `DELETE FROM search_node WHERE updated_at < now() - interval '7 days'`
	sqlWant      = `UPDATE search_node SET wanted = $1, wanted_at = now(), error = '' WHERE wanted = ''`
)

// report tells how the index is, and does what is asked of it, until ctx ends.
func (s *Service) report(ctx context.Context) {
	for ctx.Err() == nil {
		if !s.Home.Leads() {
			rest(ctx, reportEvery)
			continue
		}
		wanted, err := s.tell(ctx, "", 0, 0)
		if err == nil && wanted != "" {
			err = s.carryOut(ctx, wanted)
		}
		if err != nil && ctx.Err() == nil {
			s.Slog.Warn("search status", "err", err)
		}
		rest(ctx, reportEvery)
	}
}

// tell writes down how the index is; doing is the task under way, "" none.
func (s *Service) tell(ctx context.Context, doing string, done, total int64) (wanted string, err error) {
	sh, name := s.shown(), doing
	if sh == nil {
		return "", nil
	}
	st := sh.state()
	s.mu.RLock()
	if s.next != nil {
		st = s.next.state()
	}
	s.mu.RUnlock()
	switch {
	case doing != "":
		st.Done, st.Total = done, total
	case !st.whole():
		name = "building"
	default:
		name = "ready"
	}
	stats, err := sh.drv.Stats(ctx)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(stats)
	if err != nil {
		return "", fmt.Errorf("search status: %w", err)
	}
	text := ""
	if e := s.err.Load(); e != nil {
		text = *e
	}
	err = s.DB.QueryRow(ctx, sqlReport, s.Home.Name(), s.Home.Driver(), name, st.Done, st.Total, sh.state().Seq, raw, text).Scan(&wanted)
	if err != nil {
		return "", fmt.Errorf("search status: %w", err)
	}
	return wanted, nil
}

// Compared is what a comparison of the index with the database found, and mended.
type Compared struct {
	Missing int64 `json:"missing"` // notes that were not in the index
	Extra   int64 `json:"extra"`   // ids in the index without a note that belongs there
	Damaged int   `json:"damaged"` // parts that were put aside
}

// carryOut does a task, and says how it went.
func (s *Service) carryOut(ctx context.Context, task string) error {
	last := time.Now()
	progress := func(done, total int64) {
		if time.Since(last) > reportEvery {
			last = time.Now()
			if _, err := s.tell(ctx, task, done, total); err != nil && ctx.Err() == nil {
				s.Slog.Warn("search status", "err", err)
			}
		}
	}
	result := map[string]any{}
	var err error
	switch task {
	case Reindex:
		err = s.renew(ctx)
		for err == nil && s.building() && ctx.Err() == nil {
			if _, err = s.tell(ctx, "", 0, 0); err == nil {
				rest(ctx, reportEvery/4)
			}
		}
	case Verify:
		var c *Compared
		if c, err = s.Compare(ctx, progress); c != nil {
			result["verified"] = c
		}
	case Optimize:
		err = s.shown().drv.Optimize(ctx, progress)
	}
	if ctx.Err() != nil {
		return ctx.Err() // it is begun again by the next process
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if _, e := s.tell(ctx, "", 0, 0); e != nil {
		return e
	}
	raw, _ := json.Marshal(result)
	if _, e := s.DB.Exec(ctx, sqlTaskDone, s.Home.Name(), task, raw, text); e != nil {
		return fmt.Errorf("search status: %w", e)
	}
	return err
}

const sqlBelong = `
SELECT n.id FROM note n JOIN "user" u ON u.id = n.user_id
WHERE NOT n.is_pure_renote AND NOT u.is_suspended AND NOT u.is_deleted AND ($1 OR n.user_host IS NULL) AND n.id < $2 ORDER BY n.id DESC LIMIT $3`

// Compare reads the whole index, then compares it with the database id by id, and
// mends what differs.
func (s *Service) Compare(ctx context.Context, progress func(done, total int64)) (*Compared, error) {
	sh := s.shown()
	if sh == nil {
		return nil, errUnavailable
	}
	out := &Compared{}
	st, err := sh.drv.Stats(ctx)
	if err != nil {
		return nil, err
	}
	if err := sh.drv.Verify(ctx, func(done, total int64) { progress(done/2, total) }); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.Slog.Warn("the search index was damaged", "err", err)
		for len(sh.drv.Lost()) > 0 {
			out.Damaged++
			if err := s.heal(ctx, sh, sh.drv.Lost()[0]); err != nil {
				return nil, err
			}
		}
	}
	hits := sh.drv.Search(ctx, textindex.Query{Expr: textindex.All()})
	defer hits.Close()
	in, ok := hits.Next()
	var odd []string
	done, below := int64(0), topID
	for {
		page, err := s.belong(ctx, below)
		if err != nil {
			return nil, err
		}
		for _, id := range page {
			for ok && in > id {
				odd, out.Extra = append(odd, in), out.Extra+1
				in, ok = hits.Next()
			}
			if ok && in == id {
				in, ok = hits.Next()
			} else {
				odd, out.Missing = append(odd, id), out.Missing+1
			}
			done++
		}
		progress(st.Docs/2+done/2, st.Docs)
		if len(page) < comparePage {
			break
		}
		below = page[len(page)-1]
		if odd, err = s.mend(ctx, sh, odd); err != nil {
			return nil, err
		}
	}
	for ; ok; in, ok = hits.Next() {
		odd, out.Extra = append(odd, in), out.Extra+1
	}
	if err := hits.Err(); err != nil {
		return nil, err
	}
	_, err = s.mend(ctx, sh, odd)
	return out, err
}

const comparePage = 5000

func (s *Service) belong(ctx context.Context, below string) ([]string, error) {
	rows, err := s.DB.Query(ctx, sqlBelong, !s.Local, below, comparePage)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return ids, nil
}

// mend reads notes again: those that came or went while it was compared are right by
// then, too.
func (s *Service) mend(ctx context.Context, sh *shelf, ids []string) ([]string, error) {
	for len(ids) > 0 {
		n := min(len(ids), fillRows)
		sh.mu.Lock()
		var b textindex.Batch
		err := s.read(ctx, &b, ids[:n])
		if err == nil {
			err = sh.apply(ctx, b, sh.state())
		}
		sh.mu.Unlock()
		if err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	return nil, nil
}

// Nodes tells of every index what its process last said.
func Nodes(ctx context.Context, q pg.Q) ([]Node, error) {
	if _, err := q.Exec(ctx, sqlForgotten); err != nil {
		return nil, fmt.Errorf("search status: %w", err)
	}
	rows, err := q.Query(ctx, sqlNodes, awayAfter.Seconds())
	if err != nil {
		return nil, fmt.Errorf("search status: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (n Node, err error) {
		return n, r.Scan(&n.Name, &n.Driver, &n.State, &n.Done, &n.Total, &n.Seq, &n.Stats, &n.Error, &n.Wanted, &n.UpdatedAt, &n.Running)
	})
	if err != nil {
		return nil, fmt.Errorf("search status: %w", err)
	}
	if list == nil {
		list = []Node{}
	}
	return list, nil
}

// Want asks a task of every index; those that are busy go on with theirs.
func Want(ctx context.Context, q pg.Q, task string) error {
	if _, err := q.Exec(ctx, sqlWant, task); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	return nil
}

// Once does a task in this process, which answers nobody: for commands while no server
// runs.
func (s *Service) Once(ctx context.Context, task string, progress func(done, total int64)) (*Compared, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	if err := s.lead(ctx); err != nil {
		return nil, err
	}
	switch task {
	case Verify:
		return s.Compare(ctx, progress)
	case Optimize:
		return nil, s.shown().drv.Optimize(ctx, progress)
	}
	if err := s.renew(ctx); err != nil {
		return nil, err
	}
	for {
		more, err := s.fill(ctx)
		if err != nil || !more {
			return nil, err
		}
		for _, sh := range s.shelves() {
			st := sh.state()
			progress(st.Done, max(st.Total, st.Done))
		}
	}
}

type statusRes struct {
	Scope string `json:"scope"` // local, global
	Nodes []Node `json:"nodes"`
}

// apiStatus tells how every index is.
func (s *Service) apiStatus(ctx context.Context, _ *api.Call, _ struct{}) (*statusRes, error) {
	nodes, err := Nodes(ctx, s.DB)
	return &statusRes{Scope: s.Scope(), Nodes: nodes}, err
}

// Scope is "local" or "global".
func (s *Service) Scope() string {
	if s.Local {
		return "local"
	}
	return "global"
}

type runReq struct {
	Task string `json:"task" api:"required,enum=reindex|verify|optimize"`
}

// apiRun asks a task of every index.
func (s *Service) apiRun(ctx context.Context, _ *api.Call, req runReq) (api.None, error) {
	return api.None{}, Want(ctx, s.DB, req.Task)
}
