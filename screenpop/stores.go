package screenpop

import (
	"context"
	"errors"
	"time"

	"ringlink/bridge"
)

// Sentinels that callers branch on.
var (
	ErrNotFound    = errors.New("not found")
	ErrLinkUsed    = errors.New("link was used already")
	ErrLinkExpired = errors.New("link has expired")
	ErrLinkForeign = errors.New("link belongs to another agent")
	ErrLinkUnknown = errors.New("link is unknown")
)

// PopStore keeps pops: the outbox of what is due to agents.
type PopStore interface {
	// OfferPop inserts the pop; if its ID is there already nothing changes.
	// It returns the row as it stands and whether this call inserted it.
	OfferPop(ctx context.Context, p Pop) (Pop, bool, error)
	// UpdatePop writes facts, decision and what was found; never the state.
	UpdatePop(ctx context.Context, p Pop) error
	// AdvancePop moves the state forward (offered → shown → acknowledged →
	// one of the final ones), stamps it with at, and reports whether it moved:
	// a step back, or any step from a final state, moves nothing. ErrNotFound
	// if there is no such pop.
	AdvancePop(ctx context.Context, id bridge.PopID, to bridge.PopState, cause string, toAgent bridge.AgentID, at time.Time) (bool, error)
	// PopByID returns ErrNotFound if there is none. Found is filled as far as
	// the directory still has the rows.
	PopByID(ctx context.Context, id bridge.PopID) (Pop, error)
}

// PopQuery narrows ListPops; zero fields do not.
type PopQuery struct {
	PBX    bridge.PBX
	Agent  bridge.AgentID
	Call   bridge.CallID
	State  bridge.PopState
	Since  time.Time
	Active bool // only those that are not final
	Limit  int  // 1..10000; 0 is 1000
}

// PopLister reads the newest pops that the query allows, oldest offer first.
type PopLister interface {
	ListPops(ctx context.Context, q PopQuery) ([]Pop, error)
}

// DirectoryQuery asks who calls and about what. Numbers are E.164 where they
// could be had.
type DirectoryQuery struct {
	Caller     bridge.Number
	Dialled    bridge.Number
	CallNumber bridge.TicketNumber
}

// Directory finds people, organizations and tickets in one round trip.
// An empty field of the query is not looked up. Done is true on return.
type Directory interface {
	Lookup(ctx context.Context, q DirectoryQuery) (Found, error)
}

// Link is a minted secure link: only the SHA-256 of its token is kept.
type Link struct {
	Hash    [32]byte
	Pop     bridge.PopID
	Agent   bridge.AgentID
	Minted  time.Time
	Expires time.Time
}

// LinkStore keeps secure links.
type LinkStore interface {
	SaveLink(ctx context.Context, l Link) error
	// RedeemLink spends the link by one conditional UPDATE: exactly one of any
	// number of concurrent calls gets the pop. The others get ErrLinkUsed,
	// ErrLinkExpired, ErrLinkForeign or ErrLinkUnknown.
	RedeemLink(ctx context.Context, hash [32]byte, agent bridge.AgentID, now time.Time) (bridge.PopID, error)
	// PopRedeemed tells whether the agent ever redeemed a link of the pop.
	PopRedeemed(ctx context.Context, id bridge.PopID, agent bridge.AgentID) (bool, error)
}

// Role is what a user may do.
type Role string

// Roles, each with the rights of those before it, except that only users with
// an AgentID have a desk of their own.
const (
	RoleAgent         Role = "agent"
	RoleSupervisor    Role = "supervisor"
	RoleAdministrator Role = "administrator"
)

// User is somebody who may sign in.
type User struct {
	ID           string
	Login        string // lower case, unique
	Name         string
	Role         Role
	PasswordHash string         // argon2id in PHC form
	Agent        bridge.AgentID // empty: no agent
	Disabled     bool
}

// UserStore finds users.
type UserStore interface {
	UserByLogin(ctx context.Context, login string) (User, error) // ErrNotFound
	UserByID(ctx context.Context, id string) (User, error)       // ErrNotFound
}

// SessionStore keeps server-side sessions; tokens reach it hashed. It is the
// context-aware store of alexedwards/scs.
type SessionStore interface {
	FindCtx(ctx context.Context, token string) ([]byte, bool, error)
	CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error
	DeleteCtx(ctx context.Context, token string) error
	// The methods without a context complete scs.Store and are not called.
	Find(token string) ([]byte, bool, error)
	Commit(token string, b []byte, expiry time.Time) error
	Delete(token string) error
}

// AuditEntry is one row of the audit trail. It holds no personal data beyond
// ids: no number, no name, no token.
type AuditEntry struct {
	At     time.Time
	Actor  string // user id, or "" when nobody was signed in
	Action string // closed set: "login", "login_failed", "logout", "link_redeemed", "link_refused", "import", "user_added", "device_mapped" …
	Object string // id of what it was done to
	Detail string // closed set of reasons
	Remote string // remote address
}

// Auditor writes the audit trail.
type Auditor interface {
	Audit(ctx context.Context, e AuditEntry) error
}
