package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"buttersc.one/oven/internal/lib/id"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// The older way of letting an app in: with its secret it begins a session, the
// person accepts the session, and with its secret again it fetches the token.

var (
	errGenerateNoApp  = api.Err("NO_SUCH_APP", "92f93e63-428e-4f2f-a5a4-39e1407fe998", "There is no such app.")
	errSessionNone    = api.Err("NO_SUCH_SESSION", "bd72c97d-eba7-4adb-a467-f171b8847250", "There is no such session.")
	errAcceptNone     = api.Err("NO_SUCH_SESSION", "9c72d8de-391a-43c1-9d06-08d29efde8df", "There is no such session.")
	errUserkeyNoApp   = api.Err("NO_SUCH_APP", "fcab192a-2c5a-43b7-8ad8-9b7054d8d40d", "There is no such app.")
	errUserkeyNone    = api.Err("NO_SUCH_SESSION", "5b5a1503-8bc8-4bd0-8054-dc189e8cdcb3", "There is no such session.")
	errUserkeyPending = api.Err("PENDING_SESSION", "8c8a4145-02cc-4cca-8e66-29ba60445a8e", "The person has not let the app in yet.")
)

// ErrNoSession says that there is no such session, or not any more.
var ErrNoSession = errors.New("no such session")

// sessionFor is how long an app waits for the person, and then may take to
// fetch its token.
const (
	sessionFor    = time.Hour
	sessionLength = 36
)

type generateReq struct {
	AppSecret string `json:"appSecret" api:"required,max=256"`
}

type generateRes struct {
	Token string `json:"token"`
	URL   string `json:"url"`
}

const (
	sqlSessionInsert = `INSERT INTO auth_session (id, token, app_id, expires_at) VALUES ($1, $2, $3, $4)`
	sqlSessionsOver  = `DELETE FROM auth_session WHERE expires_at < $1`
)

func (s *Service) apiSessionGenerate(ctx context.Context, _ *api.Call, req generateReq) (*generateRes, error) {
	a, err := s.findApp(ctx, s.db, errGenerateNoApp, sqlAppSecret, hashToken(req.AppSecret))
	if err != nil {
		return nil, err
	}
	token, now := id.RandomMixed(sessionLength), time.Now()
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlSessionsOver, now); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlSessionInsert, s.ids.Now(), token, a.ID, now.Add(sessionFor))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("begin session: %w", err)
	}
	return &generateRes{Token: token, URL: s.meta.Origin + "/auth/" + token}, nil
}

type sessionReq struct {
	Token string `json:"token" api:"required,max=256"`
}

type sessionRes struct {
	ID    string     `json:"id"`
	App   *PackedApp `json:"app"`
	Token string     `json:"token"`
}

const sqlSession = `SELECT id, app_id FROM auth_session WHERE token = $1 AND expires_at > now()`

func (s *Service) session(ctx context.Context, token string) (sessionID string, a *app, err error) {
	var appID string
	err = s.db.QueryRow(ctx, sqlSession, token).Scan(&sessionID, &appID)
	if pg.NoRows(err) {
		return "", nil, ErrNoSession
	}
	if err != nil {
		return "", nil, fmt.Errorf("session: %w", err)
	}
	a, err = s.findApp(ctx, s.db, ErrNoSession, sqlApp, appID)
	return sessionID, a, err
}

func (s *Service) apiSessionShow(ctx context.Context, c *api.Call, req sessionReq) (*sessionRes, error) {
	sessionID, a, err := s.session(ctx, req.Token)
	if errors.Is(err, ErrNoSession) {
		return nil, errSessionNone
	}
	if err != nil {
		return nil, err
	}
	packed, err := s.packApps(ctx, c.ID(), []*app{a})
	if err != nil {
		return nil, err
	}
	return &sessionRes{ID: sessionID, App: packed[0], Token: req.Token}, nil
}

// Asked is what the page of a session shows.
type Asked struct {
	Name, Description string
	Permission        []string
	Callback          string // "" for none
}

// Session gives what an app asks for; ErrNoSession when it does not any more.
func (s *Service) Session(ctx context.Context, token string) (*Asked, error) {
	_, a, err := s.session(ctx, token)
	if err != nil {
		return nil, err
	}
	return &Asked{Name: a.Name, Description: a.Description, Permission: a.Permission, Callback: Callback(deref(a.CallbackURL))}, nil
}

func (s *Service) apiAccept(ctx context.Context, c *api.Call, req sessionReq) (api.None, error) {
	err := s.Accept(ctx, c.UserID, req.Token)
	if errors.Is(err, ErrNoSession) {
		err = errAcceptNone
	}
	return api.None{}, err
}

// digest is the other form of an older app's token: what the app computes of
// the token and its secret.
func digest(token, secret string) string {
	h := sha256.Sum256([]byte(token + secret))
	return hex.EncodeToString(h[:])
}

const (
	// Only one person can accept a session: a second one would take the app's
	// user away from under it.
	sqlSessionAccept = `UPDATE auth_session SET user_id = $2 WHERE token = $1 AND expires_at > now() AND (user_id IS NULL OR user_id = $2) RETURNING app_id`
	sqlGrantApp      = `
INSERT INTO access_token (id, user_id, app_id, token_hash, token_enc, digest_hash, permission) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (app_id, user_id) WHERE app_id IS NOT NULL DO NOTHING RETURNING id`
)

// Accept lets the app of a session in as the account. An app that is in already
// keeps the token it has.
func (s *Service) Accept(ctx context.Context, userID, token string) error {
	return s.db.Tx(ctx, func(tx *pg.Tx) error {
		var appID string
		err := tx.QueryRow(ctx, sqlSessionAccept, token, userID).Scan(&appID)
		if pg.NoRows(err) {
			return ErrNoSession
		}
		if err != nil {
			return fmt.Errorf("accept session: %w", err)
		}
		a, err := s.findApp(ctx, tx, ErrNoSession, sqlApp, appID)
		if err != nil {
			return err
		}
		secret, err := s.box.Open(a.secretEnc, "app.secret:"+a.ID)
		if err != nil {
			return fmt.Errorf("secret of app %s: %w", a.ID, err)
		}
		fresh, tokenID := id.RandomMixed(accessTokenLength), s.ids.Now()
		err = tx.QueryRow(ctx, sqlGrantApp, tokenID, userID, a.ID, hashToken(fresh), s.box.Seal([]byte(fresh), "access_token:"+tokenID),
			hashToken(digest(fresh, string(secret))), a.Permission).Scan(&tokenID)
		if pg.NoRows(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("let app in: %w", err)
		}
		return s.bus.Emit(ctx, tx, TokenGiven{UserID: userID})
	})
}

const sqlSessionDeny = `DELETE FROM auth_session WHERE token = $1 AND user_id IS NULL`

// Deny ends a session that nobody has accepted.
func (s *Service) Deny(ctx context.Context, token string) error {
	if _, err := s.db.Exec(ctx, sqlSessionDeny, token); err != nil {
		return fmt.Errorf("deny session: %w", err)
	}
	return nil
}

type userkeyReq struct {
	AppSecret string `json:"appSecret" api:"required,max=256"`
	Token     string `json:"token" api:"required,max=256"`
}

type userkeyRes struct {
	AccessToken string         `json:"accessToken"`
	User        *user.Detailed `json:"user"`
}

const (
	sqlSessionTake = `DELETE FROM auth_session WHERE token = $1 AND app_id = $2 AND user_id IS NOT NULL AND expires_at > now() RETURNING user_id`
	sqlSessionWait = `SELECT EXISTS (SELECT FROM auth_session WHERE token = $1 AND app_id = $2 AND expires_at > now())`
	sqlAppToken    = `SELECT id, token_enc FROM access_token WHERE app_id = $1 AND user_id = $2`
)

// apiUserkey hands an app the token of who let it in, once a session.
func (s *Service) apiUserkey(ctx context.Context, _ *api.Call, req userkeyReq) (*userkeyRes, error) {
	a, err := s.findApp(ctx, s.db, errUserkeyNoApp, sqlAppSecret, hashToken(req.AppSecret))
	if err != nil {
		return nil, err
	}
	var userID, tokenID string
	var sealed []byte
	err = s.db.QueryRow(ctx, sqlSessionTake, req.Token, a.ID).Scan(&userID)
	if pg.NoRows(err) {
		var waits bool
		if err := s.db.QueryRow(ctx, sqlSessionWait, req.Token, a.ID).Scan(&waits); err != nil {
			return nil, fmt.Errorf("session: %w", err)
		}
		if waits {
			return nil, errUserkeyPending
		}
		return nil, errUserkeyNone
	}
	if err != nil {
		return nil, fmt.Errorf("take session: %w", err)
	}
	err = s.db.QueryRow(ctx, sqlAppToken, a.ID, userID).Scan(&tokenID, &sealed)
	if pg.NoRows(err) {
		return nil, errUserkeyNone // taken back meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("token of app: %w", err)
	}
	token, err := s.box.Open(sealed, "access_token:"+tokenID)
	if err != nil {
		return nil, fmt.Errorf("token of app: %w", err)
	}
	packed, err := s.packOne(ctx, userID)
	if err != nil {
		return nil, err
	}
	return &userkeyRes{AccessToken: string(token), User: packed}, nil
}

// packOne packs an account as anybody sees it.
func (s *Service) packOne(ctx context.Context, userID string) (*user.Detailed, error) {
	u, err := s.users.ByID(ctx, userID)
	if err != nil {
		return nil, err
	}
	packed, err := s.users.PackDetailed(ctx, "", map[string]*user.User{u.ID: u}, false)
	if err != nil {
		return nil, err
	}
	return packed[u.ID], nil
}
