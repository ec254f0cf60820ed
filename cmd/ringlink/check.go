package main

import (
	"fmt"

	"ringlink/config"
)

// checkCommand reads the configuration and says what is wrong with it.
type checkCommand struct {
	configFlag
	Dump bool `help:"Print the configuration as it takes effect, secrets left out."`
}

// Run prints every fault, or ok.
func (c *checkCommand) Run(s *session) error {
	cfg, err := c.load(s)
	if err != nil {
		faults := config.Faults(err)
		if len(faults) == 0 {
			return err
		}
		for _, f := range faults {
			fmt.Fprintln(s.err, f)
		}
		fmt.Fprintf(s.err, "%d to mend in %s\n", len(faults), c.Config)
		return exitCode(1)
	}
	if c.Dump {
		text, err := cfg.Dump()
		if err != nil {
			return err
		}
		_, err = s.out.Write(text)
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is in order\n", c.Config)
	return err
}
