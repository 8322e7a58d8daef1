package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	buffer      = 256 // frames waiting for a slow reader
	writeWithin = 20 * time.Second
)

// outbox is what waits to be sent on a connection. A goroutine sends it while there is
// something; an idle connection has none.
type outbox struct {
	mu      sync.Mutex
	waiting [][]byte
	sending bool // somebody sends what waits
	closing bool // nothing comes behind what waits
	ended   bool
}

// put adds a frame, and has send called where nobody sends; false where too many wait.
func (o *outbox) put(b []byte, send func()) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closing, o.ended:
		return true
	case len(o.waiting) >= buffer:
		return false
	}
	o.waiting = append(o.waiting, b)
	o.begin(send)
	return true
}

// last lets nothing come behind what waits.
func (o *outbox) last(send func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	o.begin(send)
}

func (o *outbox) begin(send func()) {
	if !o.sending {
		o.sending = true
		go send()
	}
}

// next takes the frame that is to be sent; nil when there is none, and then whoever
// asked does not send any more. closing tells that none will come.
func (o *outbox) next() (b []byte, closing bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		o.waiting, o.sending = nil, false
		return nil, o.closing
	}
	b, o.waiting[0] = o.waiting[0], nil
	o.waiting = o.waiting[1:]
	return b, false
}

// end forgets what waits; false when that has been so.
func (o *outbox) end() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.ended
	o.ended, o.waiting = true, nil
	return !was
}

// send queues a frame. A reader whose buffer is full is disconnected with 1013
// and comes back; nothing waits for it.
func (c *Conn) send(f frame) {
	b, err := f.encode()
	if err != nil {
		c.srv.log.Error("streaming: encode", "type", f.Type, "err", err)
		return
	}
	c.queue(b)
}

func (c *Conn) queue(b []byte) {
	if !c.out.put(b, c.flush) {
		c.end(closeSlow)
	}
}

// flush sends until nothing waits.
func (c *Conn) flush() {
	for {
		b, closing := c.out.next()
		if b == nil {
			if closing {
				c.end(closeRevoked)
			}
			return
		}
		if err := c.write(b); err != nil {
			c.drop()
			return
		}
	}
}

func (c *Conn) write(b []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeWithin)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, b)
}

// encode writes a frame. What was encoded once for everybody is put into each
// one's frame as it is: looking through it again for every socket would be most
// of the work.
func (f frame) encode() ([]byte, error) {
	if body, ok := f.Body.(channelBody); ok {
		if raw, ok := body.Body.(json.RawMessage); ok {
			id, err := json.Marshal(body.ID) // the client's own word; the types are ours
			if err != nil {
				return nil, err
			}
			b := make([]byte, 0, len(raw)+len(id)+80)
			b = append(append(append(b, `{"type":"`...), f.Type...), `","body":{"id":`...)
			b = append(append(append(b, id...), `,"type":"`...), body.Type...)
			b = append(append(append(b, `","body":`...), raw...), "}}"...)
			return b, nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
