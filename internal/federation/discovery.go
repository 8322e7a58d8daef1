package federation

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strings"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/user"
)

type jrd struct {
	Subject string    `json:"subject,omitempty"`
	Aliases []string  `json:"aliases,omitempty"`
	Links   []jrdLink `json:"links"`
}

type jrdLink struct {
	Rel      string `json:"rel"`
	Type     string `json:"type,omitempty"`
	Href     string `json:"href,omitempty"`
	Template string `json:"template,omitempty"`
}

// serveWebfinger answers for acct:, /users/<id> and /@name of this server (RFC
// 7033): 422 for another host, 404 for an unknown account.
func (s *Service) serveWebfinger(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cache-Control", "public, max-age=180")
	resource := r.URL.Query().Get("resource")
	if resource == "" {
		http.Error(w, "resource is missing", http.StatusBadRequest)
		return
	}
	u, err := s.byResource(r, resource)
	switch {
	case errors.Is(err, errOtherHost):
		http.Error(w, "another server's account", http.StatusUnprocessableEntity)
		return
	case errors.Is(err, user.ErrNotFound), errors.Is(err, errGone):
		http.NotFound(w, r)
		return
	case err != nil:
		s.Slog.Error("webfinger", "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	page := s.Meta.Origin + "/@" + u.Username
	writeJSON(w, "application/jrd+json; charset=utf-8", jrd{
		Subject: "acct:" + u.Username + "@" + s.Meta.Host,
		Aliases: []string{page, s.Users.LocalURI(u.ID)},
		Links: []jrdLink{
			{Rel: "self", Type: "application/activity+json", Href: s.Users.LocalURI(u.ID)},
			{Rel: "http://webfinger.net/rel/profile-page", Type: "text/html", Href: page},
			{Rel: "http://ostatus.org/schema/1.0/subscribe", Template: s.Meta.Origin + "/authorize-follow?acct={uri}"},
		},
	})
}

var errOtherHost = errors.New("another host")

func (s *Service) byResource(r *http.Request, resource string) (*user.User, error) {
	if strings.TrimSuffix(resource, "/") == s.Meta.Origin { // the server's own actor, FEP-d556
		return s.Users.EnsureInstanceActor(r.Context())
	}
	if id, ok := s.Users.LocalID(resource); ok {
		u, err := s.Users.ByID(r.Context(), id)
		return s.local(r.Context(), u, err)
	}
	acct, ok := strings.CutPrefix(resource, s.Meta.Origin+"/@")
	if !ok {
		acct = strings.TrimPrefix(strings.TrimPrefix(resource, "acct:"), "@")
	}
	name, host, hasHost := strings.Cut(acct, "@")
	if hasHost {
		h, err := ap.NormalizeHost(host)
		if err != nil || h != s.Meta.Host {
			return nil, errOtherHost
		}
	}
	u, err := s.Users.ByAcct(r.Context(), s.DB, name, nil)
	return s.local(r.Context(), u, err)
}

type xrd struct {
	XMLName xml.Name `xml:"http://docs.oasis-open.org/ns/xri/xrd-1.0 XRD"`
	Link    xrdLink  `xml:"Link"`
}

type xrdLink struct {
	Rel      string `xml:"rel,attr"`
	Type     string `xml:"type,attr"`
	Template string `xml:"template,attr"`
}

func (s *Service) serveHostMeta(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/xrd+xml; charset=utf-8")
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(xrd{Link: xrdLink{Rel: "lrdd", Type: "application/xrd+xml", Template: s.Meta.Origin + "/.well-known/webfinger?resource={uri}"}})
}

func (s *Service) serveHostMetaJSON(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, "application/jrd+json; charset=utf-8", jrd{Links: []jrdLink{
		{Rel: "lrdd", Type: "application/jrd+json", Template: s.Meta.Origin + "/.well-known/webfinger?resource={uri}"}}})
}

func (s *Service) serveNodeinfoIndex(w http.ResponseWriter, r *http.Request) {
	links := []jrdLink{
		{Rel: "http://nodeinfo.diaspora.software/ns/schema/2.1", Href: s.Meta.Origin + "/nodeinfo/2.1"},
		{Rel: "http://nodeinfo.diaspora.software/ns/schema/2.0", Href: s.Meta.Origin + "/nodeinfo/2.0"},
	}
	self, err := s.Users.EnsureInstanceActor(r.Context())
	if err != nil {
		s.Slog.Error("nodeinfo", "err", err)
	} else { // FEP-2677
		links = append(links, jrdLink{Rel: "https://www.w3.org/ns/activitystreams#Application", Href: s.Users.LocalURI(self.ID)})
	}
	writeJSON(w, "application/json; charset=utf-8", jrd{Links: links})
}

// serveNodeinfo answers NodeInfo 2.0 and 2.1 (FEP-f1d5).
func (s *Service) serveNodeinfo(w http.ResponseWriter, r *http.Request) {
	version := r.PathValue("version")
	if version != "2.0" && version != "2.1" {
		http.NotFound(w, r)
		return
	}
	t, err := s.Stats.Totals(r.Context())
	if err != nil {
		s.Slog.Error("nodeinfo", "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	set := s.Meta.Get()
	software := map[string]any{"name": set.NodeinfoSoftware, "version": s.Meta.Oven}
	if version == "2.1" {
		software["homepage"] = "https://buttersc.one/oven"
		if set.RepositoryURL != nil {
			software["repository"] = *set.RepositoryURL
		}
	}
	name := s.Meta.Host
	if set.Name != nil {
		name = *set.Name
	}
	w.Header().Set("Cache-Control", "public, max-age=600")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	writeJSON(w, `application/json; profile="http://nodeinfo.diaspora.software/ns/schema/`+version+`#"; charset=utf-8`, map[string]any{
		"version": version, "software": software, "protocols": []string{"activitypub"},
		"services":          map[string]any{"inbound": []string{}, "outbound": []string{}},
		"openRegistrations": !set.DisableRegistration,
		"usage":             map[string]any{"users": map[string]any{"total": t.LocalUsers}, "localPosts": t.LocalNotes},
		"metadata": map[string]any{
			"nodeName": name, "nodeDescription": set.Description, "themeColor": set.ThemeColor,
			"maintainer": map[string]any{"name": set.MaintainerName, "email": set.MaintainerEmail}, "langs": set.Langs,
			"disableRegistration": set.DisableRegistration, "maxNoteTextLength": 3000,
		},
	})
}
