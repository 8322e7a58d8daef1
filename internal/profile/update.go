package profile

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/mfm"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// updateReq is a change of one's own profile: what is absent stays.
type updateReq struct {
	Name                api.Opt[string]   `json:"name" api:"min=1,max=50"`
	Description         api.Opt[string]   `json:"description" api:"min=1,max=1500"`
	FollowedMessage     api.Opt[string]   `json:"followedMessage" api:"min=1,max=256"`
	Location            api.Opt[string]   `json:"location" api:"min=1,max=50"`
	Birthday            api.Opt[string]   `json:"birthday" api:"pattern=^([0-9]{4})-([0-9]{2})-([0-9]{2})$"`
	Lang                api.Opt[language] `json:"lang" api:"optional"`
	AvatarID            api.Opt[string]   `json:"avatarId" api:"id"`
	BannerID            api.Opt[string]   `json:"bannerId" api:"id"`
	Fields              *[]user.Field     `json:"fields" api:"max=16"`
	IsLocked            *bool             `json:"isLocked" api:"optional"`
	IsExplorable        *bool             `json:"isExplorable" api:"optional"`
	HideOnlineStatus    *bool             `json:"hideOnlineStatus" api:"optional"`
	PublicReactions     *bool             `json:"publicReactions" api:"optional"`
	CarefulBot          *bool             `json:"carefulBot" api:"optional"`
	AutoAcceptFollowed  *bool             `json:"autoAcceptFollowed" api:"optional"`
	NoCrawle            *bool             `json:"noCrawle" api:"optional"`
	PreventAiLearning   *bool             `json:"preventAiLearning" api:"optional"`
	RequireSignin       *bool             `json:"requireSigninToViewContents" api:"optional"`
	FollowersOnlyBefore api.Opt[int64]    `json:"makeNotesFollowersOnlyBefore" api:"optional"`
	HiddenBefore        api.Opt[int64]    `json:"makeNotesHiddenBefore" api:"optional"`
	ChatScope           *string           `json:"chatScope" api:"enum=everyone|followers|following|mutual|none"`
	Decorations         *[]wornReq        `json:"avatarDecorations" api:"max=16"`
	PinnedPageID        api.Opt[string]   `json:"pinnedPageId" api:"id"`
	IsBot               *bool             `json:"isBot" api:"optional"`
	IsCat               *bool             `json:"isCat" api:"optional"`
	InjectFeaturedNote  *bool             `json:"injectFeaturedNote" api:"optional"`
	ReceiveAnnouncement *bool             `json:"receiveAnnouncementEmail" api:"optional"`
	AlwaysMarkNsfw      *bool             `json:"alwaysMarkNsfw" api:"optional"`
	AutoSensitive       *bool             `json:"autoSensitive" api:"optional"`
	FollowingVisibility *string           `json:"followingVisibility" api:"enum=public|followers|private"`
	FollowersVisibility *string           `json:"followersVisibility" api:"enum=public|followers|private"`
	MutedWords          json.RawMessage   `json:"mutedWords" api:"optional"`
	HardMutedWords      json.RawMessage   `json:"hardMutedWords" api:"optional"`
	MutedInstances      *[]string         `json:"mutedInstances" api:"optional"`
	NotificationRecieve *json.RawMessage  `json:"notificationRecieveConfig" api:"optional"`
	EmailNotifications  *[]string         `json:"emailNotificationTypes" api:"optional"`
	AlsoKnownAs         *[]string         `json:"alsoKnownAs" api:"max=10,unique"`
}

var (
	errNoAvatar    = api.Err("NO_SUCH_AVATAR", "539f3a45-f215-4f81-a9a8-31293640207f", "There is no such file.")
	errNoBanner    = api.Err("NO_SUCH_BANNER", "0d8f5629-f210-41c2-9433-735831a58595", "There is no such file.")
	errAvatarImage = api.Err("AVATAR_NOT_AN_IMAGE", "f419f9f8-2f4d-46b1-9fb4-49d3a2fd7191", "The file is not a picture.")
	errBannerImage = api.Err("BANNER_NOT_AN_IMAGE", "75aedb19-2afd-4e6d-87fc-67941256fa60", "The file is not a picture.")
	errRegexp      = api.Err("INVALID_REGEXP", "0d786918-10df-41cd-8f33-8dec7d9a89a5", "A muted word is not a valid expression.")
	errManyWords   = api.Err("TOO_MANY_MUTED_WORDS", "010665b1-a211-42d2-bc64-8f6609d79785", "The muted words are longer than your roles allow.")
	errNoPage      = api.Err("NO_SUCH_PAGE", "8e01b590-7eb9-431b-a239-860e086c408e", "There is no such page.")
	errRestricted  = api.Err("RESTRICTED_BY_ROLE", "8feff0ba-5ab5-585b-31f4-4df816663fad", "None of your roles allows this.")
)

func updateErrors() []*api.Error {
	return []*api.Error{errNoAvatar, errNoBanner, errAvatarImage, errBannerImage, errNoPage, errRegexp, errManyWords, errRestricted, errAliasNoUser, errAliasNoURI, errAliasSelf}
}

func (s *Service) apiUpdate(ctx context.Context, c *api.Call, req updateReq) (*user.Detailed, error) {
	up := user.Update{User: map[string]any{}, Profile: map[string]any{}}
	before, err := s.users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	simple(&up, &req)
	if err := s.words(ctx, c, &up, &req); err != nil {
		return nil, err
	}
	if req.NotificationRecieve != nil {
		rules, err := receiveRules(*req.NotificationRecieve)
		if err != nil {
			return nil, err
		}
		up.Profile["notification_recieve_config"] = rules
	}
	if err := s.pictures(ctx, c, &up, &req); err != nil {
		return nil, err
	}
	if err := s.decorations(ctx, c, &up, req.Decorations); err != nil {
		return nil, err
	}
	if req.PinnedPageID.Set && !req.PinnedPageID.Null {
		return nil, errNoPage // nobody has pages
	}
	if err := s.texts(ctx, c, &up, &req); err != nil {
		return nil, err
	}
	if err := s.aliases(ctx, before, &up, req.AlsoKnownAs); err != nil {
		return nil, err
	}
	var u *user.User
	err = s.db.Tx(ctx, func(tx *pg.Tx) error {
		if err := s.users.Apply(ctx, tx, c.UserID, up); err != nil {
			return err
		}
		if err := s.keepVerified(ctx, tx, c.UserID); err != nil {
			return err
		}
		if u, err = s.users.ByIDIn(ctx, tx, c.UserID); err != nil {
			return err
		}
		// Opening an account lets in all who wait.
		if before.IsLocked && !u.IsLocked {
			if err := s.relations.AcceptAll(ctx, tx, u); err != nil {
				return err
			}
		}
		if err := s.verifyLater(ctx, tx, u.ID); err != nil {
			return err
		}
		return s.Federate(ctx, tx, u)
	})
	if err != nil {
		return nil, err
	}
	return s.users.PackMe(ctx, u, c.Native())
}

// simple takes over what needs no look at anything else.
func simple(up *user.Update, req *updateReq) {
	for col, v := range map[string]*bool{
		"is_locked": req.IsLocked, "is_explorable": req.IsExplorable, "hide_online_status": req.HideOnlineStatus, "is_bot": req.IsBot, "is_cat": req.IsCat,
		"require_signin": req.RequireSignin,
	} {
		if v != nil {
			up.User[col] = *v
		}
	}
	for col, v := range map[string]*bool{
		"public_reactions": req.PublicReactions, "careful_bot": req.CarefulBot, "auto_accept_followed": req.AutoAcceptFollowed,
		"no_crawle": req.NoCrawle, "prevent_ai_learning": req.PreventAiLearning, "inject_featured_note": req.InjectFeaturedNote,
		"receive_announcement_email": req.ReceiveAnnouncement, "always_mark_nsfw": req.AlwaysMarkNsfw, "auto_sensitive": req.AutoSensitive,
	} {
		if v != nil {
			up.Profile[col] = *v
		}
	}
	for col, v := range map[string]*string{"following_visibility": req.FollowingVisibility, "followers_visibility": req.FollowersVisibility, "chat_scope": req.ChatScope} {
		if v != nil {
			up.Profile[col] = *v
		}
	}
	for col, v := range map[string]api.Opt[string]{
		"description": req.Description, "followed_message": req.FollowedMessage, "location": req.Location, "birthday": req.Birthday,
	} {
		if v.Set {
			up.Profile[col] = text(v)
		}
	}
	if req.Name.Set {
		up.User["name"] = text(req.Name)
	}
	if req.Lang.Set {
		up.Profile["lang"] = orNull(req.Lang)
	}
	for col, v := range map[string]api.Opt[int64]{"followers_only_before": req.FollowersOnlyBefore, "hidden_before": req.HiddenBefore} {
		if v.Set {
			up.User[col] = orNull(v)
		}
	}
	if req.MutedInstances != nil {
		up.Profile["muted_instances"] = hosts(*req.MutedInstances)
	}
	if req.EmailNotifications != nil {
		up.Profile["email_notification_types"] = *req.EmailNotifications
	}
}

// orNull is a parameter's value, nil for null.
func orNull[T any](o api.Opt[T]) *T {
	if o.Null {
		return nil
	}
	return &o.V
}

// hosts are muted instances in the form in which accounts have their host, once
// each. What is no host mutes nobody and stays as it is, for the person to see.
func hosts(names []string) []string {
	out := []string{}
	for _, n := range names {
		n = strings.TrimSpace(n)
		if h, err := ap.NormalizeHost(n); err == nil {
			n = h
		}
		if n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// text is a parameter's text, composed, without what PostgreSQL cannot store;
// nil for null and for nothing but white space.
func text(o api.Opt[string]) *string {
	t := strings.TrimSpace(norm.NFC.String(strings.ReplaceAll(o.V, "\x00", "")))
	if o.Null || t == "" {
		return nil
	}
	return &t
}

var expression = regexp.MustCompile(`^/(.+)/([a-z]*)$`)

// words checks muted words: lists of words, or /expressions/ that RE2 takes,
// within the length that the role allows.
func (s *Service) words(ctx context.Context, c *api.Call, up *user.Update, req *updateReq) error {
	policies, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return err
	}
	for col, raw := range map[string]json.RawMessage{"muted_words": req.MutedWords, "hard_muted_words": req.HardMutedWords} {
		if raw == nil {
			continue
		}
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return api.InvalidParam("#/properties/mutedWords/type", "must be array")
		}
		total := 0
		for _, item := range list {
			total += len([]rune(string(item)))
			var words []string
			var exp string
			switch {
			case json.Unmarshal(item, &words) == nil:
			case json.Unmarshal(item, &exp) == nil:
				m := expression.FindStringSubmatch(exp)
				if m == nil {
					return errRegexp
				}
				if _, err := regexp.Compile(m[1]); err != nil {
					return errRegexp
				}
			default:
				return api.InvalidParam("#/properties/mutedWords/items", "must be a list of words or an expression")
			}
		}
		if total > policies.WordMuteLimit {
			return errManyWords
		}
		up.Profile[col] = raw
	}
	return nil
}

func (s *Service) pictures(ctx context.Context, c *api.Call, up *user.Update, req *updateReq) error {
	if !req.AvatarID.Set && !req.BannerID.Set {
		return nil
	}
	policies, err := s.roles.Of(ctx, c.UserID)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		kind            string
		id              api.Opt[string]
		missing, noPict *api.Error
	}{{"avatar", req.AvatarID, errNoAvatar, errAvatarImage}, {"banner", req.BannerID, errNoBanner, errBannerImage}} {
		if !p.id.Set {
			continue
		}
		if p.id.Null {
			up.User[p.kind+"_id"], up.User[p.kind+"_url"], up.User[p.kind+"_blurhash"] = nil, nil, nil
			continue
		}
		if !policies.CanUpdateBioMedia {
			return errRestricted
		}
		files, err := s.drive.Owned(ctx, s.db, c.UserID, []string{p.id.V})
		if errors.Is(err, drive.ErrNotFound) {
			return p.missing
		}
		if err != nil {
			return err
		}
		f := files[0]
		if !strings.HasPrefix(f.Type, "image/") {
			return p.noPict
		}
		up.User[p.kind+"_id"], up.User[p.kind+"_url"], up.User[p.kind+"_blurhash"] = f.ID, f.URL, f.Blurhash
	}
	return nil
}

// texts reads fields, and the emoji and hashtags of name and description.
func (s *Service) texts(ctx context.Context, c *api.Call, up *user.Update, req *updateReq) error {
	if req.Fields != nil {
		fields := []user.Field{}
		for _, f := range *req.Fields {
			if f.Name = strings.TrimSpace(f.Name); f.Name != "" && strings.TrimSpace(f.Value) != "" {
				fields = append(fields, f)
			}
		}
		b, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		up.Profile["fields"] = json.RawMessage(b)
	}
	if !req.Name.Set && !req.Description.Set {
		return nil
	}
	u, err := s.users.ByID(ctx, c.UserID)
	if err != nil {
		return err
	}
	profiles, err := s.users.Profiles(ctx, []string{c.UserID})
	if err != nil {
		return err
	}
	name, desc := u.Name, profiles[c.UserID].Description
	if req.Name.Set {
		name = text(req.Name)
	}
	if req.Description.Set {
		desc = text(req.Description)
	}
	emojis, tags := []string{}, []string{}
	if name != nil {
		emojis = append(emojis, mfm.Emojis(mfm.ParseSimple(*name))...)
	}
	if desc != nil {
		nodes := mfm.Parse(*desc)
		emojis = append(emojis, mfm.Emojis(nodes)...)
		for _, t := range mfm.Hashtags(nodes) {
			if len(tags) < 32 && len([]rune(t)) <= 128 {
				tags = append(tags, strings.ToLower(norm.NFKC.String(t)))
			}
		}
	}
	up.User["emojis"], up.User["tags"] = emojis, tags
	return nil
}

// likePrefix is a pattern for texts that begin so.
func likePrefix(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(s)) + "%"
}
