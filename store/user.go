package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jmoiron/sqlx"

	"ringlink/bridge"
	"ringlink/screenpop"
)

var _ screenpop.UserStore = (*DB)(nil)

const (
	selectUser = `SELECT id, login, name, role, password_hash, COALESCE(agent_id, '') AS agent_id, disabled FROM users`

	selectUserByLogin = selectUser + ` WHERE login = ?`
	selectUserByID    = selectUser + ` WHERE id = ?`
	selectUsers       = selectUser + ` ORDER BY login`

	insertUser = `INSERT INTO users (id, login, name, role, password_hash, agent_id, disabled, created) VALUES (?, ?, ?, ?, ?, ?, 0, ?)`

	updatePassword = `UPDATE users SET password_hash = ? WHERE login = ?`
	updateDisabled = `UPDATE users SET disabled = ? WHERE login = ?`
)

// NewUser is what AddUser takes.
type NewUser struct {
	Login        string // folded to lower case; [a-z0-9._@+-]{1,64}
	Name         string // for display; empty is the login
	Role         screenpop.Role
	PasswordHash string         // argon2id in PHC form
	Agent        bridge.AgentID // the agent to be made for the user; empty is the login for RoleAgent and no agent for the others
	Group        string         // of the agent
}

var loginForm = regexp.MustCompile(`^[a-z0-9._@+-]{1,64}$`)

// AddUser adds a user and, where there is to be one, the agent that the user
// is, all or nothing. ErrExists if the login or the agent is there already.
func (db *DB) AddUser(ctx context.Context, n NewUser) (screenpop.User, error) {
	u := screenpop.User{
		ID: "u-" + strings.ToLower(rand.Text()), Login: foldLogin(n.Login), Name: clean(n.Name), Role: n.Role,
		PasswordHash: n.PasswordHash, Agent: n.Agent,
	}
	if u.Name == "" {
		u.Name = u.Login
	}
	if u.Agent == "" && n.Role == screenpop.RoleAgent {
		u.Agent = bridge.AgentID(u.Login)
	}
	var faults []error
	if !loginForm.MatchString(u.Login) {
		faults = append(faults, fmt.Errorf("the login %q is not 1 to 64 letters a-z, digits and . _ @ + -", n.Login))
	}
	switch n.Role {
	case screenpop.RoleAgent, screenpop.RoleSupervisor, screenpop.RoleAdministrator:
	default:
		faults = append(faults, fmt.Errorf("the role %q is not agent, supervisor or administrator", n.Role))
	}
	if n.PasswordHash == "" {
		faults = append(faults, errors.New("a user needs a password"))
	}
	if err := errors.Join(faults...); err != nil {
		return screenpop.User{}, fmt.Errorf("adding a user: %w", err)
	}
	err := db.run(ctx, opWriteUser, func(ctx context.Context) error {
		err := db.inTx(ctx, func(tx *sqlx.Tx) error {
			var agent any
			if u.Agent != "" {
				agent = string(u.Agent)
				if _, err := tx.ExecContext(ctx, tx.Rebind(insertAgent), agent, u.Name, clean(n.Group), micros(db.clock())); err != nil {
					return err
				}
			}
			_, err := tx.ExecContext(ctx, tx.Rebind(insertUser), u.ID, u.Login, u.Name, string(u.Role), u.PasswordHash, agent, micros(db.clock()))
			return err
		})
		if uniqueViolation(err) {
			return fmt.Errorf("user %s: %w", u.Login, ErrExists)
		}
		return err
	})
	if err != nil {
		return screenpop.User{}, err
	}
	return u, nil
}

// SetPassword replaces the password hash of a user; ErrNotFound.
func (db *DB) SetPassword(ctx context.Context, login, hash string) error {
	if hash == "" {
		return errors.New("writing a user: the password hash is empty")
	}
	return db.changeUser(ctx, updatePassword, hash, login)
}

// SetDisabled forbids or allows a user to sign in; ErrNotFound. Sessions stay:
// whoever reads them asks UserByID.
func (db *DB) SetDisabled(ctx context.Context, login string, disabled bool) error {
	return db.changeUser(ctx, updateDisabled, flag(disabled), login)
}

func (db *DB) changeUser(ctx context.Context, update string, value any, login string) error {
	return db.run(ctx, opWriteUser, func(ctx context.Context) error {
		n, err := db.exec(ctx, update, value, foldLogin(login))
		if err == nil && n == 0 {
			return fmt.Errorf("user %q: %w", login, errNotFound)
		}
		return err
	})
}

// UserByLogin implements screenpop.UserStore; the login may be in any case.
func (db *DB) UserByLogin(ctx context.Context, login string) (screenpop.User, error) {
	return db.readUser(ctx, selectUserByLogin, foldLogin(login))
}

// UserByID implements screenpop.UserStore.
func (db *DB) UserByID(ctx context.Context, id string) (screenpop.User, error) {
	return db.readUser(ctx, selectUserByID, clean(id))
}

func (db *DB) readUser(ctx context.Context, query, key string) (u screenpop.User, err error) {
	err = db.run(ctx, opReadUser, func(ctx context.Context) error {
		row, err := one[userRow](ctx, db, db.read, query, key)
		u = row.user()
		return err
	})
	if err != nil {
		return screenpop.User{}, err
	}
	return u, nil
}

// ListUsers returns all users by login.
func (db *DB) ListUsers(ctx context.Context) ([]screenpop.User, error) {
	var users []screenpop.User
	err := db.run(ctx, opReadUser, func(ctx context.Context) error {
		var rows []userRow
		if err := db.rows(ctx, db.read, &rows, selectUsers); err != nil {
			return err
		}
		for _, row := range rows {
			users = append(users, row.user())
		}
		return nil
	})
	return users, err
}

type userRow struct {
	ID           string `db:"id"`
	Login        string `db:"login"`
	Name         string `db:"name"`
	Role         string `db:"role"`
	PasswordHash string `db:"password_hash"`
	Agent        string `db:"agent_id"`
	Disabled     int    `db:"disabled"`
}

func (r userRow) user() screenpop.User {
	return screenpop.User{
		ID: r.ID, Login: r.Login, Name: r.Name, Role: screenpop.Role(r.Role), PasswordHash: r.PasswordHash,
		Agent: bridge.AgentID(r.Agent), Disabled: r.Disabled == 1,
	}
}

func foldLogin(login string) string { return strings.ToLower(strings.TrimSpace(clean(login))) }
