package config_test

import (
	"strings"
	"testing"

	"copse/config"
)

func TestWhereAuthInitAsks(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "http://127.0.0.1:2379"},
		{[]string{"--listen-metrics-urls=http://127.0.0.1:1"}, "http://127.0.0.1:2379"},
		{[]string{"--listen-client-urls=http://0.0.0.0:1"}, "http://127.0.0.1:1"},
		{[]string{"--listen-client-urls=http://10.0.0.1:1,https://10.0.0.1:2,http://[::1]:3", "--auto-tls"}, "http://[::1]:3"},
		{[]string{"--listen-client-urls=http://10.0.0.1:1,https://[::]:2", "--auto-tls"}, "https://[::1]:2"},
		{[]string{"--listen-client-urls=http://10.0.0.1:1"}, "http://10.0.0.1:1"},
		{[]string{"--endpoint=https://h:1/behind/a/proxy"}, "https://h:1/behind/a/proxy"},
	} {
		loaded := loadFor(t, "auth init", c.args, nil)
		if got := loaded.AuthInitURL().String(); got != c.want {
			t.Errorf("%q: asks %s, want %s", c.args, got, c.want)
		}
	}
}

// loadFor loads the settings for a command.
func loadFor(t *testing.T, command string, args, environ []string) config.Config {
	t.Helper()
	found, _, err := config.FindCommand(strings.Fields(command))
	if err != nil {
		t.Fatal(err)
	}
	src := sources(t, nil, args, environ)
	src.Command = found
	loaded, _, err := config.Load(src)
	if err != nil {
		t.Errorf("%q: %v", args, err)
	}
	return loaded
}

func TestWhereHealthAsks(t *testing.T) {
	for _, c := range []struct {
		args, environ []string
		want          string
	}{
		{nil, nil, "http://127.0.0.1:2379/health"},
		{[]string{"--listen-metrics-urls=http://127.0.0.1:1"}, nil, "http://127.0.0.1:1/readyz"},
		{nil, []string{"COPSE_LISTEN_METRICS_URLS=http://0.0.0.0:1"}, "http://127.0.0.1:1/readyz"},
		{[]string{"--listen-metrics-urls=off", "--listen-client-urls=http://[::]:1"}, nil, "http://[::1]:1/health"},
		{[]string{"--listen-client-urls=https://10.0.0.1:1,http://10.0.0.1:2", "--cert-file=c", "--key-file=k"}, nil, "http://10.0.0.1:2/health"},
		{[]string{"--listen-client-urls=https://10.0.0.1:1", "--cert-file=c", "--key-file=k"}, nil, "https://10.0.0.1:1/health"},
		{[]string{"--endpoint=http://h:1"}, nil, "http://h:1/health"},
		{[]string{"--endpoint=http://h:1/"}, nil, "http://h:1/health"},
		{[]string{"--endpoint=http://h:1/livez"}, nil, "http://h:1/livez"},
	} {
		loaded := loadFor(t, "health", c.args, c.environ)
		if got := loaded.HealthURL().String(); got != c.want {
			t.Errorf("%q %q: asks %s, want %s", c.args, c.environ, got, c.want)
		}
	}
}

func TestTheServerOfTheClientCommandsIsAsked(t *testing.T) {
	one, two := []string{"COPSE_ENDPOINTS=https://e:1"}, []string{"COPSE_ENDPOINTS=https://e:1,https://f:1"}
	const own = "http://127.0.0.1:2379"
	for _, c := range []struct {
		command       string
		args, environ []string
		want          string
	}{
		{"backup", []string{"file"}, one, "https://e:1"},
		{"mirror status", nil, one, "https://e:1"},
		{"mirror promote", nil, one, "https://e:1"},
		{"auth init", nil, one, "https://e:1"},
		{"auth init", []string{"--endpoint=https://g:1"}, one, "https://g:1"},
		{"auth init", nil, two, own}, // which of them, nobody says
		{"health", nil, one, own},
	} {
		loaded := loadFor(t, c.command, c.args, c.environ)
		if got := loaded.AuthInitURL().String(); got != c.want {
			t.Errorf("%s %q %q: asks %s, want %s", c.command, c.args, c.environ, got, c.want)
		}
	}
}
