package backup

import (
	"context"
	"time"
)

// A backup that nobody has restored is a hope. The newest one is restored now and
// then, by the server itself.

type proof struct{}

// Kind names the job.
func (proof) Kind() string { return "backup.proof" }

// proveAfterFailure is how long a backup that could not be proven is left alone,
// unless a newer one has been made.
const proveAfterFailure = 24 * time.Hour

// provable tells whether backups are to be proven, and can be: what is encrypted
// needs a key that the server does not have by itself.
func (s *Service) provable() bool {
	return s.ProveEvery > 0 && (len(s.Recipients) == 0 || len(s.Identities) > 0)
}

const (
	sqlLastProof = `SELECT max(began_at) FROM backup_run WHERE kind = 'verify' AND error = ''`
	sqlLastTrial = `SELECT max(began_at) FROM backup_run WHERE kind = 'verify'`
)

// prove restores the newest backup when that is due. What is wrong with it is in the
// table, for administrators and for the log.
func (s *Service) prove(ctx context.Context) error {
	var good, proven, tried time.Time
	for sql, to := range map[string]*time.Time{sqlLastGood: &good, sqlLastProof: &proven, sqlLastTrial: &tried} {
		at, err := s.last(ctx, sql)
		if err != nil {
			return err
		}
		*to = at
	}
	now := s.now()
	switch {
	case good.IsZero(), now.Sub(proven) < s.ProveEvery-lookEvery/2:
		return nil
	case tried.After(proven) && tried.After(good) && now.Sub(tried) < proveAfterFailure:
		return nil
	}
	place, err := OpenPlace(s.To, s.S3, false)
	if err != nil {
		return err
	}
	keys, err := ReadIdentities(s.Identities)
	if err != nil {
		return err
	}
	p, err := s.prover.Verify(ctx, place, "", keys)
	if err != nil {
		s.Log.Error("the newest backup could not be proven", "place", place.String(), "err", err)
		return nil // it is in the table, by which it is tried again
	}
	s.Log.Info("proven by restoring it", "backup", p.ID, "place", place.String(), "seconds", p.Seconds)
	return nil
}
