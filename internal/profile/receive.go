package profile

import (
	"encoding/json"
	"slices"

	"buttersc.one/oven/internal/socket/api"
)

// notificationTypes are those that there may be a rule for; the last ones are
// of older clients.
func notificationTypes() []string {
	return []string{"note", "follow", "mention", "reply", "renote", "quote", "reaction", "pollEnded", "receiveFollowRequest", "followRequestAccepted",
		"roleAssigned", "achievementEarned", "exportCompleted", "login", "createToken", "app", "test", "chatRoomInvitationReceived",
		"scheduledNotePosted", "scheduledNotePostFailed", "pollVote", "groupInvited"}
}

// receiveRule says whose doings of one type the account wants to hear of.
type receiveRule struct {
	Type       string `json:"type"`
	UserListID string `json:"userListId,omitempty"`
}

// receiveRules checks rules by notification type and gives them as they are
// kept.
func receiveRules(raw json.RawMessage) (json.RawMessage, error) {
	bad := func(why string) error {
		return api.InvalidParam("#/properties/notificationRecieveConfig", why)
	}
	var rules map[string]receiveRule
	if err := json.Unmarshal(raw, &rules); err != nil || rules == nil {
		return nil, bad("must be rules by type")
	}
	for typ, r := range rules {
		switch {
		case !slices.Contains(notificationTypes(), typ):
			return nil, bad("must be for known types")
		case r.Type == "list" && r.UserListID == "":
			return nil, bad("must name the list")
		case !slices.Contains([]string{"all", "following", "follower", "mutualFollow", "followingOrFollower", "never", "list"}, r.Type):
			return nil, bad("must be of a known kind")
		}
	}
	return json.Marshal(rules)
}
