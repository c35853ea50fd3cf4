package config_test

import (
	"slices"
	"strings"
	"testing"
)

func TestThePageIsWhereNobodyElseReachesIt(t *testing.T) {
	secure := "--listen-client-urls=https://127.0.0.1:2379 --cert-file=c --key-file=k --trusted-ca-file=ca"
	for line, want := range map[string]struct {
		ui      string
		warning string // in one of them; "": there is none about the page
	}{
		"": {"read", ""},
		"--listen-metrics-urls=http://127.0.0.1:1":                            {"read", ""},
		"--listen-metrics-urls=http://0.0.0.0:1":                              {"off", ""},
		"--listen-metrics-urls=http://127.0.0.1:1,http://10.0.0.1:1":          {"off", ""},
		"--listen-metrics-urls=http://0.0.0.0:1 --ui=read":                    {"read", "may read all keys while auth is off"},
		"--listen-metrics-urls=http://0.0.0.0:1 --ui=write":                   {"write", "may write all keys while auth is off"},
		"--listen-metrics-urls=http://0.0.0.0:1 --ui-port=clients":            {"read", ""},
		"--listen-metrics-urls=http://0.0.0.0:1 --ui-port=clients --ui=write": {"write", ""},
		"--listen-metrics-urls=http://0.0.0.0:1 --ui=off":                     {"off", ""},
		secure:                {"off", ""},
		secure + " --ui=read": {"read", "asks for no certificate"},
		secure + " --ui=read --listen-metrics-urls=https://127.0.0.1:1": {"read", ""},
	} {
		c, warnings := load(t, strings.Fields(line), nil)
		if c.UI != want.ui {
			t.Errorf("%s: ui is %s, want %s", line, c.UI, want.ui)
		}
		about := slices.IndexFunc(warnings, func(w string) bool { return strings.Contains(w, "ui=") })
		if (about >= 0) != (want.warning != "") || about >= 0 && !strings.Contains(warnings[about], want.warning) {
			t.Errorf("%s: warned %q, want %q", line, warnings, want.warning)
		}
	}
	c, _ := load(t, strings.Fields("--advertise-client-urls=http://m1.example.com:2379"), nil)
	if !slices.Contains(c.PortHosts, "m1.example.com") {
		t.Errorf("the page's names are %q", c.PortHosts)
	}
}
