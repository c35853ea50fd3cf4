package cli_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"copse/config/cli"
)

// with makes a command of the defaults.
func with(name string, args any, change func(*cli.Global)) *cli.Command {
	c := &cli.Command{Name: name, Args: args, Global: cli.Global{
		Endpoints: "http://127.0.0.1:2379,http://127.0.0.1:4001", Output: "simple", Timeout: 2 * time.Second, TotalTimeout: 5 * time.Second,
	}}
	if change != nil {
		change(&c.Global)
	}
	return c
}

func value(text string) cli.Value { return cli.Value{Value: &text} }

func TestLines(t *testing.T) {
	output := func(g *cli.Global) { g.Output = "json" }
	at := func(endpoints string) func(*cli.Global) { return func(g *cli.Global) { g.Endpoints = endpoints } }
	for _, tt := range []struct {
		line    string // words are separated by |
		environ []string
		want    *cli.Command
	}{
		{"get|/a", nil, with("get", &cli.Get{Key: "/a"}, nil)},
		{"-o|json|get|/a", nil, with("get", &cli.Get{Key: "/a"}, output)},
		{"--output=json|get|-q|/a|--sort", nil, with("get", &cli.Get{Key: "/a", Quorum: true, Sort: true}, output)},
		{"-output|json|get|-quorum=false|/a", nil, with("get", &cli.Get{Key: "/a"}, output)},
		{"get|/a|-o|json", nil, with("get", &cli.Get{Key: "/a"}, output)},
		{"set|/a|-x", nil, with("set", &cli.Set{Key: "/a", Value: value("-x")}, nil)},
		{"set|/a|-o", nil, with("set", &cli.Set{Key: "/a", Value: value("-o")}, nil)},
		{"set|/a|--|--ttl", nil, with("set", &cli.Set{Key: "/a", Value: value("--ttl")}, nil)},
		{"set|--|/a|-y", nil, with("set", &cli.Set{Key: "/a", Value: value("-y")}, nil)},
		{"set|/a|--ttl|5", nil, with("set", &cli.Set{Key: "/a", Lifetime: cli.Lifetime{TTL: 5}}, nil)},
		{"set|/a|", nil, with("set", &cli.Set{Key: "/a", Value: value("")}, nil)},
		{"set|/a|\xff \"'\\,\n", nil, with("set", &cli.Set{Key: "/a", Value: value("\xff \"'\\,\n")}, nil)},
		{"set|--swap-with-value|\xfe,b|/a|v", nil, with("set", &cli.Set{Key: "/a", Value: value("v"), SwapWithValue: "\xfe,b"}, nil)},
		{"ls", nil, with("ls", &cli.List{Key: "/"}, nil)},
		{"ls|-r|-p|/b", nil, with("ls", &cli.List{Key: "/b", Recursive: true, Slash: true}, nil)},
		{"cas|/a|old|new", nil, with("cas", &cli.CAS{Key: "/a", Old: "old", Value: value("new")}, nil)},
		{"exec-watch|-r|/d|--|sh|-c|x", nil, with("exec-watch", &cli.ExecWatch{Words: []string{"/d", "--", "sh", "-c", "x"}, From: cli.From{Recursive: true}}, nil)},
		{"exec-watch|sh|-c|x|/d", nil, with("exec-watch", &cli.ExecWatch{Words: []string{"sh", "-c", "x", "/d"}}, nil)},
		{"lock|/l|--ttl|9|make|-r|--ttl=4", nil, with("lock", &cli.Lock{Key: "/l", TTL: 9, Command: []string{"make", "-r", "--ttl=4"}}, nil)},
		{"lock|/l|--|ls|--", nil, with("lock", &cli.Lock{Key: "/l", TTL: 15, Command: []string{"ls", "--"}}, nil)},
		{"role|grant|r|--path|/x*|-rw", nil, with("role grant", &cli.Permission{Name: cli.Name{Name: "r"}, Path: "/x*", ReadWrite: true}, nil)},
		{"member|add|n|http://h:1", nil, with("member add", &cli.MemberAdd{Name: "n", PeerURL: "http://h:1"}, nil)},
		{"--peers|h:1,http://i:2|ls", nil, with("ls", &cli.List{Key: "/"}, func(g *cli.Global) { g.Peers, g.Endpoints = "h:1,http://i:2", "http://h:1,http://i:2" })},
		{"ls", []string{"ETCDCTL_ENDPOINTS=http://e:1"}, with("ls", &cli.List{Key: "/"}, at("http://e:1"))},
		{"ls", []string{"ETCDCTL_ENDPOINT=http://e:1"}, with("ls", &cli.List{Key: "/"}, at("http://e:1"))},
		{"ls", []string{"ETCDCTL_ENDPOINTS=http://e:1", "COPSE_ENDPOINTS=http://c:1"}, with("ls", &cli.List{Key: "/"}, at("http://c:1"))},
		{"--endpoints|http://f:1|ls", []string{"COPSE_ENDPOINTS=http://c:1"}, with("ls", &cli.List{Key: "/"}, at("http://f:1"))},
		{"ls", []string{"ETCDCTL_PEERS=p:1"}, with("ls", &cli.List{Key: "/"}, func(g *cli.Global) { g.Peers, g.Endpoints = "p:1", "http://p:1" })},
		{"ls", []string{"ETCDCTL_PEERS=p:1", "ETCDCTL_ENDPOINTS=http://e:1"}, with("ls", &cli.List{Key: "/"}, func(g *cli.Global) { g.Peers, g.Endpoints = "p:1", "http://e:1" })},
		{"ls", []string{"ETCDCTL_USERNAME=u:p", "ETCDCTL_CA_FILE=ca"}, with("ls", &cli.List{Key: "/"}, func(g *cli.Global) { g.Username, g.CAFile = "u:p", "ca" })},
	} {
		args := strings.Split(tt.line, "|")
		if name, _ := cli.Find(args); name != tt.want.Name {
			t.Errorf("%q is found as %q", tt.line, name)
		}
		if got, err := cli.Parse(args, tt.environ); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q with %q: %+v %+v, %v\nwant %+v %+v", tt.line, tt.environ, got, got.Args, err, tt.want, tt.want.Args)
		}
	}
}

func TestMistakes(t *testing.T) {
	for line, want := range map[string]string{
		"get":                                 "missing: <key> (see copse help get)",
		"get|/a|/b":                           "unexpected argument /b",
		"set|--nope|/a|x":                     "unknown flag --nope; did you mean --",
		"ls|--recursiv":                       "did you mean --recursive?",
		"set|--ttl|x|/a|v":                    "--ttl: expected a valid 64 bit int",
		"get|/a|--timeout":                    "--timeout needs a value",
		"-o|xml|get|/a":                       "--output must be one of",
		"role|grant|--path|/x|-read|-write|r": "--read and --write can't be used together",
		"user|grant|u":                        "missing flags: --roles",
		"--cert-file|c|get|/a":                "go together",
		"member|nothing":                      `unknown command "member nothing"`,
		"--endpoints|x|member":                "copse member needs a subcommand: copse member list",
		"--endpoints|x|--nothing|get|/a":      "unknown flag --nothing",
		"lock|/a":                             "missing: <command>",
	} {
		if name, _ := cli.Find(strings.Split(line, "|")); name == "" {
			t.Errorf("%s isn't found", line)
		}
		if _, err := cli.Parse(strings.Split(line, "|"), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	if _, err := cli.Parse([]string{"get", "-h"}, nil); !errors.Is(err, cli.ErrHelp) {
		t.Errorf("help: %v", err)
	}
}

func TestLinesOfTheServerAreNotFound(t *testing.T) {
	for _, line := range []string{"", "serve", "--name=a", "--cert-file=c|--name=ls", "-name|ls", "auth|init", "auth", "health", "--debug", "nothing", "help|get"} {
		if name, _ := cli.Find(strings.Split(line, "|")); name != "" {
			t.Errorf("%q is found as %q", line, name)
		}
	}
}

func TestEachCommandIsListed(t *testing.T) {
	keys := 0
	if common := cli.Common(); len(common) != 11 || common[1].Name != "output" || common[1].Unit != "simple|extended|json" {
		t.Errorf("the flags of all commands: %+v", common)
	}
	for _, e := range cli.Entries() {
		if name, _ := cli.Find(strings.Fields(e.Name)); name != e.Name || e.Summary == "" {
			t.Errorf("%+v is found as %q", e, name)
		}
		if e.Keys {
			keys++
		}
		if help := cli.Help(e.Name); !strings.Contains(help, "$ETCDCTL_ENDPOINTS") || !strings.Contains(help, e.Summary) {
			t.Errorf("the help of %s: %s", e.Name, help)
		}
	}
	if keys != 13 {
		t.Errorf("%d commands have a key first", keys)
	}
	if names := strings.Join(cli.Variables(), " "); names != "COPSE_CA_FILE COPSE_CERT_FILE COPSE_ENDPOINTS COPSE_KEY_FILE COPSE_METRICS_URLS COPSE_PASSWORD_FILE COPSE_USERNAME" {
		t.Error(names)
	}
}
