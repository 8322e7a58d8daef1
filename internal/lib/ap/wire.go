package ap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// ContentType of documents.
const ContentType = "application/activity+json; charset=utf-8"

// Marshal writes a document: members in the order of its struct, contexts in
// the order of the alphabet, empty ones left out, and without the escapes of <, >
// and & that encoding/json adds for HTML. The same value gives the same bytes.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write document: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Context is the JSON-LD context of every document sent. It declares each term
// that the shapes of this package use beyond ActivityStreams and the security
// vocabulary: servers that compact documents drop what is not declared.
func Context() any {
	return []any{asContext, "https://w3id.org/security/v1", map[string]any{
		"Key":                                   "sec:Key",
		"manuallyApprovesFollowers":             "as:manuallyApprovesFollowers",
		"sensitive":                             "as:sensitive",
		"Hashtag":                               "as:Hashtag",
		"quoteUrl":                              "as:quoteUrl",
		"movedTo":                               map[string]any{"@id": "as:movedTo", "@type": "@id"},
		"alsoKnownAs":                           map[string]any{"@id": "as:alsoKnownAs", "@type": "@id"},
		"toot":                                  "http://joinmastodon.org/ns#",
		"blurhash":                              "toot:blurhash",
		"Emoji":                                 "toot:Emoji",
		"featured":                              map[string]any{"@id": "toot:featured", "@type": "@id"},
		"discoverable":                          "toot:discoverable",
		"indexable":                             "toot:indexable",
		"suspended":                             "toot:suspended",
		"schema":                                "http://schema.org#",
		"PropertyValue":                         "schema:PropertyValue",
		"value":                                 "schema:value",
		"misskey":                               "https://misskey-hub.net/ns#",
		"_misskey_content":                      "misskey:_misskey_content",
		"_misskey_quote":                        "misskey:_misskey_quote",
		"_misskey_reaction":                     "misskey:_misskey_reaction",
		"_misskey_votes":                        "misskey:_misskey_votes",
		"_misskey_summary":                      "misskey:_misskey_summary",
		"_misskey_followedMessage":              "misskey:_misskey_followedMessage",
		"_misskey_requireSigninToViewContents":  "misskey:_misskey_requireSigninToViewContents",
		"_misskey_makeNotesFollowersOnlyBefore": "misskey:_misskey_makeNotesFollowersOnlyBefore",
		"_misskey_makeNotesHiddenBefore":        "misskey:_misskey_makeNotesHiddenBefore",
		"isCat":                                 "misskey:isCat",
		"vcard":                                 "http://www.w3.org/2006/vcard/ns#",
		"webfinger":                             "https://purl.archive.org/socialweb/webfinger#webfinger",
	}}
}

// Actor is an account of this server.
type Actor struct {
	Context                   any        `json:"@context,omitempty"`
	Type                      string     `json:"type"`
	ID                        string     `json:"id"`
	Inbox                     string     `json:"inbox"`
	Outbox                    string     `json:"outbox"`
	Followers                 string     `json:"followers"`
	Following                 string     `json:"following"`
	Featured                  string     `json:"featured"`
	SharedInbox               string     `json:"sharedInbox"`
	Endpoints                 *Endpoints `json:"endpoints"`
	URL                       string     `json:"url"`
	PreferredUsername         string     `json:"preferredUsername"`
	Webfinger                 string     `json:"webfinger,omitempty"` // name@host, FEP-2c59
	Name                      *string    `json:"name"`
	Summary                   *string    `json:"summary"`
	MisskeySummary            *string    `json:"_misskey_summary,omitempty"`
	FollowedMessage           *string    `json:"_misskey_followedMessage,omitempty"`
	RequireSignin             bool       `json:"_misskey_requireSigninToViewContents,omitempty"`
	FollowersOnlyBefore       *int64     `json:"_misskey_makeNotesFollowersOnlyBefore,omitempty"` // s since 1970; up to 0: how long ago
	HiddenBefore              *int64     `json:"_misskey_makeNotesHiddenBefore,omitempty"`
	Icon                      *Image     `json:"icon,omitempty"`
	Image                     *Image     `json:"image,omitempty"`
	Tag                       []any      `json:"tag,omitempty"`
	ManuallyApprovesFollowers bool       `json:"manuallyApprovesFollowers"`
	Discoverable              bool       `json:"discoverable"`
	Indexable                 bool       `json:"indexable"` // FEP-5feb
	PublicKey                 *Key       `json:"publicKey"`
	IsCat                     bool       `json:"isCat"`
	Attachment                []any      `json:"attachment,omitempty"`
	MovedTo                   *string    `json:"movedTo,omitempty"`
	AlsoKnownAs               []string   `json:"alsoKnownAs,omitempty"`
	Birthday                  *string    `json:"vcard:bday,omitempty"`
	Location                  *string    `json:"vcard:Address,omitempty"`
	Published                 *time.Time `json:"published,omitempty"`
	Suspended                 bool       `json:"suspended,omitempty"`
}

// Endpoints of an actor.
type Endpoints struct {
	SharedInbox string `json:"sharedInbox"`
}

// Key is an actor's public key.
type Key struct {
	Context      any    `json:"@context,omitempty"`
	ID           string `json:"id"`
	Type         string `json:"type"`
	Owner        string `json:"owner"`
	PublicKeyPEM string `json:"publicKeyPem"`
}

// Image is a picture.
type Image struct {
	Type      string  `json:"type"`
	URL       string  `json:"url"`
	MediaType string  `json:"mediaType,omitempty"`
	Sensitive bool    `json:"sensitive,omitempty"`
	Name      *string `json:"name,omitempty"`
}

// Document is an attachment of a note.
type Document struct {
	Type      string  `json:"type"`
	MediaType string  `json:"mediaType"`
	URL       string  `json:"url"`
	Name      *string `json:"name"`
	Sensitive bool    `json:"sensitive"`
	Blurhash  *string `json:"blurhash,omitempty"`
	Width     int     `json:"width,omitempty"`
	Height    int     `json:"height,omitempty"`
}

// PropertyValue is a line of a profile.
type PropertyValue struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Emoji is a custom emoji.
type Emoji struct {
	Context   any       `json:"@context,omitempty"`
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Name      string    `json:"name"`
	Updated   time.Time `json:"updated,omitzero"`
	Icon      Image     `json:"icon"`
	Sensitive bool      `json:"sensitive,omitempty"`
}

// Hashtag is a tag of a document.
type Hashtag struct {
	Type string `json:"type"`
	Href string `json:"href"`
	Name string `json:"name"`
}

// Mention is a tag of a document.
type Mention struct {
	Type string `json:"type"`
	Href string `json:"href"`
	Name string `json:"name"`
}

// Note is a Note, or a Question when OneOf or AnyOf are set.
type Note struct {
	Context        any        `json:"@context,omitempty"`
	ID             string     `json:"id"`
	Type           string     `json:"type"`
	AttributedTo   string     `json:"attributedTo"`
	Summary        *string    `json:"summary"`
	Content        *string    `json:"content"`
	MisskeyContent *string    `json:"_misskey_content,omitempty"`
	Source         *Source    `json:"source,omitempty"`
	MisskeyQuote   *string    `json:"_misskey_quote,omitempty"`
	QuoteURL       *string    `json:"quoteUrl,omitempty"`
	Published      time.Time  `json:"published"`
	Updated        *time.Time `json:"updated,omitempty"`
	To             []string   `json:"to"`
	Cc             []string   `json:"cc"`
	InReplyTo      *string    `json:"inReplyTo"`
	Attachment     []any      `json:"attachment"`
	Sensitive      bool       `json:"sensitive"`
	Tag            []any      `json:"tag"`
	URL            *string    `json:"url,omitempty"`

	// Of a Question.
	EndTime      *time.Time `json:"endTime,omitempty"`
	Closed       *time.Time `json:"closed,omitempty"`
	OneOf        []Choice   `json:"oneOf,omitempty"`
	AnyOf        []Choice   `json:"anyOf,omitempty"`
	MisskeyVotes *int       `json:"_misskey_votes,omitempty"`

	// Name of a vote: the choice, in a Note without content (behaviour 3.7).
	Name *string `json:"name,omitempty"`
}

// Source is the text that content was made of.
type Source struct {
	Content   string `json:"content"`
	MediaType string `json:"mediaType"`
}

// Choice of a Question.
type Choice struct {
	Type    string  `json:"type"`
	Name    string  `json:"name"`
	Replies Replies `json:"replies"`
}

// Replies counts the votes for a choice.
type Replies struct {
	Type       string `json:"type"`
	TotalItems int    `json:"totalItems"`
}

// Activity is what is delivered. Object is an id, an Activity or a document.
type Activity struct {
	Context   any        `json:"@context,omitempty"`
	ID        string     `json:"id"`
	Type      string     `json:"type"`
	Actor     string     `json:"actor"`
	Object    any        `json:"object"`
	Target    string     `json:"target,omitempty"`
	Published *time.Time `json:"published,omitempty"`
	To        []string   `json:"to,omitempty"`
	Cc        []string   `json:"cc,omitempty"`

	// Of a Like.
	Content         string `json:"content,omitempty"`
	MisskeyReaction string `json:"_misskey_reaction,omitempty"`
	Tag             []any  `json:"tag,omitempty"`
}

// Tombstone stands where something was (AP §6.4).
type Tombstone struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// Delete tells that the object is no more, an actor of itself too. Nothing but
// ids goes into it, so that it can be made again from them.
func Delete(actor, id, object string) *Activity {
	a := &Activity{Context: Context(), ID: id, Type: "Delete", Actor: actor, To: []string{Public}, Object: Tombstone{ID: object, Type: "Tombstone"}}
	if object == actor {
		a.Object = actor
	}
	return a
}

// Collection is an OrderedCollection or one of its pages.
type Collection struct {
	Context      any    `json:"@context,omitempty"`
	ID           string `json:"id"`
	Type         string `json:"type"`
	TotalItems   int    `json:"totalItems"`
	First        string `json:"first,omitempty"`
	Last         string `json:"last,omitempty"`
	PartOf       string `json:"partOf,omitempty"`
	Prev         string `json:"prev,omitempty"`
	Next         string `json:"next,omitempty"`
	OrderedItems []any  `json:"orderedItems,omitzero"`
}

// Link is an object link (FEP-e232).
type Link struct {
	Type      string `json:"type"`
	MediaType string `json:"mediaType"`
	Rel       string `json:"rel"`
	Href      string `json:"href"`
	Name      string `json:"name"`
}

const quoteRel = "https://misskey-hub.net/ns#_misskey_quote"

// QuoteLink is the object link that says what a note quotes.
func QuoteLink(uri string) *Link {
	return &Link{Type: "Link", MediaType: `application/ld+json; profile="` + asContext + `"`, Rel: quoteRel, Href: uri, Name: "RE: " + uri}
}

// IsQuoteRel tells whether an object link's relation is that of a quote.
func IsQuoteRel(rel string) bool {
	return rel == quoteRel || rel == "_misskey_quote" || rel == "http://fedibird.com/ns#quoteUri" || rel == "https://w3id.org/fep/044f#quote"
}
