package store

import (
	"context"
	"errors"
	"fmt"

	"ringlink/bridge"
)

const (
	insertAgent      = `INSERT INTO agents (id, name, grp, created) VALUES (?, ?, ?, ?)`
	selectAgents     = `SELECT id, name FROM agents`
	selectLoginAgent = `SELECT COALESCE(agent_id, '') FROM users WHERE login = ?`

	// The agent is there, or there is a row in users that says so: agents are
	// never deleted while a user is one.
	upsertDevice = `INSERT INTO devices (pbx, endpoint, agent_id, since) VALUES (?, ?, ?, ?)
ON CONFLICT (pbx, endpoint) DO UPDATE SET agent_id = excluded.agent_id, since = excluded.since`
	deleteDevice  = `DELETE FROM devices WHERE pbx = ? AND endpoint = ?`
	selectDevices = `SELECT pbx, endpoint, agent_id FROM devices ORDER BY pbx, endpoint`
)

// MapDevice says that the agent of the user uses the device from now on, and
// nobody else. ErrNotFound if there is no such user, or one without an agent.
func (db *DB) MapDevice(ctx context.Context, agentLogin string, d bridge.Device) error {
	if d.PBX == "" || d.Endpoint == "" {
		return errors.New(`mapping a device: a device is a PBX and an endpoint, as pbx1 and "PJSIP/101"`)
	}
	return db.run(ctx, opMapDevice, func(ctx context.Context) error {
		agent, err := one[string](ctx, db, db.read, selectLoginAgent, foldLogin(agentLogin))
		if err != nil {
			return fmt.Errorf("user %q: %w", agentLogin, err)
		}
		if agent == "" {
			return fmt.Errorf("the agent of user %q: %w", agentLogin, errNotFound)
		}
		_, err = db.exec(ctx, upsertDevice, string(d.PBX), clean(d.Endpoint), agent, micros(db.clock()))
		return err
	})
}

// UnmapDevice says that nobody uses the device; ErrNotFound if nobody did.
func (db *DB) UnmapDevice(ctx context.Context, d bridge.Device) error {
	return db.run(ctx, opMapDevice, func(ctx context.Context) error {
		n, err := db.exec(ctx, deleteDevice, string(d.PBX), clean(d.Endpoint))
		if err == nil && n == 0 {
			return fmt.Errorf("device %s: %w", d, errNotFound)
		}
		return err
	})
}

// Devices returns which agent uses which device now, by PBX and endpoint.
func (db *DB) Devices(ctx context.Context) ([]bridge.Assignment, error) {
	var devices []bridge.Assignment
	err := db.run(ctx, opReadDevices, func(ctx context.Context) error {
		var rows []struct {
			PBX      string `db:"pbx"`
			Endpoint string `db:"endpoint"`
			Agent    string `db:"agent_id"`
		}
		if err := db.rows(ctx, db.read, &rows, selectDevices); err != nil {
			return err
		}
		devices = make([]bridge.Assignment, len(rows))
		for i, r := range rows {
			devices[i] = bridge.Assignment{
				Device: bridge.Device{PBX: bridge.PBX(r.PBX), Endpoint: r.Endpoint}, Agent: bridge.AgentID(r.Agent),
			}
		}
		return nil
	})
	return devices, err
}

// AgentNames returns the display name of every agent.
func (db *DB) AgentNames(ctx context.Context) (map[bridge.AgentID]string, error) {
	names := make(map[bridge.AgentID]string)
	err := db.run(ctx, opReadAgents, func(ctx context.Context) error {
		var rows []struct {
			ID   string `db:"id"`
			Name string `db:"name"`
		}
		if err := db.rows(ctx, db.read, &rows, selectAgents); err != nil {
			return err
		}
		for _, r := range rows {
			names[bridge.AgentID(r.ID)] = r.Name
		}
		return nil
	})
	return names, err
}
