package cli

import (
	"strconv"
	"strings"
)

// Quote quotes what should have been a URL, or a list of them, for a message, unless there may
// be a password in it.
func Quote(text string) string {
	if strings.Contains(text, "@") {
		return "what is given, which may have a password in it and isn't shown"
	}
	return strconv.Quote(text)
}
