package profile

import (
	"context"
	"slices"
	"strings"

	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

var (
	errAliasNoUser = api.Err("NO_SUCH_USER", "fcd2eef9-a9b2-4c4f-8624-038099e90aa5", "There is no such account.")
	errAliasNoURI  = api.Err("URI_NULL", "bf326f31-d430-4f97-9933-5d61e4d48a23", "The account's address is not known.")
	errAliasSelf   = api.Err("FORBIDDEN_TO_SET_YOURSELF", "25c90186-4ab0-49c8-9bba-a1fa6c202ba4", "You cannot be your own alias.")
)

// aliases finds the accounts that somebody says he is too, as "@name@host": the
// one that he moves here from must be among them.
func (s *Service) aliases(ctx context.Context, me *user.User, up *user.Update, accts *[]string) error {
	if accts == nil {
		return nil
	}
	uris := []string{}
	for _, acct := range *accts {
		name, host, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(acct), "@"), "@")
		u, err := s.users.ResolveAcct(ctx, name, host)
		switch {
		case err != nil || u.IsDeleted || u.IsSystem:
			return errAliasNoUser //nolint:nilerr // whatever the reason: it cannot be found
		case u.ID == me.ID:
			return errAliasSelf
		case !u.Local() && u.URI == nil:
			return errAliasNoURI
		}
		if uri := s.users.URI(u); !slices.Contains(uris, uri) {
			uris = append(uris, uri)
		}
	}
	up.User["also_known_as"] = uris
	return nil
}
