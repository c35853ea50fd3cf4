package cli

import (
	"regexp"
	"strconv"
	"strings"
)

// Quote quotes a text that should have been a URL, or a list of them, for a message, unless there
// may be a password in it.
func Quote(text string) string {
	if strings.Contains(text, "@") {
		return "the given text (not shown, as it may contain a password)"
	}
	return strconv.Quote(text)
}

var userinfo = regexp.MustCompile(`://\S*@`)

// withoutPasswords takes users and passwords out of the URLs in a message.
func withoutPasswords(message string) string { return userinfo.ReplaceAllString(message, "://xxxxx@") }
