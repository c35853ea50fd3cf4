package config

import (
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/config/cli"
)

func parseMilliseconds(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of milliseconds", s)
	}
	return time.Duration(n) * time.Millisecond, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 30s or 1m30s", s)
	}
	return d, nil
}

func parseUnsigned(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return n, nil
}

func parseCount(s string) (int, error) {
	n, err := parseUnsigned(s)
	return int(min(n, math.MaxInt)), err
}

// units of sizes. MB and the like are ambiguous, and not supported.
func units() []string { return []string{"", "KiB", "MiB", "GiB", "TiB"} }

// parseSize reads a number of bytes, plain or with a unit.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "BGKTMibgktm")
	power := slices.IndexFunc(units(), func(u string) bool { return strings.EqualFold(u, s[len(digits):]) })
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || power < 0 || n > math.MaxInt64>>(10*power) {
		return 0, fmt.Errorf("%q is not a size such as 1048576, 512KiB, 64MiB or 1GiB", s)
	}
	return int64(n) << (10 * power), nil
}

// printSize uses the largest unit that leaves a whole number.
func printSize(n int64) string {
	power := 0
	for power+1 < len(units()) && n != 0 && n%1024 == 0 {
		n /= 1024
		power++
	}
	return strconv.FormatInt(n, 10) + units()[power]
}

// parseBool accepts what package flag accepts, and YAML's older words.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "yes", "on":
		return true, nil
	case "no", "off":
		return false, nil
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is not true or false", s)
	}
	return b, nil
}

// parseChoice accepts one of the words in all, which | separates.
func parseChoice(s, all string) (string, error) {
	words := strings.Split(all, "|")
	if !slices.Contains(words, s) {
		last := len(words) - 1
		return "", fmt.Errorf("%q is not %s or %s", s, strings.Join(words[:last], ", "), words[last])
	}
	return s, nil
}

// parseEndpoint parses an http or https URL, with or without a path.
func parseEndpoint(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("%s is not a URL such as http://127.0.0.1:2379", cli.Quote(s))
	}
	return s, nil
}

// parseLevel accepts etcd's levels; copse has none above error.
func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error", "dpanic", "panic", "fatal":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%q is not debug, info, warn or error", s)
}

func printLevel(l slog.Level) string { return strings.ToLower(l.String()) }

func printList(list []string) string { return strings.Join(list, ",") }

// parseOrigins accepts any strings, as etcd 2.3 did: they are compared with the Origin
// header. A * among them is all.
func parseOrigins(s string) ([]string, error) {
	var origins []string
	for _, o := range strings.Split(s, ",") {
		switch o = strings.TrimSpace(o); {
		case o == "*":
			return []string{"*"}, nil
		case strings.ContainsAny(o, " \t\r\n"):
			return nil, fmt.Errorf("%s is not an origin", cli.Quote(o))
		case o != "":
			origins = append(origins, o)
		}
	}
	return origins, nil
}
