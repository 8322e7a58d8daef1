package note

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/user"
)

// Poll is the question of a note.
type Poll struct {
	NoteID    string
	UserID    string
	UserHost  *string
	Multiple  bool
	Choices   []string
	Votes     []int
	ExpiresAt *time.Time
	Ended     bool
}

const sqlInsertPoll = `
INSERT INTO poll (note_id, user_id, user_host, multiple, choices, votes, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`

func (s *Service) insertPoll(ctx context.Context, tx *pg.Tx, n *Note, p *Poll) error {
	if _, err := tx.Exec(ctx, sqlInsertPoll, n.ID, n.UserID, n.UserHost, p.Multiple, p.Choices, p.Votes, p.ExpiresAt); err != nil {
		return fmt.Errorf("insert poll: %w", err)
	}
	return nil
}

const (
	pollCols  = `note_id, user_id, user_host, multiple, choices, votes, expires_at, ended`
	sqlPolls  = `SELECT ` + pollCols + ` FROM poll WHERE note_id = ANY($1)`
	sqlVotes  = `SELECT note_id, choice FROM poll_vote WHERE user_id = $1 AND note_id = ANY($2)`
	sqlLocked = `SELECT ` + pollCols + ` FROM poll WHERE note_id = $1 FOR UPDATE`
)

func scanPoll(r pgx.CollectableRow) (*Poll, error) {
	p := &Poll{}
	return p, r.Scan(&p.NoteID, &p.UserID, &p.UserHost, &p.Multiple, &p.Choices, &p.Votes, &p.ExpiresAt, &p.Ended)
}

func (s *Service) loadPolls(ctx context.Context, q pg.Q, viewer string, ids []string) (map[string]*Poll, map[string][]int, error) {
	polls, votes := map[string]*Poll{}, map[string][]int{}
	if len(ids) == 0 {
		return polls, votes, nil
	}
	rows, err := q.Query(ctx, sqlPolls, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("polls: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanPoll)
	if err != nil {
		return nil, nil, fmt.Errorf("polls: %w", err)
	}
	for _, p := range list {
		polls[p.NoteID] = p
	}
	if viewer == "" {
		return polls, votes, nil
	}
	if rows, err = q.Query(ctx, sqlVotes, viewer, ids); err != nil {
		return nil, nil, fmt.Errorf("votes: %w", err)
	}
	var id string
	var choice int
	_, err = pgx.ForEachRow(rows, []any{&id, &choice}, func() error {
		votes[id] = append(votes[id], choice)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("votes: %w", err)
	}
	return polls, votes, nil
}

func packPoll(p *Poll, mine []int) *PackedPoll {
	out := &PackedPoll{Multiple: p.Multiple, ExpiresAt: api.TimePtr(p.ExpiresAt), Choices: make([]PackedChoice, len(p.Choices))}
	for i, c := range p.Choices {
		out.Choices[i] = PackedChoice{Text: c, Votes: p.Votes[i], IsVoted: slices.Contains(mine, i)}
	}
	return out
}

// Reasons for which a vote is refused.
var (
	ErrNoPoll  = errors.New("the note has no poll")
	ErrChoice  = errors.New("the poll has no such choice")
	ErrVoted   = errors.New("voted already")
	ErrExpired = errors.New("the poll is over")
)

const (
	sqlMine = `SELECT choice FROM poll_vote WHERE note_id = $1 AND user_id = $2`
	sqlVote = `INSERT INTO poll_vote (id, note_id, user_id, choice) VALUES ($1, $2, $3, $4) ON CONFLICT (user_id, note_id, choice) DO NOTHING`
	// The votes array counts from 1 in SQL.
	// Another server does not count a vote at once: it is not asked for a while.
	sqlTally = `UPDATE poll SET votes[$2 + 1] = votes[$2 + 1] + 1, unsent = (user_host IS NULL),
	checked_at = CASE WHEN user_host IS NOT NULL THEN $3::timestamptz END WHERE note_id = $1`
)

// votedData goes with "note.voted". It does not say who voted: everybody who
// captured the note hears it.
type votedData struct {
	Choice int `json:"choice"`
}

// Vote counts a vote, in tx. The poll's row is locked first, so that a single
// choice stays single.
func (s *Service) Vote(ctx context.Context, tx *pg.Tx, voter *user.User, n *Note, choice int) error {
	if err := s.Keep(ctx, tx, n.ID); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, sqlLocked, n.ID)
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPoll)
	if pg.NoRows(err) {
		return ErrNoPoll
	}
	if err != nil {
		return fmt.Errorf("poll: %w", err)
	}
	switch {
	case p.Ended || p.ExpiresAt != nil && !p.ExpiresAt.After(s.clock()):
		return ErrExpired
	case choice < 0 || choice >= len(p.Choices):
		return ErrChoice
	}
	if rows, err = tx.Query(ctx, sqlMine, n.ID, voter.ID); err != nil {
		return fmt.Errorf("votes: %w", err)
	}
	mine, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return fmt.Errorf("votes: %w", err)
	}
	if slices.Contains(mine, choice) || len(mine) > 0 && !p.Multiple {
		return ErrVoted
	}
	if _, err := tx.Exec(ctx, sqlVote, s.IDs.Now(), n.ID, voter.ID, choice); err != nil {
		return fmt.Errorf("vote: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlTally, n.ID, choice, s.clock()); err != nil {
		return fmt.Errorf("vote: %w", err)
	}
	if err := s.Log.Append(ctx, tx, "note.voted", n.ID, voter.ID, votedData{Choice: choice}); err != nil {
		return err
	}
	if p.UserHost != nil && voter.Local() {
		return s.sendVote(ctx, tx, voter, n, p, choice)
	}
	return nil
}

// sendVote tells the poll's server: a Note with the choice as its name.
func (s *Service) sendVote(ctx context.Context, tx *pg.Tx, voter *user.User, n *Note, p *Poll, choice int) error {
	owner, err := s.Users.ByIDIn(ctx, tx, n.UserID)
	if err != nil {
		return err
	}
	if owner.Inbox == nil {
		return nil
	}
	actor, uri := s.Users.URI(voter), s.URI(n)
	id := s.Meta.Origin + "/votes/" + s.IDs.Now()
	vote := &ap.Note{ID: id, Type: "Note", AttributedTo: actor, To: []string{s.Users.URI(owner)}, InReplyTo: &uri, Name: &p.Choices[choice], Published: s.clock().UTC()}
	act := &ap.Activity{Context: ap.Context(), ID: id + "/activity", Type: "Create", Actor: actor, To: vote.To, Object: vote}
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render vote: %w", err)
	}
	_, err = s.Delivery.Send(ctx, tx, delivery.Message{ActorID: voter.ID, ActivityID: act.ID, Type: "Create", Object: id, Body: body,
		Class: delivery.Direct, Extra: []delivery.Inbox{owner.Recipient()}})
	return err
}

type voteReq struct {
	NoteID string `json:"noteId" api:"required,id"`
	Choice int    `json:"choice" api:"required"`
}

var (
	errVoteNoNote  = api.Err("NO_SUCH_NOTE", "ecafbd2e-c283-4d6d-aecb-1a0a33b75396", "There is no such note.")
	errVoteNoPoll  = api.Err("NO_POLL", "5f979967-52d9-4314-a911-1c673727f92f", "The note has no poll.")
	errVoteChoice  = api.Err("INVALID_CHOICE", "e0cc9a04-f2e8-41e4-a5f1-4127293260cc", "The poll has no such choice.")
	errVoteTwice   = api.Err("ALREADY_VOTED", "0963fc77-efac-419b-9424-b391608dc6d8", "You have voted already.")
	errVoteLate    = api.Err("ALREADY_EXPIRED", "1022a357-b085-4054-9083-8f8de358337e", "The poll is over.")
	errVoteBlocked = api.Err("YOU_HAVE_BEEN_BLOCKED", "85a5377e-b1e9-4617-b0b9-5bea73331e49", "The author blocks you.")
)

func voteErrors() []*api.Error {
	return []*api.Error{errVoteNoNote, errVoteNoPoll, errVoteChoice, errVoteTwice, errVoteLate, errVoteBlocked}
}

func (s *Service) apiVote(ctx context.Context, c *api.Call, req voteReq) (api.None, error) {
	n, err := s.Seen(ctx, c.UserID, req.NoteID)
	if errors.Is(err, ErrNotFound) {
		return api.None{}, errVoteNoNote
	}
	if err != nil {
		return api.None{}, err
	}
	if !n.HasPoll {
		return api.None{}, errVoteNoPoll
	}
	if n.UserID != c.UserID {
		_, blocked, err := s.Relations.Blocks(ctx, s.DB, c.UserID, n.UserID)
		if err != nil {
			return api.None{}, err
		}
		if blocked {
			return api.None{}, errVoteBlocked
		}
	}
	voter, err := s.Users.ByID(ctx, c.UserID)
	if err != nil {
		return api.None{}, err
	}
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error { return s.Vote(ctx, tx, voter, n, req.Choice) })
	for cause, e := range map[error]*api.Error{ErrNotFound: errVoteNoNote, ErrNoPoll: errVoteNoPoll, ErrChoice: errVoteChoice, ErrVoted: errVoteTwice, ErrExpired: errVoteLate} {
		if errors.Is(err, cause) {
			return api.None{}, e
		}
	}
	return api.None{}, err
}

// pollCheck is how often polls that are over, and tallies that have changed,
// are looked for.
const pollCheck = 15 * time.Second

// pollsArgs asks to look after polls.
type pollsArgs struct{}

// Kind implements job.Args.
func (pollsArgs) Kind() string { return "note.polls" }

const (
	sqlPollsOver = `UPDATE poll SET ended = true, unsent = false WHERE note_id IN (
	SELECT note_id FROM poll WHERE NOT ended AND expires_at <= $1 ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING note_id`
	sqlLocalVoters = `SELECT DISTINCT v.user_id FROM poll_vote v JOIN "user" u ON u.id = v.user_id WHERE v.note_id = $1 AND u.host IS NULL`
)

// workPolls ends polls whose time is over: the author and local voters are
// told. Local polls send their tallies out when votes have come, once a check
// and not once a vote.
func (s *Service) workPolls(ctx context.Context) error {
	for _, step := range []func(context.Context) (int, error){s.endPolls, s.sendTallies} {
		for {
			n, err := step(ctx)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
		}
	}
	return nil
}

const sqlPollsUnsent = `UPDATE poll SET unsent = false WHERE note_id IN (
	SELECT note_id FROM poll WHERE unsent ORDER BY note_id LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING note_id`

func (s *Service) sendTallies(ctx context.Context) (sent int, err error) {
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		rows, err := tx.Query(ctx, sqlPollsUnsent)
		if err != nil {
			return fmt.Errorf("polls with new votes: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("polls with new votes: %w", err)
		}
		notes, err := s.ByIDs(ctx, tx, ids)
		if err != nil {
			return err
		}
		for _, n := range notes {
			if err := s.sendTally(ctx, tx, n); err != nil {
				return err
			}
		}
		sent = len(ids)
		return nil
	})
	return sent, err
}

func (s *Service) endPolls(ctx context.Context) (ended int, err error) {
	err = s.DB.Tx(ctx, func(tx *pg.Tx) error {
		rows, err := tx.Query(ctx, sqlPollsOver, s.clock())
		if err != nil {
			return fmt.Errorf("polls that are over: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("polls that are over: %w", err)
		}
		notes, err := s.ByIDs(ctx, tx, ids)
		if err != nil {
			return err
		}
		for _, n := range notes {
			if err := s.endPoll(ctx, tx, n); err != nil {
				return err
			}
		}
		ended = len(ids)
		return nil
	})
	return ended, err
}

func (s *Service) endPoll(ctx context.Context, tx *pg.Tx, n *Note) error {
	rows, err := tx.Query(ctx, sqlLocalVoters, n.ID)
	if err != nil {
		return fmt.Errorf("voters: %w", err)
	}
	voters, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("voters: %w", err)
	}
	if err := s.Bus.Emit(ctx, tx, PollEnded{Note: n, Voters: voters}); err != nil {
		return err
	}
	switch {
	case n.Local():
		return s.sendTally(ctx, tx, n)
	case len(voters) > 0:
		return s.refreshEnded(ctx, tx, n)
	}
	return nil
}

// sendTally tells those who hold a local poll how it stands.
func (s *Service) sendTally(ctx context.Context, tx *pg.Tx, n *Note) error {
	if n.LocalOnly {
		return nil
	}
	author, err := s.Users.ByIDIn(ctx, tx, n.UserID)
	if err != nil {
		return err
	}
	doc, err := s.documentIn(ctx, tx, author, n)
	if err != nil {
		return err
	}
	act := &ap.Activity{Context: ap.Context(), ID: s.URI(n) + "#updates/" + s.IDs.Now(), Type: "Update", Actor: s.Users.URI(author), To: doc.To, Cc: doc.Cc, Object: doc}
	body, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("render poll: %w", err)
	}
	_, err = s.Delivery.Send(ctx, tx, delivery.Message{ActorID: author.ID, ActivityID: act.ID, Type: "Update", Object: s.URI(n), Body: body,
		Class: delivery.Background, To: n.recipients()})
	return err
}
