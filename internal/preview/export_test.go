package preview

import "context"

// Trim is Clean with another number of rows that may stay.
func (s *Service) Trim(ctx context.Context, most int) error { return s.clean(ctx, most) }
