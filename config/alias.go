package config

import "fmt"

// alias is an older name of etcd's for a setting.
type alias struct {
	flag, target string
	boolean      bool
	// means maps a value to the target's; "" sets nothing.
	means func(text string) (string, error)
}

func aliases() []alias {
	same := func(text string) (string, error) { return text, nil }
	return []alias{
		// Both required client certificates, as trusted-ca-file does by itself.
		{"ca-file", "trusted-ca-file", false, same},
		{"peer-ca-file", "peer-trusted-ca-file", false, same},
		{"debug", "log-level", true, func(text string) (string, error) {
			on, err := parseBool(text)
			if !on || err != nil {
				return "", err
			}
			return "debug", nil
		}},
	}
}

// resolveAliases moves values from older names to the current ones. Between the two the
// usual order of precedence applies; different values of the same rank are an error.
func (t texts) resolveAliases() (complaints []error) {
	for _, a := range aliases() {
		g, ok := t[a.flag]
		delete(t, a.flag)
		if !ok || g.text == "" {
			continue
		}
		text, err := a.means(g.text)
		if err != nil {
			complaints = append(complaints, about(g.name, err)...)
			continue
		}
		if text == "" {
			continue
		}
		rival, ok := t[a.target]
		if ok && rival.text != "" && rival.rank == g.rank && rival.text != text {
			complaints = append(complaints, fmt.Errorf("%s (%s) and %s (%s) contradict each other", g.name, g.text, rival.name, rival.text))
			continue
		}
		g.text = text
		if !ok || g.rank > rival.rank || g.rank == rival.rank && rival.text == "" {
			t[a.target] = g
		}
	}
	return complaints
}
