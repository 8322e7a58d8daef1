package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

func (s *Service) inviteEndpoints() []api.Endpoint {
	may := api.Policy("canInvite")
	return []api.Endpoint{
		api.Post("invite/create", s.apiInvite, api.Scope("write:invite-codes"), may, api.Errors(errInviteLimit)),
		api.Post("invite/delete", s.apiUninvite, api.Scope("write:invite-codes"), may, api.Errors(errNoInvite, errInviteUsed, errInviteDenied)),
		api.Post("invite/list", s.apiInvites, api.Scope("read:invite-codes"), may),
		api.Post("invite/limit", s.apiInviteLimit, api.Scope("read:invite-codes"), may),
		api.Post("admin/invite/create", s.apiAdminInvite, api.Moderator("write:admin:invite-codes"), api.Errors(errInviteDate)),
		api.Post("admin/invite/list", s.apiAdminInvites, api.Moderator("read:admin:invite-codes")),
	}
}

// An invitation is good until it is spent or too old, and not while a sign-up
// that waits holds it. The letter of such a sign-up is good for half an hour;
// then the invitation is, too.
const usable = `NOT t.spent AND (t.expires_at IS NULL OR t.expires_at > $2)
	AND (t.pending_id IS NULL OR EXISTS (SELECT FROM signup_pending p WHERE p.id = t.pending_id AND p.waits_for = 'mail' AND p.expires_at <= $2))`

const (
	// By the code, in the statement that spends it: of many at once one has it.
	sqlRedeem      = `UPDATE registration_ticket t SET spent = true, pending_id = NULL, used_by_id = $3, used_at = $2 WHERE t.code = $1 AND ` + usable
	sqlHold        = `UPDATE registration_ticket t SET pending_id = $3, used_at = $2 WHERE t.code = $1 AND ` + usable
	sqlRedeemHeld  = `UPDATE registration_ticket SET spent = true, pending_id = NULL, used_by_id = $2, used_at = $3 WHERE pending_id = $1`
	sqlSpendHeld   = `UPDATE registration_ticket SET spent = true, pending_id = NULL WHERE pending_id = $1`
	sqlReleaseLate = `
UPDATE registration_ticket t SET pending_id = NULL, used_at = NULL
FROM signup_pending p WHERE p.id = t.pending_id AND p.waits_for = 'mail' AND p.expires_at <= $1`
)

func inviteCode(given string) string { return strings.ToUpper(strings.TrimSpace(given)) }

// invited spends the invitation of an account that is made, where one is
// needed: registration is closed, and neither the operator nor nobody at all
// was here before.
func (s *Service) invited(ctx context.Context, tx *pg.Tx, m made, userID string, first bool) error {
	if m.pending != "" {
		_, err := tx.Exec(ctx, sqlRedeemHeld, m.pending, userID, s.now())
		return err
	}
	if first || m.Operator || !s.meta.Get().DisableRegistration {
		return nil
	}
	return s.take(ctx, tx, sqlRedeem, m.Invitation, userID)
}

// hold keeps the invitation for a sign-up that waits.
func (s *Service) hold(ctx context.Context, tx *pg.Tx, code, pendingID string) error {
	return s.take(ctx, tx, sqlHold, code, pendingID)
}

func (s *Service) take(ctx context.Context, tx *pg.Tx, sql, code, by string) error {
	if code = inviteCode(code); code == "" {
		return ErrRegistration
	}
	tag, err := tx.Exec(ctx, sql, code, s.now(), by)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return ErrInvitation
	}
	return nil
}

// ticket is an invitation.
type ticket struct {
	ID        string
	Code      string
	CreatedBy *string
	ExpiresAt *time.Time
	UsedBy    *string
	UsedAt    *time.Time
}

// Invite is an invitation as those who may see it do.
type Invite struct {
	ID        string     `json:"id"`
	Code      string     `json:"code"`
	ExpiresAt *api.Time  `json:"expiresAt"`
	CreatedAt api.Time   `json:"createdAt"`
	CreatedBy *user.Lite `json:"createdBy"`
	UsedBy    *user.Lite `json:"usedBy"`
	UsedAt    *api.Time  `json:"usedAt"`
	Used      bool       `json:"used"`
}

const ticketColumns = `t.id, t.code, t.created_by_id, t.expires_at, t.used_by_id, t.used_at`

func scanTicket(r pgx.CollectableRow) (*ticket, error) {
	t := &ticket{}
	return t, r.Scan(&t.ID, &t.Code, &t.CreatedBy, &t.ExpiresAt, &t.UsedBy, &t.UsedAt)
}

func (s *Service) packInvites(ctx context.Context, list []*ticket) ([]*Invite, error) {
	var ids []string
	for _, t := range list {
		for _, by := range []*string{t.CreatedBy, t.UsedBy} {
			if by != nil {
				ids = append(ids, *by)
			}
		}
	}
	us, err := s.users.ByIDs(ctx, s.db, ids)
	if err != nil {
		return nil, err
	}
	lites, err := s.users.PackLite(ctx, us)
	if err != nil {
		return nil, err
	}
	out := make([]*Invite, 0, len(list))
	for _, t := range list {
		made, err := s.ids.Method().Time(t.ID)
		if err != nil {
			return nil, err
		}
		in := &Invite{ID: t.ID, Code: t.Code, ExpiresAt: api.TimePtr(t.ExpiresAt), CreatedAt: api.Time(made), UsedAt: api.TimePtr(t.UsedAt), Used: t.UsedAt != nil}
		if t.CreatedBy != nil {
			in.CreatedBy = lites[*t.CreatedBy]
		}
		if t.UsedBy != nil {
			in.UsedBy = lites[*t.UsedBy]
		}
		out = append(out, in)
	}
	return out, nil
}

// codeAlphabet leaves out what is mistaken for something else.
const codeAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

// newCode is eight characters of chance and the minute.
func (s *Service) newCode() (string, error) {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	for i := range b {
		b[i] = codeAlphabet[int(b[i])%len(codeAlphabet)]
	}
	return string(b) + strings.ToUpper(strconv.FormatInt(s.now().Unix()/60, 32)), nil
}

const sqlInvite = `INSERT INTO registration_ticket (id, code, created_by_id, expires_at) VALUES ($1, $2, $3, $4)`

func (s *Service) invite(ctx context.Context, tx *pg.Tx, by string, until *time.Time) (*ticket, error) {
	code, err := s.newCode()
	if err != nil {
		return nil, err
	}
	t := &ticket{ID: s.ids.Now(), Code: code, CreatedBy: &by, ExpiresAt: until}
	if _, err := tx.Exec(ctx, sqlInvite, t.ID, t.Code, by, until); err != nil {
		return nil, fmt.Errorf("invite: %w", err)
	}
	return t, nil
}

var errInviteLimit = api.Err("EXCEEDED_LIMIT_OF_CREATE_INVITE_CODE", "8b165dd3-6f37-4557-8db1-73175d63c641", "You have made as many invitations as you may for now.")

const sqlInvitesSince = `SELECT count(*) FROM registration_ticket WHERE created_by_id = $1 AND id > $2`

// invitesLeft is how many invitations the account may still make in its cycle;
// nil: as many as it likes.
func (s *Service) invitesLeft(ctx context.Context, q pg.Q, userID string, p *role.Policies) (*int, error) {
	if p.InviteLimit <= 0 {
		return nil, nil //nolint:nilnil // no limit
	}
	var made int
	since := s.ids.Method().Before(s.now().Add(-time.Duration(p.InviteLimitCycle) * time.Minute))
	if err := q.QueryRow(ctx, sqlInvitesSince, userID, since).Scan(&made); err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	left := max(0, p.InviteLimit-made)
	return &left, nil
}

func (s *Service) apiInvite(ctx context.Context, c *api.Call, _ struct{}) (*Invite, error) {
	p, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	var t *ticket
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		// One at a time: the count is of what is there.
		if _, err := tx.Exec(ctx, sqlAccountLock, c.UserID); err != nil {
			return err
		}
		left, err := s.invitesLeft(ctx, tx, c.UserID, p)
		if err != nil {
			return err
		}
		if left != nil && *left == 0 {
			return errInviteLimit
		}
		var until *time.Time
		if p.InviteExpirationTime > 0 {
			at := s.now().Add(time.Duration(p.InviteExpirationTime) * time.Minute)
			until = &at
		}
		t, err = s.invite(ctx, tx, c.UserID, until)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("invite: %w", err)
	}
	list, err := s.packInvites(ctx, []*ticket{t})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

type uninviteReq struct {
	InviteID string `json:"inviteId" api:"required,id"`
}

var (
	errNoInvite     = api.Err("NO_SUCH_INVITE_CODE", "cd4f9ae4-7854-4e3e-8df9-c296f051e634", "There is no such invitation.")
	errInviteUsed   = api.Err("CAN_NOT_DELETE_INVITE_CODE", "ff17af39-000c-4d4e-abdf-848fa30fc1ce", "The invitation was used.")
	errInviteDenied = api.Err("ACCESS_DENIED", "5eb8d909-2540-4970-90b8-dd6f86088121", "The invitation is not yours.")
)

const (
	sqlTicket   = `SELECT ` + ticketColumns + ` FROM registration_ticket t WHERE t.id = $1 FOR UPDATE`
	sqlUninvite = `DELETE FROM registration_ticket WHERE id = $1`
)

// apiUninvite takes back an invitation that nobody has used: its maker, or a
// moderator.
func (s *Service) apiUninvite(ctx context.Context, c *api.Call, req uninviteReq) (api.None, error) {
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		rows, err := tx.Query(ctx, sqlTicket, req.InviteID)
		if err != nil {
			return err
		}
		t, err := pgx.CollectExactlyOneRow(rows, scanTicket)
		switch {
		case pg.NoRows(err):
			return errNoInvite
		case err != nil:
			return err
		case !c.Moderator && (t.CreatedBy == nil || *t.CreatedBy != c.UserID):
			return errInviteDenied
		case t.UsedAt != nil:
			return errInviteUsed
		}
		_, err = tx.Exec(ctx, sqlUninvite, t.ID)
		return err
	})
	if err != nil {
		return api.None{}, fmt.Errorf("take back invitation: %w", err)
	}
	return api.None{}, nil
}

type invitesReq struct {
	Limit int `json:"limit" api:"min=1,max=100,default=30"`
	api.Page
}

const sqlTickets = `SELECT ` + ticketColumns + ` FROM registration_ticket t`

func (s *Service) tickets(ctx context.Context, sql string, args ...any) ([]*Invite, error) {
	rows, err := s.db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanTicket)
	if err != nil {
		return nil, fmt.Errorf("invitations: %w", err)
	}
	return s.packInvites(ctx, list)
}

func (s *Service) apiInvites(ctx context.Context, c *api.Call, req invitesReq) ([]*Invite, error) {
	var w pg.Where
	w.And("t.created_by_id = ?", c.UserID)
	order := req.Apply(&w, s.ids.Method(), req.Limit)
	return s.tickets(ctx, sqlTickets+w.SQL()+order, w.Args...)
}

type inviteLimitRes struct {
	Remaining *int `json:"remaining"`
}

func (s *Service) apiInviteLimit(ctx context.Context, c *api.Call, _ struct{}) (*inviteLimitRes, error) {
	p, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	left, err := s.invitesLeft(ctx, s.db, c.UserID, p)
	if err != nil {
		return nil, err
	}
	return &inviteLimitRes{Remaining: left}, nil
}

type adminInviteReq struct {
	Count     int     `json:"count" api:"min=1,max=100,default=1"`
	ExpiresAt *string `json:"expiresAt" api:"nullable,max=64"`
}

var errInviteDate = api.Err("INVALID_DATE_TIME", "f1380b15-3760-4c6c-a1db-5c3aaf1cbd49", "That is no date and time.")

func (s *Service) apiAdminInvite(ctx context.Context, c *api.Call, req adminInviteReq) ([]*Invite, error) {
	var until *time.Time
	if req.ExpiresAt != nil {
		at, err := time.Parse(time.RFC3339, *req.ExpiresAt)
		if err != nil {
			return nil, errInviteDate
		}
		until = &at
	}
	var made []*ticket
	err := s.db.Tx(ctx, func(tx *pg.Tx) error {
		made = nil
		ids := []string{}
		for range req.Count {
			t, err := s.invite(ctx, tx, c.UserID, until)
			if err != nil {
				return err
			}
			made, ids = append(made, t), append(ids, t.ID)
		}
		return s.bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: "createInvitation", Info: map[string]any{"invitationIds": ids}})
	})
	if err != nil {
		return nil, err
	}
	return s.packInvites(ctx, made)
}

type adminInvitesReq struct {
	Limit  int     `json:"limit" api:"min=1,max=100,default=30"`
	Offset int     `json:"offset" api:"min=0,default=0"`
	Type   string  `json:"type" api:"enum=unused|used|expired|all,default=all"`
	Sort   *string `json:"sort" api:"enum=+createdAt|-createdAt|+usedAt|-usedAt"`
}

// errSort cannot happen: the parameter's check lets nothing else through.
var errSort = errors.New("no such order")

func (s *Service) apiAdminInvites(ctx context.Context, _ *api.Call, req adminInvitesReq) ([]*Invite, error) {
	var w pg.Where
	switch req.Type {
	case "unused":
		w.And("t.used_at IS NULL AND NOT t.spent AND (t.expires_at IS NULL OR t.expires_at > ?)", s.now())
	case "used":
		w.And("t.used_at IS NOT NULL")
	case "expired":
		w.And("t.used_at IS NULL AND t.expires_at <= ?", s.now())
	}
	order, ok := map[string]string{
		"": " ORDER BY t.id DESC", "-createdAt": " ORDER BY t.id DESC", "+createdAt": " ORDER BY t.id ASC",
		"-usedAt": " ORDER BY t.used_at DESC NULLS LAST, t.id DESC", "+usedAt": " ORDER BY t.used_at ASC NULLS FIRST, t.id ASC",
	}[deref(req.Sort)]
	if !ok {
		return nil, errSort
	}
	return s.tickets(ctx, sqlTickets+w.SQL()+order+pg.Limit(req.Limit)+pg.Offset(req.Offset), w.Args...)
}
