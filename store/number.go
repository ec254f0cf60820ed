package store

import (
	"errors"
	"regexp"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"ringlink/bridge"
)

// Why Normalize refuses a number. The text says what to do.
var (
	errNumberLetters = errors.New("is not a telephone number: write digits, with + and the country first")
	errNumberCountry = errors.New("does not say its country: write it with + and the country, or name a default region")
	errNumberShort   = errors.New("is too short for a number of its country")
	errNumberLong    = errors.New("is too long for a number of its country")
	errNumberOther   = errors.New("is no number of its country")
	errRegion        = errors.New("the region is not a country's two letters, as GB or DE")
)

// maxNumber is the longest text that is looked at, in bytes; the longest real
// numbers with brackets, blanks and an extension have about forty.
const maxNumber = 100

var (
	extensionSuffix = regexp.MustCompile(`(?i)[\s,;]*(?:ext(?:ension)?\.?|extn\.?|durchwahl|dw\.?|x|#)\s*:?\s*\d{1,7}\s*$`)
	extensionAlone  = regexp.MustCompile(`^\d{2,6}$`)
	trunkZero       = regexp.MustCompile(`\(\s*0\s*\)`)
)

// Normalize brings a telephone number as people write it to E.164 with "+".
// It takes blanks, slashes, dots, dashes and brackets, "00" for "+", the "(0)"
// of "+44 (0)20", a "+" that was lost to a blank (" 442079460123"), and leaves
// off an extension ("ext. 5", "x5", "#5"). Two to six digits alone are an
// extension of ours and stay as they are, before anything else is tried: a
// country's rules would make "+44100" of "100". region is the country of
// numbers that name none, as "GB"; it may be empty.
func Normalize(raw, region string) (bridge.Number, error) {
	if len(raw) > maxNumber {
		return "", errNumberLong
	}
	region = strings.ToUpper(region)
	if region != "" && phonenumbers.GetCountryCodeForRegion(region) == 0 {
		return "", errRegion
	}
	lostPlus := strings.HasPrefix(raw, " ")
	s := extensionSuffix.ReplaceAllString(strings.TrimSpace(raw), "")
	s = strings.TrimPrefix(s, "tel:")
	abroad := strings.HasPrefix(s, "+") || strings.HasPrefix(s, "00")
	if abroad {
		s = trunkZero.ReplaceAllString(s, "")
	}
	digits, err := digitsOf(s)
	if err != nil {
		return "", err
	}
	if extensionAlone.MatchString(digits) {
		return bridge.Number(digits), nil
	}
	if abroad {
		if !strings.HasPrefix(digits, "+") {
			digits = "+" + strings.TrimPrefix(digits, "00")
		}
		return parse(digits, "")
	}
	number, err := parse(digits, region)
	if err != nil && lostPlus {
		if again, errAgain := parse("+"+digits, ""); errAgain == nil {
			return again, nil
		}
	}
	return number, err
}

// digitsOf leaves out what only separates; letters and other signs are refused.
func digitsOf(s string) (string, error) {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r == '+' && b.Len() == 0:
			b.WriteRune(r)
		case unicode.IsSpace(r), strings.ContainsRune("-./()[]‐‑‒–—\u200e\u200f\u202a\u202c\u00ad", r):
		default:
			return "", errNumberLetters
		}
	}
	if strings.Trim(b.String(), "+") == "" {
		return "", errNumberLetters
	}
	return b.String(), nil
}

func parse(digits, region string) (bridge.Number, error) {
	n, err := phonenumbers.Parse(digits, region)
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		if region == "" && !strings.HasPrefix(digits, "+") {
			return "", errNumberCountry
		}
		return "", errNumberOther
	case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
		return "", errNumberShort
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return "", errNumberLong
	case err != nil:
		return "", errNumberOther
	}
	// Possible, not valid: the list of valid ranges is older than the newest.
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.IS_POSSIBLE:
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return "", errNumberShort
	case phonenumbers.TOO_LONG:
		return "", errNumberLong
	default:
		return "", errNumberOther
	}
	// A zero that is left at the front is part of the number in a few countries,
	// as Italy; elsewhere it is a prefix too many, and the next reader would
	// take it off again.
	if n.GetItalianLeadingZero() && !phonenumbers.IsValidNumber(n) {
		return "", errNumberOther
	}
	return bridge.Number(phonenumbers.Format(n, phonenumbers.E164)), nil
}
