package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"buttersc.one/oven/test/proc"
)

const (
	openSockets  = 1000
	notesASecond = 20
	socketsFor   = 10 * time.Second
	bakers       = 2 // who write meanwhile, followed by the reader
)

// sockets opens home timelines of the reader, a connection each, has notes
// written that belong into all of them, and gives the CPU an event delivered
// costs: writing the notes is in it.
func (b *bench) sockets(ctx context.Context, reader proc.Account) error {
	var writers []proc.Account
	for i := range bakers {
		w, err := b.server.Account(ctx, fmt.Sprintf("baker%d", i))
		if err != nil {
			return err
		}
		if _, err := b.server.Call(ctx, "following/create", map[string]any{"i": reader.Token, "userId": w.ID}); err != nil {
			return err
		}
		writers = append(writers, w)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var heard atomic.Int64
	var wg sync.WaitGroup
	n := max(50, int(openSockets*b.Scale))
	for range n {
		if err := b.listen(ctx, &wg, reader, &heard); err != nil {
			return err
		}
	}
	notes := int(socketsFor.Seconds() * notesASecond)
	own, postgres, err := b.server.Usage()
	if err != nil {
		return err
	}
	tick := time.NewTicker(time.Second / notesASecond)
	defer tick.Stop()
	for i := range notes {
		<-tick.C
		if _, err := b.server.Call(ctx, "notes/create", map[string]any{"i": writers[i%bakers].Token, "text": "갓 구운 빵이 나왔어요"}); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(20 * time.Second); heard.Load() < int64(n*notes); {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d events were heard", heard.Load(), n*notes)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	own2, postgres2, err := b.server.Usage()
	if err != nil {
		return err
	}
	events := float64(heard.Load())
	b.Figures["sockets.server_cpu_us"] = (own2 - own) * 1000 / events
	b.Figures["sockets.pg_cpu_us"] = (postgres2 - postgres) * 1000 / events
	b.Figures["sockets.events"] = events
	if b.Figures["sockets.rss_mb"], err = b.server.RSS(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "sockets   server %.1f µs, postgres %.1f µs CPU an event of %.0f\n", b.Figures["sockets.server_cpu_us"], b.Figures["sockets.pg_cpu_us"], events)
	cancel()
	wg.Wait()
	return nil
}

// listen opens one home timeline and counts what it brings.
func (b *bench) listen(ctx context.Context, wg *sync.WaitGroup, who proc.Account, heard *atomic.Int64) error {
	ws, res, err := websocket.Dial(ctx, "ws://"+b.server.Addr+"/streaming?i="+who.Token, nil)
	if err != nil {
		return err
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	ws.SetReadLimit(1 << 20)
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"type":"connect","body":{"channel":"homeTimeline","id":"h","pong":true}}`)); err != nil {
		return err
	}
	if _, _, err := ws.Read(ctx); err != nil { // connected
		return err
	}
	wg.Go(func() {
		defer func() { _ = ws.CloseNow() }()
		for {
			_, msg, err := ws.Read(ctx)
			if err != nil {
				return
			}
			var e struct {
				Type string `json:"type"`
			}
			if json.Unmarshal(msg, &e) == nil && e.Type == "channel" {
				heard.Add(1)
			}
		}
	})
	return nil
}
