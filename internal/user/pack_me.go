package user

import (
	"context"
	"encoding/json"
	"fmt"

	"buttersc.one/oven/internal/announcement"
	"buttersc.one/oven/internal/role"
)

// Me is what only the account itself sees (MeDetailedOnly).
type Me struct {
	AvatarID             *string         `json:"avatarId"`
	BannerID             *string         `json:"bannerId"`
	IsModerator          bool            `json:"isModerator"`
	IsAdmin              bool            `json:"isAdmin"`
	InjectFeaturedNote   bool            `json:"injectFeaturedNote"`
	ReceiveAnnouncements bool            `json:"receiveAnnouncementEmail"`
	AlwaysMarkNsfw       bool            `json:"alwaysMarkNsfw"`
	AutoSensitive        bool            `json:"autoSensitive"`
	CarefulBot           bool            `json:"carefulBot"`
	AutoAcceptFollowed   bool            `json:"autoAcceptFollowed"`
	NoCrawle             bool            `json:"noCrawle"`
	PreventAiLearning    bool            `json:"preventAiLearning"`
	IsExplorable         bool            `json:"isExplorable"`
	IsDeleted            bool            `json:"isDeleted"`
	BackupCodesStock     string          `json:"twoFactorBackupCodesStock"`
	HideOnlineStatus     bool            `json:"hideOnlineStatus"`
	UnreadSpecifiedNotes bool            `json:"hasUnreadSpecifiedNotes"`
	UnreadMentions       bool            `json:"hasUnreadMentions"`
	UnreadAnnouncement   bool            `json:"hasUnreadAnnouncement"`
	UnreadAntenna        bool            `json:"hasUnreadAntenna"`
	UnreadChannel        bool            `json:"hasUnreadChannel"`
	UnreadChatMessages   bool            `json:"hasUnreadChatMessages"`
	UnreadNotification   bool            `json:"hasUnreadNotification"`
	PendingFollowRequest bool            `json:"hasPendingReceivedFollowRequest"`
	UnreadNotifications  int             `json:"unreadNotificationsCount"`
	MutedWords           json.RawMessage `json:"mutedWords"`
	HardMutedWords       json.RawMessage `json:"hardMutedWords"`
	MutedInstances       []string        `json:"mutedInstances"`
	NotificationRecieve  json.RawMessage `json:"notificationRecieveConfig"`
	EmailNotifications   []string        `json:"emailNotificationTypes"`
	Achievements         json.RawMessage `json:"achievements"`
	LoggedInDays         int             `json:"loggedInDays"`
	Policies             *role.Policies  `json:"policies"`
	TwoFactorEnabled     bool            `json:"twoFactorEnabled"`
	UsePasswordLessLogin bool            `json:"usePasswordLessLogin"`
	SecurityKeys         bool            `json:"securityKeys"`

	UnreadAnnouncements []*announcement.Packed `json:"unreadAnnouncements"`

	Email            json.RawMessage `json:"email,omitempty"` // told to the native token only
	EmailVerified    *bool           `json:"emailVerified,omitempty"`
	SecurityKeysList json.RawMessage `json:"securityKeysList,omitempty"`
}

// fullStock is how many backup codes an account is given.
const fullStock = 5

// maxUnread is where counting unread notifications stops, as Misskey's badge.
const maxUnread = 100

const sqlMe = `
SELECT p.inject_featured_note, p.receive_announcement_email, p.always_mark_nsfw, p.auto_sensitive, p.careful_bot,
	p.auto_accept_followed, p.no_crawle, p.prevent_ai_learning, p.muted_words, p.hard_muted_words, p.muted_instances,
	p.notification_recieve_config, p.email_notification_types, p.achievements, cardinality(p.logged_in_dates),
	coalesce(a.two_factor_enabled, false), a.email, coalesce(a.email_verified, false),
	coalesce(a.password_less, false), coalesce(cardinality(a.backup_codes), 0), keys.list,
	EXISTS (SELECT FROM follow_request r WHERE r.followee_id = p.user_id),
	unread.total, unread.mentions, unread.specified
FROM user_profile p
LEFT JOIN account a ON a.user_id = p.user_id
CROSS JOIN LATERAL (
	SELECT count(*) AS total,
		coalesce(bool_or(x.type IN ('mention', 'reply')), false) AS mentions,
		coalesce(bool_or(x.type IN ('mention', 'reply') AND n.visibility = 'specified'), false) AS specified
	FROM (
		SELECT type, note_id FROM notification
		WHERE notifiee_id = p.user_id
			AND id > coalesce((SELECT last_id FROM notification_read r WHERE r.user_id = p.user_id), '')
		ORDER BY id DESC LIMIT $2
	) x LEFT JOIN note n ON n.id = x.note_id
) unread
CROSS JOIN LATERAL (
	SELECT coalesce(json_agg(json_build_object('id', k.id, 'name', k.name,
		'lastUsed', to_char(k.last_used_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) ORDER BY k.last_used_at DESC), '[]') AS list
	FROM security_key k WHERE k.user_id = p.user_id
) keys
WHERE p.user_id = $1`

func (s *Service) me(ctx context.Context, u *User, secrets bool) (*Me, error) {
	m := &Me{
		AvatarID: u.AvatarID, BannerID: u.BannerID, IsExplorable: u.IsExplorable,
		IsDeleted: u.IsDeleted, HideOnlineStatus: u.HideOnlineStatus, BackupCodesStock: "none",
	}
	var email *string
	var verified bool
	var codes int
	var keys json.RawMessage
	err := s.db.QueryRow(ctx, sqlMe, u.ID, maxUnread).Scan(&m.InjectFeaturedNote, &m.ReceiveAnnouncements, &m.AlwaysMarkNsfw,
		&m.AutoSensitive, &m.CarefulBot, &m.AutoAcceptFollowed, &m.NoCrawle, &m.PreventAiLearning, &m.MutedWords,
		&m.HardMutedWords, &m.MutedInstances, &m.NotificationRecieve, &m.EmailNotifications, &m.Achievements, &m.LoggedInDays,
		&m.TwoFactorEnabled, &email, &verified, &m.UsePasswordLessLogin, &codes, &keys, &m.PendingFollowRequest,
		&m.UnreadNotifications, &m.UnreadMentions, &m.UnreadSpecifiedNotes)
	if err != nil {
		return nil, fmt.Errorf("own account: %w", err)
	}
	m.SecurityKeys = string(keys) != "[]"
	switch {
	case codes >= fullStock:
		m.BackupCodesStock = "full"
	case codes > 0:
		m.BackupCodesStock = "partial"
	}
	m.UnreadNotification = m.UnreadNotifications > 0
	if m.IsModerator, m.IsAdmin, err = s.roles.Ranks(ctx, u.ID); err != nil {
		return nil, err
	}
	if m.UnreadAnnouncements, err = s.news.Unread(ctx, u.ID); err != nil {
		return nil, err
	}
	m.UnreadAnnouncement = len(m.UnreadAnnouncements) > 0
	if m.Policies, err = s.roles.Of(ctx, u.ID); err != nil {
		return nil, err
	}
	if secrets {
		m.Email, m.EmailVerified, m.SecurityKeysList = message(email), &verified, keys
	}
	return m, nil
}

// PackMe packs an account for itself.
func (s *Service) PackMe(ctx context.Context, u *User, secrets bool) (*Detailed, error) {
	m, err := s.PackDetailed(ctx, u.ID, map[string]*User{u.ID: u}, secrets)
	if err != nil {
		return nil, err
	}
	return m[u.ID], nil
}
