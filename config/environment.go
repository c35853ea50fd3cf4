package config

import (
	"regexp"
	"slices"
	"strings"
)

// addEnvironment collects what the variables give, and returns those that look
// like ours or etcd's and are not.
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
	slices.Sort(unknown)
	return slices.Compact(unknown)
}

// variable is the environment's name for a flag, without its prefix.
func variable(flag string) string {
	return strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// serviceVariable matches what Kubernetes gives a pod for each Service of its
// namespace, such as COPSE_PORT_2379_TCP for one that is called copse: nobody
// meant a setting by it.
func serviceVariable() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_[A-Z]+(_(PROTO|PORT|ADDR))?)=|^[A-Z0-9_]+_PORT=[a-z]+://`)
}
