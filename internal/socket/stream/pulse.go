package stream

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

// Pulse is a channel of figures that are gathered again and again: once in this
// process however many listen, and only while somebody does. The channel's
// events are stats, and statsLog, the last ones, for a requestLog.
type Pulse struct {
	Name  string
	Every time.Duration
	// Begin makes what gathers the figures, when the first one comes to listen. A
	// gatherer may give nil: nothing this time.
	Begin func() func(ctx context.Context) (any, error)

	hub *Hub
	log *slog.Logger

	mu        sync.Mutex
	listeners int
	stop      context.CancelFunc
	last      []json.RawMessage // newest first
}

const (
	pulseKept = 200
	pulseTold = 50 // when a client does not say how many
)

// Channel is the pulse as a channel, on the hub that carries it.
func (p *Pulse) Channel(hub *Hub, log *slog.Logger) Channel {
	p.hub, p.log = hub, log
	return Channel{Name: p.Name, Shared: true, Open: func(_ context.Context, sub *Sub, _ json.RawMessage) error {
		sub.On(p.topic(), func(msg any) (string, any, bool) {
			raw, ok := msg.(json.RawMessage)
			return "stats", raw, ok
		})
		sub.OnMessage(func(typ string, body json.RawMessage) {
			if typ == "requestLog" {
				p.tell(sub, body)
			}
		})
		p.listen()
		sub.OnClose(p.leave)
		return nil
	}}
}

func (p *Pulse) topic() string { return "pulse:" + p.Name }

// listen begins the gathering with the first who listens.
func (p *Pulse) listen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listeners++; p.listeners > 1 {
		return
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.last = nil // what was before is not what has just been
	go p.run(ctx, p.Begin())
}

// leave ends it with the last.
func (p *Pulse) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listeners--; p.listeners == 0 {
		p.stop()
	}
}

func (p *Pulse) run(ctx context.Context, gather func(context.Context) (any, error)) {
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	for {
		p.beat(ctx, gather)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Pulse) beat(ctx context.Context, gather func(context.Context) (any, error)) {
	within, cancel := context.WithTimeout(ctx, p.Every)
	defer cancel()
	v, err := gather(within)
	var raw json.RawMessage
	if err == nil && v != nil {
		raw, err = json.Marshal(v)
	}
	if err != nil && ctx.Err() == nil {
		p.log.Warn("streaming: figures", "channel", p.Name, "err", err)
	}
	if err != nil || raw == nil || ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	p.last = append([]json.RawMessage{raw}, p.last[:min(len(p.last), pulseKept-1)]...)
	p.mu.Unlock()
	p.hub.Publish(p.topic(), raw)
}

// tell sends the last figures, the newest first. id is the client's own word.
func (p *Pulse) tell(sub *Sub, body json.RawMessage) {
	var req struct {
		Length *int `json:"length"`
	}
	if json.Unmarshal(body, &req) != nil {
		return // as Misskey: what cannot be read is ignored
	}
	n := pulseTold
	if req.Length != nil {
		n = max(0, *req.Length)
	}
	p.mu.Lock()
	last := append([]json.RawMessage{}, p.last[:min(n, len(p.last))]...)
	p.mu.Unlock()
	sub.Send("statsLog", last)
}
