package user

import (
	"context"
	"encoding/json"
	"fmt"

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
	UnreadAnnouncements  []struct{}      `json:"unreadAnnouncements"`
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
	Email                json.RawMessage `json:"email,omitempty"` // told to the native token only
	EmailVerified        *bool           `json:"emailVerified,omitempty"`
}

// maxUnread is where counting unread notifications stops, as Misskey's badge.
const maxUnread = 100

const sqlMe = `
SELECT p.inject_featured_note, p.receive_announcement_email, p.always_mark_nsfw, p.auto_sensitive, p.careful_bot,
	p.auto_accept_followed, p.no_crawle, p.prevent_ai_learning, p.muted_words, p.hard_muted_words, p.muted_instances,
	p.notification_recieve_config, p.email_notification_types, p.achievements, cardinality(p.logged_in_dates),
	coalesce(a.two_factor_enabled, false), a.email, coalesce(a.email_verified, false),
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
WHERE p.user_id = $1`

func (s *Service) me(ctx context.Context, u *User, secrets bool) (*Me, error) {
	m := &Me{
		AvatarID: u.AvatarID, BannerID: u.BannerID, IsExplorable: u.IsExplorable,
		IsDeleted: u.IsDeleted, HideOnlineStatus: u.HideOnlineStatus, BackupCodesStock: "none", UnreadAnnouncements: []struct{}{},
	}
	var email *string
	var verified bool
	err := s.db.QueryRow(ctx, sqlMe, u.ID, maxUnread).Scan(&m.InjectFeaturedNote, &m.ReceiveAnnouncements, &m.AlwaysMarkNsfw,
		&m.AutoSensitive, &m.CarefulBot, &m.AutoAcceptFollowed, &m.NoCrawle, &m.PreventAiLearning, &m.MutedWords,
		&m.HardMutedWords, &m.MutedInstances, &m.NotificationRecieve, &m.EmailNotifications, &m.Achievements, &m.LoggedInDays,
		&m.TwoFactorEnabled, &email, &verified, &m.PendingFollowRequest,
		&m.UnreadNotifications, &m.UnreadMentions, &m.UnreadSpecifiedNotes)
	if err != nil {
		return nil, fmt.Errorf("own account: %w", err)
	}
	m.UnreadNotification = m.UnreadNotifications > 0
	if m.IsModerator, m.IsAdmin, err = s.roles.Ranks(ctx, u.ID); err != nil {
		return nil, err
	}
	if m.Policies, err = s.roles.Of(ctx, u.ID); err != nil {
		return nil, err
	}
	if secrets {
		m.Email, m.EmailVerified = message(email), &verified
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
