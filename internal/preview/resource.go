package preview

import (
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"

	"buttersc.one/oven/internal/socket/api"
)

const resourceMost = 4 << 20 // bytes

var (
	errNoResource = api.Err("EXT_RESOURCE_RETURNED_INVALID_SCHEMA", "bb774091-7a15-4a70-9dc5-6ac8cf125856", "There is nothing that can be installed at this address.")
	errOtherHash  = api.Err("EXT_RESOURCE_HASH_DIDNT_MATCH", "693ba8ba-b486-40df-a174-72f8279b56a4", "What is at this address is not what it was said to be.")
)

type resourceReq struct {
	URL  string `json:"url" api:"required"`
	Hash string `json:"hash" api:"required"` // SHA-512 of data in hex, with lines ended by \n
}

type resource struct {
	Type string `json:"type"`
	Data string `json:"data"`
}

// apiResource fetches a theme or a plug-in that its maker's site offers to install.
// The hash says that it is the one that the reader was shown.
func (s *Service) apiResource(ctx context.Context, c *api.Call, req resourceReq) (*resource, error) {
	u, host, ok := target(req.URL)
	if !ok {
		return nil, api.InvalidParam("#/properties/url", "must be an http address")
	}
	if err := s.askBudget(c.IP); err != nil {
		return nil, api.ErrRateLimit
	}
	at := u.String()
	a, err := once(ctx, s, "resource "+at, func(ctx context.Context) (*answer, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := s.hostBudget(host); err != nil {
			return nil, err
		}
		return s.fetch(ctx, ask{url: at, accept: "application/json, */*;q=0.1", max: resourceMost})
	})
	switch {
	case errors.Is(err, errNothing):
		return nil, errNoResource
	case errors.Is(err, errBusy):
		return nil, api.ErrRateLimit
	case err != nil:
		return nil, err
	}
	r := &resource{}
	if json.Unmarshal(a.body, r) != nil || r.Type == "" || r.Data == "" {
		return nil, errNoResource
	}
	sum := sha512.Sum512([]byte(strings.ReplaceAll(r.Data, "\r\n", "\n")))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(req.Hash))) != 1 {
		return nil, errOtherHash
	}
	return r, nil
}
