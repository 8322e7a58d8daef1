package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// challengeFor is how long somebody may take to find his key.
const challengeFor = 5 * time.Minute

// webauthn is the relying party: keys are for this server's host name, without
// port, as they are in Misskey.
func (s *Service) webauthn() (*webauthn.WebAuthn, error) {
	name := s.meta.Host
	if n := s.meta.Get().Name; n != nil && *n != "" {
		name = *n
	}
	timeout := webauthn.TimeoutConfig{Timeout: challengeFor, TimeoutUVD: challengeFor}
	return webauthn.New(&webauthn.Config{
		RPID: s.meta.Hostname, RPDisplayName: name, RPOrigins: []string{s.meta.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		Timeouts:              webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
}

// keyOwner is an account as the library sees it.
type keyOwner struct {
	id, name, display string
	keys              []webauthn.Credential
}

func (o *keyOwner) WebAuthnID() []byte                         { return []byte(o.id) }
func (o *keyOwner) WebAuthnName() string                       { return o.name }
func (o *keyOwner) WebAuthnDisplayName() string                { return o.display }
func (o *keyOwner) WebAuthnCredentials() []webauthn.Credential { return o.keys }

const sqlKeys = `SELECT id, credential_enc FROM security_key WHERE user_id = $1 ORDER BY id`

func (s *Service) keyOwner(ctx context.Context, u *user.User) (*keyOwner, error) {
	o := &keyOwner{id: u.ID, name: u.Username, display: u.Username}
	if u.Name != nil && *u.Name != "" {
		o.display = *u.Name
	}
	rows, err := s.db.Query(ctx, sqlKeys, u.ID)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	o.keys, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (c webauthn.Credential, err error) {
		var id string
		var sealed []byte
		if err := r.Scan(&id, &sealed); err != nil {
			return c, err
		}
		plain, err := s.box.Open(sealed, keyContext(id))
		if err != nil {
			return c, err
		}
		return c, json.Unmarshal(plain, &c)
	})
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return o, nil
}

func keyContext(id string) string { return "security_key.credential:" + id }

func keyID(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func (s *Service) sealKey(c *webauthn.Credential) ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return s.box.Seal(b, keyContext(keyID(c.ID))), nil
}

// What an authenticator may be asked to sign for.
const (
	forKey     = "key"     // subject: the account that registers one
	forSignin  = "signin"  // subject: the account that is signed in to
	forPasskey = "passkey" // subject: the context of a sign-in without a name
)

const (
	sqlChallenge = `INSERT INTO auth_challenge (challenge, purpose, subject, session_enc, proof, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`
	sqlAsked     = `SELECT session_enc, proof FROM auth_challenge WHERE challenge = $1 AND purpose = $2 AND subject = $3 AND expires_at > $4`
	sqlAnswered  = `DELETE FROM auth_challenge WHERE challenge = $1 AND purpose = $2 AND subject = $3 AND expires_at > $4 RETURNING session_enc`
)

// ask remembers what an authenticator is asked; proof is a hash of the code
// that the asker has shown.
func (s *Service) ask(ctx context.Context, purpose, subject string, session *webauthn.SessionData, proof []byte) error {
	session.Expires = time.Time{} // the row's own
	b, err := json.Marshal(session)
	if err != nil {
		return err
	}
	sealed := s.box.Seal(b, "auth_challenge:"+session.Challenge)
	if _, err := s.db.Exec(ctx, sqlChallenge, session.Challenge, purpose, subject, sealed, proof, s.now().Add(challengeFor)); err != nil {
		return fmt.Errorf("challenge: %w", err)
	}
	return nil
}

// errNoChallenge says that nobody asked for this answer, or that it was given
// already.
var errNoChallenge = errors.New("no such challenge")

// answered takes what was asked back: each answer counts once.
func (s *Service) answered(ctx context.Context, purpose, subject, challenge string) (*webauthn.SessionData, error) {
	var sealed []byte
	if err := s.db.QueryRow(ctx, sqlAnswered, challenge, purpose, subject, s.now()).Scan(&sealed); err != nil {
		if pg.NoRows(err) {
			return nil, errNoChallenge
		}
		return nil, fmt.Errorf("challenge: %w", err)
	}
	plain, err := s.box.Open(sealed, "auth_challenge:"+challenge)
	if err != nil {
		return nil, fmt.Errorf("challenge: %w", err)
	}
	session := &webauthn.SessionData{}
	return session, json.Unmarshal(plain, session)
}

var (
	errRegisterKeyPassword = api.Err("INCORRECT_PASSWORD", "38769596-efe2-4faf-9bec-abbb3f2cd9ba", "The password is not right.")
	errRegisterKeyNoTOTP   = api.Err("TWO_FACTOR_NOT_ENABLED", "bf32b864-449b-47b8-974e-f9a5468546f1", "Set up an authenticator first.")
	errNoPasskeys          = api.Err("NO_PASSKEYS_HERE", "7f0a3f4b-2b0e-4b4f-9a53-6c8f1b7d2a01", "Passkeys need a server with a domain name.")
)

// apiRegisterKey begins to add a passkey.
func (s *Service) apiRegisterKey(ctx context.Context, c *api.Call, req proofReq) (*protocol.PublicKeyCredentialCreationOptions, error) {
	if err := s.Prove(ctx, c, req.Password, req.Token, errRegisterKeyPassword); err != nil {
		return nil, err
	}
	f, err := s.factors(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if !f.enabled {
		return nil, errRegisterKeyNoTOTP
	}
	u, err := s.users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	owner, err := s.keyOwner(ctx, u)
	if err != nil {
		return nil, err
	}
	w, err := s.webauthn()
	if err != nil {
		return nil, errNoPasskeys
	}
	have := make([]protocol.CredentialDescriptor, 0, len(owner.keys))
	for i := range owner.keys {
		have = append(have, owner.keys[i].Descriptor())
	}
	// Whoever has the device must still show that it is his: a key that cannot
	// ask for a PIN or a finger would be half a factor when no password is asked.
	creation, session, err := w.BeginRegistration(owner, webauthn.WithExclusions(have), webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
		UserVerification: protocol.VerificationRequired,
	}))
	if err != nil {
		return nil, errNoPasskeys
	}
	if err := s.ask(ctx, forKey, c.UserID, session, hashToken(plainCode(*req.Token))); err != nil {
		return nil, err
	}
	return &creation.Response, nil
}

type keyDoneReq struct {
	proofReq
	Name       string          `json:"name" api:"required,min=1,max=30"`
	Credential json.RawMessage `json:"credential" api:"required"`
}

type keyDoneRes struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

var (
	errKeyDonePassword = api.Err("INCORRECT_PASSWORD", "0d7ec6d2-e652-443e-a7bf-9ee9a0cd77b0", "The password is not right.")
	errKeyDoneNoTOTP   = api.Err("TWO_FACTOR_NOT_ENABLED", "798d6847-b1ed-4f9c-b1f9-163c42655995", "Set up an authenticator first.")
	errKeyDone         = api.Err("KEY_NOT_VERIFIED", "3a4b8a55-1d37-4f2e-8a4c-8e1f4f9d2c02", "The key's answer is not to what was asked, or not in time.")
)

const sqlAddKey = `
INSERT INTO security_key (id, user_id, name, credential_enc, last_used_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO NOTHING`

// apiKeyDone adds the passkey that has answered. The code that was shown when
// it was asked is good here too: clients ask for it once.
func (s *Service) apiKeyDone(ctx context.Context, c *api.Call, req keyDoneReq) (*keyDoneRes, error) {
	f, err := s.factors(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	parsed, perr := protocol.ParseCredentialCreationResponseBytes(req.Credential)
	var challenge string
	var shown bool
	if perr == nil {
		challenge = parsed.Response.CollectedClientData.Challenge
		var session, proof []byte
		err := s.db.QueryRow(ctx, sqlAsked, challenge, forKey, c.UserID, s.now()).Scan(&session, &proof)
		if err != nil && !pg.NoRows(err) {
			return nil, fmt.Errorf("challenge: %w", err)
		}
		shown = err == nil && req.Token != nil && string(proof) == string(hashToken(plainCode(*req.Token)))
	}
	if err := s.proveUnless(ctx, c, req.Password, req.Token, shown, errKeyDonePassword); err != nil {
		return nil, err
	}
	switch {
	case !f.enabled:
		return nil, errKeyDoneNoTOTP
	case perr != nil:
		return nil, errKeyDone
	}
	session, err := s.answered(ctx, forKey, c.UserID, challenge)
	if errors.Is(err, errNoChallenge) {
		return nil, errKeyDone
	}
	if err != nil {
		return nil, err
	}
	w, err := s.webauthn()
	if err != nil {
		return nil, errNoPasskeys
	}
	key, err := w.CreateCredential(&keyOwner{id: c.UserID}, *session, parsed)
	if err != nil {
		return nil, errKeyDone
	}
	sealed, err := s.sealKey(key)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlAddKey, keyID(key.ID), c.UserID, req.Name, sealed, s.now())
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return errKeyDone // WebAuthn §7.1: an id that is in use is refused
		}
		return s.updated(ctx, tx, c.UserID)
	})
	if err != nil {
		return nil, fmt.Errorf("add key: %w", err)
	}
	return &keyDoneRes{ID: keyID(key.ID), Name: req.Name}, nil
}

type updateKeyReq struct {
	Name         string `json:"name" api:"required,min=1,max=30"`
	CredentialID string `json:"credentialId" api:"required,max=2048"`
}

var (
	errUpdateNoKey  = api.Err("NO_SUCH_KEY", "f9c5467f-d492-4d3c-9a8g-a70dacc86512", "There is no such key.")
	errUpdateDenied = api.Err("ACCESS_DENIED", "1fb7cb09-d46a-4fff-b8df-057708cce513", "The key is not yours.")
)

const (
	sqlKeyOwner  = `SELECT user_id FROM security_key WHERE id = $1`
	sqlRenameKey = `UPDATE security_key SET name = $3 WHERE id = $1 AND user_id = $2`
)

func (s *Service) apiUpdateKey(ctx context.Context, c *api.Call, req updateKeyReq) (api.None, error) {
	var owner string
	err := s.db.QueryRow(ctx, sqlKeyOwner, req.CredentialID).Scan(&owner)
	switch {
	case pg.NoRows(err):
		return api.None{}, errUpdateNoKey
	case err != nil:
		return api.None{}, fmt.Errorf("key: %w", err)
	case owner != c.UserID:
		return api.None{}, errUpdateDenied
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlRenameKey, req.CredentialID, c.UserID, req.Name); err != nil {
			return fmt.Errorf("rename key: %w", err)
		}
		return s.updated(ctx, tx, c.UserID)
	})
}

type removeKeyReq struct {
	proofReq
	CredentialID string `json:"credentialId" api:"required,max=2048"`
}

var errRemovePassword = api.Err("INCORRECT_PASSWORD", "141c598d-a825-44c8-9173-cfb9d92be493", "The password is not right.")

const (
	sqlRemoveKey = `DELETE FROM security_key WHERE id = $1 AND user_id = $2`
	// Without a key the password is asked for again.
	sqlNeedPassword = `UPDATE account SET password_less = false
WHERE user_id = $1 AND password_less AND NOT EXISTS (SELECT FROM security_key WHERE user_id = $1)`
)

func (s *Service) apiRemoveKey(ctx context.Context, c *api.Call, req removeKeyReq) (api.None, error) {
	if err := s.Prove(ctx, c, req.Password, req.Token, errRemovePassword); err != nil {
		return api.None{}, err
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlRemoveKey, req.CredentialID, c.UserID); err != nil {
			return fmt.Errorf("remove key: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlNeedPassword, c.UserID); err != nil {
			return fmt.Errorf("remove key: %w", err)
		}
		return s.updated(ctx, tx, c.UserID)
	})
}

type passwordLessReq struct {
	Value bool `json:"value" api:"required"`
}

var errNoKey = api.Err("NO_SECURITY_KEY", "f9c54d7f-d4c2-4d3c-9a8g-a70daac86512", "There is no passkey.")

const sqlPasswordLess = `
UPDATE account SET password_less = $2
WHERE user_id = $1 AND (NOT $2 OR two_factor_enabled AND EXISTS (SELECT FROM security_key WHERE user_id = $1))`

// apiPasswordLess lets a passkey alone sign the account in, or no longer.
func (s *Service) apiPasswordLess(ctx context.Context, c *api.Call, req passwordLessReq) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		tag, err := tx.Exec(ctx, sqlPasswordLess, c.UserID, req.Value)
		if err != nil {
			return fmt.Errorf("password-less: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errNoKey
		}
		return s.updated(ctx, tx, c.UserID)
	})
}

// request has an account's passkeys asked.
func (s *Service) request(ctx context.Context, u *user.User) (*protocol.PublicKeyCredentialRequestOptions, error) {
	owner, err := s.keyOwner(ctx, u)
	if err != nil {
		return nil, err
	}
	w, err := s.webauthn()
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	assertion, session, err := w.BeginLogin(owner, webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, fmt.Errorf("passkeys: %w", err)
	}
	return &assertion.Response, s.ask(ctx, forSignin, u.ID, session, nil)
}

// Why an assertion was refused.
var (
	errUnknownKey = errors.New("unknown key")
	errAssertion  = errors.New("the key's answer does not verify")
)

const sqlKeyUsed = `UPDATE security_key SET credential_enc = $3, last_used_at = $4 WHERE id = $1 AND user_id = $2`

// verify checks what a passkey of the account has answered to. Errors that are
// the answer's fault are errNoChallenge, errUnknownKey and errAssertion.
func (s *Service) verify(ctx context.Context, u *user.User, purpose, subject string, parsed *protocol.ParsedCredentialAssertionData) error {
	session, err := s.answered(ctx, purpose, subject, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return err
	}
	owner, err := s.keyOwner(ctx, u)
	if err != nil {
		return err
	}
	w, err := s.webauthn()
	if err != nil {
		return fmt.Errorf("passkeys: %w", err)
	}
	var key *webauthn.Credential
	if purpose == forPasskey {
		_, key, err = w.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
			if string(handle) != owner.id {
				return nil, errUnknownKey
			}
			return owner, nil
		}, *session, parsed)
	} else {
		key, err = w.ValidateLogin(owner, *session, parsed)
	}
	var unknown *protocol.ErrorUnknownCredential
	switch {
	case errors.As(err, &unknown):
		return errUnknownKey
	case err != nil, key.Authenticator.CloneWarning:
		return errAssertion
	}
	sealed, err := s.sealKey(key)
	if err != nil {
		return err
	}
	if _, err := s.db.Exec(ctx, sqlKeyUsed, keyID(key.ID), u.ID, sealed, s.now()); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	return nil
}
