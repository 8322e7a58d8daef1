package delivery

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
)

// Status is what there is to deliver.
type Status struct {
	Staged int64        `json:"staged"` // committed and not numbered yet
	Hosts  []HostStatus `json:"hosts"`  // those with something waiting or wrong, by name
}

// HostStatus is how delivery to one host does.
type HostStatus struct {
	Host string `json:"host"`
	// State is up, throttled, open, half-open, sleeping, dead, paused, blocked,
	// refusing or gone.
	State       string     `json:"state"`
	Backlog     int64      `json:"backlog"`
	InFlight    int        `json:"inFlight"`
	Singles     int        `json:"singles"` // activities that are tried again on their own
	Fails       int        `json:"fails"`   // in a row
	FailSince   *time.Time `json:"failSince"`
	NextTry     *time.Time `json:"nextTry"`
	LastOK      *time.Time `json:"lastOk"`
	LastError   string     `json:"lastError"`
	Refused     int64      `json:"refused"` // activities given up
	LastRefused string     `json:"lastRefused"`
}

const sqlAllHosts = `
SELECT host_id, host, shard, fails, fail_since, next_try, last_ok, last_error, refused, last_refused, paused,
       refusals, refusing_since, gone_since, gone_probes, replay_since
FROM fed_host`

const sqlStaged = `SELECT count(*) FROM (SELECT FROM fed_stage LIMIT 100000) AS s`

// Without a dispatcher here, what lies between mark and head is all that is
// known: at most so much.
const sqlBehind = `
SELECT h.host_id, coalesce(sum(s.next_seq - 1 - c.acked), 0)::bigint
FROM fed_host h JOIN fed_endpoint e ON e.host_id = h.host_id JOIN fed_cursor c ON c.endpoint_id = e.endpoint_id
JOIN fed_stream s ON s.stream_id = c.stream_id
WHERE c.acked < s.next_seq - 1 AND s.state = 'running'
GROUP BY h.host_id`

// Pending is how many deliveries are to be made to hosts that are up, those
// included that are staged. It is 0 only when there are none; while endpoints
// are behind it is an upper bound. It is exact where Run delivers.
func (s *Service) Pending(ctx context.Context) (int64, error) {
	// From the beginning to the end of the way: what moves on meanwhile is counted
	// twice, and never missed.
	var n int64
	if err := s.db.QueryRow(ctx, sqlStaged).Scan(&n); err != nil {
		return 0, fmt.Errorf("pending deliveries: %w", err)
	}
	heads, err := readHeads(ctx, s.db)
	if err != nil {
		return 0, fmt.Errorf("pending deliveries: %w", err)
	}
	d := s.dispatching()
	if d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.shards.all() {
			return n + d.pending(heads), nil
		}
	}
	behind, hosts, err := s.behind(ctx)
	if err != nil {
		return 0, fmt.Errorf("pending deliveries: %w", err)
	}
	for _, h := range hosts {
		if h.Fails < openAfter && !h.Paused && h.RefusingSince == nil && h.GoneSince == nil {
			n += behind[h.ID]
		}
	}
	return n, nil
}

// pending is what this node knows to be left, for hosts that are up.
func (d *dispatcher) pending(heads []headRow) int64 {
	var n int64
	for _, h := range heads {
		if st := d.streams[h.Stream]; h.State == "running" && h.Stream != tombstones && (st == nil || st.state == "running") {
			at := int64(0)
			if st != nil {
				at = st.tail
			}
			n += max(0, h.Seq-at)
		}
	}
	for _, h := range d.hosts {
		if !h.isOpen() && !h.paused {
			n += int64(h.flying) + d.backlog(h)
		}
	}
	return n
}

func (s *Service) behind(ctx context.Context) (map[int32]int64, []hostRow, error) {
	rows, err := s.db.Query(ctx, sqlBehind)
	if err != nil {
		return nil, nil, err
	}
	behind := map[int32]int64{}
	var id int32
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error { behind[id] = n; return nil }); err != nil {
		return nil, nil, err
	}
	hosts, err := readHosts(ctx, s.db, sqlAllHosts)
	return behind, hosts, err
}

// backlog is what was not begun: exact for what was read, an upper bound for
// the rest.
func (d *dispatcher) backlog(h *host) int64 {
	n := int64(0)
	for _, e := range h.endpoints {
		for c := range e.all() {
			if c.st.state != "running" {
				continue
			}
			n += int64(len(c.queue) + len(c.again))
			if !c.caught {
				n += max(0, c.st.tail-c.read)
			}
		}
	}
	return n
}

// Status tells how delivery to each host does that has something waiting or
// wrong. The number of statements does not grow with the hosts.
func (s *Service) Status(ctx context.Context) (Status, error) {
	var st Status
	if err := s.db.QueryRow(ctx, sqlStaged).Scan(&st.Staged); err != nil {
		return Status{}, fmt.Errorf("delivery status: %w", err)
	}
	all, err := s.Hosts(ctx)
	if err != nil {
		return Status{}, err
	}
	st.Hosts = slices.DeleteFunc(all, func(h HostStatus) bool {
		return h.State == "up" && h.Backlog == 0 && h.InFlight == 0 && h.Singles == 0 && h.Refused == 0
	})
	return st, nil
}

const sqlSinglesByHost = `
SELECT e.host_id, count(*) FROM fed_exception x JOIN fed_endpoint e ON e.endpoint_id = x.endpoint_id GROUP BY e.host_id`

// Hosts tells how delivery to every host does that anything was ever for, by
// name. What another process delivers is as its tables have it: what waits is
// then at most so much, and what is under way is not known.
func (s *Service) Hosts(ctx context.Context) ([]HostStatus, error) {
	now := s.now()
	out := []HostStatus{}
	mine := map[int32]bool{}
	all := false
	if d := s.dispatching(); d != nil {
		d.mu.Lock()
		for _, h := range d.hosts {
			mine[h.id] = true
			hs := s.status(h, now)
			hs.Backlog = d.backlog(h)
			for _, e := range h.endpoints {
				hs.Singles += e.singles
			}
			out = append(out, hs)
		}
		all = d.shards.all()
		d.mu.Unlock()
	}
	if !all {
		behind, hosts, err := s.behind(ctx)
		if err != nil {
			return nil, fmt.Errorf("delivery status: %w", err)
		}
		singles, err := s.singlesByHost(ctx)
		if err != nil {
			return nil, fmt.Errorf("delivery status: %w", err)
		}
		for _, r := range hosts {
			if !mine[r.ID] {
				hs := s.status(r.host(), now)
				hs.Backlog, hs.Singles = behind[r.ID], singles[r.ID]
				out = append(out, hs)
			}
		}
	}
	slices.SortFunc(out, func(a, b HostStatus) int { return strings.Compare(a.Host, b.Host) })
	return out, nil
}

func (s *Service) singlesByHost(ctx context.Context) (map[int32]int, error) {
	rows, err := s.db.Query(ctx, sqlSinglesByHost)
	if err != nil {
		return nil, err
	}
	out := map[int32]int{}
	var id int32
	var n int
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error { out[id] = n; return nil })
	return out, err
}

func (s *Service) status(h *host, now time.Time) HostStatus {
	return HostStatus{Host: h.name, State: h.stateName(now, s.cfg.Drop(h.name)), InFlight: h.flying, Fails: h.fails, FailSince: orNil(h.failSince),
		NextTry: orNil(h.nextTry), LastOK: orNil(h.lastOK), LastError: h.lastError, Refused: h.refused, LastRefused: h.lastRefused}
}

// stateName names what a host is in, the strongest first.
func (h *host) stateName(now time.Time, blocked bool) string {
	switch {
	case blocked:
		return "blocked"
	case h.paused:
		return "paused"
	case h.dead(now):
		return "dead"
	case !h.goneSince.IsZero():
		return "gone"
	case !h.refusingSince.IsZero():
		return "refusing"
	case h.asleep(now):
		return "sleeping"
	case h.isOpen() && now.Before(h.nextTry):
		return "open"
	case h.isOpen():
		return "half-open"
	case h.told || h.fails > 0:
		return "throttled"
	}
	return "up"
}

// What slices above ask of a row h of fed_host in statements of their own, as
// stateName has it; now.at is the moment. Both are for hosts without a row, too.
const (
	// SQLFailing: it does not answer, or says that its inbox does not exist.
	SQLFailing = `(h.fail_since IS NOT NULL OR h.gone_since IS NOT NULL)`
	// SQLStopped is why nothing is brought to it for long: paused, dead or gone;
	// '' when that is not so.
	SQLStopped = `(CASE WHEN h.paused THEN 'paused' WHEN h.fail_since <= now.at - interval '7 days' THEN 'dead' WHEN h.gone_since IS NOT NULL THEN 'gone' ELSE '' END)`
)

const (
	sqlPauseAny = `
INSERT INTO fed_host (host, paused) VALUES ($1, $2)
ON CONFLICT (host) DO UPDATE SET paused = excluded.paused WHERE fed_host.paused <> excluded.paused RETURNING host_id`
)

// Begun is how many requests this process has begun since its start.
func (s *Service) Begun() int64 { return s.begun.Load() }

// SetPaused is Pause and Resume in tx, also for a host that nothing was ever for.
// It says whether that changed anything.
func (s *Service) SetPaused(ctx context.Context, tx *pg.Tx, host string, paused bool) (bool, error) {
	var id int32
	err := tx.QueryRow(ctx, sqlPauseAny, host, paused).Scan(&id)
	if pg.NoRows(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pause %s: %w", host, err)
	}
	tx.AfterCommit(func() { s.pausedInMemory(host, paused) })
	return true, nil
}

const sqlPause = `UPDATE fed_host SET paused = $2 WHERE host = $1`

// Pause stops delivering to a host; what is for it waits, as long as activities
// are kept. ErrNoHost when nothing was ever for it.
func (s *Service) Pause(ctx context.Context, host string) error { return s.setPaused(ctx, host, true) }

// Resume ends a pause.
func (s *Service) Resume(ctx context.Context, host string) error {
	return s.setPaused(ctx, host, false)
}

func (s *Service) setPaused(ctx context.Context, host string, paused bool) error {
	tag, err := s.db.Exec(ctx, sqlPause, host, paused)
	if err != nil {
		return fmt.Errorf("pause %s: %w", host, err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNoHost
	}
	s.pausedInMemory(host, paused)
	return nil
}

func (s *Service) pausedInMemory(host string, paused bool) {
	s.inMemory(func(d *dispatcher) {
		if h := d.byName[host]; h != nil {
			d.setPaused(h, paused)
		}
	})
}

func (d *dispatcher) setPaused(h *host, paused bool) {
	if h.paused == paused {
		return
	}
	h.paused = paused
	if paused {
		d.dropHost(h)
		return
	}
	d.wake(h)
}

const sqlStates = `SELECT host_id, paused, heard_at FROM fed_host WHERE shard = ANY($1) AND (paused OR heard_at > now() - interval '1 minute')`

// readStates notices what another process paused and resumed, and who spoke to
// another node.
func (d *dispatcher) readStates(ctx context.Context) error {
	d.mu.Lock()
	shards := slices.Collect(maps.Keys(d.shards.epochs))
	d.mu.Unlock()
	rows, err := d.s.db.Query(ctx, sqlStates, shards)
	if err != nil {
		return err
	}
	paused := map[int32]bool{}
	heard := map[int32]time.Time{}
	var id int32
	var stopped bool
	var at *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &stopped, &at}, func() error {
		if stopped {
			paused[id] = true
		}
		heard[id] = orZero(at)
		return nil
	}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.hosts {
		if paused[h.id] != h.paused {
			d.setPaused(h, paused[h.id])
		}
		if t := heard[h.id]; t.After(h.heardElsewhere) {
			h.heardElsewhere = t
			d.heardFrom(h)
		}
	}
	return nil
}

const (
	sqlFixedStreams = `
INSERT INTO fed_stream (stream_id, class) VALUES (0, 0), (1, 1), (2, 2), (3, 3), (4, 2) ON CONFLICT (stream_id) DO NOTHING`
	sqlNoOperations = `DELETE FROM fed_stream WHERE stream_id >= 16`
	sqlNoSingles    = `DELETE FROM fed_exception`
)

// Reset drops all that is remembered, for reset-db in test mode: the tables
// must have been emptied already. Requests under way are broken off.
func (s *Service) Reset(ctx context.Context) error {
	s.resets.Add(1)
	if d := s.dispatching(); d != nil {
		d.mu.Lock()
		d.discard = true
		d.mu.Unlock()
		d.end()
		select {
		case <-d.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.keys.forget()
	s.book.forget()
	s.known.forget()
	s.blanked.forget()
	// Exceptions: what was being written when the tables were emptied.
	for _, sql := range []string{sqlFixedStreams, sqlNoSingles, sqlNoOperations} {
		if _, err := s.db.Exec(ctx, sql); err != nil {
			return fmt.Errorf("reset deliveries: %w", err)
		}
	}
	return nil
}
