package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"copse/config"
)

// etcdFile gives every name that etcd's own sample has, with its defaults.
const etcdFile = `# comments
name: 'default'
data-dir:
wal-dir:
snapshot-count: 10000
heartbeat-interval: 100
election-timeout: 1000
quota-backend-bytes: 0
listen-peer-urls: http://localhost:2380
listen-client-urls: http://localhost:2379
max-snapshots: 5
max-wals: 5
cors:
initial-advertise-peer-urls: http://localhost:2380
advertise-client-urls: http://localhost:2379
discovery:
discovery-fallback: 'proxy'
discovery-proxy:
discovery-srv:
initial-cluster:
initial-cluster-token: 'etcd-cluster'
initial-cluster-state: 'new'
strict-reconfig-check: false
enable-pprof: true
proxy: 'off'
proxy-failure-wait: 5000
proxy-refresh-interval: 30000
proxy-dial-timeout: 1000
proxy-write-timeout: 5000
proxy-read-timeout: 0
client-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
peer-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
self-signed-cert-validity: 1
log-level: debug
logger: zap
log-outputs: [stderr]
force-new-cluster: false
auto-compaction-mode: periodic
auto-compaction-retention: "1"
cipher-suites: [
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
]
tls-min-version: 'TLS1.2'
tls-max-version: 'TLS1.3'
`

func TestAFileOfEtcdsIsUnderstood(t *testing.T) {
	c, warnings := loadWith(t, files{"etcd.yml": etcdFile}, []string{"--config-file=etcd.yml"}, nil)
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "these etcd settings have no effect here and are ignored: ") {
		t.Errorf("warnings: %q", warnings)
	}
	for flag, want := range map[string][2]string{
		"snapshot-count":     {"10000", "file etcd.yml, line 5"},
		"enable-pprof":       {"true", "file etcd.yml, line 24"},
		"log-level":          {"debug", "file etcd.yml, line 44"},
		"client-cert-auth":   {"false", "file etcd.yml, line 34"},
		"listen-client-urls": {"http://localhost:2379", "file etcd.yml, line 10"},
		"data-dir":           {"default.copse", "default"},
		"initial-cluster":    {"default=http://localhost:2380", "default"},
		"config-file":        {"etcd.yml", "flag"},
	} {
		if v := value(c, flag); v.Text != want[0] || v.Origin != want[1] {
			t.Errorf("%s = %q from %q, want %q", flag, v.Text, v.Origin, want)
		}
	}
}

func TestFilePrecedence(t *testing.T) {
	disk := files{"a.yml": "name: file\nlisten-metrics-urls: ''\n", "b.yml": "name: other\n", "empty.yml": "name: ''\n", "null.yml": "name:\n"}
	tests := []struct {
		name           string
		args, environ  []string
		text, fromWhat string
	}{
		{"the file wins over the default", []string{"--config-file=a.yml"}, nil, "file", "file a.yml, line 1"},
		{"the file wins over the image's default", []string{"--config-file=a.yml"}, []string{"COPSE_DEFAULT_NAME=i"}, "file", "file a.yml, line 1"},
		{"the environment wins over the file", []string{"--config-file=a.yml"}, []string{"ETCD_NAME=e"}, "e", "environment ETCD_NAME"},
		{"in copse's name too", []string{"--config-file=a.yml"}, []string{"ETCD_NAME=e", "COPSE_NAME=c"}, "c", "environment COPSE_NAME"},
		{"a flag wins over all", []string{"--config-file=a.yml", "--name=f"}, []string{"ETCD_NAME=e", "COPSE_NAME=c"}, "f", "flag"},
		{"an empty flag is the default", []string{"--config-file=a.yml", "--name="}, nil, "default", "default"},
		{"an empty variable is not set", []string{"--config-file=a.yml"}, []string{"COPSE_NAME="}, "file", "file a.yml, line 1"},
		{"the file by etcd's variable", nil, []string{"ETCD_CONFIG_FILE=a.yml"}, "file", "file a.yml, line 1"},
		{"the file by copse's variable", nil, []string{"ETCD_CONFIG_FILE=a.yml", "COPSE_CONFIG_FILE=b.yml"}, "other", "file b.yml, line 1"},
		{"the file by a flag", []string{"--config-file=b.yml"}, []string{"COPSE_CONFIG_FILE=a.yml"}, "other", "file b.yml, line 1"},
		{"nothing in the file", []string{"--config-file=empty.yml"}, nil, "default", "default"},
		{"null in the file", []string{"--config-file=null.yml"}, nil, "default", "default"},
		{"no file after all", []string{"--config-file="}, []string{"COPSE_CONFIG_FILE=a.yml"}, "default", "default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := loadWith(t, disk, tt.args, tt.environ)
			if v := value(c, "name"); v.Text != tt.text || v.Origin != tt.fromWhat {
				t.Errorf("name = %q from %q, want %q from %q", v.Text, v.Origin, tt.text, tt.fromWhat)
			}
		})
	}
	if c, _ := loadWith(t, disk, []string{"--config-file=a.yml"}, nil); value(c, "listen-metrics-urls").Text != "off" {
		t.Error("an empty text in a file leaves the operations port on")
	}
}

func TestFileForms(t *testing.T) {
	tests := []struct {
		name, text, flag, want string
	}{
		{"empty", "", "name", "default"},
		{"comments", "# name: x\n---\n# nothing\n", "name", "default"},
		{"JSON", `{"name": "x", "election-timeout": 3000}`, "election-timeout", "3000"},
		{"a list", "listen-client-urls:\n- http://127.0.0.1:1\n- http://127.0.0.1:2\n", "listen-client-urls", "http://127.0.0.1:1,http://127.0.0.1:2"},
		{"a list of allowed hosts that allows all", "host-whitelist: ['*']", "name", "default"},
		{"an anchor", "name: &n x\ninitial-cluster-token: *n\n", "initial-cluster-token", "x"},
		{"a number that is a name", "name: 0123\n", "name", "0123"},
		{"a truth that is a name", "name: yes\n", "name", "yes"},
		{"truths of YAML's", "enable-pprof: on\n", "enable-pprof", "true"},
		{"off is a word", "listen-metrics-urls: off\n", "listen-metrics-urls", "off"},
		{"a size", "cache-size: 64MiB\n", "cache-size", "64MiB"},
		{"settings of TLS without their section", "listen-peer-urls: https://127.0.0.1:2\npeer-cert-file: c\npeer-key-file: k\n", "peer-key-file", "k"},
		{"settings of TLS in their section", "listen-peer-urls: https://127.0.0.1:2\npeer-transport-security: {cert-file: c, key-file: k, trusted-ca-file: a}\n", "peer-trusted-ca-file", "a"},
		{"etcd 2's name in a section", "listen-client-urls: https://127.0.0.1:2\nclient-transport-security: {cert-file: c, key-file: k, ca-file: a}\n", "trusted-ca-file", "a"},
		{"debug", "debug: true\n", "log-level", "debug"},
		{"no debug", "debug: false\n", "log-level", "info"},
		{"a certificate of one's own, in a section", "listen-client-urls: https://127.0.0.1:2\nclient-transport-security: {auto-tls: true}\n", "auto-tls", "true"},
		{"a name in a section", "listen-peer-urls: https://127.0.0.1:2\npeer-transport-security: {cert-file: c, key-file: k, trusted-ca-file: a, allowed-cn: n}\n", "peer-cert-allowed-cn", "n"},
		{"an empty section", "client-transport-security:\n", "cert-file", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := loadWith(t, files{"f": tt.text}, []string{"--config-file=f"}, nil)
			if got := value(c, tt.flag).Text; got != tt.want {
				t.Errorf("%s = %q, want %q", tt.flag, got, tt.want)
			}
		})
	}
}

func TestFilesThatCantBeFollowed(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"unknown names", "name: a\n\nlisten-client-url: x\nnaem: y\n",
			[]string{"f:3: unknown setting listen-client-url; did you mean listen-client-urls", "f:4: unknown setting naem; did you mean name"}},
		{"unknown in a section", "client-transport-security:\n  cert-fil: x\n  name: y\n",
			[]string{"f:2: unknown setting cert-fil; did you mean cert-file", "f:3: unknown setting name"}},
		{"bad values", "election-timeout: 3s\ninitial-cluster-state: old\n",
			[]string{`f:1: election-timeout: "3s"`, `f:2: initial-cluster-state: "old" is not new or existing`}},
		{"given twice", "name: a\nname: b\n", []string{"f:2: name is already set in line 1"}},
		{"given twice, in a section and outside", "cert-file: a\nclient-transport-security:\n  cert-file: b\n", []string{"f:3: cert-file is already set in line 1", "cert-file is given without"}},
		{"refused", "peer-transport-security:\n  client-cert-file: x\nhost-whitelist: [a, b]\n",
			[]string{"f:2: client-cert-file: members dial", "f:3: host-whitelist: a list"}},
		{"a mapping for a value", "name: {a: b}\n", []string{"f:1: name must be one value or a list"}},
		{"lists of lists", "cors: [[a]]\n", []string{"f:1: cors must be one value"}},
		{"a value for a section", "client-transport-security: x\n", []string{"f:1: settings have the form name: value"}},
		{"a list of settings", "- name: x\n", []string{"f:1: settings have the form name: value"}},
		{"a name that is none", "? [a]\n: b\n", []string{"f:1: the name of a setting must be plain text"}},
		{"two documents", "name: a\n---\nname: b\n", []string{"f: invalid YAML: more than one document"}},
		{"no YAML", "name: [\n", []string{"f: invalid YAML: line "}},
		{"another file", "config-file: g\n", []string{"f:1: config-file can't be set in a file"}},
		{"everything at once", "nmae: x\nshards: 100\nlog-format: xml\n",
			[]string{"f:1: unknown setting nmae", `f:3: log-format: "xml"`, "shards (100)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, complaints(t, files{"f": tt.text}, []string{"--config-file=f"}, nil), tt.want)
		})
	}
}

func TestAFileIsNotReadForCommandsWithoutSettings(t *testing.T) {
	command, rest, err := config.FindCommand([]string{"version"})
	if err != nil {
		t.Fatal(err)
	}
	_, warnings, err := config.Load(config.Sources{Command: command, Args: rest, Environ: []string{"COPSE_CONFIG_FILE=f", "ETCD_NAEM=x"},
		ReadFile: func(string) ([]byte, error) { return nil, errors.New("has been read") }})
	if err != nil || len(warnings) > 0 {
		t.Error(warnings, err)
	}
}

func FuzzFile(f *testing.F) {
	f.Add(etcdFile)
	f.Add("name: a\npeer-transport-security: {cert-file: &x c, key-file: *x}\n")
	f.Add("? [a]\n: b\n---\n- *x\n")
	f.Add("listen-client-urls: [http://[::1]:1, 'http://0.0.0.0:2']\ndebug: on")
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := config.Load(sources(t, files{"f": text}, []string{"--config-file=f"}, nil))
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if line == "" {
					t.Errorf("an empty complaint in %q", err.Error())
				}
			}
			return
		}
		// What a file says can be said with flags, and means the same.
		var args []string
		for _, v := range c.Values() {
			if v.Flag != "config-file" {
				args = append(args, "--"+v.Flag+"="+v.Text)
			}
		}
		d, _, err := config.Load(sources(t, nil, args, nil))
		if err != nil {
			t.Fatalf("%q is refused: %v", args, err)
		}
		same := func(a, b config.Value) bool { return a.Flag == "config-file" || a.Text == b.Text }
		if !slices.EqualFunc(c.Values(), d.Values(), same) {
			t.Errorf("%v is not %v", c.Values(), d.Values())
		}
	})
}

func TestProblemsOfAFileAreInItsOrder(t *testing.T) {
	const file = "snapshot-count: -1\nproxy: on\nshards: x\nno-such: 1\nheartbeat-interval: y\nname: \"a,b\"\ndebug: perhaps\n"
	_, _, err := config.Load(config.Sources{Command: serve(t), Args: []string{"--config-file=f"}, ReadFile: func(string) ([]byte, error) { return []byte(file), nil }, MaxShards: 8})
	var lines []string
	for _, line := range strings.Split(err.Error(), "\n") {
		if at, found := strings.CutPrefix(line, "f:"); found {
			lines = append(lines, at[:1])
		}
	}
	if got := strings.Join(lines, ""); got != "123457" {
		t.Errorf("lines %s of\n%v", got, err)
	}
}
