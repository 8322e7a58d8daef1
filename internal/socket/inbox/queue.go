package inbox

import (
	"sync"
)

// job is a row of fed_inbox that is ready.
type job struct {
	id   int64
	lane int16
	host string
	key  objectKey
}

// queue is a window on the ready rows: which to take next, so that urgent lanes
// go first, hosts take turns within a lane, no host has more than its share at
// work, and activities on one object do not overlap. The table decides in the
// end (take); a job that is lost here is found there again.
type queue struct {
	share int // of one host, at work

	mu     sync.Mutex
	cond   *sync.Cond
	opened bool
	lanes  [lanes]turns
	known  map[int64]struct{} // queued or at work
	hosts  map[string]int     // at work
	keys   map[busyKey]struct{}
	behind map[busyKey]struct{} // objects of which a job was found not to be ready
	begun  int64
	picks  uint
	more   bool          // the table has ready rows that are not here
	wake   chan struct{} // to the feeder
}

type busyKey struct {
	host string
	key  objectKey
}

// turns are the jobs of a lane by host, and whose turn it is.
type turns struct {
	order []string
	jobs  map[string][]*job
}

const (
	maxQueued = 20_000
	lowQueued = 64
	// lookAhead is how many jobs of a host are looked at for one whose object is
	// free.
	lookAhead = 64
	// everyNth pick looks at the lanes from the other end: urgent ones come first
	// but do not starve the rest.
	everyNth = 8
)

// hostShare leaves a worker to the others.
func hostShare(workers int) int { return max(1, min(4, workers-1)) }

func newQueue(share int) *queue {
	q := &queue{share: share, wake: make(chan struct{}, 1)}
	q.cond = sync.NewCond(&q.mu)
	q.clear()
	q.hosts, q.keys = map[string]int{}, map[busyKey]struct{}{}
	return q
}

func (q *queue) clear() {
	q.known, q.behind, q.more = map[int64]struct{}{}, map[busyKey]struct{}{}, false
	for i := range q.lanes {
		q.lanes[i] = turns{jobs: map[string][]*job{}}
	}
}

func (q *queue) open() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clear()
	q.opened = true
	q.poke()
}

// close ends next for all workers.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opened = false
	q.cond.Broadcast()
}

func (q *queue) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.clear()
}

// poke has the feeder look at the table.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// offer queues jobs; false when no worker here will take them.
func (q *queue) offer(js []*job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.opened {
		return false
	}
	for _, j := range js {
		if len(q.known) >= maxQueued {
			q.more = true
			break
		}
		if _, ok := q.known[j.id]; ok {
			continue
		}
		q.known[j.id] = struct{}{}
		l := &q.lanes[min(max(j.lane, 0), lanes-1)]
		if l.jobs[j.host] == nil {
			l.order = append(l.order, j.host)
		}
		l.jobs[j.host] = append(l.jobs[j.host], j)
	}
	if len(js) > 0 {
		q.cond.Broadcast()
	}
	return true
}

// next waits for a job; nil when the queue was closed. The caller calls done.
func (q *queue) next() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.opened {
		if j := q.pick(); j != nil {
			q.hosts[j.host]++
			q.begun++
			q.keys[busyKey{j.host, j.key}] = struct{}{}
			return j
		}
		q.cond.Wait()
	}
	return nil
}

func (q *queue) pick() *job {
	q.picks++
	for i := range q.lanes {
		if q.picks%everyNth == 0 {
			i = lanes - 1 - i
		}
		if j := q.pickFrom(&q.lanes[i]); j != nil {
			return j
		}
	}
	return nil
}

func (q *queue) pickFrom(l *turns) *job {
	for n, host := range l.order {
		if q.hosts[host] >= q.share {
			continue
		}
		js := l.jobs[host]
		for i, j := range js[:min(len(js), lookAhead)] {
			if _, busy := q.keys[busyKey{host, j.key}]; busy {
				continue
			}
			l.order = append(l.order[:n], l.order[n+1:]...)
			if len(js) == 1 {
				delete(l.jobs, host)
			} else {
				l.jobs[host] = append(js[:i], js[i+1:]...)
				l.order = append(l.order, host)
			}
			return j
		}
	}
	return nil
}

// done ends the work on a job. again: the table has something that was not
// ready before.
func (q *queue) done(j *job, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.hosts[j.host]--; q.hosts[j.host] <= 0 {
		delete(q.hosts, j.host)
	}
	k := busyKey{j.host, j.key}
	if _, ok := q.behind[k]; ok {
		delete(q.behind, k)
		again = true
	}
	delete(q.keys, k)
	delete(q.known, j.id)
	if again || q.more && len(q.known) < lowQueued {
		q.poke()
	}
	q.cond.Broadcast()
}

// notReady ends the work on a job that stands behind another one, or that is
// no more.
func (q *queue) notReady(j *job) {
	q.done(j, false)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.behind[busyKey{j.host, j.key}] = struct{}{}
}

// filled tells the queue what the feeder found: whether there is more. What was
// behind others before has been found again, if it is ready.
func (q *queue) filled(more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.more = more
	clear(q.behind)
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.known)
}
