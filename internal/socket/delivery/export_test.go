package delivery

// Config lets a test change what the service was made with, before Run.
func (s *Service) Config() *Config { return &s.cfg }
