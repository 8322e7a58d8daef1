package role

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strings"

	"buttersc.one/oven/internal/socket/api"
)

// Policies are what an account may do. Numbers are limits.
type Policies struct {
	GtlAvailable               bool     `json:"gtlAvailable"`
	LtlAvailable               bool     `json:"ltlAvailable"`
	IgnoreServerSilence        bool     `json:"ignoreServerSilence"`
	CanPublicNote              bool     `json:"canPublicNote"`
	CanEditNote                bool     `json:"canEditNote"`
	MentionLimit               int      `json:"mentionLimit"`
	CanInvite                  bool     `json:"canInvite"`
	InviteLimit                int      `json:"inviteLimit"`
	InviteLimitCycle           int      `json:"inviteLimitCycle"`     // minutes
	InviteExpirationTime       int      `json:"inviteExpirationTime"` // minutes, 0 = never
	CanManageCustomEmojis      bool     `json:"canManageCustomEmojis"`
	CanManageAvatarDecorations bool     `json:"canManageAvatarDecorations"`
	CanSearchNotes             bool     `json:"canSearchNotes"`
	CanSearchUsers             bool     `json:"canSearchUsers"`
	CanUseTranslator           bool     `json:"canUseTranslator"`
	CanHideAds                 bool     `json:"canHideAds"`
	CanCreateChannel           bool     `json:"canCreateChannel"`
	DriveCapacityMb            int      `json:"driveCapacityMb"`
	MaxFileSizeMb              int      `json:"maxFileSizeMb"`
	UploadableFileTypes        []string `json:"uploadableFileTypes"`
	AlwaysMarkNsfw             bool     `json:"alwaysMarkNsfw"`
	CanUpdateBioMedia          bool     `json:"canUpdateBioMedia"`
	PinLimit                   int      `json:"pinLimit"`
	AntennaLimit               int      `json:"antennaLimit"`
	WordMuteLimit              int      `json:"wordMuteLimit"` // characters of JSON
	WebhookLimit               int      `json:"webhookLimit"`
	ClipLimit                  int      `json:"clipLimit"`
	NoteEachClipsLimit         int      `json:"noteEachClipsLimit"`
	UserListLimit              int      `json:"userListLimit"`
	UserEachUserListsLimit     int      `json:"userEachUserListsLimit"`
	RateLimitFactor            float64  `json:"rateLimitFactor"`
	AvatarDecorationLimit      int      `json:"avatarDecorationLimit"`
	CanImportAntennas          bool     `json:"canImportAntennas"`
	CanImportBlocking          bool     `json:"canImportBlocking"`
	CanImportFollowing         bool     `json:"canImportFollowing"`
	CanImportMuting            bool     `json:"canImportMuting"`
	CanImportUserLists         bool     `json:"canImportUserLists"`
	ChatAvailability           string   `json:"chatAvailability"`
	NoteDraftLimit             int      `json:"noteDraftLimit"`
	ScheduledNoteLimit         int      `json:"scheduledNoteLimit"`
	WatermarkAvailable         bool     `json:"watermarkAvailable"`
}

// builtIn are the defaults: Misskey's, except that notes can be searched.
func builtIn() Policies {
	return Policies{
		GtlAvailable: true, LtlAvailable: true, CanPublicNote: true, CanEditNote: true, MentionLimit: 20,
		InviteLimitCycle: 60 * 24 * 7, CanSearchNotes: true, CanSearchUsers: true, CanUseTranslator: true,
		CanCreateChannel: true, DriveCapacityMb: 100, MaxFileSizeMb: 30,
		UploadableFileTypes: []string{"text/plain", "application/json", "image/*", "video/*", "audio/*"},
		CanUpdateBioMedia:   true, PinLimit: 5, AntennaLimit: 5, WordMuteLimit: 200, WebhookLimit: 3, ClipLimit: 10,
		NoteEachClipsLimit: 200, UserListLimit: 10, UserEachUserListsLimit: 50, RateLimitFactor: 1,
		AvatarDecorationLimit: 1, CanImportAntennas: true, CanImportBlocking: true, CanImportFollowing: true,
		CanImportMuting: true, CanImportUserLists: true, ChatAvailability: "unavailable",
		NoteDraftLimit: 10, ScheduledNoteLimit: 1, WatermarkAvailable: true,
	}
}

// chatLevels are the values of chatAvailability, the most allowing first.
var chatLevels = []string{"available", "readonly", "unavailable"}

// override is what a role says of one policy.
type override struct {
	Value      json.RawMessage `json:"value"`
	Priority   int             `json:"priority"`
	UseDefault bool            `json:"useDefault"`
}

// fields are the policies by name → place in Policies.
func fields() map[string]int {
	t := reflect.TypeFor[Policies]()
	out := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		out[t.Field(i).Tag.Get("json")] = i
	}
	return out
}

// readValue reads a policy's value into the place it has in Policies.
func readValue(name string, raw json.RawMessage, into reflect.Value) error {
	v := reflect.New(into.Type())
	if err := json.Unmarshal(raw, v.Interface()); err != nil || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return fmt.Errorf("%s has a value of the wrong kind", name)
	}
	switch x := v.Elem().Interface().(type) {
	case int:
		if x < 0 || x > math.MaxInt32 {
			return fmt.Errorf("%s is out of range", name)
		}
	case float64:
		if x < 0 || x > 1000 {
			return fmt.Errorf("%s is out of range", name)
		}
	case string:
		if !slices.Contains(chatLevels, x) {
			return fmt.Errorf("%s has no such value", name)
		}
	case []string:
		if len(x) > 256 {
			return fmt.Errorf("%s is too long", name)
		}
	}
	into.Set(v.Elem())
	return nil
}

// checkDefaults checks what is to be laid over the built-in defaults.
func checkDefaults(values map[string]json.RawMessage) error {
	at := fields()
	var p Policies
	for _, name := range sortedKeys(values) {
		i, ok := at[name]
		if !ok {
			return badPolicies("there is no policy " + name)
		}
		if err := readValue(name, values[name], reflect.ValueOf(&p).Elem().Field(i)); err != nil {
			return badPolicies(err.Error())
		}
	}
	return nil
}

// readOverrides checks what a role says of policies.
func readOverrides(raw map[string]json.RawMessage) (map[string]override, error) {
	at := fields()
	out := make(map[string]override, len(raw))
	var p Policies
	for _, name := range sortedKeys(raw) {
		i, ok := at[name]
		if !ok {
			return nil, badPolicies("there is no policy " + name)
		}
		var o override
		if err := json.Unmarshal(raw[name], &o); err != nil {
			return nil, badPolicies(name + " must have a value, a priority or useDefault")
		}
		if o.Priority < 0 || o.Priority > 2 {
			return nil, badPolicies(name + " must have a priority of 0 to 2")
		}
		if o.Value == nil && !o.UseDefault {
			return nil, badPolicies(name + " must have a value or useDefault")
		}
		if o.Value != nil {
			if err := readValue(name, o.Value, reflect.ValueOf(&p).Elem().Field(i)); err != nil {
				return nil, badPolicies(err.Error())
			}
		}
		out[name] = o
	}
	return out, nil
}

func badPolicies(why string) error { return api.InvalidParam("#/properties/policies", why) }

// merge is what roles together allow: of each policy count those roles that
// say it with the highest priority; yes beats no, and more beats less. What a
// role does not say, it says as the base, without priority.
func merge(base *Policies, roles []*Role) *Policies {
	out := *base
	if len(roles) == 0 {
		return &out
	}
	from, to := reflect.ValueOf(base).Elem(), reflect.ValueOf(&out).Elem()
	for name, i := range fields() {
		top := 0
		for _, r := range roles {
			top = max(top, r.overrides[name].Priority)
		}
		var values []reflect.Value
		for _, r := range roles {
			o, said := r.overrides[name]
			switch {
			case o.Priority != top && top > 0:
				continue
			case !said || o.UseDefault:
				values = append(values, from.Field(i))
				continue
			}
			v := reflect.New(from.Field(i).Type()).Elem()
			if readValue(name, o.Value, v) != nil {
				v = from.Field(i) // of a newer or older version
			}
			values = append(values, v)
		}
		to.Field(i).Set(together(values))
	}
	return &out
}

// together is the most that one of the values allows.
func together(values []reflect.Value) reflect.Value {
	best := values[0]
	for _, v := range values[1:] {
		switch v.Kind() {
		case reflect.Bool:
			if v.Bool() {
				best = v
			}
		case reflect.Int:
			if v.Int() > best.Int() {
				best = v
			}
		case reflect.Float64:
			if v.Float() > best.Float() {
				best = v
			}
		case reflect.String:
			if slices.Index(chatLevels, v.String()) < slices.Index(chatLevels, best.String()) {
				best = v
			}
		case reflect.Slice:
			all := append(slices.Clone(best.Interface().([]string)), v.Interface().([]string)...)
			slices.Sort(all)
			best = reflect.ValueOf(slices.Compact(all))
		}
	}
	return best
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// field is the policy of that name.
func (p *Policies) field(name string) reflect.Value {
	return reflect.ValueOf(p).Elem().FieldByName(strings.ToUpper(name[:1]) + name[1:])
}
