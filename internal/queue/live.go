package queue

import (
	"context"
	"time"

	"buttersc.one/oven/internal/socket/stream"
)

// liveEvery the figures of queues are told to those who listen.
const liveEvery = 10 * time.Second

// flow is a queue at one moment.
type flow struct {
	ActiveSincePrevTick int64 `json:"activeSincePrevTick"`
	Active              int64 `json:"active"`
	Waiting             int64 `json:"waiting"`
	Delayed             int64 `json:"delayed"`
}

// flows are what clients draw: deliveries and the inbox.
type flows struct {
	Deliver flow `json:"deliver"`
	Inbox   flow `json:"inbox"`
}

// Channels: how deliveries and the inbox do.
func (s *Service) Channels() []stream.Channel {
	p := &stream.Pulse{Name: "queueStats", Every: liveEvery, Begin: func() func(context.Context) (any, error) {
		delivered, worked := s.delivery.Begun(), s.inbox.Begun()
		return func(ctx context.Context) (any, error) {
			st, err := s.snapshot(ctx)
			if err != nil {
				return nil, err
			}
			d, in := s.delivery.Begun(), s.inbox.Begun()
			of := func(c *counts, n int64) flow { return flow{n, c.Active, c.Waiting, c.Delayed} }
			out := flows{of(st.counts["deliver"], d-delivered), of(st.counts["inbox"], in-worked)}
			delivered, worked = d, in
			return out, nil
		}
	}}
	return []stream.Channel{p.Channel(s.hub, s.slog)}
}
