package config_test

import (
	"errors"
	"log/slog"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/config"
)

const host = "box1"

func load(t *testing.T, args, environ []string) (config.Config, []string) {
	t.Helper()
	c, warnings, err := config.Load(args, environ, host)
	if err != nil {
		t.Fatalf("Load(%q, %q): %v", args, environ, err)
	}
	return c, warnings
}

func complaints(args, environ []string) []string {
	_, _, err := config.Load(args, environ, host)
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func texts(urls []url.URL) string {
	var list []string
	for _, u := range urls {
		list = append(list, u.String())
	}
	return strings.Join(list, ",")
}

func value(c config.Config, flag string) config.Value {
	values := c.Values()
	i := slices.IndexFunc(values, func(v config.Value) bool { return v.Flag == flag })
	if i < 0 {
		return config.Value{}
	}
	return values[i]
}

func TestDefaults(t *testing.T) {
	c, warnings := load(t, nil, nil)
	if len(warnings) != 0 {
		t.Errorf("warnings: %q", warnings)
	}
	want := map[string]string{
		"name": "default", "data-dir": "default.copse",
		"listen-client-urls": "http://127.0.0.1:2379", "listen-peer-urls": "http://127.0.0.1:2380",
		"advertise-client-urls": "http://127.0.0.1:2379", "initial-advertise-peer-urls": "http://127.0.0.1:2380",
		"initial-cluster": "default=http://127.0.0.1:2380", "initial-cluster-state": "new",
		"initial-cluster-token": "etcd-cluster",
		"heartbeat-interval":    "100", "election-timeout": "1000", "snapshot-count": "100000",
		"cors": "", "event-history": "1000", "max-request-bytes": "10485760", "max-header-bytes": "32768",
		"request-timeout": "7s", "read-timeout": "1m0s", "idle-timeout": "5m0s",
		"cache-size": "134217728", "log-level": "info",
	}
	for _, v := range c.Values() {
		if text, ok := want[v.Flag]; !ok || v.Text != text || v.Origin != "default" {
			t.Errorf("%s = %q from %q, want %q from default", v.Flag, v.Text, v.Origin, text)
		}
		delete(want, v.Flag)
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
}

func TestFlags(t *testing.T) {
	c, warnings := load(t, []string{
		"-name", "infra0", "--data-dir=/var/x", "--heartbeat-interval", "20", "-election-timeout=200",
		"--cors", "http://a:1, http://b:2", "--log-level=fatal", "--snapshot-count=5000",
		"--event-history=7", "--max-request-bytes=1", "--request-timeout=3s", "--read-timeout=1m",
		"--idle-timeout=7m", "--cache-size=1048576", "--initial-cluster-state=existing",
		"--initial-cluster-token=tok", "--name=infra1",
	}, nil)
	if len(warnings) != 0 {
		t.Errorf("warnings: %q", warnings)
	}
	got := []any{c.Name, c.DataDir, c.Heartbeat, c.ElectionTimeout, c.CORS, c.LogLevel, c.SnapshotCount,
		c.EventHistory, c.MaxRequestBytes, c.RequestTimeout, c.ReadTimeout, c.IdleTimeout, c.CacheSize,
		c.InitialClusterState, c.InitialClusterToken, value(c, "name").Origin, value(c, "initial-cluster").Text}
	want := []any{"infra1", "/var/x", 20 * time.Millisecond, 200 * time.Millisecond,
		[]string{"http://a:1", "http://b:2"}, slog.LevelError, uint64(5000), 7, 1, 3 * time.Second,
		time.Minute, 7 * time.Minute, int64(1 << 20), "existing", "tok", "flag", "infra1=http://127.0.0.1:2380"}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("value %d = %v, want %v", i, got[i], want[i])
		}
	}
}

func TestPrecedence(t *testing.T) {
	tests := []struct {
		name           string
		args, environ  []string
		text, fromWhat string
	}{
		{"etcd's variable", nil, []string{"ETCD_NAME=a"}, "a", "environment ETCD_NAME"},
		{"copse's variable wins over etcd's", nil, []string{"COPSE_NAME=b", "ETCD_NAME=a"}, "b", "environment COPSE_NAME"},
		{"in any order", nil, []string{"ETCD_NAME=a", "COPSE_NAME=b"}, "b", "environment COPSE_NAME"},
		{"a flag wins over both", []string{"--name=c"}, []string{"ETCD_NAME=a", "COPSE_NAME=b"}, "c", "flag"},
		{"an empty variable is not set", nil, []string{"ETCD_NAME=a", "COPSE_NAME="}, "a", "environment ETCD_NAME"},
		{"nothing at all", nil, []string{"NAME=a"}, "default", "default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := load(t, tt.args, tt.environ)
			if v := value(c, "name"); v.Text != tt.text || v.Origin != tt.fromWhat {
				t.Errorf("name = %q from %q, want %q from %q", v.Text, v.Origin, tt.text, tt.fromWhat)
			}
		})
	}
}

func TestAdvertisedURLs(t *testing.T) {
	tests := []struct {
		name          string
		args          []string
		clients, peer string
	}{
		{"concrete", []string{"--listen-client-urls=http://10.0.0.1:2379,http://127.0.0.1:4001"},
			"http://10.0.0.1:2379,http://127.0.0.1:4001", "http://127.0.0.1:2380"},
		{"any IPv4 address", []string{"--listen-client-urls=http://0.0.0.0:79", "--listen-peer-urls=http://0.0.0.0:80"},
			"http://box1:79", "http://box1:80"},
		{"any address", []string{"--listen-client-urls=http://[::]:79"}, "http://box1:79", "http://127.0.0.1:2380"},
		{"localhost", []string{"--listen-client-urls=http://localhost:79"}, "http://localhost:79", "http://127.0.0.1:2380"},
		{"given", []string{"--listen-client-urls=http://0.0.0.0:79", "--advertise-client-urls=http://me:1"},
			"http://me:1", "http://127.0.0.1:2380"},
		{"peers from the initial cluster", []string{"--name=a", "--initial-cluster=a=http://me:2380,a=http://me:7001"},
			"http://127.0.0.1:2379", "http://me:2380,http://me:7001"},
		{"localhost is 127.0.0.1", []string{"--initial-cluster=default=http://localhost:2380",
			"--initial-advertise-peer-urls=http://127.0.0.1:2380"}, "http://127.0.0.1:2379", "http://127.0.0.1:2380"},
		{"doubles count once", []string{"--listen-client-urls=http://127.0.0.1:1,http://127.0.0.1:1"},
			"http://127.0.0.1:1", "http://127.0.0.1:2380"},
		{"IPv6", []string{"--listen-client-urls=http://[::1]:79"}, "http://[::1]:79", "http://127.0.0.1:2380"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := load(t, tt.args, nil)
			if got := texts(c.AdvertiseClientURLs); got != tt.clients {
				t.Errorf("clients %s, want %s", got, tt.clients)
			}
			if got := texts(c.InitialAdvertisePeerURLs); got != tt.peer {
				t.Errorf("peers %s, want %s", got, tt.peer)
			}
		})
	}
}

func TestWildcardNeedsAHostName(t *testing.T) {
	_, _, err := config.Load([]string{"--listen-client-urls=http://0.0.0.0:79"}, nil, "")
	if err == nil || !strings.Contains(err.Error(), "advertise-client-urls") {
		t.Errorf("err = %v", err)
	}
}

func TestComplaints(t *testing.T) {
	tests := []struct {
		name    string
		args    []string
		environ []string
		want    []string // a part of each complaint, in order
	}{
		{"unknown flag", []string{"--listen-client-url=x"}, nil, []string{"nearest one is --listen-client-urls"}},
		{"unknown flag with a value", []string{"-data-dri", "x", "--naem=y"}, nil, []string{"-data-dri is not", "nearest one is --name"}},
		{"unknown help", []string{"--hepl"}, nil, []string{"nearest one is --help"}},
		{"stray argument", []string{"--name=a", "start"}, nil, []string{`"start" is not a flag`}},
		{"no value", []string{"--name"}, nil, []string{"--name needs a value"}},
		{"three dashes", []string{"---name=a"}, nil, []string{"---name=a is not a known flag"}},
		{"three dashes after a good one", []string{"--name=a", "---x", "--=", "--nope", "---y"}, nil,
			[]string{"---x is not", "--= is not", "--nope is not", "---y is not"}},
		{"numbers", []string{"--heartbeat-interval=1s"}, []string{"ETCD_SNAPSHOT_COUNT=-1"},
			[]string{`--heartbeat-interval: "1s"`, `ETCD_SNAPSHOT_COUNT: "-1"`}},
		{"durations", []string{"--read-timeout=5", "--idle-timeout=-1s"}, nil, []string{`--read-timeout: "5"`, `--idle-timeout: "-1s"`}},
		{"level", []string{"--log-level=loud"}, nil, []string{`--log-level: "loud"`}},
		{"every mistake at once", []string{"--listen-client-urls=ftp://a:1,http://b", "--election-timeout=100", "--event-history=0", "x"}, nil,
			[]string{`"x" is not a flag`, "--listen-client-urls: \"ftp://a:1\"", "--listen-client-urls: \"http://b\"",
				"election-timeout (100ms) must be at least 5 times", "event-history (0)"}},
		{"election too long", []string{"--election-timeout=50001"}, nil, []string{"at most 50s"}},
		{"heartbeat zero", []string{"--heartbeat-interval=0"}, nil, []string{"heartbeat-interval must be above"}},
		{"limits", []string{"--event-history=10000001", "--max-request-bytes=0", "--cache-size=1"}, nil,
			[]string{"event-history", "max-request-bytes", "cache-size"}},
		{"URL with a path", []string{"--advertise-client-urls=http://a:1/"}, nil, []string{"must end after the port"}},
		{"URL with a port out of range", []string{"--advertise-client-urls=http://a:65536"}, nil, []string{`"65536" is not a port`}},
		{"URL without a scheme", []string{"--advertise-client-urls=a:1"}, nil, []string{"must begin with http://"}},
		{"listening on a name", []string{"--listen-client-urls=http://me:1"}, nil, []string{"must name an IP address or localhost"}},
		{"one port for both", []string{"--listen-client-urls=http://127.0.0.1:1", "--listen-peer-urls=http://127.0.0.1:1"}, nil,
			[]string{"for clients and for peers"}},
		{"https", nil, []string{"ETCD_LISTEN_CLIENT_URLS=https://127.0.0.1:1"}, []string{"https is not served yet"}},
		{"unix", []string{"--listen-client-urls=unix://x"}, nil, []string{"unix sockets are not served"}},
		{"TLS by flag", []string{"--cert-file=a", "--client-cert-auth"}, nil, []string{"--cert-file: TLS", "--client-cert-auth: TLS"}},
		{"TLS by variable", nil, []string{"ETCD_PEER_AUTO_TLS=true"}, []string{"ETCD_PEER_AUTO_TLS: TLS"}},
		{"hosts", []string{"--host-whitelist=a"}, nil, []string{"--host-whitelist:"}},
		{"proxy", []string{"--proxy=on"}, nil, []string{"--proxy: copse is no proxy"}},
		{"file", nil, []string{"ETCD_CONFIG_FILE=/etc/etcd.yml"}, []string{"ETCD_CONFIG_FILE: files"}},
		{"name not in the cluster", []string{"--name=b", "--initial-cluster=a=http://h:1"}, nil, []string{`this one's name, "b"`}},
		{"several members", []string{"--name=a", "--initial-cluster=a=http://h:1,b=http://i:1"}, nil, []string{"2 members; clusters of several"}},
		{"broken cluster", []string{"--initial-cluster=http://h:1"}, nil, []string{"not of the form name=url"}},
		{"cluster and advertised URLs differ", []string{"--initial-cluster=default=http://h:1", "--initial-advertise-peer-urls=http://i:1"}, nil,
			[]string{"but initial-advertise-peer-urls is http://i:1"}},
		{"state", []string{"--initial-cluster-state=old"}, nil, []string{"must be new or existing"}},
		{"origin", []string{"--cors=a b"}, nil, []string{`--cors: "a b"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := complaints(tt.args, tt.environ)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d complaints, want %d: %q", len(got), len(tt.want), got)
			}
			for i := range got {
				if !strings.Contains(got[i], tt.want[i]) {
					t.Errorf("complaint %d = %q, want %q in it", i, got[i], tt.want[i])
				}
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	_, warnings := load(t,
		[]string{"--enable-v2", "--wal-dir", "/w", "--proxy=off", "--cert-file=", "--auto-tls=false", "--snapshot-count=10"},
		[]string{"ETCD_MAX_WALS=5", "ETCD_VERSION=3.4", "COPSE_NAEM=x", "ETCD_DATA_DIR=/d", "ETCD_LOGGER=", "PATH=/bin"})
	want := []string{
		"these variables are not known, and ignored: COPSE_NAEM, ETCD_VERSION",
		"these settings of etcd have no meaning here, and are ignored: --enable-v2, --wal-dir, ETCD_MAX_WALS",
		"snapshot-count 10 is too small, 1000 is used",
	}
	if !slices.Equal(warnings, want) {
		t.Errorf("got  %q\nwant %q", warnings, want)
	}
}

func TestCORS(t *testing.T) {
	for text, want := range map[string][]string{
		"*": {"*"}, "http://a,*": {"*"}, ",http://a,": {"http://a"}, ",": nil,
	} {
		if c, _ := load(t, []string{"--cors", text}, nil); !slices.Equal(c.CORS, want) {
			t.Errorf("cors %q = %q, want %q", text, c.CORS, want)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"-h"}, {"--help"}, {"--name=a", "-help", "--nope"}} {
		if _, _, err := config.Load(args, nil, host); !errors.Is(err, config.ErrHelp) {
			t.Errorf("%q: err = %v", args, err)
		}
	}
	if c, _ := load(t, []string{"--version", "--election-timeout=1"}, nil); !c.Version {
		t.Error("--version is not seen")
	}
	help := config.Help()
	c := config.Default()
	for _, v := range c.Values() {
		if strings.Count(help, "--"+v.Flag+" <") != 1 {
			t.Errorf("help does not have --%s once", v.Flag)
		}
	}
}

// No flag may stand in the table twice, or as both etcd's and ours: the flag
// package would panic, and Load would have done so by now. What etcd 3.5 takes,
// copse must know.
func TestFlagsOfEtcdAreKnown(t *testing.T) {
	for _, name := range strings.Fields(`name data-dir wal-dir snapshot-count heartbeat-interval election-timeout
		listen-peer-urls listen-client-urls max-snapshots max-wals cors initial-advertise-peer-urls
		initial-cluster initial-cluster-state initial-cluster-token advertise-client-urls discovery
		discovery-srv discovery-srv-name discovery-fallback discovery-proxy strict-reconfig-check proxy
		proxy-failure-wait proxy-refresh-interval proxy-dial-timeout proxy-write-timeout proxy-read-timeout
		ca-file cert-file key-file client-cert-auth trusted-ca-file peer-ca-file peer-cert-file
		peer-key-file peer-client-cert-auth peer-trusted-ca-file debug log-package-levels force-new-cluster
		enable-pprof auto-tls peer-auto-tls host-whitelist enable-v2 log-level logger log-outputs metrics
		quota-backend-bytes auto-compaction-retention auto-compaction-mode pre-vote max-request-bytes`) {
		for _, c := range complaints([]string{"--" + name + "=1"}, nil) {
			if strings.Contains(c, "not a known flag") {
				t.Errorf("--%s: %s", name, c)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("--name=a\x00--cors=*", "ETCD_INITIAL_CLUSTER=a=http://h:1")
	f.Add("-listen-client-urls\x00http://[::]:1,http://0.0.0.0:0", "COPSE_NAME=\x00ETCD_X=1")
	f.Fuzz(func(t *testing.T, args, environ string) {
		c, _, err := config.Load(strings.Split(args, "\x00"), strings.Split(environ, "\x00"), host)
		if err != nil || c.Version {
			return
		}
		// What is accepted prints as something that is accepted again, and means
		// the same.
		var again []string
		for _, v := range c.Values() {
			again = append(again, "--"+v.Flag+"="+v.Text)
		}
		d, _, err := config.Load(again, nil, host)
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
