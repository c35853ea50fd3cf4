package config

import (
	"regexp"
	"slices"
	"strings"

	"copse/config/cli"
)

// addEnvironment collects the variables, and returns those with the prefix of copse or etcd
// that are unknown.
func (t texts) addEnvironment(environ []string) (unknown []string) {
	variables := map[string]string{}
	for _, flag := range knownFlags() {
		variables[variable(flag)] = flag
	}
	service := serviceVariable()
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		rank, suffix := rankCopse, ""
		if rest, ok := strings.CutPrefix(name, "COPSE_DEFAULT_"); ok {
			rank, suffix = rankImage, rest
		} else if rest, ok := strings.CutPrefix(name, "COPSE_"); ok {
			suffix = rest
		} else if rest, ok := strings.CutPrefix(name, "ETCD_"); ok {
			rank, suffix = rankEtcd, rest
		} else {
			continue
		}
		flag, known := variables[suffix]
		switch {
		case !known && !service.MatchString(entry):
			unknown = append(unknown, name)
		case known && text != "":
			t.put(flag, given{text: text, rank: rank, origin: "environment " + name, name: name})
		}
	}
	if len(unknown) > 0 {
		client := cli.Variables()
		unknown = slices.DeleteFunc(unknown, func(name string) bool { return slices.Contains(client, name) })
	}
	slices.Sort(unknown)
	return slices.Compact(unknown)
}

// addEndpoint has the commands that ask one server ask that of the client commands, where these
// are given one.
func (t texts) addEndpoint(environ []string) {
	const name = "COPSE_ENDPOINTS"
	for _, entry := range environ {
		if text, found := strings.CutPrefix(entry, name+"="); found && text != "" && !strings.Contains(text, ",") {
			t.put("endpoint", given{text: text, rank: rankCopse, origin: "environment " + name, name: name})
		}
	}
}

// variable is the environment's name for a flag, without its prefix.
func variable(flag string) string {
	return strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// serviceVariable matches the variables that Kubernetes sets for each Service of the
// namespace, such as COPSE_PORT_2379_TCP for one called copse: they aren't settings.
func serviceVariable() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_[A-Z]+(_(PROTO|PORT|ADDR))?)=|^[A-Z0-9_]+_PORT=[a-z]+://`)
}
