package screenpop

// texts is what the pages say, by key; the desk's own script has its catalogue
// at its top. A second language is a second map.
var texts = map[string]string{
	"app":         "Ringlink",
	"skip":        "Skip to content",
	"sign_out":    "Sign out",
	"login_title": "Sign in",
	"login_lead":  "Your calls, on your screen, the moment you answer.",
	"login_user":  "User name",
	"login_pass":  "Password",
	"login_go":    "Sign in",
	"login_bad":   "That user name and password do not go together. Please try again.",
	"login_limit": "Too many attempts. Please wait and try again in %s.",
	"login_next":  "Sign in and we will take you straight to your call.",

	"desk_title":   "Desk",
	"desk_script":  "The desk needs JavaScript. Please allow it for this address.",
	"desk_none":    "This account has no desk",
	"desk_none_do": "No telephone is assigned to you, so there are no calls to show. An administrator can add one with “ringlink agent map”.",

	"standby_title": "Your next call opens here",
	"standby_do":    "Keep this tab where you like to have it. The desk fills it when you answer.",

	"go_title":     "Opening…",
	"go_lead":      "Opening the call",
	"go_lead_do":   "This takes a moment. If nothing happens, use the button.",
	"go_button":    "Open the call",
	"signin_title": "Signing you in…",
	"signin_lead":  "One-time sign-in",
	"signin_do":    "This address works once, and only for ten minutes.",
	"signin_go":    "Sign in",
	"signin_no":    "One-time sign-in needs JavaScript. Please allow it for this address, or sign in with your password.",

	"pop_title":          "Call",
	"pop_withheld":       "Number withheld",
	"pop_no_number":      "No caller ID",
	"pop_unknown_caller": "Unknown caller",
	"pop_several":        "people share this number",
	"pop_several_do":     "Ask who is calling: Ringlink does not guess.",
	"pop_mode_caller_id": "Caller ID mode",
	"pop_mode_ivr":       "IVR mode",
	"pop_caller":         "Caller ID",
	"pop_org":            "Organization",
	"pop_dialled":        "Dialled number",
	"pop_dialled_org":    "Dialled organization",
	"pop_call_number":    "Call number",
	"pop_answered":       "Answered",
	"pop_ended":          "This call has ended.",
	"pop_superseded":     "This call has moved on to somebody else.",
	"pop_looking":        "Looking in the directory…",
	"pop_ticket":         "Ticket",
	"pop_ticket_open":    "Open",
	"pop_ticket_closed":  "Closed",
	"pop_ticket_since":   "opened",
	"pop_ticket_go":      "Open in the service desk",
	"pop_ticket_no_url":  "The service desk gave no address for this ticket.",
	"pop_foreign":        "This ticket belongs to another organization",
	"pop_foreign_do":     "Check who is calling before you speak about it.",
	"pop_popup":          "No call exists against that call number",
	"pop_popup_number":   "The caller keyed",
	"pop_popup_do":       "It may have been mistyped. Ask for the number again.",
	"pop_popup_none":     "There is no caller ID and no call number to go by",
	"pop_popup_none_do":  "Ask who is calling and what it is about.",
	"pop_info_known":     "Calling from a number in your directory.",
	"pop_info_unknown":   "This number is not in the directory yet.",
	"pop_desk":           "Back to the desk",
}

// notice is a page that says what happened and what to do next.
type notice struct {
	Title string
	Text  string
	Go    string // label of the way out
	To    string // its address
}

var toDesk = notice{Go: "Go to your desk", To: "/"}

// notices are the answers to everything that did not work, by key.
var notices = map[string]notice{
	"link_expired":   {"This link has expired", "For your callers' safety a link opens within a minute, or not at all. Open the call again from your desk: that makes a fresh one.", toDesk.Go, toDesk.To},
	"link_used":      {"This link was used already", "Each link opens once. Open the call again from your desk: that makes a fresh one.", toDesk.Go, toDesk.To},
	"link_foreign":   {"This link is a colleague's", "It was made for the agent who took the call. If you should have the call, ask for it to be transferred to you.", toDesk.Go, toDesk.To},
	"link_unknown":   {"We do not know this link", "It may have been cut off on its way here. Open the call from your desk.", toDesk.Go, toDesk.To},
	"pop_not_opened": {"Please open this call from your desk", "A call's page opens by a fresh link only. Your desk makes one when you press Open.", toDesk.Go, toDesk.To},
	"pop_unknown":    {"There is no such call here", "It may be a colleague's, or too long ago.", toDesk.Go, toDesk.To},
	"no_desk":        {"This account has no desk", "No telephone is assigned to you, so there are no calls to show. An administrator can add one with “ringlink agent map”.", "Back", "/"},
	"no_page":        {"There is nothing here", "The address may be mistyped.", toDesk.Go, toDesk.To},
	"signed_out":     {"You are signed out", "Sign in to see your calls.", "Sign in", "/login"},
	"signin_spent":   {"This sign-in address was used or has expired", "It works once, within ten minutes. Ask for a new one, or sign in with your password.", "Sign in", "/login"},
	"too_many_tries": {"Too many attempts", "Please wait a minute and try again, or sign in with your password.", "Sign in", "/login"},
	"cross_origin":   {"That came from another site", "Ringlink takes orders from its own pages only.", toDesk.Go, toDesk.To},
	"wrong_host":     {"Wrong address", "This server goes by another name. Use the address in its configuration (external_url).", "", ""},
	"needs_https":    {"HTTPS is needed", "Open the address with https. Behind a proxy: it must be in trusted_proxies and send X-Forwarded-Proto.", "", ""},
	"no_link":        {"The call cannot be opened just now", "Its record is being written. The call goes on; please try again in a moment.", toDesk.Go, toDesk.To},
	"too_many_desks": {"Your desk is open too often", "Please close some of its tabs.", "", ""},
	"closing":        {"Ringlink is restarting", "Your desk comes back by itself.", "", ""},
	"bad_request":    {"We could not read that", "Please go back and try again.", toDesk.Go, toDesk.To},
	"trouble":        {"We could not do that just now", "Your call goes on; only this page is in trouble. Please try again in a moment.", "Try again", ""},
}

func noticeFor(key string) notice {
	n, ok := notices[key]
	if !ok {
		return notices["trouble"]
	}
	return n
}

// noticeText is the notice in one line, for the API.
func noticeText(key string) string {
	n := noticeFor(key)
	return n.Title + ". " + n.Text
}
