package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"buttersc.one/oven/internal/app"
	"buttersc.one/oven/internal/auth"
	"buttersc.one/oven/internal/emoji"
	"buttersc.one/oven/internal/socket/api"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements oven version.
func (v versionCmd) Run() error {
	if v.JSON {
		return printJSON(map[string]string{"version": version, "misskey": app.MisskeyVersion})
	}
	fmt.Println("oven", version)
	return nil
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

type endpointsCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements oven endpoints.
func (e endpointsCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	type row struct{ Name, Where string }
	var rows []row
	for _, ep := range a.API.Endpoints() {
		rows = append(rows, row{ep.Name, ep.Where()})
	}
	if e.JSON {
		return printJSON(rows)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		slice, _, _ := strings.Cut(r.Where, "/")
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", r.Name, slice, r.Where)
	}
	return w.Flush()
}

type eventsCmd struct{}

// Run implements oven events.
func (eventsCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	m := a.Bus.Map()
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Printf("%s → %s\n", n, strings.Join(m[n], ", "))
	}
	status, err := a.Log.Status(ctx)
	if err != nil {
		return err
	}
	for _, s := range status {
		if s.Durable {
			fmt.Printf("change log → %s (%d behind)\n", s.Name, s.Lag)
		} else {
			fmt.Printf("change log → %s (from the head, per process)\n", s.Name)
		}
	}
	return nil
}

// userCmd is the accounts' commands.
type userCmd struct {
	List          userListCmd  `cmd:"" help:"List accounts of this server."`
	Create        userNewCmd   `cmd:"" help:"Make an account."`
	Suspend       userStopCmd  `cmd:"" help:"Suspend an account."`
	Unsuspend     userGoCmd    `cmd:"" help:"Let a suspended account back in."`
	ResetPassword userResetCmd `cmd:"" help:"Give an account a new password; all its sessions and apps are signed out."`
	Waiting       userWaitCmd  `cmd:"" help:"List sign-ups that wait to be let in."`
	Approve       userYesCmd   `cmd:"" help:"Let a sign-up in that waits."`
	Reject        userNoCmd    `cmd:"" help:"Refuse a sign-up that waits; its name stays used."`
}

type userListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements oven user list.
func (l userListCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	users, err := a.Users.Locals(ctx)
	if err != nil {
		return err
	}
	type row struct {
		ID        string `json:"id"`
		Username  string `json:"username"`
		Admin     bool   `json:"admin"`
		Suspended bool   `json:"suspended"`
		Notes     int    `json:"notes"`
	}
	rows := []row{}
	for _, u := range users {
		rows = append(rows, row{u.ID, u.Username, u.IsRoot, u.IsSuspended, u.NotesCount})
	}
	if l.JSON {
		return printJSON(rows)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		mark := ""
		if r.Admin {
			mark = "admin"
		}
		if r.Suspended {
			mark += " suspended"
		}
		_, _ = fmt.Fprintf(w, "%s\t@%s\t%d notes\t%s\n", r.ID, r.Username, r.Notes, strings.TrimSpace(mark))
	}
	return w.Flush()
}

// password is read from standard input: never from arguments, which everybody
// on the machine can see.
type password struct {
	PasswordStdin bool `help:"Read the password from standard input." required:""`
}

func (password) read() (string, error) {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}

type userNewCmd struct {
	Username string `required:"" help:"1 to 20 letters, digits or _."`
	Admin    bool   `help:"Make it an administrator."`
	JSON     bool   `name:"json" help:"Print id and token as JSON."`
	password
}

// Run implements oven user create.
func (n userNewCmd) Run(ctx context.Context, c *cli) error {
	pw, err := n.read()
	if err != nil {
		return err
	}
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	u, token, err := a.Auth.SignUp(ctx, auth.NewAccount{Username: n.Username, Password: pw, Admin: n.Admin, Operator: true})
	if err != nil {
		return err
	}
	if n.JSON {
		return printJSON(map[string]string{"id": u.ID, "token": token})
	}
	fmt.Println("made @"+u.Username, u.ID)
	return nil
}

type userResetCmd struct {
	Username         string `required:""`
	WithoutTwoFactor bool   `help:"Switch its second factor off too, for an owner who has lost it."`
	password
}

// Run implements oven user reset-password.
func (r userResetCmd) Run(ctx context.Context, c *cli) error {
	pw, err := r.read()
	if err != nil {
		return err
	}
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	u, err := a.Users.ByAcct(ctx, o.db, r.Username, nil)
	if err != nil {
		return err
	}
	if err := a.Auth.ResetPassword(ctx, u.ID, pw, r.WithoutTwoFactor); err != nil {
		return err
	}
	fmt.Println("set the password of @" + u.Username + "; its sessions have ended")
	return nil
}

type userWaitCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// maxWaiting is how many sign-ups the command lists.
const maxWaiting = 1000

// Run implements oven user waiting.
func (l userWaitCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	list, err := a.Auth.Signups(ctx, api.Page{}, maxWaiting)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(list)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, p := range list {
		reason := ""
		if p.Reason != nil {
			reason = *p.Reason
		}
		_, _ = fmt.Fprintf(w, "@%s\t%s\t%q\n", p.Username, time.Time(p.CreatedAt).Format(time.RFC3339), reason)
	}
	return w.Flush()
}

type userYesCmd struct {
	Username string `required:""`
}

// Run implements oven user approve.
func (y userYesCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	id, err := a.Auth.WaitingByName(ctx, y.Username)
	if err != nil {
		return err
	}
	u, err := a.Auth.Approve(ctx, "", id)
	if err != nil {
		return err
	}
	fmt.Println("made @"+u.Username, u.ID)
	return nil
}

type userNoCmd struct {
	Username string `required:""`
}

// Run implements oven user reject.
func (n userNoCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	id, err := a.Auth.WaitingByName(ctx, n.Username)
	if err != nil {
		return err
	}
	return a.Auth.Reject(ctx, "", id)
}

type userStopCmd struct {
	Username string `required:""`
}

// Run implements oven user suspend.
func (s userStopCmd) Run(ctx context.Context, c *cli) error { return c.suspend(ctx, s.Username, true) }

type userGoCmd struct {
	Username string `required:""`
}

// Run implements oven user unsuspend.
func (s userGoCmd) Run(ctx context.Context, c *cli) error { return c.suspend(ctx, s.Username, false) }

func (c *cli) suspend(ctx context.Context, username string, yes bool) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	u, err := a.Users.ByAcct(ctx, o.db, username, nil)
	if err != nil {
		return err
	}
	return a.Moderation.Suspend(ctx, "", u.ID, yes)
}

// emojiCmd is the emoji's commands.
type emojiCmd struct {
	Add emojiAddCmd `cmd:"" help:"Add a custom emoji from a picture."`
}

type emojiAddCmd struct {
	Name     string   `arg:"" help:"a-z, A-Z, 0-9 and _."`
	File     string   `arg:"" type:"existingfile" help:"PNG, GIF, JPEG, WebP or AVIF, at most 8 MiB."`
	Category *string  `help:"Heading in the picker."`
	Alias    []string `help:"Another word that finds it."`
	License  *string  `help:"Where it is from and how it may be used."`
}

// Run implements oven emoji add.
func (e emojiAddCmd) Run(ctx context.Context, c *cli) error {
	o, a, err := c.prepared(ctx)
	if err != nil {
		return err
	}
	defer o.close()
	f, err := os.Open(e.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	file, err := a.Drive.Store(ctx, filepath.Base(e.File), f)
	if err != nil {
		return err
	}
	made, err := a.Emojis.Add(ctx, emoji.Emoji{Name: e.Name, OriginalURL: file.URL, Type: &file.Type, Category: e.Category, Aliases: e.Alias, License: e.License})
	if err != nil {
		return err
	}
	fmt.Printf(":%s: %s\n", made.Name, made.OriginalURL)
	return nil
}
