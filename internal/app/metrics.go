package app

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"buttersc.one/oven/internal/socket/doctor"
)

// metric is one figure in all its variants, as Prometheus reads it.
type metric struct {
	name, typ, help string
	values          map[string]float64 // by labels: `host="x"`, "" for none
}

func (m *metric) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.typ)
	for _, labels := range slices.Sorted(maps.Keys(m.values)) {
		if labels != "" {
			fmt.Fprintf(b, "%s{%s} %g\n", m.name, labels, m.values[labels])
			continue
		}
		fmt.Fprintf(b, "%s %g\n", m.name, m.values[labels])
	}
}

// label is one label with its value, which may be any text.
func label(name, value string) string {
	return name + `="` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(value) + `"`
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

// Metrics answers GET /metrics, for a listener of its own: it tells what is
// nobody's business but the operator's. What is in memory, or one small
// statement away; docs/metrics.md lists it.
func (a *App) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		list, err := a.figures(ctx)
		if err != nil {
			a.o.Log.Error("metrics", "err", err)
			http.Error(w, "the figures could not be read", http.StatusServiceUnavailable)
			return
		}
		var b bytes.Buffer
		for _, m := range list {
			m.write(&b)
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(b.Bytes())
	})
	return mux
}

func (a *App) figures(ctx context.Context) ([]*metric, error) {
	var list []*metric
	add := func(name, typ, help string, values map[string]float64) {
		list = append(list, &metric{name, typ, help, values})
	}
	one := func(v float64) map[string]float64 { return map[string]float64{"": v} }
	add("oven_info", "gauge", "What runs.", map[string]float64{label("version", a.o.Version): 1})
	findings, at, stopped, _ := a.health.last()
	kinds := map[string]float64{label("kind", doctor.Identity): 0, label("kind", doctor.Warning): 0, label("kind", doctor.Information): 0}
	for _, f := range findings {
		kinds[label("kind", f.Kind())]++
	}
	add("oven_schema_findings", "gauge", "What the last comparison of the schema with the database found.", kinds)
	if !at.IsZero() {
		add("oven_schema_checked_timestamp_seconds", "gauge", "When that was.", one(float64(at.Unix())))
	}
	add("oven_ingest_stopped", "gauge", "1 while nothing is taken in from other servers.", one(flag(stopped)))
	pending, err := a.Inbox.Pending(ctx)
	if err != nil {
		return nil, err
	}
	add("oven_inbox_pending", "gauge", "Activities of other servers that are due and not processed.", one(float64(pending)))
	dropped := map[string]float64{}
	for why, n := range a.Inbox.Dropped() {
		dropped[label("reason", why)] = float64(n)
	}
	add("oven_inbox_dropped_total", "counter", "Activities that were dropped since the process began.", dropped)
	delivery, err := a.Delivery.Status(ctx)
	if err != nil {
		return nil, err
	}
	states, waiting, flying := map[string]float64{}, 0.0, 0.0
	for _, h := range delivery.Hosts {
		states[label("state", h.State)]++
		waiting += float64(h.Backlog)
		flying += float64(h.InFlight)
	}
	add("oven_delivery_staged", "gauge", "Activities that are committed and not numbered.", one(float64(delivery.Staged)))
	add("oven_delivery_waiting", "gauge", "Deliveries that were not begun, at most.", one(waiting))
	add("oven_delivery_in_flight", "gauge", "Deliveries that this process makes at the moment.", one(flying))
	add("oven_delivery_hosts", "gauge", "Hosts with something waiting or wrong, by state.", states)
	lags, err := a.Log.Status(ctx)
	if err != nil {
		return nil, err
	}
	lag := map[string]float64{}
	for _, s := range lags {
		lag[label("reader", s.Name)] = float64(s.Lag)
	}
	add("oven_log_lag", "gauge", "Changes that a reader of the change log has before it.", lag)
	if s, ok, err := a.Search.Figures(ctx); err != nil {
		return nil, err
	} else if ok {
		add("oven_search_documents", "gauge", "Notes that can be found.", one(float64(s.Docs)))
		add("oven_search_dead_documents", "gauge", "Notes that are gone and take room in the search index still.", one(float64(s.Deleted)))
		add("oven_search_segments", "gauge", "Parts of the search index.", one(float64(s.Segments)))
		add("oven_search_bytes", "gauge", "Size of the search index.", map[string]float64{label("in", "disk"): float64(s.Bytes), label("in", "memory"): float64(s.Memory)})
		add("oven_search_written_bytes_total", "counter", "Bytes written to the search index since the process began.", one(float64(s.Written)))
		add("oven_search_building", "gauge", "1 while the search index is being filled.", one(flag(s.Building)))
		add("oven_search_damaged", "gauge", "Parts of the search index that were damaged and are being made again.", one(float64(s.Lost)))
		add("oven_search_queries_total", "counter", "Searches since the process began.", one(float64(s.Searches)))
		add("oven_search_looked_at_total", "counter", "Notes that searches looked at in the database.", one(float64(s.Looked)))
		add("oven_search_seconds_total", "counter", "Time that searches took.", one(s.Seconds))
	}
	good, proven, err := a.Backups.Last(ctx)
	if err != nil {
		return nil, err
	}
	add("oven_backup_last_good_timestamp_seconds", "gauge", "When the last good backup was made, 0: never.", one(seconds(good)))
	add("oven_backup_last_proven_timestamp_seconds", "gauge", "When a backup was last restored to prove it, 0: never.", one(seconds(proven)))
	kept, err := a.Drive.KeptLately(ctx)
	if err != nil {
		return nil, err
	}
	add("oven_proxy_cache_bytes", "gauge", "Size of what is kept of other servers' pictures.", one(float64(kept.Bytes)))
	add("oven_proxy_cache_files", "gauge", "Pictures of other servers that are kept.", one(float64(kept.Files)))
	pool := a.o.DB.Stat()
	add("oven_db_connections", "gauge", "Connections to the database.", map[string]float64{
		label("state", "used"): float64(pool.AcquiredConns()), label("state", "idle"): float64(pool.IdleConns()), label("state", "most"): float64(pool.MaxConns())})
	add("oven_db_waits_total", "counter", "How often a connection had to be waited for.", one(float64(pool.EmptyAcquireCount())))
	return list, nil
}
