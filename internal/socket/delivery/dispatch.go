package delivery

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"buttersc.one/oven/internal/lib/pg"
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

// dispatcher delivers. All that it holds can be read again from the tables; it
// is thrown away when it ends.
type dispatcher struct {
	s       *Service
	end     context.CancelFunc // ends run
	discard bool               // ends without writing what it knows
	done    chan struct{}

	posting context.Context // of requests: they outlive run's context by grace
	abort   context.CancelFunc
	under   sync.WaitGroup // requests
	gate    chan struct{}  // signatures of the lower lanes

	mu        sync.Mutex
	stopping  bool
	hosts     map[int32]*host
	byName    map[string]*host
	endpoints map[int32]*endpoint
	tails     map[int64]int64 // last number handed to windows, by stream
	rings     [classes]ring
	turn      int // of the two lower classes
	flying    int
	flyingBy  [classes]int
	probes    int
	held      []*host // wait for a probe to end
	chains    map[*chain]struct{}

	fill    *sync.Cond // on mu: there are refills
	refills [classes][]*cursor
	segs    segments

	unsaved
	saveNow chan struct{} // acks are many
}

func newDispatcher(s *Service) *dispatcher {
	d := &dispatcher{
		s: s, done: make(chan struct{}),
		gate:  make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		hosts: map[int32]*host{}, byName: map[string]*host{}, endpoints: map[int32]*endpoint{},
		tails: map[int64]int64{}, chains: map[*chain]struct{}{},
		unsaved: newUnsaved(s.now()), saveNow: make(chan struct{}, 1),
	}
	d.fill = sync.NewCond(&d.mu)
	return d
}

// Run sequences and delivers until ctx ends; then it finishes, within 8 s, the
// requests that are under way. One process of those that run on a database
// delivers, and another takes over when it ends.
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
		if err := s.lead(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("delivery", "err", err)
		}
		sleep(ctx, time.Second)
	}
	wg.Wait()
	return nil
}

// lead delivers while this process holds the lock. nil also means that another
// one holds it.
func (s *Service) lead(ctx context.Context) error {
	release, ok, err := s.db.TryLock(ctx, pg.LockLeader, dispatchLock)
	if err != nil || !ok {
		return err
	}
	defer release()
	for ctx.Err() == nil {
		d := newDispatcher(s)
		if err := d.load(ctx); err != nil {
			return fmt.Errorf("load: %w", err)
		}
		inner, end := context.WithCancel(ctx)
		d.end = end
		d.posting, d.abort = context.WithCancel(context.WithoutCancel(ctx))
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

func (d *dispatcher) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { d.tail(ctx) })
	for range loaders {
		wg.Go(func() { d.loader(ctx) })
	}
	wg.Go(func() { d.saver(ctx) })
	wg.Go(func() { d.watch(ctx) })
	d.mu.Lock()
	for _, h := range d.hosts {
		d.wake(h)
	}
	d.pump()
	d.mu.Unlock()

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

// land waits for the requests under way and writes down what is done.
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
	}
}

const (
	watchEvery = 200 * time.Millisecond
	pauseEvery = 2 * time.Second
	idleEvery  = 5 * time.Minute
)

// watch does what is due by the clock: single activities that are tried again,
// hosts paused by another process, hosts whose timer a jump of the clock upset.
func (d *dispatcher) watch(ctx context.Context) {
	var pauses, idle time.Duration
	for sleep(ctx, watchEvery) {
		if pauses += watchEvery; pauses >= pauseEvery {
			pauses = 0
			if err := d.readPaused(ctx); err != nil && ctx.Err() == nil {
				d.s.log.Warn("paused hosts", "err", err)
			}
		}
		d.mu.Lock()
		d.retryDue()
		if pauses == 0 {
			now := d.s.now()
			for _, h := range d.hosts {
				if h.fails > 0 && h.flying == 0 && !now.Before(h.nextTry) {
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
		for _, c := range e.cursors {
			if c != nil && d.mark(c) > c.acked {
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
