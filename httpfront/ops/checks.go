package ops

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Check is one condition of health. Ok returns what is wrong, in words for an operator. It
// must be quick, as a probe waits for it.
type Check struct {
	Name string
	Ok   func() error
}

// Checks are the checks of one probe, in order.
type Checks []Check

// Answer runs all checks and returns the answer to a probe in the form of Kubernetes' own
// servers: "ok", or a line for each check if one fails or query has verbose. Checks that
// query excludes don't run.
func (c Checks) Answer(probe string, query url.Values) (ok bool, body string) {
	var lines strings.Builder
	ok = true
	excluded := query["exclude"]
	for _, check := range c {
		if slices.Contains(excluded, check.Name) {
			fmt.Fprintf(&lines, "[+]%s excluded: ok\n", check.Name)
			continue
		}
		if err := check.Ok(); err != nil {
			ok = false
			fmt.Fprintf(&lines, "[-]%s failed: %v\n", check.Name, err)
			continue
		}
		fmt.Fprintf(&lines, "[+]%s ok\n", check.Name)
	}
	for _, name := range excluded {
		if !slices.ContainsFunc(c, func(check Check) bool { return check.Name == name }) {
			fmt.Fprintf(&lines, "warn: there is no check %q to exclude\n", name)
		}
	}
	switch {
	case !ok:
		fmt.Fprintf(&lines, "%s check failed\n", probe)
	case !query.Has("verbose"):
		return true, "ok"
	default:
		fmt.Fprintf(&lines, "%s check passed\n", probe)
	}
	return ok, lines.String()
}
