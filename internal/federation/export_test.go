package federation

import "time"

// Page is the statement of federation/instances, for tests that look at its plan.
func Page(host string, yes *bool, sort string, blocked []string) (string, []any) {
	req := instancesReq{Blocked: yes, NotResponding: yes, Suspended: yes, Silenced: yes, Federating: yes, Subscribing: yes, Publishing: yes, Limit: 30, Offset: 60}
	if host != "" {
		req.Host = &host
	}
	if sort != "" {
		req.Sort = &sort
	}
	return instancePage(req, blocked, time.Now())
}

// Blocked is the statement that finds blocked servers.
const Blocked = sqlBlocked

// Sorts are all that can be sorted by.
func Sorts() map[string]string { return instanceOrders }
