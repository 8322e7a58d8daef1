package delivery

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

const (
	windowMax = 256  // items of a cursor that are in memory and not begun
	aheadMax  = 4096 // acks above the mark of one cursor
	loaders   = 2
	// clogAcks and clogFor: with more acks unwritten than this, or for so long,
	// nothing is begun, since a crash would send all of them again.
	clogAcks = 5000
	clogFor  = 30 * time.Second
)

// dispatcher delivers to the hosts of this process's shards. All that it holds
// can be read again from the tables; it is thrown away when it ends.
type dispatcher struct {
	s       *Service
	member  *member
	end     context.CancelFunc // ends run
	discard bool               // ends without writing what it knows
	done    chan struct{}

	posting context.Context // of requests: they outlive run's context by grace
	abort   context.CancelFunc
	under   sync.WaitGroup // requests
	gate    *gate          // signatures of the lower lanes

	// handing is held while new rows are handed to windows, and while cursors are
	// read and taken up: a row must not come between the two, or the cursor that it
	// would begin would stand in the place of one that is behind.
	handing sync.Mutex

	mu        sync.Mutex
	stopping  bool
	shards    shards
	hosts     map[int32]*host
	byName    map[string]*host
	endpoints map[int32]*endpoint
	foreign   map[int32]struct{} // endpoints of other nodes' shards
	streams   map[int64]*stream
	rings     [classes]ring
	turn      int // of the two lower classes
	flying    int
	flyingBy  [classes]int
	flights   map[*item]struct{}
	slow      int // flights that have lasted long, at the last look
	probes    int
	held      []*host   // wait for a probe to end
	early     []*cursor // wait for the log's end to be read
	chains    map[*chain]struct{}
	retries   budget
	load      load

	fill    *sync.Cond // on mu: there are refills
	refills [classes][]*cursor
	segs    segments

	unsaved
	saveNow chan struct{} // acks are many
}

func newDispatcher(s *Service, m *member) *dispatcher {
	now := s.now()
	d := &dispatcher{
		s: s, member: m, done: make(chan struct{}),
		gate:  newGate(runtime.GOMAXPROCS(0)),
		hosts: map[int32]*host{}, byName: map[string]*host{}, endpoints: map[int32]*endpoint{}, foreign: map[int32]struct{}{},
		streams: map[int64]*stream{}, chains: map[*chain]struct{}{}, flights: map[*item]struct{}{},
		shards: newShards(), retries: newBudget(s.cfg.Retries, now), load: newLoad(s.cfg.Slots),
		unsaved: newUnsaved(now), saveNow: make(chan struct{}, 1),
	}
	d.fill = sync.NewCond(&d.mu)
	return d
}

// Run sequences and delivers until ctx ends; then it finishes, within 8 s, the
// requests that are under way. The processes that run on a database share the
// hosts among them, and take over from one that ends.
func (s *Service) Run(ctx context.Context) error {
	for _, t := range []time.Time{s.now(), s.now().AddDate(0, 0, 1)} {
		if err := s.ensureDay(ctx, t); err != nil && ctx.Err() == nil {
			s.log.Error("a partition of the delivery log is missing", "day", day(t), "err", err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.seq.Run(ctx) })
	wg.Go(func() { s.keepPartitions(ctx) })
	for ctx.Err() == nil {
		if err := s.deliver(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("delivery", "err", err)
			sleep(ctx, time.Second)
		}
	}
	wg.Wait()
	return nil
}

// deliver joins those who deliver and does its share, until ctx ends or the
// membership is lost.
func (s *Service) deliver(ctx context.Context) error {
	m, err := s.join(ctx)
	if err != nil {
		return err
	}
	defer m.leave()
	for ctx.Err() == nil && m.alive() {
		d := newDispatcher(s, m)
		inner, end := context.WithCancel(ctx)
		d.end = end
		d.posting, d.abort = context.WithCancel(context.WithoutCancel(ctx))
		if err := d.begun(ctx); err != nil {
			end()
			d.abort()
			return fmt.Errorf("load: %w", err)
		}
		s.mu.Lock()
		s.d = d
		s.mu.Unlock()
		d.run(inner)
		s.mu.Lock()
		s.d = nil
		s.mu.Unlock()
		close(d.done)
	}
	return nil
}

// begun reads where the streams are and takes the first shards.
func (d *dispatcher) begun(ctx context.Context) error {
	heads, err := readHeads(ctx, d.s.db)
	if err != nil {
		return err
	}
	d.mu.Lock()
	for _, h := range heads {
		d.know(h).tail = h.Seq
	}
	d.mu.Unlock()
	return d.share(ctx)
}

func (d *dispatcher) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { d.tail(ctx) })
	for range loaders {
		wg.Go(func() { d.loader(ctx) })
	}
	wg.Go(func() { d.saver(ctx) })
	wg.Go(func() { d.watch(ctx) })
	wg.Go(func() { d.keepShards(ctx) })

	<-ctx.Done()
	d.mu.Lock()
	d.stopping = true
	discard := d.discard
	for _, h := range d.hosts {
		h.disarm()
	}
	d.fill.Broadcast()
	d.mu.Unlock()
	wg.Wait()
	d.land(discard)
	d.end()
}

// land waits for the requests under way, writes down what is done and gives the
// shards back.
func (d *dispatcher) land(discard bool) {
	finished := make(chan struct{})
	go func() { d.under.Wait(); close(finished) }()
	if discard {
		d.abort()
	}
	select {
	case <-finished:
	case <-time.After(grace):
		d.abort()
		<-finished
	}
	d.abort()
	if discard {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d.mu.Lock()
	d.passIdle()
	d.mu.Unlock()
	if err := d.save(ctx); err != nil {
		d.s.log.Warn("acks were not written; they are delivered again", "err", err)
		return
	}
	if err := d.releaseAll(ctx); err != nil {
		d.s.log.Warn("shards were not given back; others wait for the lease to end", "err", err)
	}
}

const (
	watchEvery = 200 * time.Millisecond
	stateEvery = 2 * time.Second
	idleEvery  = 5 * time.Minute
)

// watch does what is due by the clock: single activities that are tried again,
// requests that have become slow, hosts paused by another process, hosts whose
// timer a jump of the clock upset, operations that are over.
func (d *dispatcher) watch(ctx context.Context) {
	var states, idle time.Duration
	for sleep(ctx, watchEvery) {
		if states += watchEvery; states >= stateEvery {
			states = 0
			if err := d.readStates(ctx); err != nil && ctx.Err() == nil {
				d.s.log.Warn("states of hosts", "err", err)
			}
			if err := d.replays(ctx); err != nil && ctx.Err() == nil {
				d.s.log.Warn("tell what was deleted", "err", err)
			}
			if err := d.s.finish(ctx); err != nil && ctx.Err() == nil {
				d.s.log.Warn("operations", "err", err)
			}
		}
		d.mu.Lock()
		d.retryDue()
		d.countSlow()
		d.load.adjust(watchEvery)
		if states == 0 {
			now := d.s.now()
			for _, h := range d.hosts {
				if h.waits() && h.flying == 0 && !now.Before(h.nextTry) {
					d.wake(h)
				}
			}
		}
		if idle += watchEvery; idle >= idleEvery {
			idle = 0
			d.passIdle()
		}
		d.pump()
		d.mu.Unlock()
	}
}

// passIdle moves the cursors of endpoints for which nothing is left to the end
// of their stream, so that the next start need not look through what was not
// for them.
func (d *dispatcher) passIdle() {
	for _, e := range d.endpoints {
		for c := range e.all() {
			if d.mark(c) > c.acked || d.ended(c) {
				d.dirty[c] = struct{}{}
			}
		}
	}
}

// dropWindows forgets all bodies that were read and not begun.
func (d *dispatcher) dropWindows() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segs = segments{}
	for _, h := range d.hosts {
		d.dropHost(h)
		d.wake(h)
	}
	d.pump()
}
