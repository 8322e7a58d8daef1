package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

// tokenRes is RFC 6749 §5.1, with the account's page as IndieAuth has it.
type tokenRes struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	Scope       string `json:"scope"`
	Me          string `json:"me"`
}

const maxTokenBody = 16 << 10

func tokenHeaders(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}

func serveTokenOptions(w http.ResponseWriter, _ *http.Request) {
	tokenHeaders(w.Header())
	w.Header().Set("Access-Control-Allow-Methods", "POST, OPTIONS")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	w.WriteHeader(http.StatusNoContent)
}

// serveToken exchanges a code for a token (RFC 6749 §4.1.3). Clients are public:
// what proves them is the PKCE verifier.
func (s *Service) serveToken(w http.ResponseWriter, r *http.Request) {
	tokenHeaders(w.Header())
	p, err := tokenParams(w, r)
	var res *tokenRes
	if err == nil {
		res, err = s.exchange(r.Context(), p)
	}
	var e *OAuthError
	switch {
	case err == nil:
		api.Answer(w, res)
	case errors.As(err, &e):
		status := http.StatusBadRequest
		if e.Code == "invalid_client" {
			status = http.StatusUnauthorized
			w.Header().Set("WWW-Authenticate", `Basic realm="Misskey"`)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(e)
	default:
		http.Error(w, "", http.StatusInternalServerError)
	}
}

// tokenParams reads the form, or as Misskey does the JSON object.
func tokenParams(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	bad := oauthErr("invalid_request", "the body is neither a form nor a JSON object of texts")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTokenBody))
	if err != nil {
		return nil, bad
	}
	p := url.Values{}
	switch mt, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mt {
	case "application/json":
		var m map[string]string
		if json.Unmarshal(body, &m) != nil {
			return nil, bad
		}
		for k, v := range m {
			p.Set(k, v)
		}
	case "application/x-www-form-urlencoded":
		if p, err = url.ParseQuery(string(body)); err != nil {
			return nil, bad
		}
	default:
		return nil, bad
	}
	for name, values := range p {
		if len(values) > 1 {
			return nil, oauthErr("invalid_request", "a parameter is there more than once: "+name)
		}
	}
	// A library that does not know yet how clients name themselves here tries
	// the header first.
	if name, secret, ok := r.BasicAuth(); ok {
		id, err := url.QueryUnescape(name)
		if err != nil || secret != "" || p.Has("client_id") && p.Get("client_id") != id {
			return nil, oauthErr("invalid_client", "clients have no secret here")
		}
		p.Set("client_id", id)
	}
	return p, nil
}

var verifierForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

const (
	sqlCode = `
SELECT c.user_id, c.client_id, c.redirect_uri, c.challenge, c.permission, c.name, c.icon_url, c.expires_at, c.used, c.token_id,
	u.username, u.is_suspended OR u.is_deleted
FROM oauth_code c JOIN "user" u ON u.id = c.user_id WHERE c.code_hash = $1 FOR UPDATE OF c`
	sqlCodeUsed  = `UPDATE oauth_code SET used = true, token_id = $2 WHERE code_hash = $1`
	sqlTokenGone = `DELETE FROM access_token WHERE id = $1`
)

// exchange gives the token for a code, once. A code that comes again was stolen
// from one of the two who had it: it takes the token back.
func (s *Service) exchange(ctx context.Context, p url.Values) (res *tokenRes, err error) {
	switch {
	case p.Get("grant_type") == "":
		return nil, oauthErr("invalid_request", "grant_type is missing")
	case p.Get("grant_type") != "authorization_code":
		return nil, oauthErr("unsupported_grant_type", "only codes are exchanged")
	case p.Get("client_secret") != "":
		return nil, oauthErr("invalid_client", "clients have no secret here")
	}
	for _, name := range []string{"code", "client_id", "redirect_uri", "code_verifier"} {
		if p.Get(name) == "" {
			return nil, oauthErr("invalid_request", name+" is missing")
		}
	}
	refused := oauthErr("invalid_grant", "the code is not valid, or not the client's")
	hash := hashToken(p.Get("code"))
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		var g Grant
		var userID, clientID, redirect, challenge, name, username string
		var expires time.Time
		var used, gone bool
		var given *string
		err := tx.QueryRow(ctx, sqlCode, hash).Scan(&userID, &clientID, &redirect, &challenge, &g.Permission, &name, &g.IconURL, &expires, &used, &given, &username, &gone)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if used {
			if given == nil {
				return nil
			}
			if _, err := tx.Exec(ctx, sqlTokenGone, *given); err != nil {
				return err
			}
			return s.revoked(ctx, tx, userID, *given)
		}
		if gone || time.Now().After(expires) || clientID != p.Get("client_id") || redirect != p.Get("redirect_uri") || !proves(p.Get("code_verifier"), challenge) {
			return nil
		}
		g.Name = &name
		tokenID, token, err := s.grantIn(ctx, tx, userID, g)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlCodeUsed, hash, tokenID); err != nil {
			return err
		}
		res = &tokenRes{AccessToken: token, TokenType: "Bearer", Scope: strings.Join(g.Permission, " "), Me: s.meta.Origin + "/@" + username}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("exchange code: %w", err)
	}
	if res == nil {
		return nil, refused
	}
	return res, nil
}

// proves checks a PKCE verifier (RFC 7636 §4.6).
func proves(verifier, challenge string) bool {
	h := sha256.Sum256([]byte(verifier))
	return verifierForm.MatchString(verifier) &&
		subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(h[:])), []byte(challenge)) == 1
}
