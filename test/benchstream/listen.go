package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// listeners are the sockets, each a client with its own and its home timeline open, as
// a page of a Misskey client has them.
type listeners struct {
	conns []*websocket.Conn
	mu    sync.Mutex // of what was heard
	count atomic.Int64
	done  sync.WaitGroup
	lost  atomic.Int64 // sockets that ended
}

const opening = 16 // at a time

func (b *bench) open(ctx context.Context) error {
	each := make(chan string)
	failed := make(chan error, opening)
	var wg sync.WaitGroup
	for range opening {
		wg.Go(func() {
			for token := range each {
				if err := b.openOne(ctx, token); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	feed := func() error {
		defer close(each)
		for range perAccount {
			for _, token := range b.readers {
				select {
				case each <- token:
				case err := <-failed:
					return err
				}
			}
		}
		return nil
	}
	err := feed()
	wg.Wait()
	if err == nil && len(failed) > 0 {
		err = <-failed
	}
	return err
}

func (b *bench) openOne(ctx context.Context, token string) error {
	ws, res, err := websocket.Dial(ctx, "ws://"+b.oven.Addr+"/streaming?i="+token, nil)
	if err != nil {
		return err
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	ws.SetReadLimit(1 << 20)
	for _, channel := range []string{"main", "homeTimeline"} {
		if err := ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"connect","body":{"channel":%q,"id":%q,"pong":true}}`, channel, channel)); err != nil {
			return err
		}
		if _, _, err := ws.Read(ctx); err != nil { // connected
			return err
		}
	}
	b.mu.Lock()
	b.conns = append(b.conns, ws)
	b.mu.Unlock()
	b.done.Go(func() { b.hear(ctx, ws) })
	return nil
}

var (
	timeline = []byte(`{"type":"channel","body":{"id":"homeTimeline","type":"note","body":`)
	idField  = []byte(`"id":"`)
)

// hear notes when each note comes. The note's own id is the first in it.
func (b *bench) hear(ctx context.Context, ws *websocket.Conn) {
	for {
		_, msg, err := ws.Read(ctx)
		now := time.Now()
		if err != nil {
			b.lost.Add(1)
			return
		}
		note, ok := bytes.CutPrefix(msg, timeline)
		if !ok {
			continue
		}
		_, rest, _ := bytes.Cut(note, idField)
		id, _, _ := bytes.Cut(rest, []byte{'"'})
		b.mu.Lock()
		b.heard[string(id)] = append(b.heard[string(id)], now)
		b.mu.Unlock()
		b.count.Add(1)
	}
}

// hangUp ends all sockets.
func (b *bench) hangUp() {
	for _, ws := range b.conns {
		_ = ws.CloseNow()
	}
	b.done.Wait()
}
