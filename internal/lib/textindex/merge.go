package textindex

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

const (
	fanIn    = 4  // segments of a size become one
	maxDead  = 30 // percent; above it a segment is written anew
	minDocs  = 1000
	levelBit = 2 // a level is four times the one below
)

// behind merges segments, and puts damaged ones aside, until ctx ends.
func (x *Index) behind(ctx context.Context) {
	defer close(x.done)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-x.bad:
			if err := x.putAside(s); err != nil {
				x.o.Log.Error("a damaged part of the search index could not be put aside", "part", s.name, "err", err)
			}
		case <-x.wake:
			if x.o.NoMerge {
				continue
			}
			if err := x.Merge(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
				x.o.Log.Error("parts of the search index could not be merged", "err", err)
			}
		}
	}
}

// Merge merges what there is to merge by now.
func (x *Index) Merge(ctx context.Context) error {
	x.m.Lock()
	defer x.m.Unlock()
	for ctx.Err() == nil {
		x.mu.RLock()
		list := x.pick()
		x.mu.RUnlock()
		if len(list) == 0 {
			return nil
		}
		if err := x.merge(list); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// level is by how many documents are alive, in steps of four; what is a little smaller than full counts as full.
func level(s *segment) int { return bits.Len32(s.alive()+s.alive()/4) / levelBit }

// pick chooses what is to be merged: four of a size that lie next to each other, or one of which much is dead.
func (x *Index) pick() []*segment {
	levels := map[int][]*segment{}
	for _, s := range x.segs {
		if dead := s.deadCount(s.dead); dead == s.docs || s.docs >= minDocs && uint64(dead)*100 > uint64(s.docs)*maxDead {
			return []*segment{s}
		}
		if int(s.alive()) <= x.o.MaxDocs/2 {
			levels[level(s)] = append(levels[level(s)], s)
		}
	}
	for l := range 32 {
		list := levels[l]
		if len(list) < fanIn {
			continue
		}
		slices.SortFunc(list, func(a, b *segment) int { return compare(a.max, b.max) })
		sum, n := 0, 0
		for _, s := range list[:fanIn] {
			if sum += int(s.alive()); sum > x.o.MaxDocs+x.o.MaxDocs/4 {
				break
			}
			n++
		}
		if n > 1 {
			return list[:n]
		}
	}
	return nil
}

// merge puts one segment in the place of several. Documents that die meanwhile are dead in it. The caller has m.
func (x *Index) merge(list []*segment) error {
	x.w.Lock()
	if x.closed {
		x.w.Unlock()
		return ErrClosed
	}
	from := sources(list)
	for _, s := range from {
		s.take()
	}
	number := x.number()
	x.w.Unlock()
	defer func() {
		for _, s := range list {
			s.drop()
		}
	}()
	x.merging.Store(true)
	defer x.merging.Store(false)
	into, err := x.writeMerged(number, from)
	if err != nil {
		for _, s := range from {
			if errors.Is(err, errDamage) && s.verify() != nil {
				x.condemn(s.segment)
			}
		}
		return err
	}
	x.w.Lock()
	defer x.w.Unlock()
	segs := slices.DeleteFunc(slices.Clone(x.segs), func(s *segment) bool { return slices.Contains(list, s) })
	if len(segs) != len(x.segs)-len(list) || x.closed { // what was merged is not there any more
		if into != nil {
			x.remove([]*segment{into})
		}
		return nil
	}
	if into != nil {
		into.dead = later(from)
		segs = append(segs, into)
	}
	if err := x.saveAs(segs, x.lost, x.saved); err != nil {
		if into != nil {
			x.remove([]*segment{into})
		}
		return err
	}
	x.mu.Lock()
	x.segs = segs
	x.mu.Unlock()
	x.remove(list)
	x.merges.Add(1)
	return nil
}

// writeMerged writes the file of a merge.
func (x *Index) writeMerged(number uint64, from []*source) (s *segment, err error) {
	defer damaged(&err)
	name := fmt.Sprintf("%08x.seg", number)
	docs, err := writeSegment(x.dir+"/"+name, from)
	if err != nil || docs == 0 {
		return nil, err
	}
	if s, err = open(x.dir+"/"+name, name); err != nil {
		return nil, err
	}
	x.written.Add(s.size)
	return s, syncDir(x.dir)
}

// later are the documents that died since the merge began, by their new numbers.
func later(from []*source) *roaring.Bitmap {
	var out *roaring.Bitmap
	for _, s := range from {
		if s.dead == s.without || s.dead == nil {
			continue
		}
		s.dead.Iterate(func(doc uint32) bool {
			if n := s.numbers[doc]; n != gone {
				if out == nil {
					out = roaring.New()
				}
				out.Add(n)
			}
			return true
		})
	}
	return out
}

// Optimize leaves as few segments as may be, without anything dead. progress, which may be nil, is told how many
// documents of how many are done.
func (x *Index) Optimize(ctx context.Context, progress func(done, total int64)) error {
	x.m.Lock()
	defer x.m.Unlock()
	if err := x.Flush(); err != nil {
		return err
	}
	groups, total := x.groups()
	done := int64(0)
	for _, g := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(g.list) > 1 || g.dead {
			if err := x.merge(g.list); err != nil {
				return err
			}
		}
		if done += g.docs; progress != nil {
			progress(done, total)
		}
	}
	return nil
}

// group is segments that fit into one.
type group struct {
	list []*segment
	docs int64
	dead bool
}

// groups puts neighbours together as long as they fit into one segment.
func (x *Index) groups() (out []*group, total int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	segs := slices.Clone(x.segs)
	slices.SortFunc(segs, func(a, b *segment) int { return compare(a.max, b.max) })
	for _, s := range segs {
		n := int64(s.alive())
		if len(out) == 0 || out[len(out)-1].docs+n > int64(x.o.MaxDocs) {
			out = append(out, &group{})
		}
		g := out[len(out)-1]
		g.list, g.docs, g.dead = append(g.list, s), g.docs+n, g.dead || s.dead != nil
		total += n
	}
	return out, total
}
