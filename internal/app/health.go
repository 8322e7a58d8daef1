package app

import (
	"context"
	"sync"
	"time"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/doctor"
)

// checkEvery the schema is compared with the catalogue; at start besides.
const checkEvery = 24 * time.Hour

// health knows whether the database is as it should be, by the last check of
// this process. While a key that guards identity is missing, nothing is taken in
// from other servers.
type health struct {
	a *App

	mu       sync.Mutex
	at       time.Time // of the last check; zero: none yet
	findings []doctor.Finding
	stopped  bool
	turned   chan struct{} // closed when stopped changes, and made anew
}

func newHealth(a *App) *health { return &health{a: a, stopped: true, turned: make(chan struct{})} }

// Endpoints is the API of what moderators see of it.
func (h *health) Endpoints() []api.Endpoint {
	return []api.Endpoint{api.Post("oven/admin/health", h.apiHealth, api.Moderator("read:admin:server-info"))}
}

// check compares now. What it finds decides whether activities are taken in.
func (h *health) check(ctx context.Context) error {
	findings, err := doctor.CheckSchema(ctx, h.a.o.DB)
	if err != nil {
		return err
	}
	stop := false
	for _, f := range findings {
		attrs := []any{"code", f.Code, "where", f.Where, "detail", f.Detail, "repair", f.Repair}
		switch f.Kind() {
		case doctor.Identity:
			stop = true
			h.a.o.Log.Error("the database lacks a key that guards identity; nothing is taken in from other servers", attrs...)
		case doctor.Warning:
			h.a.o.Log.Warn("the database is not as this version makes it", attrs...)
		default:
			h.a.o.Log.Info("the database has more than this version makes", attrs...)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at, h.findings = time.Now(), findings
	if stop != h.stopped {
		h.stopped = stop
		close(h.turned)
		h.turned = make(chan struct{})
	}
	return nil
}

// last is what the last check found, and a channel that is closed when ingest
// stops or goes on.
func (h *health) last() (findings []doctor.Finding, at time.Time, stopped bool, turned <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.findings, h.at, h.stopped, h.turned
}

func (h *health) ingest() bool {
	_, _, stopped, _ := h.last()
	return !stopped
}

// run checks once a day.
func (h *health) run(ctx context.Context) error {
	for tick := time.NewTicker(checkEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return nil
		case <-tick.C:
			if err := h.check(ctx); err != nil && ctx.Err() == nil {
				h.a.o.Log.Error("the schema could not be checked", "err", err)
			}
		}
	}
}

// whileSound runs f as long as identity is guarded, and again when it is guarded
// again.
func (h *health) whileSound(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			_, _, stopped, turned := h.last()
			if !stopped {
				sub, cancel := context.WithCancel(ctx)
				go func() {
					select {
					case <-turned:
						cancel()
					case <-sub.Done():
					}
				}()
				err := f(sub)
				cancel()
				if err != nil || ctx.Err() != nil {
					return err
				}
				continue
			}
			select {
			case <-turned:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

type healthReq struct {
	Check bool `json:"check" api:"default=false"` // look now, and not only at what was found last
}

type healthFinding struct {
	Kind   string  `json:"kind"` // identity, warning, information
	Code   string  `json:"code"`
	Where  string  `json:"where"`
	Detail string  `json:"detail"`
	Repair *string `json:"repair"` // statements; null: none would do
}

type healthRes struct {
	CheckedAt     *time.Time      `json:"checkedAt"`
	IngestStopped bool            `json:"ingestStopped"`
	Findings      []healthFinding `json:"findings"`
}

func (h *health) apiHealth(ctx context.Context, _ *api.Call, req healthReq) (*healthRes, error) {
	if req.Check {
		if err := h.check(ctx); err != nil {
			return nil, err
		}
	}
	findings, at, stopped, _ := h.last()
	res := &healthRes{IngestStopped: stopped, Findings: []healthFinding{}}
	if !at.IsZero() {
		at = at.UTC().Truncate(time.Millisecond)
		res.CheckedAt = &at
	}
	for _, f := range findings {
		to := healthFinding{Kind: f.Kind(), Code: f.Code, Where: f.Where, Detail: f.Detail}
		if f.Repair != "" {
			to.Repair = &f.Repair
		}
		res.Findings = append(res.Findings, to)
	}
	return res, nil
}
