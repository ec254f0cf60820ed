package store_test

import (
	"testing"

	"ringlink/store"
)

func TestNormalize(t *testing.T) {
	for _, test := range []struct{ raw, region, want string }{
		{"+12025550101", "", "+12025550101"},
		{"(202) 555-0101", "US", "+12025550101"},
		{"1 202.555.0101", "US", "+12025550101"},
		{"011 44 20 7946 0123", "US", "+442079460123"},
		{"020 7946 0123", "GB", "+442079460123"},
		{"+44 (0)20 7946 0123", "US", "+442079460123"},
		{"0044 (0) 20 7946 0123", "DE", "+442079460123"},
		{"0044207946 0123", "US", "+442079460123"},
		{"030/1234567", "de", "+49301234567"},
		{"030 / 12 34-567", "DE", "+49301234567"},
		{"+49 30 1234567 ext. 5", "", "+49301234567"},
		{"020 7946 0123 x5", "GB", "+442079460123"},
		{"020 7946 0123, Ext 1234", "GB", "+442079460123"},
		{"020 7946 0123 #12", "GB", "+442079460123"},
		{"030 1234567 Durchwahl 89", "DE", "+49301234567"},
		{" 442079460123", "US", "+442079460123"}, // a + that became a blank
		{"tel:+44-20-7946-0123", "", "+442079460123"},
		{"\u202a+44 20 7946 0123\u202c", "GB", "+442079460123"}, // pasted out of a contact list
		{"100", "GB", "100"},
		{" 4711 ", "DE", "4711"},
		{"112", "", "112"},
		{"12 34 56", "US", "123456"},
		{"+390612345678", "", "+390612345678"}, // Italy keeps its zero
		// refused
		{"", "US", ""},
		{"+", "US", ""},
		{"hello", "US", ""},
		{"1-800-FLOWERS", "US", ""},
		{"2025550101", "", ""},
		{"5550101", "US", ""},
		{"7", "US", ""},
		{"+1202555010199", "", ""},
		{"+999123456789", "", ""},
		{"12025550101", "XX", ""},
		{"+20 00 0000000000", "", ""}, // zeros that would go one at a time
		{"123456789012345678901234567890", "US", ""},
		{"２０２", "US", ""},
	} {
		got, err := store.Normalize(test.raw, test.region)
		if got.Reveal() != test.want || (err != nil) != (test.want == "") {
			t.Errorf("Normalize(%q, %q) = %q, %v; want %q", test.raw, test.region, got.Reveal(), err, test.want)
		}
	}
}

// FuzzNormalize holds that what was normalised once stays as it is.
func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"+44 (0)20 7946 0123 ext. 5", "0044", "100", " 442079460123", "(0)(0)+", "+0", "x5", "\xff", " 2000000000000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once, err := store.Normalize(raw, "GB")
		if err != nil {
			return
		}
		if again, err := store.Normalize(once.Reveal(), "GB"); err != nil || again != once {
			t.Errorf("Normalize(%q) = %q, and of that %q, %v", raw, once.Reveal(), again.Reveal(), err)
		}
	})
}
