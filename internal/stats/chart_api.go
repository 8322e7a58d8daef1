package stats

import (
	"context"
	"time"

	"buttersc.one/oven/internal/lib/ap"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/socket/chart"
)

// chartCache is how long an answer may be kept, in seconds.
const chartCache = 60 * 60

func (s *Service) chartEndpoints() []api.Endpoint {
	get := api.Get(chartCache)
	return []api.Endpoint{
		api.Post("charts/active-users", s.apiActiveUsers, api.Visitors, get),
		api.Post("charts/ap-request", s.apiAPRequest, api.Visitors, get),
		api.Post("charts/drive", s.apiDrive, api.Visitors, get),
		api.Post("charts/federation", s.apiFederation, api.Visitors, get),
		api.Post("charts/instance", s.apiInstance, api.Visitors, get),
		api.Post("charts/notes", s.apiNotes, api.Visitors, get),
		api.Post("charts/users", s.apiUsers, api.Visitors, get),
		api.Post("charts/user/drive", s.apiUserDrive, api.Visitors, get),
		api.Post("charts/user/following", s.apiUserFollowing, api.Visitors, get),
		api.Post("charts/user/notes", s.apiUserNotes, api.Visitors, get),
		api.Post("charts/user/pv", s.apiUserPv, api.Visitors, get),
		api.Post("charts/user/reactions", s.apiUserReactions, api.Visitors, get),
		api.Post("retention", s.apiRetention, api.Visitors, api.Get(chartCache)),
		api.Post("oven/charts/hours", s.apiHours, api.Visitors, get, api.Hidden),
	}
}

// chartReq asks for buckets up to the one that offset is in.
type chartReq struct {
	Span   string `json:"span" api:"required,enum=day|hour"`
	Limit  int    `json:"limit" api:"min=1,max=500,default=30"`
	Offset *int64 `json:"offset" api:"nullable,default=null"` // ms since 1970; null or 0: now
}

type instanceReq struct {
	chartReq
	Host string `json:"host" api:"required"`
}

type userReq struct {
	chartReq
	UserID string `json:"userId" api:"required,id"`
}

func (r *chartReq) query(name, grp string) chart.Query {
	q := chart.Query{Name: name, Group: grp, Span: chart.Span(r.Span), Limit: r.Limit}
	if r.Offset != nil && *r.Offset != 0 {
		q.Until = time.UnixMilli(*r.Offset)
	}
	return q
}

type activeUsers struct {
	ReadWrite              []int64 `json:"readWrite"`
	Read                   []int64 `json:"read"`
	Write                  []int64 `json:"write"`
	RegisteredWithinWeek   []int64 `json:"registeredWithinWeek"`
	RegisteredWithinMonth  []int64 `json:"registeredWithinMonth"`
	RegisteredWithinYear   []int64 `json:"registeredWithinYear"`
	RegisteredOutsideWeek  []int64 `json:"registeredOutsideWeek"`
	RegisteredOutsideMonth []int64 `json:"registeredOutsideMonth"`
	RegisteredOutsideYear  []int64 `json:"registeredOutsideYear"`
}

func (s *Service) apiActiveUsers(ctx context.Context, _ *api.Call, req chartReq) (*activeUsers, error) {
	v, err := s.Engine.Read(ctx, req.query("activeUsers", ""))
	if err != nil {
		return nil, err
	}
	return &activeUsers{ReadWrite: v["readWrite"], Read: v["read"], Write: v["write"],
		RegisteredWithinWeek: v["registeredWithinWeek"], RegisteredWithinMonth: v["registeredWithinMonth"], RegisteredWithinYear: v["registeredWithinYear"],
		RegisteredOutsideWeek: v["registeredOutsideWeek"], RegisteredOutsideMonth: v["registeredOutsideMonth"], RegisteredOutsideYear: v["registeredOutsideYear"]}, nil
}

type apRequest struct {
	DeliverFailed    []int64 `json:"deliverFailed"`
	DeliverSucceeded []int64 `json:"deliverSucceeded"`
	InboxReceived    []int64 `json:"inboxReceived"`
}

func (s *Service) apiAPRequest(ctx context.Context, _ *api.Call, req chartReq) (*apRequest, error) {
	v, err := s.Engine.Read(ctx, req.query("apRequest", ""))
	if err != nil {
		return nil, err
	}
	return &apRequest{DeliverFailed: v["deliverFailed"], DeliverSucceeded: v["deliverSucceeded"], InboxReceived: v["inboxReceived"]}, nil
}

// driveFlow is files that came and went; sizes in kB.
type driveFlow struct {
	IncCount []int64 `json:"incCount"`
	IncSize  []int64 `json:"incSize"`
	DecCount []int64 `json:"decCount"`
	DecSize  []int64 `json:"decSize"`
}

func flowOf(v chart.Series, prefix string) driveFlow {
	return driveFlow{IncCount: v[prefix+"incCount"], IncSize: v[prefix+"incSize"], DecCount: v[prefix+"decCount"], DecSize: v[prefix+"decSize"]}
}

type driveChart struct {
	Local  driveFlow `json:"local"`
	Remote driveFlow `json:"remote"`
}

func (s *Service) apiDrive(ctx context.Context, _ *api.Call, req chartReq) (*driveChart, error) {
	v, err := s.Engine.Read(ctx, req.query("drive", ""))
	if err != nil {
		return nil, err
	}
	return &driveChart{Local: flowOf(v, "local."), Remote: flowOf(v, "remote.")}, nil
}

type userDrive struct {
	TotalCount []int64 `json:"totalCount"`
	TotalSize  []int64 `json:"totalSize"` // kB
	driveFlow
}

func (s *Service) apiUserDrive(ctx context.Context, _ *api.Call, req userReq) (*userDrive, error) {
	v, err := s.Engine.Read(ctx, req.query("perUserDrive", req.UserID))
	if err != nil {
		return nil, err
	}
	return &userDrive{TotalCount: v["totalCount"], TotalSize: v["totalSize"], driveFlow: flowOf(v, "")}, nil
}

type federationChart struct {
	DeliveredInstances []int64 `json:"deliveredInstances"`
	InboxInstances     []int64 `json:"inboxInstances"`
	Stalled            []int64 `json:"stalled"`
	Sub                []int64 `json:"sub"`
	Pub                []int64 `json:"pub"`
	Pubsub             []int64 `json:"pubsub"`
	SubActive          []int64 `json:"subActive"`
	PubActive          []int64 `json:"pubActive"`
}

func (s *Service) apiFederation(ctx context.Context, _ *api.Call, req chartReq) (*federationChart, error) {
	v, err := s.Engine.Read(ctx, req.query("federation", ""))
	if err != nil {
		return nil, err
	}
	return &federationChart{DeliveredInstances: v["deliveredInstances"], InboxInstances: v["inboxInstances"], Stalled: v["stalled"],
		Sub: v["sub"], Pub: v["pub"], Pubsub: v["pubsub"], SubActive: v["subActive"], PubActive: v["pubActive"]}, nil
}

// totals are how many there are, and how many came and went.
type totals struct {
	Total []int64 `json:"total"`
	Inc   []int64 `json:"inc"`
	Dec   []int64 `json:"dec"`
}

func totalsOf(v chart.Series, prefix string) totals {
	return totals{Total: v[prefix+"total"], Inc: v[prefix+"inc"], Dec: v[prefix+"dec"]}
}

// noteDiffs are by how much notes of a kind became more.
type noteDiffs struct {
	Normal   []int64 `json:"normal"`
	Reply    []int64 `json:"reply"`
	Renote   []int64 `json:"renote"`
	WithFile []int64 `json:"withFile"`
}

type notesChart struct {
	totals
	Diffs noteDiffs `json:"diffs"`
}

func notesOf(v chart.Series, prefix string) notesChart {
	return notesChart{totals: totalsOf(v, prefix), Diffs: noteDiffs{Normal: v[prefix+"diffs.normal"], Reply: v[prefix+"diffs.reply"],
		Renote: v[prefix+"diffs.renote"], WithFile: v[prefix+"diffs.withFile"]}}
}

type notesRes struct {
	Local  notesChart `json:"local"`
	Remote notesChart `json:"remote"`
}

func (s *Service) apiNotes(ctx context.Context, _ *api.Call, req chartReq) (*notesRes, error) {
	v, err := s.Engine.Read(ctx, req.query("notes", ""))
	if err != nil {
		return nil, err
	}
	return &notesRes{Local: notesOf(v, "local."), Remote: notesOf(v, "remote.")}, nil
}

func (s *Service) apiUserNotes(ctx context.Context, _ *api.Call, req userReq) (*notesChart, error) {
	v, err := s.Engine.Read(ctx, req.query("perUserNotes", req.UserID))
	if err != nil {
		return nil, err
	}
	n := notesOf(v, "")
	return &n, nil
}

type usersRes struct {
	Local  totals `json:"local"`
	Remote totals `json:"remote"`
}

func (s *Service) apiUsers(ctx context.Context, _ *api.Call, req chartReq) (*usersRes, error) {
	v, err := s.Engine.Read(ctx, req.query("users", ""))
	if err != nil {
		return nil, err
	}
	return &usersRes{Local: totalsOf(v, "local."), Remote: totalsOf(v, "remote.")}, nil
}

type ties struct {
	Followings totals `json:"followings"`
	Followers  totals `json:"followers"`
}

type followingRes struct {
	Local  ties `json:"local"`
	Remote ties `json:"remote"`
}

func (s *Service) apiUserFollowing(ctx context.Context, _ *api.Call, req userReq) (*followingRes, error) {
	v, err := s.Engine.Read(ctx, req.query("perUserFollowing", req.UserID))
	if err != nil {
		return nil, err
	}
	of := func(side string) ties {
		return ties{Followings: totalsOf(v, side+"followings."), Followers: totalsOf(v, side+"followers.")}
	}
	return &followingRes{Local: of("local."), Remote: of("remote.")}, nil
}

// views are by accounts and by guests.
type views struct {
	User    []int64 `json:"user"`
	Visitor []int64 `json:"visitor"`
}

type pvRes struct {
	Upv views `json:"upv"` // different ones
	Pv  views `json:"pv"`
}

func (s *Service) apiUserPv(ctx context.Context, _ *api.Call, req userReq) (*pvRes, error) {
	v, err := s.Engine.Read(ctx, req.query("perUserPv", req.UserID))
	if err != nil {
		return nil, err
	}
	return &pvRes{Upv: views{v["upv.user"], v["upv.visitor"]}, Pv: views{v["pv.user"], v["pv.visitor"]}}, nil
}

type counted struct {
	Count []int64 `json:"count"`
}

type reactionsRes struct {
	Local  counted `json:"local"`
	Remote counted `json:"remote"`
}

func (s *Service) apiUserReactions(ctx context.Context, _ *api.Call, req userReq) (*reactionsRes, error) {
	v, err := s.Engine.Read(ctx, req.query("perUserReaction", req.UserID))
	if err != nil {
		return nil, err
	}
	return &reactionsRes{Local: counted{v["local.count"]}, Remote: counted{v["remote.count"]}}, nil
}

type requests struct {
	Failed    []int64 `json:"failed"`
	Succeeded []int64 `json:"succeeded"`
	Received  []int64 `json:"received"`
}

type instanceDrive struct {
	TotalFiles []int64 `json:"totalFiles"`
	IncFiles   []int64 `json:"incFiles"`
	DecFiles   []int64 `json:"decFiles"`
	IncUsage   []int64 `json:"incUsage"` // kB
	DecUsage   []int64 `json:"decUsage"` // kB
}

type instanceRes struct {
	Requests  requests      `json:"requests"`
	Notes     notesChart    `json:"notes"`
	Users     totals        `json:"users"`
	Following totals        `json:"following"` // of accounts here, by the server's
	Followers totals        `json:"followers"` // of the server's accounts, by those here
	Drive     instanceDrive `json:"drive"`
}

func (s *Service) apiInstance(ctx context.Context, _ *api.Call, req instanceReq) (*instanceRes, error) {
	host, err := ap.NormalizeHost(req.Host)
	if err != nil {
		host = req.Host // of which nothing is known
	}
	v, err := s.Engine.Read(ctx, req.query("instance", host))
	if err != nil {
		return nil, err
	}
	return &instanceRes{
		Requests: requests{Failed: v["requests.failed"], Succeeded: v["requests.succeeded"], Received: v["requests.received"]},
		Notes:    notesOf(v, "notes."), Users: totalsOf(v, "users."), Following: totalsOf(v, "following."), Followers: totalsOf(v, "followers."),
		Drive: instanceDrive{TotalFiles: v["drive.totalFiles"], IncFiles: v["drive.incFiles"], DecFiles: v["drive.decFiles"],
			IncUsage: v["drive.incUsage"], DecUsage: v["drive.decUsage"]},
	}, nil
}

type hoursRes struct {
	Hours []int     `json:"hours"`
	Since *api.Time `json:"since"` // the first hour that was counted; before it is no gap
}

// apiHours tells of each bucket in how many of its hours the server was there to
// count: what a chart does not know it shows as 0.
func (s *Service) apiHours(ctx context.Context, _ *api.Call, req chartReq) (*hoursRes, error) {
	h, err := s.Engine.Hours(ctx, req.query("", ""))
	if err != nil {
		return nil, err
	}
	since, err := s.Engine.Since(ctx)
	if err != nil {
		return nil, err
	}
	return &hoursRes{Hours: h, Since: api.TimePtr(since)}, nil
}
