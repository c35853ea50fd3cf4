package config_test

import (
	"testing"

	"copse/config"
)

func TestWhereHealthAsks(t *testing.T) {
	health, _, err := config.FindCommand([]string{"health"})
	if err != nil {
		t.Fatal(err)
	}
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
		src := sources(t, nil, c.args, c.environ)
		src.Command = health
		loaded, _, err := config.Load(src)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
		} else if got := loaded.HealthURL().String(); got != c.want {
			t.Errorf("%q %q: asks %s, want %s", c.args, c.environ, got, c.want)
		}
	}
}
