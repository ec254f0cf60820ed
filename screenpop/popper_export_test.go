package screenpop

import "context"

// Live tells how many calls and pops the popper holds.
func (p *Popper) Live(ctx context.Context) (calls, pops int, err error) {
	err = p.inLoop(ctx, func() error {
		calls, pops = len(p.calls), len(p.pops)
		return nil
	})
	return calls, pops, err
}
