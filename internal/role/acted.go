package role

// Acted is emitted when a moderator or administrator did something that the
// moderation log keeps, in the transaction that did it. Package moderation
// writes it down. Info holds ids, names and what changed; never a password, a
// token, or the text of what is not public.
type Acted struct {
	Moderator string // user id; "" = the operator, on the command line
	Type      string // of Misskey's list, as "suspend" or "createInvitation"
	Info      map[string]any
}
