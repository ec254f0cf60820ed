package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"

	"ringlink/bridge"
	"ringlink/config"
	"ringlink/screenpop"
	"ringlink/store"
)

const minPassword = 10 // characters

// userCommands say who may sign in.
type userCommands struct {
	Add      userAddCommand      `cmd:"" help:"Add a user; the password is asked for, or read from standard input or a file."`
	Password userPasswordCommand `cmd:"" help:"Give a user a new password."`
	Disable  userDisableCommand  `cmd:"" help:"Let a user sign in no more."`
	Enable   userEnableCommand   `cmd:"" help:"Let a user sign in again."`
	List     userListCommand     `cmd:"" help:"List the users."`
}

type passwordFlag struct {
	PasswordFile string `type:"existingfile" help:"File whose first line is the password."`
}

// hash reads a password and hashes it with argon2id.
func (f passwordFlag) hash(s *session) (string, error) {
	password, err := f.read(s)
	if err != nil {
		return "", err
	}
	if len([]rune(password)) < minPassword {
		return "", fmt.Errorf("the password has fewer than %d characters", minPassword)
	}
	return screenpop.NewPasswords(screenpop.PasswordOptions{}).HashPassword(s.ctx, password)
}

func (f passwordFlag) read(s *session) (string, error) {
	if f.PasswordFile != "" {
		file, err := os.Open(f.PasswordFile)
		if err != nil {
			return "", err
		}
		defer file.Close()
		return firstLine(file)
	}
	in, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return firstLine(s.in)
	}
	fmt.Fprint(s.err, "Password: ")
	once, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprint(s.err, "\nAgain: ")
	if err != nil {
		return "", err
	}
	again, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(s.err)
	if err != nil {
		return "", err
	}
	if string(once) != string(again) {
		return "", errors.New("the two passwords are not the same")
	}
	return string(once), nil
}

func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

type userAddCommand struct {
	configFlag
	passwordFlag
	Login string `arg:"" help:"What the user types to sign in: a-z, digits and . _ @ + -"`
	Name  string `help:"The name that others see; the login if left out."`
	Role  string `default:"agent" enum:"agent,supervisor,administrator" help:"agent, supervisor or administrator."`
}

// Run adds the user; one with the role agent becomes an agent too.
func (c *userAddCommand) Run(s *session) error {
	return c.withStore(s, func(_ *config.Config, db *store.DB) error {
		hash, err := c.hash(s)
		if err != nil {
			return err
		}
		u, err := db.AddUser(s.ctx, store.NewUser{Login: c.Login, Name: c.Name, Role: screenpop.Role(c.Role), PasswordHash: hash})
		if errors.Is(err, store.ErrExists) {
			return fmt.Errorf("there is a user %q already; ringlink user password gives a new password", strings.ToLower(c.Login))
		}
		if err != nil {
			return err
		}
		if err := audit(s.ctx, db, "user_added", u.ID, string(u.Role)); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s may sign in (%s)\n", u.Login, u.Role)
		if err == nil && u.Agent != "" {
			_, err = fmt.Fprintf(s.out, "next: ringlink agent map --config %s %s PBX ENDPOINT\n", c.Config, u.Login)
		}
		return err
	})
}

// audit notes what was done on the command line.
func audit(ctx context.Context, db *store.DB, action, object, detail string) error {
	return db.Audit(ctx, screenpop.AuditEntry{At: time.Now().UTC(), Actor: "command line", Action: action, Object: object, Detail: detail})
}

type userPasswordCommand struct {
	configFlag
	passwordFlag
	Login string `arg:""`
}

// Run sets the password.
func (c *userPasswordCommand) Run(s *session) error {
	return c.withStore(s, func(_ *config.Config, db *store.DB) error {
		hash, err := c.hash(s)
		if err != nil {
			return err
		}
		if err := db.SetPassword(s.ctx, c.Login, hash); err != nil {
			return noSuchUser(err, c.Login)
		}
		if err := audit(s.ctx, db, "password_set", strings.ToLower(c.Login), ""); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s has a new password; every session of before ends, open desks within 15 s\n", strings.ToLower(c.Login))
		return err
	})
}

type userDisableCommand struct {
	configFlag
	Login string `arg:""`
}

// Run disables the user; open desks end within 15 s.
func (c *userDisableCommand) Run(s *session) error {
	return setDisabled(s, c.configFlag, c.Login, true)
}

type userEnableCommand struct {
	configFlag
	Login string `arg:""`
}

// Run enables the user.
func (c *userEnableCommand) Run(s *session) error {
	return setDisabled(s, c.configFlag, c.Login, false)
}

func setDisabled(s *session, f configFlag, login string, disabled bool) error {
	return f.withStore(s, func(_ *config.Config, db *store.DB) error {
		if err := db.SetDisabled(s.ctx, login, disabled); err != nil {
			return noSuchUser(err, login)
		}
		action, said := "user_enabled", "may sign in again"
		if disabled {
			action, said = "user_disabled", "may sign in no more; open desks end within 15 s"
		}
		if err := audit(s.ctx, db, action, strings.ToLower(login), ""); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s %s\n", strings.ToLower(login), said)
		return err
	})
}

// noSuchUser puts a user who is not there into words.
func noSuchUser(err error, login string) error {
	if errors.Is(err, screenpop.ErrNotFound) {
		return fmt.Errorf("there is no user %q; ringlink user list shows them", login)
	}
	return err
}

type userListCommand struct{ configFlag }

// Run prints one user a line.
func (c *userListCommand) Run(s *session) error {
	return c.withStore(s, func(_ *config.Config, db *store.DB) error {
		users, err := db.ListUsers(s.ctx)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "LOGIN\tNAME\tROLE\tAGENT\tSTATE")
		for _, u := range users {
			state := "enabled"
			if u.Disabled {
				state = "disabled"
			}
			fmt.Fprintln(t, tableRow(u.Login, u.Name, string(u.Role), string(u.Agent), state))
		}
		return t.Flush()
	})
}

// agentCommands say who uses which device.
type agentCommands struct {
	Map   agentMapCommand   `cmd:"" help:"Say that an agent uses a device from now on."`
	Unmap agentUnmapCommand `cmd:"" help:"Say that nobody uses a device any more."`
	List  agentListCommand  `cmd:"" help:"List devices and their agents."`
}

type deviceArgs struct {
	PBX      string `arg:"" help:"The PBX's name in the configuration."`
	Endpoint string `arg:"" help:"The endpoint as Asterisk names it: PJSIP/101."`
}

func (d deviceArgs) device(cfg *config.Config) (bridge.Device, error) {
	if d.PBX == "" {
		return bridge.Device{}, errors.New("the PBX's name is empty")
	}
	p, err := choosePBX(cfg, d.PBX)
	if err != nil {
		return bridge.Device{}, err
	}
	tech, resource, ok := strings.Cut(d.Endpoint, "/")
	if !ok || tech == "" || resource == "" || strings.ContainsFunc(d.Endpoint, unprintable) {
		return bridge.Device{}, fmt.Errorf("%q is no endpoint; write it as Asterisk does: PJSIP/101", d.Endpoint)
	}
	if outside(p)(d.Endpoint, "") {
		return bridge.Device{}, fmt.Errorf("%s is a trunk of %s in the configuration, it cannot be an agent's device", d.Endpoint, p.Name)
	}
	return bridge.Device{PBX: bridge.PBX(p.Name), Endpoint: d.Endpoint}, nil
}

func unprintable(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }

type agentMapCommand struct {
	configFlag
	Login string `arg:"" help:"The agent's login."`
	deviceArgs
}

// Run maps the device; a running gateway knows within two seconds.
func (c *agentMapCommand) Run(s *session) error {
	return c.withStore(s, func(cfg *config.Config, db *store.DB) error {
		d, err := c.device(cfg)
		if err != nil {
			return err
		}
		if err := db.MapDevice(s.ctx, c.Login, d); err != nil {
			return noSuchAgent(s.ctx, db, err, c.Login)
		}
		if err := audit(s.ctx, db, "device_mapped", strings.ToLower(c.Login), d.String()); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "%s uses %s\n", strings.ToLower(c.Login), d)
		return err
	})
}

// noSuchAgent puts a user who is not there, or who takes no calls, into words.
func noSuchAgent(ctx context.Context, db *store.DB, err error, login string) error {
	if !errors.Is(err, screenpop.ErrNotFound) {
		return err
	}
	users, listing := db.ListUsers(ctx)
	if listing != nil {
		return errors.Join(err, listing)
	}
	for _, u := range users {
		if u.Login == strings.ToLower(login) {
			return fmt.Errorf("%s is a user without an agent (%s) and takes no calls; only users added with --role agent do", u.Login, u.Role)
		}
	}
	return noSuchUser(err, login)
}

type agentUnmapCommand struct {
	configFlag
	deviceArgs
}

// Run unmaps the device.
func (c *agentUnmapCommand) Run(s *session) error {
	return c.withStore(s, func(cfg *config.Config, db *store.DB) error {
		d, err := c.device(cfg)
		if err != nil {
			return err
		}
		if err := db.UnmapDevice(s.ctx, d); errors.Is(err, screenpop.ErrNotFound) {
			return fmt.Errorf("nobody uses %s; ringlink agent list shows who uses what", d)
		} else if err != nil {
			return err
		}
		if err := audit(s.ctx, db, "device_unmapped", d.String(), ""); err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.out, "nobody uses %s any more\n", d)
		return err
	})
}

type agentListCommand struct{ configFlag }

// Run prints one device a line.
func (c *agentListCommand) Run(s *session) error {
	return c.withStore(s, func(_ *config.Config, db *store.DB) error {
		list, err := db.Devices(s.ctx)
		if err != nil {
			return err
		}
		names, err := db.AgentNames(s.ctx)
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "PBX\tENDPOINT\tAGENT\tNAME")
		for _, a := range list {
			fmt.Fprintln(t, tableRow(string(a.Device.PBX), a.Device.Endpoint, string(a.Agent), names[a.Agent]))
		}
		return t.Flush()
	})
}
