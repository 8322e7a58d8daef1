package delivery

import (
	"errors"
	"testing"
	"time"
)

// Late live activities take from bulk at once, and give it back by and by.
func TestBulkGivesWay(t *testing.T) {
	t.Parallel()
	l := newLoad(1000)
	if l.bulk() != 400 {
		t.Fatalf("%d at the beginning", l.bulk())
	}
	for range 100 {
		l.saw(10 * time.Millisecond)
	}
	if l.adjust(time.Second); l.bulk() != 400 {
		t.Errorf("%d while nothing is late", l.bulk())
	}
	for range 3 {
		for range 100 {
			l.saw(time.Second)
		}
		l.adjust(time.Second)
	}
	low := l.bulk()
	if low > 400*7/10*7/10 {
		t.Errorf("%d while live ones are late", low)
	}
	if time.Since(l.late) > time.Minute {
		t.Error("does not say that it was late")
	}
	l.adjust(time.Second)
	if more := l.bulk(); more <= low || more > low*11/10+1 {
		t.Errorf("from %d to %d in a second", low, more)
	}
	for range 200 {
		l.adjust(time.Second)
	}
	if l.bulk() != 400 {
		t.Errorf("%d in the end", l.bulk())
	}
	for range 200 {
		l.saw(time.Second)
		l.adjust(time.Second)
	}
	if l.bulk() != 1 {
		t.Errorf("%d is the least", l.bulk())
	}
}

// The lower lanes sign next to nothing while something live is to be signed, on
// half of the cores just after it, and on all when it is quiet.
func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate(4)
	if g.limit() != 4 {
		t.Errorf("%d when quiet", g.limit())
	}
	g.last = time.Now()
	one, two := g.awaitLive(), g.awaitLive()
	in := make(chan struct{})
	go func() { g.enter(); close(in) }()
	g.mu.Lock()
	g.arrived = time.Now()
	if n := g.limit(); n != 0 && time.Since(g.last) < trickle {
		t.Errorf("%d while live ones wait", n)
	}
	g.mu.Unlock()
	one()
	one() // counts once
	two()
	<-in // let in when they are signed, or by and by
	g.mu.Lock()
	if g.waiting != 0 || g.limit() != 2 {
		t.Errorf("%d after live ones, %d of which wait", g.limit(), g.waiting)
	}
	g.mu.Unlock()
	g.enter()
	third := make(chan struct{})
	go func() { g.enter(); close(third) }()
	g.leave()
	<-third // a place that is left is taken
	g.mu.Lock()
	g.live = time.Now().Add(-time.Minute)
	if g.limit() != 4 {
		t.Errorf("%d when it is quiet again", g.limit())
	}
	g.mu.Unlock()
	if one := newGate(1); one.few != 1 {
		t.Error("one core, and nobody may sign")
	}
	// However many wait, one of the lower lanes is signed by and by.
	g = newGate(2)
	g.last = time.Now().Add(-trickle)
	defer g.awaitLive()()
	if g.limit() != 1 {
		t.Errorf("%d after a while", g.limit())
	}
	// And one that is not signed for long waits for something else than the CPU:
	// nobody has to end for that to be seen.
	g.last = time.Now().Add(time.Hour)
	g.enter()
}

// What is tried again is a tenth of what succeeds and one a second, and saved up
// only so far.
func TestBudget(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := newBudget(3, now)
	for i := range 3 {
		if !b.has(now) {
			t.Fatalf("none after %d", i)
		}
		b.take(now)
	}
	if b.has(now) {
		t.Error("more than was saved up")
	}
	for range 11 {
		b.earn(now)
	}
	if !b.has(now) {
		t.Error("none for eleven successes")
	}
	b.take(now)
	if b.has(now) || !b.has(now.Add(time.Second)) {
		t.Error("not one a second")
	}
	if b.has(now.Add(time.Hour)); b.tokens > 3 {
		t.Errorf("%v saved up", b.tokens)
	}
}

// A slow host of the lower lanes is charged what its requests take.
func TestCost(t *testing.T) {
	t.Parallel()
	h := newHost(1, "a.example", 0)
	if h.cost() != time.Millisecond {
		t.Errorf("nothing known: %v", h.cost())
	}
	if h.ewma = 50 * time.Millisecond; h.cost() != h.ewma {
		t.Errorf("slow: %v", h.cost())
	}
	if h.ewma = time.Hour; h.cost() != maxCost {
		t.Errorf("very slow: %v", h.cost())
	}
}

// A process that stood still until its lease was over sends nothing more.
func TestNothingIsSentAfterTheLease(t *testing.T) {
	t.Parallel()
	d := &dispatcher{}
	for ahead, want := range map[time.Duration]error{time.Minute: nil, -time.Second: errLease} {
		d.shards.till = time.Now().Add(ahead)
		if err := d.leased(); !errors.Is(err, want) {
			t.Errorf("%v before its end: %v", ahead, err)
		}
	}
}
