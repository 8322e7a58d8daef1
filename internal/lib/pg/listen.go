package pg

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Listen calls wake for every NOTIFY on channel until ctx ends, over one
// connection of its own. A notification is only a wake-up: wake is also called
// after each (re)connection, since what was sent in between is lost, and the
// caller polls besides.
func (db *DB) Listen(ctx context.Context, channel string, wake func(payload string)) {
	for ctx.Err() == nil {
		_ = db.listenOnce(ctx, channel, wake)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (db *DB) listenOnce(ctx context.Context, channel string, wake func(string)) error {
	// Not from the pool: this connection is never given back while it lives.
	conn, err := pgx.ConnectConfig(ctx, db.Config().ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	wake("")
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		wake(n.Payload)
	}
}
