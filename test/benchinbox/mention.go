package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"buttersc.one/oven/test/benchline"
)

const mentionEvery = 50 * time.Millisecond

// mentions measures them when there is nothing else to do, and while relays
// tell of notes that have to be fetched from everywhere.
func (b *bench) mentions(ctx context.Context) error {
	n := max(20, int(300*b.Scale))
	if err := b.mention(ctx, "idle", n); err != nil {
		return err
	}
	flooding, stop := context.WithCancel(ctx)
	var flood sync.WaitGroup
	var told, taken atomic.Int64
	for i := range relays {
		flood.Go(func() {
			relay := b.fleet.Hosts[servers-1-i]
			for k := 0; flooding.Err() == nil; k++ {
				of := b.fleet.Hosts[(i*31+k)%(servers-relays)]
				path := fmt.Sprintf("/flood/%d/%d", i, k)
				of.Serve(path, of.Note(path, "told by a relay"))
				r, err := b.fleet.Request(b.oven.Addr, self, relay.Actor, m{"type": "Announce", "id": relay.URL(path), "to": []string{public},
					"object": of.URL(path), "published": time.Now().UTC().Format(time.RFC3339)})
				if err != nil {
					return
				}
				told.Add(1)
				if status, err := b.fleet.Send(flooding, r); err == nil && status/100 == 2 {
					taken.Add(1)
				} else {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	time.Sleep(3 * time.Second) // the queue is long by then
	begin, before := time.Now(), taken.Load()
	err := b.mention(ctx, "flood", n)
	b.Figures["flood.accepted_per_s"] = float64(taken.Load()-before) / time.Since(begin).Seconds()
	var waiting float64
	if qerr := b.db.QueryRow(ctx, "SELECT count(*)::float8 FROM fed_inbox WHERE state < 3").Scan(&waiting); err == nil {
		err = qerr
	}
	b.Figures["flood.waiting_activities"] = waiting
	stop()
	flood.Wait()
	if err == nil {
		b.Ratios["mention.p99_over_idle"] = b.Figures["flood.mention.p99_ms"] / b.Figures["idle.mention.p99_ms"]
		b.Say("a mention: p99 %.1f ms, with %.0f activities waiting %.1f ms", b.Figures["idle.mention.p99_ms"], waiting, b.Figures["flood.mention.p99_ms"])
	}
	return err
}

// mention has accounts of other servers mention the reader, and takes the time
// from the request to the notification on his socket.
func (b *bench) mention(ctx context.Context, label string, n int) error {
	ws, res, err := websocket.Dial(ctx, "ws://"+b.oven.Addr+"/streaming?i="+b.reader.Token, nil)
	if err != nil {
		return err
	}
	if res != nil && res.Body != nil {
		_ = res.Body.Close()
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(1 << 20)
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"type":"connect","body":{"channel":"main","id":"m"}}`)); err != nil {
		return err
	}
	var mu sync.Mutex
	sent := map[string]time.Time{}
	var took []time.Duration
	done := make(chan error, 1)
	go func() { done <- b.listen(ctx, ws, n, &mu, sent, &took) }()
	for i := range n {
		h := b.fleet.Hosts[(i*7)%(servers-relays)]
		text := fmt.Sprintf("%s mention %d.", label, i)
		doc := h.Note(fmt.Sprintf("/%s/mention/%d", label, i), text)
		to := "http://" + self + "/users/" + b.reader.ID
		doc["to"], doc["cc"] = []string{to}, []string{}
		doc["tag"] = []m{{"type": "Mention", "href": to, "name": "@reader@" + self}}
		r, err := b.fleet.Request(b.oven.Addr, self, h.Actor, m{"type": "Create", "id": doc["id"].(string) + "/create", "to": []string{to}, "object": doc})
		if err != nil {
			return err
		}
		mu.Lock()
		sent[text] = time.Now()
		mu.Unlock()
		if status, err := b.fleet.Send(ctx, r); err != nil || status/100 != 2 {
			return fmt.Errorf("mention: %d, %w", status, err)
		}
		time.Sleep(mentionEvery)
	}
	select {
	case err = <-done:
	case <-time.After(2 * time.Minute):
		err = fmt.Errorf("%d of %d mentions came", len(took), n)
	}
	if err != nil {
		return err
	}
	slices.Sort(took)
	benchline.Percentiles(b.Figures, label+".mention", took)
	return nil
}

func (b *bench) listen(ctx context.Context, ws *websocket.Conn, n int, mu *sync.Mutex, sent map[string]time.Time, took *[]time.Duration) error {
	for seen := 0; seen < n; {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		at := time.Now()
		if !strings.Contains(string(frame), `"type":"notification"`) {
			continue
		}
		var ev struct {
			Body struct {
				Body struct {
					Note struct {
						Text string `json:"text"`
					} `json:"note"`
				} `json:"body"`
			} `json:"body"`
		}
		if err := json.Unmarshal(frame, &ev); err != nil {
			return err
		}
		mu.Lock()
		text := ev.Body.Body.Note.Text
		if i := strings.Index(text, " mention "); i >= 0 {
			if begin, ok := sent[text[strings.LastIndexByte(text[:i], ' ')+1:]]; ok {
				*took = append(*took, at.Sub(begin))
				seen++
			}
		}
		mu.Unlock()
	}
	return nil
}

func (b *bench) call(ctx context.Context, name string, params m) (m, error) {
	params["i"] = b.reader.Token
	body, err := b.oven.Call(ctx, name, params)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	var out m
	return out, json.Unmarshal(body, &out)
}
