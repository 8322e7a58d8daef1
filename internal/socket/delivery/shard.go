package delivery

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"buttersc.one/oven/internal/lib/pg"
)

// Hosts are in shards, and a shard is leased by one node. Times are the
// database's; what a node may still begin it measures on its own clock, from
// before it asked. The epoch of a shard grows with every take-over: what a node
// that lost it writes afterwards matches no row.
const (
	shardCount = 256
	lease      = 15 * time.Second
	renewEvery = 5 * time.Second
	// leaseReserve before the end of its lease a node begins nothing more.
	leaseReserve = 5 * time.Second
	// shareEvery a node looks for shards that are free or are to be given away.
	shareEvery = time.Second
	// silentFor: who has lost its session and not renewed for so long has ended.
	silentFor = 2 * time.Second
)

// member is this process among those that deliver. While the connection lives
// that holds its lock, it lives: when it dies, others need not wait for the end
// of its leases.
type member struct {
	s       *Service
	node    pgtype.UUID
	lockKey int32
	lock    *pg.Lock
	lost    bool
}

const (
	sqlJoin  = `INSERT INTO fed_node (node, lock_key) VALUES ($1, $2)`
	sqlLeave = `DELETE FROM fed_node WHERE node = $1`
)

func (s *Service) join(ctx context.Context) (*member, error) {
	m := &member{s: s, node: pgtype.UUID{Valid: true}}
	if _, err := rand.Read(m.node.Bytes[:]); err != nil {
		return nil, err
	}
	m.lockKey = int32(binary.BigEndian.Uint32(m.node.Bytes[:4])) //nolint:gosec // any 32 bits do
	var err error
	if m.lock, err = s.db.TryLock(ctx, pg.LockDelivery, m.lockKey); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if _, err := s.db.Exec(ctx, sqlJoin, m.node, m.lockKey); err != nil {
		m.lock.Release()
		return nil, fmt.Errorf("join: %w", err)
	}
	return m, nil
}

// alive tells whether the membership goes on.
func (m *member) alive() bool { return !m.lost }

func (m *member) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _ = m.s.db.Exec(ctx, sqlLeave, m.node)
	m.lock.Release()
}

// shards are those that this node has.
type shards struct {
	epochs  map[int16]int64
	ready   map[int16]struct{}  // and their cursors are here
	leaving map[int16]time.Time // to be given to another node, since when
	till    time.Time           // the end of the lease, monotonic
	renewed time.Time
}

func newShards() shards {
	return shards{epochs: map[int16]int64{}, ready: map[int16]struct{}{}, leaving: map[int16]time.Time{}}
}

// mayBegin tells whether the lease lasts long enough for a request.
func (s *shards) mayBegin() bool { return time.Until(s.till) > leaseReserve }

// all tells whether this node has every shard, and so knows all there is.
func (s *shards) all() bool { return len(s.ready) == shardCount && len(s.leaving) == 0 }

// keepShards renews the lease and shares with the other nodes, until ctx ends.
func (d *dispatcher) keepShards(ctx context.Context) {
	for sleep(ctx, shareEvery) {
		if err := d.share(ctx); err != nil && ctx.Err() == nil {
			d.s.log.Error("shares of delivery", "err", err)
		}
		if !d.member.lock.Held(ctx) && ctx.Err() == nil {
			d.s.log.Warn("the connection that says that this node delivers is lost; joining again")
			d.member.lost = true
			d.end()
			return
		}
	}
}

const (
	sqlHeartbeat = `
INSERT INTO fed_node (node, lock_key) VALUES ($1, $2)
ON CONFLICT (node) DO UPDATE SET heartbeat = now()`
	sqlRenew = `
UPDATE fed_shard SET lease_until = now() + make_interval(secs => $2) WHERE node = $1
RETURNING shard, epoch`
	// The dead: their lease has ended, or the session that held their lock.
	sqlDeadNodes = `
DELETE FROM fed_node n WHERE heartbeat < now() - make_interval(secs => $1)
	OR (heartbeat < now() - make_interval(secs => $2) AND NOT EXISTS (
		SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid::bigint = $3 AND l.objid::bigint = (n.lock_key::bigint & 4294967295) AND l.objsubid = 2 AND l.granted))`
	sqlNodes      = `SELECT node FROM fed_node ORDER BY node`
	sqlFreeShards = `
SELECT shard FROM fed_shard s WHERE node IS NULL OR node = $1 OR lease_until < now() OR NOT EXISTS (SELECT FROM fed_node n WHERE n.node = s.node)`
	sqlTake = `
UPDATE fed_shard s SET node = $1, epoch = epoch + 1, lease_until = now() + make_interval(secs => $2)
WHERE shard = ANY($3) AND (node IS NULL OR node = $1 OR lease_until < now() OR NOT EXISTS (SELECT FROM fed_node n WHERE n.node = s.node))
RETURNING shard, epoch`
	sqlRelease = `UPDATE fed_shard SET node = NULL, lease_until = '-infinity' WHERE node = $1 AND shard = ANY($2)`
	sqlNoShard = `INSERT INTO fed_shard (shard) SELECT generate_series(0, 255) ON CONFLICT (shard) DO NOTHING`
)

// share renews what this node has, takes what is free and falls to it, and
// begins to give away what falls to another.
func (d *dispatcher) share(ctx context.Context) error {
	asked := time.Now()
	db := d.s.db
	d.mu.Lock()
	due := asked.Sub(d.shards.renewed) >= renewEvery
	d.mu.Unlock()
	if due {
		if _, err := db.Exec(ctx, sqlHeartbeat, d.member.node, d.member.lockKey); err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
		mine, err := d.epochs(ctx, sqlRenew, d.member.node, lease.Seconds())
		if err != nil {
			return fmt.Errorf("renew: %w", err)
		}
		d.mu.Lock()
		d.renewed(mine, asked)
		d.pump()
		d.mu.Unlock()
	}
	if _, err := db.Exec(ctx, sqlDeadNodes, lease.Seconds(), silentFor.Seconds(), int64(pg.LockDelivery)); err != nil {
		return fmt.Errorf("dead nodes: %w", err)
	}
	rows, err := db.Query(ctx, sqlNodes)
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	nodes, err := pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	if !slices.Contains(nodes, d.member.node) {
		nodes = append(nodes, d.member.node)
	}
	if err := d.giveAway(ctx, nodes); err != nil {
		return err
	}
	return d.takeFree(ctx, nodes)
}

// takeFree takes the free shards that fall to this node, and reads their hosts.
func (d *dispatcher) takeFree(ctx context.Context, nodes []pgtype.UUID) error {
	d.mu.Lock()
	all := len(d.shards.epochs) == shardCount
	d.mu.Unlock()
	if all {
		return nil
	}
	rows, err := d.s.db.Query(ctx, sqlFreeShards, d.member.node)
	if err != nil {
		return fmt.Errorf("free shards: %w", err)
	}
	free, err := pgx.CollectRows(rows, pgx.RowTo[int16])
	if err != nil {
		return fmt.Errorf("free shards: %w", err)
	}
	d.mu.Lock()
	free = slices.DeleteFunc(free, func(shard int16) bool {
		_, mine := d.shards.epochs[shard]
		return mine || owner(shard, nodes) != d.member.node
	})
	d.mu.Unlock()
	if len(free) == 0 {
		return nil
	}
	asked := time.Now()
	taken, err := d.epochs(ctx, sqlTake, d.member.node, lease.Seconds(), free)
	if err != nil {
		return fmt.Errorf("take shards: %w", err)
	}
	got := make([]int16, 0, len(taken))
	d.mu.Lock()
	if len(d.shards.epochs) == 0 {
		d.shards.till, d.shards.renewed = asked.Add(lease), asked
	}
	for shard, epoch := range taken {
		d.shards.epochs[shard] = epoch
		got = append(got, shard)
	}
	d.mu.Unlock()
	if err := d.loadShards(ctx, got); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, shard := range got {
			d.lose(shard) // and taken again at the next look
		}
		return err
	}
	return nil
}

// giveAway ends the work on shards that fall to another node, and gives them
// back once nothing is under way there.
func (d *dispatcher) giveAway(ctx context.Context, nodes []pgtype.UUID) error {
	var empty, stays []int16
	d.mu.Lock()
	busy := map[int16]bool{}
	for _, h := range d.hosts {
		if h.flying > 0 {
			busy[h.shard] = true
		}
	}
	for shard := range d.shards.epochs {
		if owner(shard, nodes) == d.member.node {
			if _, was := d.shards.leaving[shard]; was {
				delete(d.shards.leaving, shard)
				stays = append(stays, shard)
			}
			continue
		}
		if _, ok := d.shards.leaving[shard]; !ok {
			d.shards.leaving[shard] = time.Now()
		}
		if !busy[shard] {
			empty = append(empty, shard)
		}
	}
	for _, h := range d.hosts {
		if slices.Contains(stays, h.shard) {
			d.wake(h)
		}
	}
	d.mu.Unlock()
	if len(empty) == 0 {
		return nil
	}
	if err := d.save(ctx); err != nil {
		return fmt.Errorf("give shards away: %w", err)
	}
	d.mu.Lock()
	for _, shard := range empty {
		d.lose(shard)
	}
	d.mu.Unlock()
	if _, err := d.s.db.Exec(ctx, sqlRelease, d.member.node, empty); err != nil {
		return fmt.Errorf("give shards away: %w", err)
	}
	return nil
}

func (d *dispatcher) releaseAll(ctx context.Context) error {
	d.mu.Lock()
	var all []int16
	for shard := range d.shards.epochs {
		all = append(all, shard)
	}
	d.mu.Unlock()
	_, err := d.s.db.Exec(ctx, sqlRelease, d.member.node, all)
	return err
}

func (d *dispatcher) epochs(ctx context.Context, sql string, args ...any) (map[int16]int64, error) {
	rows, err := d.s.db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	out := map[int16]int64{}
	var shard int16
	var epoch int64
	_, err = pgx.ForEachRow(rows, []any{&shard, &epoch}, func() error { out[shard] = epoch; return nil })
	return out, err
}

// renewed notes which shards the database says are this node's.
func (d *dispatcher) renewed(mine map[int16]int64, asked time.Time) {
	for shard, epoch := range d.shards.epochs {
		if mine[shard] != epoch {
			d.lose(shard)
		}
	}
	d.shards.till, d.shards.renewed = asked.Add(lease), asked
}

// lose forgets the hosts of a shard. What is under way there ends without
// being noted: whoever has the shard now delivers it again.
func (d *dispatcher) lose(shard int16) {
	delete(d.shards.epochs, shard)
	delete(d.shards.ready, shard)
	delete(d.shards.leaving, shard)
	for id, h := range d.hosts {
		if h.shard != shard {
			continue
		}
		h.lost = true
		h.disarm()
		d.dropHost(h)
		delete(d.hosts, id)
		delete(d.byName, h.name)
		delete(d.hostsDirty, h)
		for _, e := range h.endpoints {
			delete(d.endpoints, e.id)
			delete(d.goneDirty, e)
			for _, ch := range e.chains {
				delete(d.chains, ch)
			}
			for c := range e.all() {
				c.over = true
				delete(d.dirty, c)
				delete(c.st.cursors, c)
			}
		}
	}
}

// owner is the node that a shard falls to: rendezvous hashing, so that a node
// that comes or goes moves only its own share.
func owner(shard int16, nodes []pgtype.UUID) pgtype.UUID {
	var best pgtype.UUID
	var most uint64
	for _, n := range nodes {
		h := fnv.New64a()
		_, _ = h.Write(n.Bytes[:])
		_, _ = h.Write([]byte{byte(shard)})
		// FNV's low bits mix poorly for one last byte.
		v := h.Sum64()
		v ^= v >> 31
		v *= 0x9e3779b97f4a7c15
		v ^= v >> 29
		if !best.Valid || v > most {
			best, most = n, v
		}
	}
	return best
}
