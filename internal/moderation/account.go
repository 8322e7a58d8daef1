package moderation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// accountEndpoints show accounts to moderators, and what is kept of them.
func (s *Service) accountEndpoints() []api.Endpoint {
	return []api.Endpoint{
		api.Post("admin/show-user", s.apiShowUser, api.Moderator("read:admin:show-user"), api.Errors(errShowNone, errShowDenied)),
		api.Post("admin/show-users", s.apiShowUsers, api.Moderator("read:admin:show-user")),
		api.Post("admin/get-user-ips", s.apiUserIPs, api.Moderator("read:admin:user-ips"), api.Errors(errShowNone, errShowDenied)),
		api.Post("admin/accounts/find-by-email", s.apiFindByEmail, api.Admin("read:admin:account"), api.Errors(errFindNone)),
		api.Post("admin/update-user-note", s.apiUserNote, api.Moderator("write:admin:user-note"), api.Errors(errNoteNone)),
		api.Post("admin/send-email", s.apiSendEmail, api.Moderator("write:admin:send-email"), api.Errors(errMailOff, errMailAddress)),
	}
}

var (
	errShowNone   = api.Err("NO_SUCH_USER", "9b4f5c70-1d2e-4d43-8f7a-5b6e0a3c2d01", "There is no such account.")
	errShowDenied = api.Err("ACCESS_DENIED", "9b4f5c70-1d2e-4d43-8f7a-5b6e0a3c2d02", "Only administrators may look at an administrator's account.")
	errFindNone   = api.Err("USER_NOT_FOUND", "cb865949-8af5-4062-a88c-ef55e8786d1d", "No account has that address.")
	errNoteNone   = api.Err("NO_SUCH_USER", "9b4f5c70-1d2e-4d43-8f7a-5b6e0a3c2d03", "There is no such account.")
)

// shown is an account as moderators see it: what others do not.
type shown struct {
	Email                *string           `json:"email"`
	EmailVerified        bool              `json:"emailVerified"`
	FollowedMessage      *string           `json:"followedMessage"`
	AutoAcceptFollowed   bool              `json:"autoAcceptFollowed"`
	NoCrawle             bool              `json:"noCrawle"`
	PreventAiLearning    bool              `json:"preventAiLearning"`
	AlwaysMarkNsfw       bool              `json:"alwaysMarkNsfw"`
	AutoSensitive        bool              `json:"autoSensitive"`
	CarefulBot           bool              `json:"carefulBot"`
	InjectFeaturedNote   bool              `json:"injectFeaturedNote"`
	ReceiveAnnouncements bool              `json:"receiveAnnouncementEmail"`
	MutedWords           json.RawMessage   `json:"mutedWords"`
	MutedInstances       []string          `json:"mutedInstances"`
	NotificationRecieve  json.RawMessage   `json:"notificationRecieveConfig"`
	IsModerator          bool              `json:"isModerator"`
	IsSilenced           bool              `json:"isSilenced"`
	IsSuspended          bool              `json:"isSuspended"`
	IsHibernated         bool              `json:"isHibernated"` // no account hibernates here
	LastActiveDate       *api.Time         `json:"lastActiveDate"`
	ModerationNote       string            `json:"moderationNote"`
	SignIns              []auth.Signin     `json:"signins"`
	Policies             *role.Policies    `json:"policies"`
	Roles                []*role.Packed    `json:"roles"`
	RoleAssigns          []role.Assignment `json:"roleAssigns"`
}

// shownSignins are as many sign-ins as are shown with an account.
const shownSignins = 100

const sqlShown = `
SELECT a.email, coalesce(a.email_verified, false), p.followed_message, p.auto_accept_followed, p.no_crawle, p.prevent_ai_learning, p.always_mark_nsfw,
	p.auto_sensitive, p.careful_bot, p.inject_featured_note, p.receive_announcement_email, p.muted_words, p.muted_instances,
	p.notification_recieve_config, p.moderation_note
FROM user_profile p LEFT JOIN account a ON a.user_id = p.user_id WHERE p.user_id = $1`

// looked finds an account whose private data the caller may look at: an
// administrator's are for administrators.
func (s *Service) looked(ctx context.Context, c *api.Call, userID string) (u *user.User, moderator bool, err error) {
	u, err = s.Users.ByID(ctx, userID)
	if errors.Is(err, user.ErrNotFound) || err == nil && u.IsDeleted {
		return nil, false, errShowNone
	}
	if err != nil {
		return nil, false, err
	}
	moderator, admin, err := s.Roles.Ranks(ctx, u.ID)
	if err == nil && admin && !c.Admin && !c.Is(u.ID) {
		err = errShowDenied
	}
	return u, moderator, err
}

func (s *Service) apiShowUser(ctx context.Context, c *api.Call, req userReq) (*shown, error) {
	u, moderator, err := s.looked(ctx, c, req.UserID)
	if err != nil {
		return nil, err
	}
	d := &shown{IsModerator: moderator, IsSuspended: u.IsSuspended, LastActiveDate: api.TimePtr(u.LastActiveAt)}
	err = s.DB.QueryRow(ctx, sqlShown, u.ID).Scan(&d.Email, &d.EmailVerified, &d.FollowedMessage, &d.AutoAcceptFollowed, &d.NoCrawle, &d.PreventAiLearning,
		&d.AlwaysMarkNsfw, &d.AutoSensitive, &d.CarefulBot, &d.InjectFeaturedNote, &d.ReceiveAnnouncements, &d.MutedWords, &d.MutedInstances,
		&d.NotificationRecieve, &d.ModerationNote)
	if err != nil {
		return nil, fmt.Errorf("show account: %w", err)
	}
	if d.Policies, err = s.Roles.Of(ctx, u.ID); err != nil {
		return nil, err
	}
	d.IsSilenced = !d.Policies.CanPublicNote
	if d.SignIns, err = s.Auth.LastSignIns(ctx, u.ID, shownSignins); err != nil {
		return nil, err
	}
	roles, err := s.Roles.RolesOf(ctx, []string{u.ID})
	if err != nil {
		return nil, err
	}
	if d.Roles, err = s.Roles.Pack(ctx, s.DB, roles[u.ID]); err != nil {
		return nil, err
	}
	d.RoleAssigns, err = s.Roles.AssignmentsOf(ctx, u.ID)
	return d, err
}

// userIP is an address that an account was signed in to from.
type userIP struct {
	IP        string   `json:"ip"`
	CreatedAt api.Time `json:"createdAt"` // when last
}

// Addresses are kept with sign-ins and nowhere else.
const sqlIPs = `SELECT ip, max(id) FROM signin WHERE user_id = $1 AND success GROUP BY ip ORDER BY max(id) DESC LIMIT 30`

func (s *Service) apiUserIPs(ctx context.Context, c *api.Call, req userReq) ([]userIP, error) {
	u, _, err := s.looked(ctx, c, req.UserID)
	if err != nil {
		return nil, err
	}
	rows, err := s.DB.Query(ctx, sqlIPs, u.ID)
	if err != nil {
		return nil, fmt.Errorf("addresses of sign-ins: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (userIP, error) {
		var x userIP
		var id string
		if err := r.Scan(&x.IP, &id); err != nil {
			return x, err
		}
		at, err := s.IDs.Method().Time(id)
		x.CreatedAt = api.Time(at)
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("addresses of sign-ins: %w", err)
	}
	return list, nil
}

type findReq struct {
	Email string `json:"email" api:"required,max=1024"`
}

// Whoever has proven the address comes first.
const sqlByEmail = `
SELECT a.user_id FROM account a JOIN "user" u ON u.id = a.user_id
WHERE lower(a.email) = lower($1) AND NOT u.is_deleted ORDER BY a.email_verified DESC, a.user_id LIMIT 1`

func (s *Service) apiFindByEmail(ctx context.Context, c *api.Call, req findReq) (*user.Detailed, error) {
	var userID string
	err := s.DB.QueryRow(ctx, sqlByEmail, req.Email).Scan(&userID)
	if pg.NoRows(err) {
		return nil, errFindNone
	}
	if err != nil {
		return nil, fmt.Errorf("find account: %w", err)
	}
	packed, err := s.Users.DetailedByIDs(ctx, c.UserID, []string{userID})
	if err != nil {
		return nil, err
	}
	if len(packed) == 0 {
		return nil, errFindNone
	}
	return packed[0], nil
}

type userNoteReq struct {
	UserID string `json:"userId" api:"required,id"`
	Text   string `json:"text" api:"required,max=8192"`
}

// apiUserNote writes down what moderators know of an account.
func (s *Service) apiUserNote(ctx context.Context, c *api.Call, req userNoteReq) (api.None, error) {
	return api.None{}, s.DB.Tx(ctx, func(tx *pg.Tx) error {
		u, err := s.account(ctx, tx, req.UserID)
		if errors.Is(err, errNobody) {
			return errNoteNone
		}
		if err != nil {
			return err
		}
		before, err := s.Users.SetModerationNote(ctx, tx, u.ID, req.Text)
		if err != nil || before == req.Text {
			return err
		}
		info := named(u)
		info["before"], info["after"] = before, req.Text
		return s.acted(ctx, tx, c, "updateUserNote", info)
	})
}
