package main

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"copse/config"
)

// unserved refuses what the settings can say and this copse doesn't do yet:
// each line goes when its part comes.
func unserved(c *config.Config) error {
	var complaints []error
	refuse := func(when bool, text string) {
		if when {
			complaints = append(complaints, errors.New(text))
		}
	}
	all := slices.Concat(c.ListenClientURLs, c.ListenMetricsURLs)
	refuse(slices.ContainsFunc(all, func(u url.URL) bool { return u.Scheme == "https" }), "https for clients is not served yet")
	refuse(c.Shards > 1, "several shards are not served yet")
	return errors.Join(complaints...)
}

// pending warns of settings that nothing follows yet, and that it does no harm
// to go without.
func pending(c *config.Config) []string {
	var given []string
	for _, flag := range []string{"disk-reserve", "listen-metrics-urls", "enable-pprof", "drain-delay", "slow-request", "log-format"} {
		if c.Given(flag) {
			given = append(given, flag)
		}
	}
	if given == nil {
		return nil
	}
	return []string{"not served yet, and ignored: " + strings.Join(given, ", ")}
}
