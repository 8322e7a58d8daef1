package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Status is what there is to deliver.
type Status struct {
	Staged int64        `json:"staged"` // committed and not numbered yet
	Hosts  []HostStatus `json:"hosts"`  // those with something waiting or wrong, by name
}

// HostStatus is how delivery to one host does.
type HostStatus struct {
	Host        string     `json:"host"`
	State       string     `json:"state"` // up, waiting, open, half-open, paused
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

const sqlStaged = `SELECT count(*) FROM (SELECT FROM fed_stage LIMIT 100000) AS s`

// Without a dispatcher here, what lies between mark and head is all that is
// known: at most so much.
const sqlBehind = `
SELECT h.host_id, coalesce(sum(s.next_seq - 1 - c.acked), 0)::bigint
FROM fed_host h JOIN fed_endpoint e ON e.host_id = h.host_id JOIN fed_cursor c ON c.endpoint_id = e.endpoint_id
JOIN fed_stream s ON s.stream_id = c.stream_id
WHERE c.acked < s.next_seq - 1
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
	if d == nil {
		behind, hosts, err := s.behind(ctx)
		if err != nil {
			return 0, fmt.Errorf("pending deliveries: %w", err)
		}
		for _, h := range hosts {
			if h.Fails < openAfter && !h.Paused {
				n += behind[h.ID]
			}
		}
		return n, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range heads {
		n += max(0, h.Seq-d.tails[h.Stream])
	}
	for _, h := range d.hosts {
		if h.isOpen() || h.paused {
			continue
		}
		n += int64(h.flying) + d.backlog(h)
	}
	return n, nil
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
	hosts, err := readHosts(ctx, s.db, sqlHosts)
	return behind, hosts, err
}

// backlog is what was not begun: exact for what was read, an upper bound for
// the rest.
func (d *dispatcher) backlog(h *host) int64 {
	n := int64(0)
	for _, e := range h.endpoints {
		for _, c := range e.cursors {
			if c == nil {
				continue
			}
			n += int64(len(c.queue) + len(c.again))
			if !c.caught {
				n += max(0, d.tails[c.stream]-c.read)
			}
		}
	}
	return n
}

// Status tells how delivery to each host does that has something waiting or
// wrong.
func (s *Service) Status(ctx context.Context) (Status, error) {
	var st Status
	if err := s.db.QueryRow(ctx, sqlStaged).Scan(&st.Staged); err != nil {
		return Status{}, fmt.Errorf("delivery status: %w", err)
	}
	now := s.now()
	if d := s.dispatching(); d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, h := range d.hosts {
			hs := h.status(now)
			hs.Backlog = d.backlog(h)
			for _, e := range h.endpoints {
				hs.Singles += e.singles
			}
			st.add(hs)
		}
	} else {
		behind, hosts, err := s.behind(ctx)
		if err != nil {
			return Status{}, fmt.Errorf("delivery status: %w", err)
		}
		d := newDispatcher(s)
		d.addHosts(hosts)
		for _, h := range d.hosts {
			hs := h.status(now)
			hs.Backlog = behind[h.id]
			st.add(hs)
		}
	}
	slices.SortFunc(st.Hosts, func(a, b HostStatus) int { return strings.Compare(a.Host, b.Host) })
	return st, nil
}

func (st *Status) add(h HostStatus) {
	if h.State != "up" || h.Backlog > 0 || h.InFlight > 0 || h.Singles > 0 || h.Refused > 0 {
		st.Hosts = append(st.Hosts, h)
	}
}

func (h *host) status(now time.Time) HostStatus {
	state := "up"
	switch {
	case h.paused:
		state = "paused"
	case h.isOpen() && now.Before(h.nextTry):
		state = "open"
	case h.isOpen():
		state = "half-open"
	case h.fails > 0:
		state = "waiting"
	}
	return HostStatus{Host: h.name, State: state, InFlight: h.flying, Fails: h.fails, FailSince: orNil(h.failSince), NextTry: orNil(h.nextTry),
		LastOK: orNil(h.lastOK), LastError: h.lastError, Refused: h.refused, LastRefused: h.lastRefused}
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
	if d := s.dispatching(); d != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if h := d.byName[host]; h != nil {
			d.setPaused(h, paused)
			d.pump()
		}
	}
	return nil
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

const sqlPaused = `SELECT host_id FROM fed_host WHERE paused`

// readPaused notices what another process paused and resumed.
func (d *dispatcher) readPaused(ctx context.Context) error {
	rows, err := d.s.db.Query(ctx, sqlPaused)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.hosts {
		if paused := slices.Contains(ids, h.id); paused != h.paused {
			d.setPaused(h, paused)
		}
	}
	return nil
}

const (
	sqlFixedStreams = `
INSERT INTO fed_stream (stream_id, class) VALUES (0, 0), (1, 1), (2, 2), (3, 3) ON CONFLICT (stream_id) DO NOTHING`
	sqlNoSingles = `DELETE FROM fed_exception`
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
	if _, err := s.db.Exec(ctx, sqlFixedStreams); err != nil {
		return fmt.Errorf("reset deliveries: %w", err)
	}
	// What was being written when the tables were emptied.
	if _, err := s.db.Exec(ctx, sqlNoSingles); err != nil {
		return fmt.Errorf("reset deliveries: %w", err)
	}
	return nil
}
