package site

import (
	"html/template"
	"net/http"
	"strings"
	"time"

	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/lib/mfm"
	"buttersc.one/oven/internal/note"
	"buttersc.one/oven/internal/socket/api"
	"buttersc.one/oven/internal/user"
)

// homeBody is the front page.
type homeBody struct {
	Users, Notes int64
	Closed       bool
	First        bool // nobody has an account yet
	Rules        []string
	Newest       []noteView
}

func (s *Service) home(w http.ResponseWriter, r *http.Request) error {
	v := s.view(r)
	t, err := s.stats.Totals(r.Context())
	if err != nil {
		return err
	}
	first, err := s.meta.RequiresSetup(r.Context(), s.db)
	if err != nil {
		return err
	}
	set := s.meta.Get()
	newest, err := s.lines.LocalForGuests(r.Context(), 10)
	if err != nil {
		return err
	}
	v.Body = homeBody{Users: t.LocalUsers, Notes: t.LocalNotes, Closed: set.DisableRegistration, First: first, Rules: set.ServerRules, Newest: s.noteViews(newest)}
	s.render(w, http.StatusOK, "home.html", v)
	return nil
}

// noteView is a note on a page.
type noteView struct {
	Author  string
	Acct    string
	Avatar  string
	Link    string
	At      string
	CW      string
	HTML    template.HTML
	Plain   string
	Renoted string // acct of the author of what is renoted
	Files   []fileView
	Choices []note.PackedChoice
	Hearts  []heartView
	Replies int
	Renotes int
}

type fileView struct {
	URL, Alt  string
	Image     bool
	Sensitive bool
}

type heartView struct {
	Text  string
	Count int
}

func (s *Service) noteViews(list []*note.Packed) []noteView {
	out := make([]noteView, 0, len(list))
	for _, p := range list {
		out = append(out, s.noteView(p))
	}
	return out
}

func (s *Service) noteView(p *note.Packed) noteView {
	v := noteView{}
	if p.Renote != nil && p.Text == nil && len(p.Files) == 0 && p.Poll == nil {
		v.Renoted = acct(p.User)
		p = p.Renote
	}
	v.Author, v.Acct, v.Avatar = p.User.Username, acct(p.User), p.User.AvatarURL
	if p.User.Name != nil {
		v.Author = *p.User.Name
	}
	v.Link, v.At = "/notes/"+p.ID, time.Time(p.CreatedAt).UTC().Format("2006-01-02 15:04")+" UTC"
	if p.CW != nil {
		v.CW = *p.CW
	}
	if p.Text != nil {
		v.Plain = *p.Text
		// ToHTML escapes every text and lets only http addresses become links.
		v.HTML = template.HTML(mfm.ToHTML(mfm.Parse(*p.Text), mfm.HTMLOptions{Origin: s.meta.Origin})) //nolint:gosec
	}
	for _, f := range p.Files {
		fv := fileView{URL: f.URL, Image: strings.HasPrefix(f.Type, "image/"), Sensitive: f.IsSensitive, Alt: f.Name}
		if f.Comment != nil {
			fv.Alt = *f.Comment
		}
		v.Files = append(v.Files, fv)
	}
	if p.Poll != nil {
		v.Choices = p.Poll.Choices
	}
	for r, n := range p.Reactions {
		v.Hearts = append(v.Hearts, heartView{Text: strings.TrimSuffix(r, "@.:"), Count: n})
	}
	v.Replies, v.Renotes = p.RepliesCount, p.RenoteCount
	return v
}

func acct(u *user.Lite) string {
	if u.Host != nil {
		return "@" + u.Username + "@" + *u.Host
	}
	return "@" + u.Username
}

// accountBody is an account's page.
type accountBody struct {
	Name, Acct, Avatar, Banner string
	Bio                        template.HTML
	Fields                     []user.Field
	Notes, Following           int
	Followers                  int
	List                       []noteView
	Remote                     string // where a remote account lives
}

func (s *Service) accountByID(w http.ResponseWriter, r *http.Request, id string) error {
	u, err := s.users.ByID(r.Context(), id)
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/@"+u.Acct(), http.StatusFound)
	return nil
}

func (s *Service) account(w http.ResponseWriter, r *http.Request, name string) error {
	name, host, remote := strings.Cut(name, "@")
	var at *string
	if remote {
		at = &host
	}
	u, err := s.users.ByAcct(r.Context(), s.db, name, at)
	if err != nil {
		return err
	}
	if u.IsSuspended || u.IsDeleted || u.IsSystem {
		return errMissing
	}
	packed, err := s.users.PackDetailed(r.Context(), "", map[string]*user.User{u.ID: u}, false)
	if err != nil {
		return err
	}
	d := packed[u.ID]
	list, err := s.lines.OfUserForGuests(r.Context(), u.ID, 20)
	if err != nil {
		return err
	}
	b := accountBody{Name: u.Username, Acct: acct(&d.Lite), Avatar: d.AvatarURL, Fields: d.Fields, Notes: d.NotesCount,
		Following: d.FollowingCount, Followers: d.FollowersCount, List: s.noteViews(list)}
	v := s.view(r)
	if u.Name != nil {
		b.Name = *u.Name
	}
	if d.BannerURL != nil {
		b.Banner = *d.BannerURL
	}
	if d.Description != nil {
		v.Description = *d.Description
		b.Bio = template.HTML(mfm.ToHTML(mfm.Parse(*d.Description), mfm.HTMLOptions{Origin: s.meta.Origin})) //nolint:gosec // as in noteView
	}
	v.Title, v.Image, v.Body = b.Name+" ("+b.Acct+")", b.Avatar, b
	if u.Local() {
		v.Alternate, v.Feed = s.users.LocalURI(u.ID), "/@"+u.Username
	} else {
		b.Remote, v.NoIndex = s.users.MentionHref(u), true
		v.Body = b
	}
	profiles, err := s.users.Profiles(r.Context(), []string{u.ID})
	if err != nil {
		return err
	}
	if p := profiles[u.ID]; p != nil {
		v.NoIndex = v.NoIndex || p.NoCrawle
	}
	s.render(w, http.StatusOK, "account.html", v)
	return nil
}

func (s *Service) tag(w http.ResponseWriter, r *http.Request, tag string) error {
	list, err := s.lines.TaggedForGuests(r.Context(), tag, 20)
	if err != nil {
		return err
	}
	v := s.view(r)
	v.Title, v.NoIndex, v.Body = "#"+tag, true, s.noteViews(list)
	s.render(w, http.StatusOK, "tag.html", v)
	return nil
}

// noteBody is a note's page.
type noteBody struct {
	Above   []noteView
	Note    noteView
	Replies []noteView
}

func (s *Service) note(w http.ResponseWriter, r *http.Request, id string) error {
	n, err := s.notes.Seen(r.Context(), "", id)
	if err != nil {
		return err
	}
	packed, err := s.notes.Pack(r.Context(), "", []*note.Note{n})
	if err != nil {
		return err
	}
	author, err := s.users.ByID(r.Context(), n.UserID)
	if err != nil {
		return err
	}
	if author.IsSuspended || author.IsDeleted {
		return errMissing
	}
	replies, err := s.notes.RepliesForGuests(r.Context(), id, 30)
	if err != nil {
		return err
	}
	b := noteBody{Note: s.noteView(packed[0]), Replies: s.noteViews(replies)}
	if packed[0].Reply != nil && !packed[0].Reply.IsHidden {
		b.Above = []noteView{s.noteView(packed[0].Reply)}
	}
	v := s.view(r)
	v.Title = b.Note.Author + " (" + b.Note.Acct + ")"
	v.Description, v.Image, v.Body = b.Note.Plain, b.Note.Avatar, b
	if b.Note.CW != "" {
		v.Description = b.Note.CW
	}
	for _, f := range b.Note.Files {
		if f.Image && !f.Sensitive {
			v.Image = f.URL
			break
		}
	}
	if n.Local() {
		v.Alternate = s.notes.URI(n)
	} else {
		v.NoIndex = true
	}
	s.render(w, http.StatusOK, "note.html", v)
	return nil
}

// formBody is the sign-up form.
type formBody struct {
	Username   string
	Invitation string
	Email      string
	Reason     string
	Problem    string // text key of what was wrong
	Done       bool
	Waits      string // for what the account waits that was asked for
	Closed     bool   // an invitation is needed
	Mail       bool   // an address is needed
	Approval   bool   // a moderator decides
	Rules      []string
	Captcha    bool // a script has to ask whether one is a person
}

// maxReason is how much somebody can say about why he would like to be here.
const maxReason = 1000

func (s *Service) serveForm(w http.ResponseWriter, r *http.Request) {
	if s.wantsClient(r) {
		s.shell(w, r)
		return
	}
	s.form(w, r, http.StatusOK, formBody{})
}

func (s *Service) form(w http.ResponseWriter, r *http.Request, status int, b formBody) {
	v := s.view(r)
	set := s.meta.Get()
	b.Closed, b.Mail, b.Approval, b.Rules = set.DisableRegistration, set.EmailRequiredToSignup, set.ApprovalRequired, set.ServerRules
	b.Captcha = len(set.Captchas()) > 0
	v.Title, v.Body = v.T["signup"], b
	s.render(w, status, "signup.html", v)
}

// serveSignup makes an account of the form's fields.
func (s *Service) serveSignup(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		s.form(w, r, http.StatusBadRequest, formBody{Problem: "INVALID_USERNAME"})
		return
	}
	b := formBody{Username: strings.TrimSpace(r.PostFormValue("username")), Invitation: r.PostFormValue("invitation"),
		Email: strings.TrimSpace(r.PostFormValue("email")), Reason: limit(r.PostFormValue("reason"), maxReason)}
	a, err := s.auth.Apply(r.Context(), s.api.ClientIP(r), auth.Application{Username: b.Username, Password: r.PostFormValue("password"),
		Invitation: b.Invitation, Email: b.Email, Reason: b.Reason, Lang: s.view(r).Lang})
	var e *api.Error
	switch {
	case err == nil:
		b.Done, b.Waits = a.User != nil, a.Waits
		s.form(w, r, http.StatusOK, b)
	case asAPI(err, &e):
		b.Problem = e.Code
		s.form(w, r, http.StatusBadRequest, b)
	default:
		s.finish(w, r, err)
	}
}
