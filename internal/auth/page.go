package auth

import (
	"context"
	"net/netip"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// SignInPage signs a person in on a page without JavaScript, for what that page
// asks and nothing else: it gives the account, no token. Attempts are limited and
// recorded as those of signin-flow, and errors are its errors. The last
// parameter is the one-time code of accounts with a second factor.
func (s *Service) SignInPage(ctx context.Context, ip netip.Addr, username, password, _ string) (*user.User, error) {
	u, err := s.mayTry(ctx, &api.Call{IP: ip}, username)
	if err != nil {
		return nil, err
	}
	if _, err := s.signIn(ctx, u, password, ip); err != nil {
		return nil, err
	}
	return u, nil
}
