package stats

import (
	"encoding/base64"
	"net/netip"
	"time"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/chart"
)

// Sent counts a delivery to a host, and whether it was taken.
func (s *Service) Sent(host string, taken bool) {
	if taken {
		s.Engine.Count("apRequest", "", "deliverSucceeded", 1)
		s.Engine.Count("instance", host, "requests.succeeded", 1)
		s.Engine.Seen("federation", "", "deliveredInstances", host)
		return
	}
	s.Engine.Count("apRequest", "", "deliverFailed", 1)
	s.Engine.Count("instance", host, "requests.failed", 1)
	s.Engine.Seen("federation", "", "stalled", host)
}

// Received counts a request from a host whose signature was right.
func (s *Service) Received(host string) {
	s.Engine.Count("apRequest", "", "inboxReceived", 1)
	s.Engine.Count("instance", host, "requests.received", 1)
	s.Engine.Seen("federation", "", "inboxInstances", host)
}

// ages of accounts, as activeUsers tells them apart.
var ages = []struct {
	name string
	age  time.Duration
}{{"Week", 7 * 24 * time.Hour}, {"Month", 30 * 24 * time.Hour}, {"Year", 365 * 24 * time.Hour}}

// Seen counts an account of this server that is in use.
func (s *Service) Seen(userID string) {
	s.Engine.Seen("activeUsers", "", "read", userID)
	made, err := s.IDs.Method().Time(userID)
	if err != nil {
		return // from before the server's ids had this form
	}
	for _, a := range ages {
		side := "registeredOutside"
		if s.Now().Sub(made) < a.age {
			side = "registeredWithin"
		}
		s.Engine.Seen("activeUsers", "", side+a.name, userID)
	}
}

// Viewed counts that an account's page was looked at, by another account or by a
// guest. Guests are told apart by address, of which a name is kept that means
// something to this server only, and on this day only.
func (s *Service) Viewed(userID, viewer string, from netip.Addr) {
	switch viewer {
	case userID:
	case "":
		day := chart.Day.Bucket(s.Now()).Format(time.DateOnly)
		name := s.Box.Name("visitor "+day, []byte(api.IPKey(from)))
		s.Engine.Count("perUserPv", userID, "pv.visitor", 1)
		s.Engine.Seen("perUserPv", userID, "upv.visitor", base64.RawURLEncoding.EncodeToString(name[:12]))
	default:
		s.Engine.Count("perUserPv", userID, "pv.user", 1)
		s.Engine.Seen("perUserPv", userID, "upv.user", viewer)
	}
}
