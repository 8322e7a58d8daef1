package queue

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/role"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
	"buttersc.one/oven/internal/socket/inbox"
	"buttersc.one/oven/internal/socket/job"
)

var (
	errRetryNone  = api.Err("NO_SUCH_JOB", "8d1f4f0a-6f0e-4b53-9d0c-6a4f0b8e2a03", "There is no such job, or it is at work.")
	errRemoveNone = api.Err("NO_SUCH_JOB", "8d1f4f0a-6f0e-4b53-9d0c-6a4f0b8e2a04", "There is no such job, or it is at work.")
)

// clearReq: older clients say nothing, and mean what waits for other servers
// and what came from them.
type clearReq struct {
	Queue *string `json:"queue" api:"enum=system|endedPollNotification|postScheduledNote|deliver|inbox|db|relationship|objectStorage|userWebhookDeliver|systemWebhookDeliver"`
	State string  `json:"state" api:"enum=*|completed|wait|active|paused|prioritized|delayed|failed,default=*"`
}

func (s *Service) acted(ctx context.Context, tx *pg.Tx, c *api.Call, what string, info map[string]any) error {
	return s.bus.Emit(ctx, tx, role.Acted{Moderator: c.UserID, Type: what, Info: info})
}

// apiClear drops what waits. Of deliveries that is what waits for hosts that are
// down: what is for those that are up is on its way. What is at work goes on.
func (s *Service) apiClear(ctx context.Context, c *api.Call, req clearReq) (api.None, error) {
	queues := []string{"deliver", "inbox"}
	if req.Queue != nil {
		queues = []string{*req.Queue}
	}
	st, err := s.snapshot(ctx)
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		for _, name := range queues {
			if err := s.clear(ctx, tx, name, req.State, st.kinds[name]); err != nil {
				return err
			}
			if err := s.acted(ctx, tx, c, "clearQueue", map[string]any{"queueType": name, "state": req.State}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) clear(ctx context.Context, tx *pg.Tx, name, state string, kinds []string) error {
	switch name {
	case "deliver":
		if state == "*" || state == "delayed" {
			_, err := s.delivery.Drop(ctx, tx, nil)
			return err
		}
		return nil
	case "inbox":
		if state == "active" {
			return nil
		}
		_, err := s.inbox.Clear(ctx, tx, inboxStates[state]...)
		return err
	}
	var states []job.State
	for is, list := range riverStates {
		if is != "active" && (state == "*" || state == is) {
			states = append(states, list...)
		}
	}
	return s.jobs.Clear(ctx, tx, kinds, states)
}

type promoteReq struct {
	Type string `json:"type" api:"required,enum=deliver|inbox"`
}

func (s *Service) apiPromote(ctx context.Context, c *api.Call, req promoteReq) (api.None, error) {
	return s.apiPromoteJobs(ctx, c, queueReq{Queue: req.Type})
}

// apiPromoteJobs has everything that waits for its time tried now.
func (s *Service) apiPromoteJobs(ctx context.Context, c *api.Call, req queueReq) (api.None, error) {
	st, err := s.snapshot(ctx)
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		var err error
		switch req.Queue {
		case "deliver":
			err = s.delivery.Promote(ctx, tx, nil)
		case "inbox":
			err = s.inbox.Promote(ctx, tx)
		default:
			err = s.jobs.Hasten(ctx, tx, st.kinds[req.Queue])
		}
		if err != nil {
			return err
		}
		return s.acted(ctx, tx, c, "promoteQueue", map[string]any{"queueType": req.Queue})
	})
}

func (s *Service) apiRetryJob(ctx context.Context, c *api.Call, req jobReq) (api.None, error) {
	return api.None{}, s.change(ctx, c, req, "promoteQueue", errRetryNone, s.retry)
}

func (s *Service) apiRemoveJob(ctx context.Context, c *api.Call, req jobReq) (api.None, error) {
	return api.None{}, s.change(ctx, c, req, "clearQueue", errRemoveNone, s.remove)
}

// change does something to one job that is there.
func (s *Service) change(ctx context.Context, c *api.Call, req jobReq, what string, missing *api.Error, f func(context.Context, *pg.Tx, jobReq) error) error {
	_, err := s.job(ctx, req)
	if err == nil {
		err = s.db.Tx(ctx, func(tx *pg.Tx) error {
			if err := f(ctx, tx, req); err != nil {
				return err
			}
			return s.acted(ctx, tx, c, what, map[string]any{"queueType": req.Queue, "jobId": req.JobID})
		})
	}
	for _, none := range []error{errNone, delivery.ErrNoSingle, inbox.ErrNoRow, job.ErrNoJob} {
		if errors.Is(err, none) {
			return missing
		}
	}
	return err
}

func (s *Service) retry(ctx context.Context, tx *pg.Tx, req jobReq) error {
	if host, ok := strings.CutPrefix(req.JobID, "host:"); ok {
		return s.delivery.Promote(ctx, tx, []string{host})
	}
	if x := single(req.JobID); x != nil {
		return s.delivery.PromoteSingle(ctx, tx, *x)
	}
	id, err := strconv.ParseInt(req.JobID, 10, 64)
	if err != nil {
		return errNone
	}
	if req.Queue == "inbox" {
		return s.inbox.Try(ctx, tx, id)
	}
	return s.jobs.Retry(ctx, tx, id)
}

func (s *Service) remove(ctx context.Context, tx *pg.Tx, req jobReq) error {
	if host, ok := strings.CutPrefix(req.JobID, "host:"); ok {
		_, err := s.delivery.Drop(ctx, tx, []string{host})
		return err
	}
	if x := single(req.JobID); x != nil {
		return s.delivery.DropSingle(ctx, tx, *x)
	}
	id, err := strconv.ParseInt(req.JobID, 10, 64)
	if err != nil {
		return errNone
	}
	if req.Queue == "inbox" {
		return s.inbox.Remove(ctx, tx, id)
	}
	return s.jobs.Remove(ctx, tx, id)
}
