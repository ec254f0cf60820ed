package screenpop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"ringlink/bridge"
)

// maxLinkTTL is the longest life of a link, from the moment that it is minted.
const maxLinkTTL = 60 * time.Second

// tokenBytes is the entropy of a token: 256 bits.
const tokenBytes = 32

// ErrNoLink says that the pop can have no link now, because the store does not
// have its row yet (Pop.Degraded). The desk shows what it has and asks again.
var ErrNoLink = errors.New("pop has no link while the store is away")

// LinkPops is what a Linker needs of pops; *Popper has it.
type LinkPops interface {
	// Pop returns the agent's pop, or ErrNotFound.
	Pop(ctx context.Context, agent bridge.AgentID, id bridge.PopID) (Pop, error)
	// Acknowledge says that the agent opened it.
	Acknowledge(ctx context.Context, agent bridge.AgentID, id bridge.PopID) error
}

// LinkerOptions configure a Linker.
type LinkerOptions struct {
	Links   LinkStore        // required
	Pops    LinkPops         // required
	Audit   Auditor          // required
	TTL     time.Duration    // life of a link, above 0 to 60 s; default 60 s
	Random  io.Reader        // default crypto/rand
	Clock   func() time.Time // default time.Now
	Logger  *slog.Logger     // default discards
	Metrics *Metrics         // default unregistered
}

// Linker mints and redeems secure links: 256 random bits of which only the
// SHA-256 is kept, bound to one agent, spent once. A token is never logged,
// audited or counted.
type Linker struct {
	o LinkerOptions
}

// NewLinker checks the options.
func NewLinker(o LinkerOptions) (*Linker, error) {
	var errs []error
	if o.Links == nil {
		errs = append(errs, errors.New("linker needs Links"))
	}
	if o.Pops == nil {
		errs = append(errs, errors.New("linker needs Pops"))
	}
	if o.Audit == nil {
		errs = append(errs, errors.New("linker needs Audit"))
	}
	if o.TTL == 0 {
		o.TTL = maxLinkTTL
	}
	if o.TTL < 0 || o.TTL > maxLinkTTL {
		errs = append(errs, fmt.Errorf("life of a link is %v: above 0 to %v is allowed", o.TTL, maxLinkTTL))
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Linker{o: o}, nil
}

// Actor is who acts in a request: what the audit trail keeps of it.
type Actor struct {
	User   string // user id
	Remote string // remote address
}

type actorKey struct{}

// WithActor returns a context that tells the audit trail who acts.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// Mint makes a link to the agent's own pop and returns its token (43
// characters of base64url) and when it expires. It returns ErrNotFound for a
// pop of somebody else, as for one that does not exist, and ErrNoLink for one
// that the store does not have yet.
func (l *Linker) Mint(ctx context.Context, agent bridge.AgentID, id bridge.PopID) (string, time.Time, error) {
	pop, err := l.o.Pops.Pop(ctx, agent, id)
	if err != nil {
		return "", time.Time{}, err
	}
	if pop.Degraded {
		return "", time.Time{}, ErrNoLink
	}
	raw := make([]byte, tokenBytes)
	if _, err := io.ReadFull(l.o.Random, raw); err != nil {
		return "", time.Time{}, fmt.Errorf("reading randomness: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(raw)
	now := l.o.Clock().UTC()
	link := Link{Hash: sha256.Sum256([]byte(token)), Pop: id, Agent: agent, Minted: now, Expires: now.Add(l.o.TTL)}
	if err := l.o.Links.SaveLink(ctx, link); err != nil {
		return "", time.Time{}, fmt.Errorf("saving the link: %w", err)
	}
	return token, link.Expires, nil
}

// Redeem spends the token for the agent and acknowledges its pop. It returns
// ErrLinkUsed, ErrLinkExpired, ErrLinkForeign or ErrLinkUnknown (also for what
// is no token at all), or the store's error, with which nothing is known to be
// spent. Every end of it is audited.
func (l *Linker) Redeem(ctx context.Context, agent bridge.AgentID, token string) (bridge.PopID, error) {
	if !wellFormed(token) {
		l.refused(ctx, agent, "", linkMalformed)
		return "", ErrLinkUnknown
	}
	id, err := l.o.Links.RedeemLink(ctx, sha256.Sum256([]byte(token)), agent, l.o.Clock().UTC())
	if err != nil {
		why, known := refusal(err)
		l.refused(ctx, agent, id, why)
		if known == nil {
			return "", fmt.Errorf("redeeming the link: %w", err)
		}
		return "", known
	}
	l.o.Metrics.link(linkRedeemed)
	l.audit(ctx, agent, AuditEntry{Action: "link_redeemed", Object: string(id)})
	// The link is spent: a failure to note it must not keep the page away.
	if err := l.o.Pops.Acknowledge(ctx, agent, id); err != nil {
		l.o.Logger.WarnContext(ctx, "acknowledging a redeemed pop", "pop_id", string(id), "error", err)
	}
	return id, nil
}

func (l *Linker) refused(ctx context.Context, agent bridge.AgentID, id bridge.PopID, why linkResult) {
	l.o.Metrics.link(why)
	l.audit(ctx, agent, AuditEntry{Action: "link_refused", Object: string(id), Detail: string(why)})
}

// audit writes the entry even when the request has gone away meanwhile.
func (l *Linker) audit(ctx context.Context, agent bridge.AgentID, e AuditEntry) {
	e.At = l.o.Clock().UTC()
	e.Actor = string(agent)
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		e.Actor, e.Remote = a.User, a.Remote
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := l.o.Audit.Audit(ctx, e); err != nil {
		l.o.Logger.ErrorContext(ctx, "writing the audit trail", "action", e.Action, "error", err)
	}
}

// refusal maps the store's error to its label and to the bare sentinel, so
// that nothing of the store's own text reaches the caller.
func refusal(err error) (linkResult, error) {
	switch {
	case errors.Is(err, ErrLinkUsed):
		return linkUsed, ErrLinkUsed
	case errors.Is(err, ErrLinkExpired):
		return linkExpired, ErrLinkExpired
	case errors.Is(err, ErrLinkForeign):
		return linkForeign, ErrLinkForeign
	case errors.Is(err, ErrLinkUnknown):
		return linkUnknown, ErrLinkUnknown
	}
	return linkFailed, nil
}

// wellFormed tells whether s is what Mint makes: base64url of 32 bytes.
func wellFormed(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == tokenBytes && len(s) == base64.RawURLEncoding.EncodedLen(tokenBytes)
}
