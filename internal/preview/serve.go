package preview

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"buttersc.one/oven/internal/meta"
	"buttersc.one/oven/internal/socket/api"
)

// The errors of /url are Misskey's.
var (
	errDisabled = api.Err("URL_PREVIEW_DISABLED", "58b36e13-d2f5-0323-b0c6-76aa9dabefb8", "Links are not previewed here.").WithStatus(http.StatusForbidden)
	errFailed   = api.Err("URL_PREVIEW_FAILED", "09d01cb5-53b9-4856-82e5-38a50c290a3b", "There is nothing to be shown of this page.").WithStatus(http.StatusUnprocessableEntity)
)

// serveSummary answers GET /url?url=…&lang=… as Misskey does: a summary, 422 where
// there is none, 403 where links are not previewed, 400 for what is no address.
// Besides, 429 for whoever asks for too much.
func (s *Service) serveSummary(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	want, ok := read(r.URL.Query())
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !s.Meta.Get().URLPreviewEnabled {
		answerError(w, errDisabled)
		return
	}
	f, err := s.get(r.Context(), want, s.Client(r))
	switch {
	case err == nil:
		out := *f.summary
		out.Icon, out.Thumbnail = s.proxied(out.Icon), s.proxied(out.Thumbnail)
		s.cache(h, f.until)
		api.Answer(w, out)
	case errors.Is(err, errNothing):
		s.cache(h, f.until)
		answerError(w, errFailed)
	case errors.Is(err, errBusy):
		h.Set("Retry-After", strconv.Itoa(int(asksIn/time.Second)))
		answerError(w, api.ErrRateLimit)
	case r.Context().Err() != nil:
	default:
		s.Slog.Error("preview", "err", err)
		answerError(w, api.ErrInternal)
	}
}

// proxied has readers' browsers fetch pictures here: who reads is not told elsewhere.
func (s *Service) proxied(picture *string) *string {
	if picture == nil || strings.HasPrefix(*picture, s.Meta.Origin+"/") {
		return picture
	}
	at := s.Meta.Proxied(*picture, meta.ProxyPreview)
	return &at
}

// cache lets browsers and proxies keep an answer as long as it is kept here.
func (s *Service) cache(h http.Header, until time.Time) {
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(max(0, int(until.Sub(s.Now())/time.Second))))
}

func answerError(w http.ResponseWriter, e *api.Error) {
	status := e.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	kind := e.Kind
	if kind == "" {
		kind = "client"
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": e.Message, "code": e.Code, "id": e.ID, "kind": kind}})
}
