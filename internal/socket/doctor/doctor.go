// Package doctor is in charge of looking after the database's health. At start, and
// daily, the schema is compared with the one that the migrations make: the keys that
// guard identity must be there, be unique and be valid, or nothing from other
// servers is taken in (CheckSchema). On demand, a whole database is compared with
// the description of what should hold in it (Check), Oven's or any other. It knows
// no table by name but those of identity.
package doctor

// Finding is something that is wrong.
type Finding struct {
	Code   string   `json:"code"`             // stable, such as "index-missing"
	Where  string   `json:"where"`            // table and index, or table.column
	Detail string   `json:"detail,omitempty"` // words and numbers, nothing that people wrote
	Repair string   `json:"repair,omitempty"` // the statement that would repair it, once duplicates are gone
	Count  int64    `json:"count"`            // rows, groups of rows or objects it is about
	IDs    []string `json:"ids,omitempty"`    // of the first rows
}

// identity are the keys on which it rests that one actor is one row, one
// object one row: table and index.
func identity() []string {
	return []string{
		"user.user_username_lower_host_key",
		"user.user_uri_key",
		"user_publickey.user_publickey_pkey",
		"note.note_uri_key",
		"emoji.emoji_name_host_key",
		"following.following_pair_key",
		"follow_request.follow_request_pair_key",
		"blocking.blocking_pair_key",
		"note_reaction.note_reaction_key",
		"poll_vote.poll_vote_key",
		"account.account_token_key",
		"access_token.access_token_token_key",
		"instance.instance_host_key",
	}
}
