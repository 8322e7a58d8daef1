package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Permissions are the scopes an app can be given (behaviour, appendix E).
func Permissions() []string {
	var out []string
	for _, group := range [][2]string{
		{"read write", "account blocks drive favorites following messaging mutes pages page-likes user-groups channels gallery gallery-likes flash flash-likes invite-codes clip-favorite chat"},
		{"read", "notifications reactions federation admin:abuse-user-reports admin:index-stats admin:table-stats admin:user-ips admin:meta admin:server-info admin:show-moderation-log admin:show-user admin:roles admin:relays admin:invite-codes admin:announcements admin:avatar-decorations admin:account admin:emoji admin:queue admin:drive admin:ad"},
		{"write", "notes notifications reactions votes report-abuse admin:delete-account admin:delete-all-files-of-a-user admin:reset-password admin:resolve-abuse-user-report admin:send-email admin:suspend-user admin:unset-user-avatar admin:unset-user-banner admin:unsuspend-user admin:meta admin:user-note admin:roles admin:relays admin:invite-codes admin:announcements admin:avatar-decorations admin:federation admin:account admin:emoji admin:queue admin:promo admin:drive admin:ad"},
	} {
		for _, verb := range strings.Fields(group[0]) {
			for _, noun := range strings.Fields(group[1]) {
				out = append(out, verb+":"+noun)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

type genTokenReq struct {
	Session     api.Opt[string] `json:"session" api:"required,max=128"`
	Name        *string         `json:"name" api:"max=128"`
	Description *string         `json:"description" api:"max=512"`
	IconURL     *string         `json:"iconUrl" api:"max=512"`
	Permission  []string        `json:"permission" api:"required,unique,items-max=64"`
}

type genTokenRes struct {
	Token string `json:"token"`
}

const sqlGrant = `
INSERT INTO access_token (id, user_id, token_hash, token_enc, session, name, description, icon_url, permission)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

// apiGenToken gives an app a token: the second half of MiAuth, called by the
// client that the person is signed in with.
func (s *Service) apiGenToken(ctx context.Context, c *api.Call, req genTokenReq) (*genTokenRes, error) {
	for i, p := range req.Permission {
		if !slices.Contains(Permissions(), p) {
			return nil, api.InvalidParam(fmt.Sprintf("#/properties/permission/%d", i), "no such permission")
		}
	}
	var session *string
	if !req.Session.Null && req.Session.V != "" {
		session = &req.Session.V
	}
	token, err := s.grant(ctx, c.UserID, Grant{Session: deref(session), Name: req.Name, Description: req.Description, IconURL: req.IconURL, Permission: req.Permission})
	if err != nil {
		return nil, err
	}
	return &genTokenRes{Token: token}, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Grant is what an app is let in with.
type Grant struct {
	Session     string // by which the app fetches its token; "": it was handed over
	Name        *string
	Description *string
	IconURL     *string
	Permission  []string
}

// grant makes an access token of the account.
func (s *Service) grant(ctx context.Context, userID string, g Grant) (token string, err error) {
	err = s.db.Tx(ctx, func(tx *pg.Tx) (err error) {
		_, token, err = s.grantIn(ctx, tx, userID, g)
		return err
	})
	return token, err
}

// grantIn is grant inside a transaction.
func (s *Service) grantIn(ctx context.Context, tx *pg.Tx, userID string, g Grant) (tokenID, token string, err error) {
	tokenID, token = s.ids.Now(), id.RandomMixed(accessTokenLength)
	sealed := s.box.Seal([]byte(token), "access_token:"+tokenID)
	var session *string
	if g.Session != "" {
		session = &g.Session
	}
	if _, err := tx.Exec(ctx, sqlGrant, tokenID, userID, hashToken(token), sealed, session, g.Name, g.Description, g.IconURL, g.Permission); err != nil {
		return "", "", fmt.Errorf("give token: %w", err)
	}
	return tokenID, token, s.bus.Emit(ctx, tx, TokenGiven{UserID: userID})
}

// Allow lets an app in as an account that Enter gave.
func (s *Service) Allow(ctx context.Context, u *user.User, g Grant) error {
	_, err := s.grant(ctx, u.ID, g)
	return err
}

// Routes are the calls that are no endpoints.
func (s *Service) Routes() []api.Route {
	return append(s.oauthRoutes(), api.Route{Pattern: "POST /api/miauth/{session}/check", Handler: http.HandlerFunc(s.serveMiauthCheck)})
}

// The token is handed out once: fetched is set in the statement that reads it.
const sqlMiauthCheck = `
UPDATE access_token SET fetched = true
WHERE id = (SELECT id FROM access_token WHERE session = $1 AND NOT fetched ORDER BY id DESC LIMIT 1) AND NOT fetched
RETURNING id, user_id, token_enc`

type miauthRes struct {
	OK    bool           `json:"ok"`
	Token string         `json:"token,omitempty"`
	User  *user.Detailed `json:"user,omitempty"`
}

// serveMiauthCheck hands the app its token, once per session.
func (s *Service) serveMiauthCheck(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cache-Control", "private, max-age=0, must-revalidate")
	res, err := s.miauthCheck(r.Context(), r.PathValue("session"))
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(res)
}

func (s *Service) miauthCheck(ctx context.Context, session string) (*miauthRes, error) {
	var tokenID, userID string
	var sealed []byte
	err := s.db.QueryRow(ctx, sqlMiauthCheck, session).Scan(&tokenID, &userID, &sealed)
	if pg.NoRows(err) {
		return &miauthRes{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("miauth: %w", err)
	}
	token, err := s.box.Open(sealed, "access_token:"+tokenID)
	if err != nil {
		return nil, fmt.Errorf("miauth: %w", err)
	}
	packed, err := s.packOne(ctx, userID)
	if err != nil {
		return nil, err
	}
	return &miauthRes{OK: true, Token: string(token), User: packed}, nil
}
