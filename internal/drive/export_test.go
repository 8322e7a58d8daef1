package drive

import "context"

// RemoveUnshown is the statement, for a test of its plan.
const RemoveUnshown = sqlRemoveUnshown

// TellLooks writes down what was looked at now.
func (s *Service) TellLooks(ctx context.Context) error { return s.proxy.tellLooks(ctx) }
