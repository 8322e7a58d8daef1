package notification

import (
	"context"
	"fmt"
	"strings"

	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
)

type appReq struct {
	Body   string  `json:"body" api:"required,max=4096"`
	Header *string `json:"header" api:"nullable,max=512"`
	Icon   *string `json:"icon" api:"nullable,max=1024"`
}

// apiApp lets an app tell the account something.
func (s *Service) apiApp(ctx context.Context, c *api.Call, req appReq) (api.None, error) {
	clean := func(t string) string { return strings.ReplaceAll(t, "\x00", "") }
	d := &appData{Body: clean(req.Body), Header: req.Header, Icon: req.Icon}
	for _, p := range []*string{d.Header, d.Icon} {
		if p != nil {
			*p = clean(*p)
		}
	}
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.addTo(ctx, tx, c.UserID, row{typ: "app", data: data{App: d}}) })
}

// apiTest shows the account what a notification looks like.
func (s *Service) apiTest(ctx context.Context, c *api.Call, _ struct{}) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error { return s.addTo(ctx, tx, c.UserID, row{typ: "test"}) })
}

const sqlFlush = `DELETE FROM notification WHERE notifiee_id = $1`

// apiFlush forgets all notifications of the account.
func (s *Service) apiFlush(ctx context.Context, c *api.Call, _ struct{}) (api.None, error) {
	return api.None{}, s.db.Tx(ctx, func(tx *pg.Tx) error {
		if _, err := tx.Exec(ctx, sqlFlush, c.UserID); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		return s.log.Append(ctx, tx, "notification.flushed", c.UserID, c.UserID, nil)
	})
}
