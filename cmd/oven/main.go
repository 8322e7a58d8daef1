// Command oven is a fediverse server for people who use Misskey's apps, and
// the tools to run it. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "dev" //nolint:gochecknoglobals // the linker writes it

// Exit codes (docs/contract): 0 done, 1 done with something found or left for
// a person, 2 could not run.
const (
	exitFound  = 1
	exitFailed = 2
)

// errFound ends a command with exit code 1; what was found has been printed.
var errFound = errors.New("found")

// cli is the command line.
type cli struct {
	Config string `help:"Settings file (YAML). Every key can also be given as OVEN_…." env:"OVEN_CONFIG" placeholder:"FILE"`

	Serve     serveCmd     `cmd:"" help:"Run the server."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
	DB        dbCmd        `cmd:"" name:"db" help:"The database: its address, its migrations, a prompt."`
	User      userCmd      `cmd:"" help:"Accounts of this server."`
	Emoji     emojiCmd     `cmd:"" help:"Custom emoji of this server."`
	Delivery  deliveryCmd  `cmd:"" help:"Deliveries to other servers."`
	Search    searchCmd    `cmd:"" help:"The index in which notes are searched."`
	Doctor    doctorCmd    `cmd:"" help:"What is wrong in a database, Oven's own or a Misskey server's."`
	Backup    backupCmd    `cmd:"" help:"Back up this server, and prove that backups are good."`
	Restore   restoreCmd   `cmd:"" help:"Restore a backup into an empty data directory and database."`
	Endpoints endpointsCmd `cmd:"" help:"List the API's endpoints and where each is written."`
	Events    eventsCmd    `cmd:"" help:"List events and who listens, and the readers of the change log."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	c := &cli{}
	parser, err := kong.New(c, kong.Name("oven"), kong.Description("A fediverse server for people who use Misskey's apps."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(c))
	if err != nil {
		fmt.Fprintln(os.Stderr, "oven:", err)
		return exitFailed
	}
	cmd, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oven:", err)
		return exitFailed
	}
	switch err := cmd.Run(); {
	case err == nil:
		return 0
	case errors.Is(err, errFound):
		return exitFound
	default:
		fmt.Fprintln(os.Stderr, "oven:", err)
		return exitFailed
	}
}
