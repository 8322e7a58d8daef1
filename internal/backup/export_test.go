package backup

import "context"

// Goes tells which backups do not stay.
func (k Keep) Goes(all []Info) []Info { return k.goes(all) }

// Work makes a backup when one is due.
func (s *Service) Work(ctx context.Context) error { return s.work(ctx) }

// Hold takes a place's lock.
func Hold(ctx context.Context, p Place) (func(), error) { return p.lock(ctx) }
