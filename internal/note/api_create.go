package note

import (
	"context"
	"errors"
	"time"

	"buttersc.one/oven/internal/channel"
	"buttersc.one/oven/internal/drive"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// Writing is a note as somebody asks for it to be written: what notes/create takes.
type Writing struct {
	Visibility         string       `json:"visibility" api:"enum=public|home|followers|specified,default=public"`
	VisibleUserIDs     []string     `json:"visibleUserIds" api:"unique,items-id"`
	CW                 *string      `json:"cw" api:"nullable,min=1,max=100"`
	LocalOnly          bool         `json:"localOnly" api:"default=false"`
	ReactionAcceptance *string      `json:"reactionAcceptance" api:"nullable,enum=likeOnly|likeOnlyForRemote|nonSensitiveOnly|nonSensitiveOnlyForLocalLikeOnlyForRemote"`
	NoExtractMentions  bool         `json:"noExtractMentions" api:"default=false"`
	NoExtractHashtags  bool         `json:"noExtractHashtags" api:"default=false"`
	NoExtractEmojis    bool         `json:"noExtractEmojis" api:"default=false"`
	ReplyID            *string      `json:"replyId" api:"nullable,id"`
	RenoteID           *string      `json:"renoteId" api:"nullable,id"`
	ChannelID          *string      `json:"channelId" api:"nullable,id"`
	Text               *string      `json:"text" api:"nullable,min=1,max=3000"`
	FileIDs            []string     `json:"fileIds" api:"unique,min=1,max=16,items-id"`
	MediaIDs           []string     `json:"mediaIds" api:"unique,min=1,max=16,items-id"`
	Poll               *WritingPoll `json:"poll" api:"nullable"`
}

// WritingPoll is the poll of a Writing.
type WritingPoll struct {
	Choices      []string `json:"choices" api:"required,unique,min=2,max=10,items-min=1,items-max=50"`
	Multiple     bool     `json:"multiple" api:"optional"`
	ExpiresAt    *int64   `json:"expiresAt" api:"nullable"`          // ms since 1970
	ExpiredAfter *int64   `json:"expiredAfter" api:"nullable,min=1"` // ms from now
}

var (
	errNoRenoteTarget   = api.Err("NO_SUCH_RENOTE_TARGET", "b5c90186-4ab0-49c8-9bba-a1f76c282ba4", "There is no such note to renote.")
	errRenoteOfRenote   = api.Err("CANNOT_RENOTE_TO_A_PURE_RENOTE", "fd4cc33e-2a37-48dd-99cc-9b806eb2031a", "A renote cannot be renoted.")
	errRenoteVisibility = api.Err("CANNOT_RENOTE_DUE_TO_VISIBILITY", "be9529e9-fe72-4de0-ae43-0b363c4938af", "The note's visibility does not allow renoting it.")
	errNoReplyTarget    = api.Err("NO_SUCH_REPLY_TARGET", "749ee0f6-d3da-459a-bf02-282e2da4292c", "There is no such note to reply to.")
	errReplyInvisible   = api.Err("CANNOT_REPLY_TO_AN_INVISIBLE_NOTE", "b98980fa-3780-406c-a935-b6d0eeee10d1", "You cannot see the note to reply to.")
	errReplyToRenote    = api.Err("CANNOT_REPLY_TO_A_PURE_RENOTE", "3ac74a84-8fd5-4bb0-870f-01804f82ce15", "A renote cannot be replied to.")
	errReplyVisibility  = api.Err("CANNOT_REPLY_TO_SPECIFIED_VISIBILITY_NOTE_WITH_EXTENDED_VISIBILITY", "ed940410-535c-4d5e-bfa3-af798671e93c", "A reply to a direct note must be direct.")
	errPollExpired      = api.Err("CANNOT_CREATE_ALREADY_EXPIRED_POLL", "04da457d-b083-4055-9082-955525eda5a5", "The poll would be over already.")
	errNoChannel        = api.Err("NO_SUCH_CHANNEL", "b1653923-5453-4edc-b786-7c4f39bb0bbb", "There is no such channel.")
	errRenoteOutside    = api.Err("CANNOT_RENOTE_OUTSIDE_OF_CHANNEL", "33510210-8452-094c-6227-4a6c05d99f00", "The channel keeps its notes to itself.")
	errCreateBlocked    = api.Err("YOU_HAVE_BEEN_BLOCKED", "b390d7e1-8a5e-46ed-b625-06271cafd3d3", "The author blocks you.")
	errCreateNoFile     = api.Err("NO_SUCH_FILE", "b6992544-63e7-67f0-fa7f-32444b1b5306", "One of the files does not exist or is not yours.")
	errContainsWords    = api.Err("CONTAINS_PROHIBITED_WORDS", "aa6e01d3-a85c-669d-758a-76aab43af334", "The note contains words that this server does not allow.")
	errTooManyMentions  = api.Err("CONTAINS_TOO_MANY_MENTIONS", "4de0363a-3046-481b-9b0f-feff3e211025", "The note mentions too many accounts.")
)

// Refusals are the errors of Check and Publish.
func Refusals() []*api.Error { return createErrors() }

func createErrors() []*api.Error {
	return []*api.Error{errNoRenoteTarget, errRenoteOfRenote, errRenoteVisibility, errNoReplyTarget, errReplyInvisible, errReplyToRenote,
		errReplyVisibility, errPollExpired, errNoChannel, errRenoteOutside, errCreateBlocked, errCreateNoFile, errContainsWords, errTooManyMentions}
}

type createRes struct {
	CreatedNote *Packed `json:"createdNote"`
}

func (s *Service) apiCreate(ctx context.Context, c *api.Call, req Writing) (*createRes, error) {
	author, err := s.Users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	n, err := s.Publish(ctx, author, req, nil)
	if err != nil {
		return nil, err
	}
	packed, err := s.Pack(ctx, c.UserID, []*Note{n})
	if err != nil {
		return nil, err
	}
	return &createRes{CreatedNote: packed[0]}, nil
}

// Publish writes a note. What is refused is an *api.Error, one of those of
// notes/create. also, which may be nil, runs in the note's transaction.
func (s *Service) Publish(ctx context.Context, author *user.User, req Writing, also func(ctx context.Context, tx *pg.Tx, n *Note) error) (*Note, error) {
	d, err := s.checked(ctx, author, req)
	if err != nil {
		return nil, err
	}
	d.Also = also
	n, err := s.Create(ctx, author, d)
	for cause, e := range map[error]*api.Error{
		ErrProhibited: errContainsWords, ErrMentions: errTooManyMentions, ErrRenoteHidden: errRenoteVisibility, ErrNotFound: errNoRenoteTarget, errReplyGone: errNoReplyTarget, ErrBlocked: errCreateBlocked,
	} {
		if errors.Is(err, cause) {
			return nil, e
		}
	}
	if errors.Is(err, ErrNothing) {
		return nil, errNothing()
	}
	return n, err
}

func errNothing() error {
	return api.InvalidParam("#/properties/text/pattern", "must hold more than white space")
}

// Check looks whether what a note refers to is there for its author, as far as that
// can be said before it is written. What is refused is an *api.Error. A note that may
// not be seen is as if it were not there, which notes/create has to tell apart.
func (s *Service) Check(ctx context.Context, author *user.User, req Writing) error {
	_, err := s.checked(ctx, author, req)
	if errors.Is(err, errReplyInvisible) {
		return errNoReplyTarget
	}
	return err
}

func (s *Service) checked(ctx context.Context, author *user.User, req Writing) (*Draft, error) {
	if len(req.FileIDs) == 0 {
		req.FileIDs = req.MediaIDs
	}
	if clean(req.Text) == nil && req.RenoteID == nil && len(req.FileIDs) == 0 && req.Poll == nil {
		return nil, errNothing()
	}
	return s.draftOf(ctx, author, req)
}

// draftOf checks what the request refers to.
func (s *Service) draftOf(ctx context.Context, author *user.User, req Writing) (*Draft, error) {
	d := &Draft{Text: req.Text, CW: req.CW, Visibility: req.Visibility, LocalOnly: req.LocalOnly, ReactionAcceptance: req.ReactionAcceptance,
		NoMentions: req.NoExtractMentions, NoHashtags: req.NoExtractHashtags, NoEmojis: req.NoExtractEmojis}
	var err error
	if len(req.FileIDs) > 0 {
		if d.Files, err = s.Drive.Owned(ctx, s.DB, author.ID, req.FileIDs); err != nil {
			if errors.Is(err, drive.ErrNotFound) {
				return nil, errCreateNoFile
			}
			return nil, err
		}
	}
	if req.RenoteID != nil {
		if d.Renote, err = s.renoteTarget(ctx, author, *req.RenoteID); err != nil {
			return nil, err
		}
	}
	if req.ReplyID != nil {
		if d.Reply, err = s.replyTarget(ctx, author, *req.ReplyID, req.Visibility); err != nil {
			return nil, err
		}
	}
	if d.Channel, err = s.channelOf(ctx, d, req.ChannelID); err != nil {
		return nil, err
	}
	if len(req.VisibleUserIDs) > 0 {
		users, err := s.Users.ByIDs(ctx, s.DB, req.VisibleUserIDs)
		if err != nil {
			return nil, err
		}
		for _, id := range req.VisibleUserIDs {
			if u := users[id]; u != nil && !u.IsDeleted {
				d.VisibleUsers = append(d.VisibleUsers, u)
			}
		}
	}
	if req.Poll != nil {
		if d.Poll, err = s.pollOf(req.Poll); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// channelOf is where a note goes: what it replies to decides, also by being
// nowhere. What is renoted leaves its channel only where that allows it.
func (s *Service) channelOf(ctx context.Context, d *Draft, wanted *string) (*channel.Channel, error) {
	if d.Reply != nil {
		wanted = d.Reply.ChannelID
	}
	var ids []string
	if wanted != nil {
		ids = append(ids, *wanted)
	}
	if d.Renote != nil && d.Renote.ChannelID != nil {
		ids = append(ids, *d.Renote.ChannelID)
	}
	known, err := s.Channels.ByIDs(ctx, s.DB, ids)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	var to *channel.Channel
	if wanted != nil {
		if to = known[*wanted]; to == nil || to.Archived {
			return nil, errNoChannel
		}
	}
	if d.Renote != nil && d.Renote.ChannelID != nil {
		from := known[*d.Renote.ChannelID]
		if from == nil || to != from && !from.AllowRenoteToExternal {
			return nil, errRenoteOutside
		}
	}
	return to, nil
}

func (s *Service) renoteTarget(ctx context.Context, author *user.User, id string) (*Note, error) {
	n, err := s.Seen(ctx, author.ID, id)
	if errors.Is(err, ErrNotFound) {
		return nil, errNoRenoteTarget
	}
	if err != nil {
		return nil, err
	}
	if n.IsPureRenote {
		return nil, errRenoteOfRenote
	}
	return n, s.notBlocked(ctx, author, n)
}

func (s *Service) replyTarget(ctx context.Context, author *user.User, id, visibility string) (*Note, error) {
	n, err := s.ByID(ctx, s.DB, id)
	if errors.Is(err, ErrNotFound) {
		return nil, errNoReplyTarget
	}
	if err != nil {
		return nil, err
	}
	if n.IsPureRenote {
		return nil, errReplyToRenote
	}
	ok, err := s.CanCapture(ctx, author.ID, id)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errReplyInvisible
	case n.Visibility == Specified && visibility != Specified:
		return nil, errReplyVisibility
	}
	return n, s.notBlocked(ctx, author, n)
}

func (s *Service) notBlocked(ctx context.Context, author *user.User, n *Note) error {
	if n.UserID == author.ID {
		return nil
	}
	_, blocked, err := s.Relations.Blocks(ctx, s.DB, author.ID, n.UserID)
	if err == nil && blocked {
		return errCreateBlocked
	}
	return err
}

func (s *Service) pollOf(req *WritingPoll) (*Poll, error) {
	p := &Poll{Choices: req.Choices, Multiple: req.Multiple, Votes: make([]int, len(req.Choices))}
	now := s.clock()
	switch {
	case req.ExpiresAt != nil:
		t := time.UnixMilli(*req.ExpiresAt)
		if !t.After(now) {
			return nil, errPollExpired
		}
		p.ExpiresAt = &t
	case req.ExpiredAfter != nil:
		t := now.Add(time.Duration(*req.ExpiredAfter) * time.Millisecond)
		p.ExpiresAt = &t
	}
	return p, nil
}
