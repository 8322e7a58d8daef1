package user

import (
	"context"
	"time"

	"buttersc.one/oven/internal/decoration"
	"buttersc.one/oven/internal/meta"
)

// Lite is an account as it stands beside a note.
type Lite struct {
	ID                string            `json:"id"`
	Name              *string           `json:"name"`
	Username          string            `json:"username"`
	Host              *string           `json:"host"`
	AvatarURL         string            `json:"avatarUrl"`
	AvatarBlurhash    *string           `json:"avatarBlurhash"`
	AvatarDecorations []decoration.Worn `json:"avatarDecorations"`
	IsBot             bool              `json:"isBot"`
	IsCat             bool              `json:"isCat"`
	RequireSignin     bool              `json:"requireSigninToViewContents"`
	FollowersBefore   *int64            `json:"makeNotesFollowersOnlyBefore"`
	HiddenBefore      *int64            `json:"makeNotesHiddenBefore"`
	Instance          *Instance         `json:"instance,omitempty"`
	Emojis            map[string]string `json:"emojis"`
	OnlineStatus      string            `json:"onlineStatus"`
	BadgeRoles        []Badge           `json:"badgeRoles,omitempty"`
}

// Instance is the server of a remote account.
type Instance struct {
	Name            *string `json:"name"`
	SoftwareName    *string `json:"softwareName"`
	SoftwareVersion *string `json:"softwareVersion"`
	IconURL         *string `json:"iconUrl"`
	FaviconURL      *string `json:"faviconUrl"`
	ThemeColor      *string `json:"themeColor"`
}

// Badge is a role shown beside a name.
type Badge struct {
	Name         string  `json:"name"`
	IconURL      *string `json:"iconUrl"`
	DisplayOrder int     `json:"displayOrder"`
}

// PackLite packs accounts that were read already, by id.
func (s *Service) PackLite(ctx context.Context, users map[string]*User) (map[string]*Lite, error) {
	hosts := make([]string, 0, len(users))
	seen := map[string]bool{}
	for _, u := range users {
		if u.ActorHost != nil && !seen[*u.ActorHost] {
			seen[*u.ActorHost] = true
			hosts = append(hosts, *u.ActorHost)
		}
	}
	infos, err := s.instances.Infos(ctx, hosts)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(users))
	for id := range users {
		ids = append(ids, id)
	}
	badges, err := s.roles.BadgesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*Lite, len(users))
	for id, u := range users {
		emojis, err := s.emojis.URLs(ctx, u.ActorHost, u.Emojis)
		if err != nil {
			return nil, err
		}
		worn, err := s.wardrobe.Pack(ctx, u.AvatarDecorations)
		if err != nil {
			return nil, err
		}
		l := &Lite{
			ID: u.ID, Name: u.Name, Username: u.Username, Host: u.Host, AvatarURL: s.shownAvatar(u), AvatarBlurhash: u.AvatarBlurhash,
			AvatarDecorations: worn, IsBot: u.IsBot, IsCat: u.IsCat, Emojis: emojis, OnlineStatus: s.onlineStatus(u),
			RequireSignin: u.RequireSignin, FollowersBefore: u.FollowersOnlyBefore, HiddenBefore: u.HiddenBefore,
		}
		if u.Local() || s.meta.Get().RemoteBadges {
			for _, r := range badges[id] {
				l.BadgeRoles = append(l.BadgeRoles, Badge{Name: r.Name, IconURL: r.IconURL, DisplayOrder: r.DisplayOrder})
			}
		}
		if u.ActorHost != nil {
			if i := infos[*u.ActorHost]; i != nil {
				in := Instance(*i)
				l.Instance = &in
			}
		}
		out[id] = l
	}
	return out, nil
}

// LiteByIDs reads and packs accounts.
func (s *Service) LiteByIDs(ctx context.Context, ids []string) (map[string]*Lite, error) {
	users, err := s.ByIDs(ctx, s.db, ids)
	if err != nil {
		return nil, err
	}
	return s.PackLite(ctx, users)
}

// shownAvatar is where clients find the account's picture: small, and through this
// server, which the picture's own is not to know of.
func (s *Service) shownAvatar(u *User) string {
	if u.AvatarURL != nil && *u.AvatarURL != "" {
		return s.meta.Proxied(*u.AvatarURL, meta.ProxyAvatar)
	}
	return s.AvatarURL(u)
}

// shownBanner is the same of the banner, as large as a screen.
func (s *Service) shownBanner(u *User) *string {
	if u.BannerURL == nil || u.Local() {
		return u.BannerURL
	}
	b := s.meta.Proxied(*u.BannerURL, meta.ProxyWhole)
	return &b
}

// AvatarURL is the account's picture, or one made of its name.
func (s *Service) AvatarURL(u *User) string {
	if u.AvatarURL != nil && *u.AvatarURL != "" {
		return *u.AvatarURL
	}
	host := s.meta.Host
	if u.Host != nil {
		host = *u.Host
	}
	return s.meta.Origin + "/identicon/" + u.UsernameLower + "@" + host
}

func (s *Service) onlineStatus(u *User) string {
	if u.HideOnlineStatus || u.LastActiveAt == nil {
		return "unknown"
	}
	switch since := s.now().Sub(*u.LastActiveAt); {
	case since < 10*time.Minute:
		return "online"
	case since < 3*24*time.Hour:
		return "active"
	}
	return "offline"
}
