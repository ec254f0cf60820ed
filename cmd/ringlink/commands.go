package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/alecthomas/kong"
	gosip "github.com/emiago/sipgo/sip"

	"ringlink/config"
)

// streams are the standard streams of a run of the program.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// session is what every command gets beside its own flags.
type session struct {
	ctx context.Context
	streams
	env func(string) (string, bool)
}

// commands is the command line.
type commands struct {
	Serve          serveCommand          `cmd:"" help:"Run the gateway."`
	Demo           demoCommand           `cmd:"" help:"Show the main job with nothing but this program: made-up calls, a fake Asterisk, a real desk."`
	Check          checkCommand          `cmd:"" help:"Read the configuration and list every fault."`
	Doctor         doctorCommand         `cmd:"" help:"Check the wiring to the PBXs and the store, and say what to type to mend it."`
	AsteriskConfig asteriskConfigCommand `cmd:"" name:"asterisk-config" help:"Print the files that wire an Asterisk to Ringlink."`
	Import         importCommand         `cmd:"" help:"Fill the directory from a CSV file."`
	User           userCommands          `cmd:"" help:"Who may sign in."`
	Agent          agentCommands         `cmd:"" help:"Which agent uses which device."`
	Pops           popsCommand           `cmd:"" help:"List pops from the store."`
	Explain        explainCommand        `cmd:"" help:"Tell what happened to a call, and why it popped or not."`
	Replay         replayCommand         `cmd:"" help:"Run recorded event streams through the engine, with no telephone, and explain each call."`
	Record         recordCommand         `cmd:"" help:"Write a live PBX's event stream, numbers and names replaced, to be replayed or sent."`
	Migrate        migrateCommand        `cmd:"" help:"Bring the store's schema up to date."`
	Healthcheck    healthcheckCommand    `cmd:"" help:"Ask a running gateway whether it is ready; exit 1 if not."`
	Version        versionCommand        `cmd:"" help:"Print the version."`
}

// configFlag is the flag that most commands share.
type configFlag struct {
	Config string `required:"" placeholder:"FILE" help:"Configuration file (YAML)." env:"RINGLINK_CONFIG"`
}

// load reads the configuration; warnings go to standard error.
func (f configFlag) load(s *session) (*config.Config, error) {
	c, err := config.Load(f.Config, s.env)
	if err != nil {
		return nil, err
	}
	for _, w := range c.Warnings() {
		fmt.Fprintln(s.err, "warning:", w)
	}
	return c, nil
}

// exitCode ends the program with a code and no further word: what was wrong is
// printed already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// quietSIP silences sipgo, which logs whole messages of strangers to a logger
// of its own.
var quietSIP = sync.OnceFunc(func() { gosip.SetDefaultLogger(slog.New(slog.DiscardHandler)) })

// run parses the command line and runs it. It returns the exit code: 0 good, 1
// failed, 2 a command line that makes no sense.
func run(ctx context.Context, args []string, st streams, env func(string) (string, bool)) int {
	quietSIP()
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("ringlink"),
		kong.Description("The right page on the agent's screen when the agent answers."),
		kong.Writers(st.out, st.err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": version()},
	)
	if err != nil {
		fmt.Fprintln(st.err, "ringlink:", err)
		return 2
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintln(st.err, "ringlink:", err)
		fmt.Fprintln(st.err, "ringlink --help lists the commands")
		return 2
	}
	if err := k.Run(&session{ctx: ctx, streams: st, env: env}); err != nil {
		var code exitCode
		if errors.As(err, &code) {
			return int(code)
		}
		fmt.Fprintln(st.err, "ringlink:", err)
		return 1
	}
	return 0
}
