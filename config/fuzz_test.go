package config_test

import (
	"strings"
	"testing"

	"copse/config"
)

func FuzzLoad(f *testing.F) {
	f.Add("--name=a\x00--cors=*", "ETCD_INITIAL_CLUSTER=a=http://h:1")
	f.Add("-listen-client-urls\x00http://[::]:1,http://0.0.0.0:0", "COPSE_NAME=\x00ETCD_X=1")
	f.Fuzz(func(t *testing.T, args, environ string) {
		c, _, err := config.Load(sources(t, nil, strings.Split(args, "\x00"), strings.Split(environ, "\x00")))
		if err != nil || c.Version {
			return
		}
		// What is accepted prints as something that is accepted again, and means
		// the same.
		var again []string
		for _, v := range c.Values() {
			again = append(again, "--"+v.Flag+"="+v.Text)
		}
		d, _, err := config.Load(sources(t, nil, again, nil))
		if err != nil {
			t.Fatalf("%q is refused: %v", again, err)
		}
		for i, v := range d.Values() {
			if w := c.Values()[i]; v.Text != w.Text {
				t.Errorf("--%s was %q, and is %q", v.Flag, w.Text, v.Text)
			}
		}
	})
}
