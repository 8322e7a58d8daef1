package federation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"buttersc.one/oven/internal/instance"
	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/lib/pg"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/delivery"
)

// Instance is another server as clients see it. Who follows whom is told from
// its side: followingCount are its accounts' follows of ours, followersCount
// ours of its accounts.
type Instance struct {
	ID                      string    `json:"id"`
	FirstRetrievedAt        api.Time  `json:"firstRetrievedAt"`
	Host                    string    `json:"host"`
	UsersCount              int       `json:"usersCount"`
	NotesCount              int       `json:"notesCount"`
	FollowingCount          int       `json:"followingCount"`
	FollowersCount          int       `json:"followersCount"`
	IsNotResponding         bool      `json:"isNotResponding"`
	IsSuspended             bool      `json:"isSuspended"`
	SuspensionState         string    `json:"suspensionState"`
	IsBlocked               bool      `json:"isBlocked"`
	SoftwareName            *string   `json:"softwareName"`
	SoftwareVersion         *string   `json:"softwareVersion"`
	OpenRegistrations       *bool     `json:"openRegistrations"`
	Name                    *string   `json:"name"`
	Description             *string   `json:"description"`
	MaintainerName          *string   `json:"maintainerName"`
	MaintainerEmail         *string   `json:"maintainerEmail"`
	IsSilenced              bool      `json:"isSilenced"`
	IsMediaSilenced         bool      `json:"isMediaSilenced"`
	IconURL                 *string   `json:"iconUrl"`
	FaviconURL              *string   `json:"faviconUrl"`
	ThemeColor              *string   `json:"themeColor"`
	InfoUpdatedAt           *api.Time `json:"infoUpdatedAt"`
	LatestRequestReceivedAt *api.Time `json:"latestRequestReceivedAt"`
	ModerationNote          *string   `json:"moderationNote"` // moderators only
}

// suspensions are the delivery engine's words in the API's.
var suspensions = map[string]string{"": "none", "paused": "manuallySuspended", "gone": "goneSuspended", "dead": "autoSuspendedForNotResponding"}

// instanceTables are all that is asked of a server; $1 is the moment.
const instanceTables = `
FROM (SELECT $1::timestamptz AS at) now, instance t
LEFT JOIN instance_stat c ON c.host = t.host
LEFT JOIN fed_host h ON h.host = t.host
LEFT JOIN fed_sender s ON s.host = t.host`

const (
	// What of the page is wanted is found in the narrow columns, and the rest read
	// for its rows alone: they are wide.
	sqlInstancePage = `SELECT t.host ` + instanceTables
	sqlInstances    = `
SELECT t.id, t.first_retrieved_at, t.host, coalesce(c.users_count, 0), coalesce(c.notes_count, 0), coalesce(c.following_count, 0), coalesce(c.followers_count, 0),
	` + delivery.SQLFailing + `, ` + delivery.SQLStopped + `, t.software_name, t.software_version, t.open_registrations, t.name, t.description,
	t.maintainer_name, t.maintainer_email, t.is_silenced, t.icon_url, t.favicon_url, t.theme_color, t.info_updated_at, s.last_at, t.moderation_note
` + instanceTables + ` WHERE t.host = ANY($2)`
)

// instances reads servers in the order of the hosts; unknown ones are missing.
func (s *Service) instances(ctx context.Context, c *api.Call, hosts []string) ([]*Instance, error) {
	rows, err := s.DB.Query(ctx, sqlInstances, s.Now(), hosts)
	if err != nil {
		return nil, fmt.Errorf("instances: %w", err)
	}
	set := s.Meta.Get()
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*Instance, error) {
		i := &Instance{}
		var first time.Time
		var info, latest *time.Time
		var stopped, note string
		err := r.Scan(&i.ID, &first, &i.Host, &i.UsersCount, &i.NotesCount, &i.FollowingCount, &i.FollowersCount, &i.IsNotResponding, &stopped,
			&i.SoftwareName, &i.SoftwareVersion, &i.OpenRegistrations, &i.Name, &i.Description, &i.MaintainerName, &i.MaintainerEmail,
			&i.IsSilenced, &i.IconURL, &i.FaviconURL, &i.ThemeColor, &info, &latest, &note)
		i.FirstRetrievedAt, i.InfoUpdatedAt, i.LatestRequestReceivedAt = api.Time(first), api.TimePtr(info), api.TimePtr(latest)
		i.SuspensionState, i.IsSuspended = suspensions[stopped], stopped != ""
		i.IsBlocked, i.IsMediaSilenced = instance.Covers(set.BlockedHosts, i.Host), s.Instances.MediaSilenced(i.Host)
		if c.IsModerator() {
			i.ModerationNote = &note
		}
		return i, err
	})
	if err != nil {
		return nil, fmt.Errorf("instances: %w", err)
	}
	slices.SortFunc(out, func(a, b *Instance) int { return slices.Index(hosts, a.Host) - slices.Index(hosts, b.Host) })
	return out, nil
}

type instancesReq struct {
	Host          *string `json:"host" api:"nullable,max=255"` // a part of it
	Blocked       *bool   `json:"blocked"`
	NotResponding *bool   `json:"notResponding"`
	Suspended     *bool   `json:"suspended"`
	Silenced      *bool   `json:"silenced"`
	Federating    *bool   `json:"federating"`
	Subscribing   *bool   `json:"subscribing"`
	Publishing    *bool   `json:"publishing"`
	Limit         int     `json:"limit" api:"min=1,max=100,default=30"`
	Offset        int     `json:"offset" api:"min=0,default=0"`
	Sort          *string `json:"sort" api:"nullable,enum=+pubSub|-pubSub|+notes|-notes|+users|-users|+following|-following|+followers|-followers|+firstRetrievedAt|-firstRetrievedAt|+latestRequestReceivedAt|-latestRequestReceivedAt"`
}

// instanceOrders are what can be sorted by; "+" is the most first. The host makes
// an order in which no page misses a row of another.
var instanceOrders = map[string]string{
	"":                         "t.id DESC",
	"+pubSub":                  "coalesce(c.following_count, 0) DESC, coalesce(c.followers_count, 0) DESC, t.host",
	"-pubSub":                  "coalesce(c.following_count, 0), coalesce(c.followers_count, 0), t.host",
	"+notes":                   "coalesce(c.notes_count, 0) DESC, t.host",
	"-notes":                   "coalesce(c.notes_count, 0), t.host",
	"+users":                   "coalesce(c.users_count, 0) DESC, t.host",
	"-users":                   "coalesce(c.users_count, 0), t.host",
	"+following":               "coalesce(c.following_count, 0) DESC, t.host",
	"-following":               "coalesce(c.following_count, 0), t.host",
	"+followers":               "coalesce(c.followers_count, 0) DESC, t.host",
	"-followers":               "coalesce(c.followers_count, 0), t.host",
	"+firstRetrievedAt":        "t.first_retrieved_at DESC, t.host",
	"-firstRetrievedAt":        "t.first_retrieved_at, t.host",
	"+latestRequestReceivedAt": "s.last_at DESC NULLS LAST, t.host",
	"-latestRequestReceivedAt": "s.last_at NULLS FIRST, t.host",
}

// A rule holds for subdomains, too. Both are found by index, the latter by what a
// host ends with: '/' comes after '.'.
const sqlBlocked = `
SELECT i.host FROM unnest($1::text[]) b JOIN instance i ON i.host = b
UNION SELECT i.host FROM unnest($1::text[]) b, LATERAL (
	SELECT host FROM instance WHERE reverse(host) > reverse('.' || b) AND reverse(host) < reverse('/' || b) OFFSET 0) i`

// instancePage is the statement that finds the hosts of a page; blocked are all
// that are, where it is asked for.
func instancePage(req instancesReq, blocked []string, now time.Time) (string, []any) {
	w := &pg.Where{}
	w.Arg(now)
	if req.Host != nil && *req.Host != "" {
		w.And("strpos(t.host, ?) > 0", strings.ToLower(*req.Host))
	}
	from := sqlInstancePage
	if req.Blocked != nil {
		from += " LEFT JOIN unnest(" + w.Arg(blocked) + "::text[]) b (host) ON b.host = t.host"
		w.And("(b.host IS NOT NULL) = ?", *req.Blocked)
	}
	if req.NotResponding != nil {
		w.And(delivery.SQLFailing+" = ?", *req.NotResponding)
	}
	if req.Suspended != nil {
		w.And("("+delivery.SQLStopped+" <> '') = ?", *req.Suspended)
	}
	if req.Silenced != nil {
		w.And("t.is_silenced = ?", *req.Silenced)
	}
	if req.Federating != nil {
		w.And("(coalesce(c.following_count, 0) > 0 OR coalesce(c.followers_count, 0) > 0) = ?", *req.Federating)
	}
	if req.Subscribing != nil {
		w.And("(coalesce(c.followers_count, 0) > 0) = ?", *req.Subscribing)
	}
	if req.Publishing != nil {
		w.And("(coalesce(c.following_count, 0) > 0) = ?", *req.Publishing)
	}
	order := instanceOrders[""]
	if req.Sort != nil {
		order = instanceOrders[*req.Sort]
	}
	return from + w.SQL() + " ORDER BY " + order + pg.Limit(req.Limit) + pg.Offset(req.Offset), w.Args
}

func (s *Service) apiInstances(ctx context.Context, c *api.Call, req instancesReq) ([]*Instance, error) {
	var blocked []string
	if req.Blocked != nil {
		rows, err := s.DB.Query(ctx, sqlBlocked, s.Meta.Get().BlockedHosts)
		if err != nil {
			return nil, fmt.Errorf("blocked instances: %w", err)
		}
		if blocked, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return nil, fmt.Errorf("blocked instances: %w", err)
		}
	}
	sql, args := instancePage(req, blocked, s.Now())
	return s.instancesOf(ctx, c, sql, args...)
}

// instancesOf packs the servers whose hosts a statement gives.
func (s *Service) instancesOf(ctx context.Context, c *api.Call, sql string, args ...any) ([]*Instance, error) {
	rows, err := s.DB.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("instances: %w", err)
	}
	hosts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("instances: %w", err)
	}
	if len(hosts) == 0 {
		return []*Instance{}, nil
	}
	return s.instances(ctx, c, hosts)
}

type hostReq struct {
	Host string `json:"host" api:"required,max=255"`
}

// What a handle ends with may be another name than the server's; where it is none
// of a server that is known, the server of who has it is meant.
const sqlAuthority = `
SELECT coalesce((SELECT host FROM instance WHERE host = $1), (SELECT actor_host FROM "user" WHERE host = $1 ORDER BY id LIMIT 1), $1::text)`

// errNoHost says that a text is no host.
var errNoHost = errors.New("no host")

func (s *Service) authority(ctx context.Context, text string) (string, error) {
	host, err := ap.NormalizeHost(text)
	if err != nil {
		return "", errNoHost
	}
	if err := s.DB.QueryRow(ctx, sqlAuthority, host).Scan(&host); err != nil {
		return "", fmt.Errorf("authority of %s: %w", host, err)
	}
	return host, nil
}

// apiShowInstance answers nothing for a server that is not known.
func (s *Service) apiShowInstance(ctx context.Context, c *api.Call, req hostReq) (*Instance, error) {
	host, err := s.authority(ctx, req.Host)
	if errors.Is(err, errNoHost) {
		return nil, nil //nolint:nilnil // no server has such a name
	}
	if err != nil {
		return nil, err
	}
	list, err := s.instances(ctx, c, []string{host})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

type instanceStatsReq struct {
	Limit int `json:"limit" api:"min=1,max=100,default=10"`
}

type instanceStatsRes struct {
	TopSubInstances     []*Instance `json:"topSubInstances"`
	OtherFollowersCount int64       `json:"otherFollowersCount"`
	TopPubInstances     []*Instance `json:"topPubInstances"`
	OtherFollowingCount int64       `json:"otherFollowingCount"`
}

const (
	sqlTopSub = `
SELECT c.host FROM instance_stat c JOIN instance t ON t.host = c.host WHERE c.followers_count > 0 ORDER BY c.followers_count DESC, c.host LIMIT $1`
	sqlTopPub = `
SELECT c.host FROM instance_stat c JOIN instance t ON t.host = c.host WHERE c.following_count > 0 ORDER BY c.following_count DESC, c.host LIMIT $1`
	sqlTies = `SELECT coalesce(sum(followers_count), 0), coalesce(sum(following_count), 0) FROM instance_stat`
)

func (s *Service) apiInstanceStats(ctx context.Context, c *api.Call, req instanceStatsReq) (*instanceStatsRes, error) {
	out := &instanceStatsRes{}
	var err error
	if err = s.DB.QueryRow(ctx, sqlTies).Scan(&out.OtherFollowersCount, &out.OtherFollowingCount); err != nil {
		return nil, fmt.Errorf("ties with other servers: %w", err)
	}
	if out.TopSubInstances, err = s.instancesOf(ctx, c, sqlTopSub, req.Limit); err != nil {
		return nil, err
	}
	if out.TopPubInstances, err = s.instancesOf(ctx, c, sqlTopPub, req.Limit); err != nil {
		return nil, err
	}
	for _, i := range out.TopSubInstances {
		out.OtherFollowersCount -= int64(i.FollowersCount)
	}
	for _, i := range out.TopPubInstances {
		out.OtherFollowingCount -= int64(i.FollowingCount)
	}
	// They are counted between two statements.
	out.OtherFollowersCount, out.OtherFollowingCount = max(0, out.OtherFollowersCount), max(0, out.OtherFollowingCount)
	return out, nil
}

const sqlPeers = `
SELECT t.host FROM (SELECT $1::timestamptz AS at) now, instance t LEFT JOIN fed_host h ON h.host = t.host
WHERE ` + delivery.SQLStopped + ` = '' ORDER BY t.host`

// servePeers lists the servers that are known, as Mastodon does.
func (s *Service) servePeers(w http.ResponseWriter, r *http.Request) {
	rows, err := s.DB.Query(r.Context(), sqlPeers, s.Now())
	var hosts []string
	if err == nil {
		hosts, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		s.Slog.Error("federation", "path", r.URL.Path, "err", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	set := s.Meta.Get()
	hosts = slices.DeleteFunc(hosts, func(h string) bool { return instance.Covers(set.BlockedHosts, h) })
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	writeJSON(w, "application/json; charset=utf-8", append([]string{}, hosts...))
}
