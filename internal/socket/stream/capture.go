package stream

import (
	"context"
	"slices"
	"time"
)

func (c *Conn) captureNote(ctx context.Context, id string) {
	c.capturing.Lock()
	known, oldest := c.captured[id] != nil, ""
	if len(c.order) >= maxCaptures {
		oldest = c.order[0]
	}
	c.capturing.Unlock()
	if id == "" || known {
		return
	}
	ok, err := c.srv.capture.CanCapture(ctx, c.userID(), id)
	if err != nil && ctx.Err() == nil {
		c.srv.log.Warn("streaming: capture", "err", err)
	}
	if err != nil || !ok {
		return
	}
	if oldest != "" {
		c.releaseNote(oldest)
	}
	c.capturing.Lock()
	defer c.capturing.Unlock()
	c.order = append(c.order, id)
	c.captured[id] = c.hub.subscribe(NoteTopic(id), func(msg any) {
		switch m := msg.(type) {
		case Event:
			c.send(frame{Type: "noteUpdated", Body: channelBody{ID: id, Type: m.Type, Body: m.Body}})
		case RecheckNote:
			c.recheck(id)
		}
	})
}

func (c *Conn) releaseNote(id string) {
	c.capturing.Lock()
	defer c.capturing.Unlock()
	if off := c.captured[id]; off != nil {
		off()
		delete(c.captured, id)
		c.order = slices.DeleteFunc(c.order, func(o string) bool { return o == id })
	}
}

func (c *Conn) capturedIDs() []string {
	c.capturing.Lock()
	defer c.capturing.Unlock()
	return slices.Clone(c.order)
}

// recheckIn is how long looking again at captured notes may take; what cannot
// be looked at is let go.
const recheckIn = 5 * time.Second

// recheck lets go of those of the captured notes that may not be seen any more.
func (c *Conn) recheck(ids ...string) {
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recheckIn)
	defer cancel()
	seen, err := c.srv.capture.StillSeen(ctx, c.userID(), ids)
	if err != nil {
		c.srv.log.Warn("streaming: recheck", "err", err)
	}
	for _, id := range ids {
		if !slices.Contains(seen, id) {
			c.releaseNote(id)
		}
	}
}
