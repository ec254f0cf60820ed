package main

import (
	"fmt"
	"regexp"
	"testing"

	"ringlink/bridge"
	"ringlink/config"
)

func TestNormalizer(t *testing.T) {
	c := &config.Config{PBXs: []config.PBX{
		{Name: "us", Region: "US", ExtensionPattern: regexp.MustCompile(`^[0-9]{2,6}$`)},
		{Name: "gb", Region: "GB", ExtensionPattern: regexp.MustCompile(`^[0-9]{2,6}$`)},
	}}
	normalize := normalizer(c)
	for _, tt := range []struct{ pbx, raw, want string }{
		{"us", "2025550101", "+12025550101"},
		{"us", "+12025550101", "+12025550101"},
		{"us", "00442079460123", "+442079460123"},
		{"gb", "020 7946 0123", "+442079460123"},
		{"gb", "100", "100"}, // an extension, not +44100
		{"us", "anonymous", "anonymous"},
		{"nobody", "2025550101", "2025550101"},
		{"us", "", ""},
	} {
		for range 2 { // read, and remembered
			if got := normalize(bridge.PBX(tt.pbx), bridge.Number(tt.raw)); got.Reveal() != tt.want {
				t.Errorf("%s of %s is %q, want %q", tt.raw, tt.pbx, got.Reveal(), tt.want)
			}
		}
	}
	for n := range 10_000 { // more than are kept
		raw := fmt.Sprintf("+1202%07d", n)
		if got := normalize("us", bridge.Number(raw)); got.Reveal() != raw {
			t.Fatalf("%s became %q", raw, got.Reveal())
		}
	}
}

func TestTicketRule(t *testing.T) {
	for _, tt := range []struct {
		rule      config.Tickets
		keyed, to bridge.TicketNumber
	}{
		{config.Tickets{}, "1042", "1042"},
		{config.Tickets{Prefix: "INC", PadTo: 7}, "1042", "INC0001042"},
		{config.Tickets{Prefix: "INC", PadTo: 7}, "12345678", "INC12345678"},
		{config.Tickets{Prefix: "INC", PadTo: 7}, "INC0001042", "INC0001042"},
		{config.Tickets{Prefix: "INC", PadTo: 7}, "", ""},
	} {
		if got := ticketRule(tt.rule)(tt.keyed); got != tt.to {
			t.Errorf("%q by %+v is %q, want %q", tt.keyed, tt.rule, got, tt.to)
		}
	}
}
