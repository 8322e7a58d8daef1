package meta

import "net/url"

// Variant is a way in which the media proxy shows a picture.
type Variant string

// Variants that Misskey's clients know.
const (
	ProxyWhole   Variant = ""        // no larger than a screen
	ProxyAvatar  Variant = "avatar"  // 320 pixels high
	ProxyEmoji   Variant = "emoji"   // 128 pixels high
	ProxyStatic  Variant = "static"  // in lists of notes, without movement
	ProxyPreview Variant = "preview" // beside a link
	ProxyBadge   Variant = "badge"   // a mask of one colour, for notifications
)

// Proxied is the address at which this server shows the picture that is at the
// other.
func (s *Service) Proxied(picture string, v Variant) string {
	name, mode := "image", ""
	if v != ProxyWhole {
		name, mode = string(v), "&"+string(v)+"=1"
	}
	return s.Origin + "/proxy/" + name + ".webp?url=" + url.QueryEscape(picture) + mode
}
