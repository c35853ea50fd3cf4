package config_test

import (
	"errors"
	"fmt"
	"io/fs"
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

// files stands in for a disk.
type files map[string]string

func (f files) read(path string) ([]byte, error) {
	text, ok := f[path]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
	}
	return []byte(text), nil
}

func serve(t *testing.T) config.Command {
	t.Helper()
	command, _, err := config.FindCommand(nil)
	if err != nil {
		t.Fatal(err)
	}
	return command
}

func sources(t *testing.T, disk files, args, environ []string) config.Sources {
	t.Helper()
	return config.Sources{Command: serve(t), Args: args, Environ: environ, Hostname: host, ReadFile: disk.read, MaxShards: 64, CacheSize: 256 << 20}
}

func load(t *testing.T, args, environ []string) (config.Config, []string) {
	t.Helper()
	return loadWith(t, nil, args, environ)
}

func loadWith(t *testing.T, disk files, args, environ []string) (config.Config, []string) {
	t.Helper()
	c, warnings, err := config.Load(sources(t, disk, args, environ))
	if err != nil {
		t.Fatalf("Load(%q, %q): %v", args, environ, err)
	}
	return c, warnings
}

func complaints(t *testing.T, disk files, args, environ []string) []string {
	t.Helper()
	_, _, err := config.Load(sources(t, disk, args, environ))
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

// expect compares complaints with a part of each, in order.
func expect(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d complaints, want %d: %q", len(got), len(want), got)
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("complaint %d = %q, want %q in it", i, got[i], want[i])
		}
	}
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
		"cors": "", "event-history": "1000", "event-history-bytes": "128MiB", "event-history-per-prefix": "0", "event-history-per-prefix-bytes": "16MiB",
		"event-history-per-prefix-age": "24h0m0s", "event-history-prefixes": "10000", "event-history-prefixes-bytes": "512MiB", "max-request-bytes": "10MiB", "max-header-bytes": "1MiB",
		"request-timeout": "7s", "read-timeout": "1m0s", "idle-timeout": "5m0s",
		"cache-size": "256MiB", "disk-reserve": "256MiB", "timer-slack": "500µs", "ttl-pause": "true", "log-level": "info", "log-format": "auto",
		"listen-metrics-urls": "http://127.0.0.1:2381", "ui": "read", "ui-port": "operations", "root-password-file": "", "enable-pprof": "false", "drain-delay": "0s", "slow-request": "200ms",
		"shards": "1", "mirror-from": "", "mirror-trusted-ca-file": "", "mirror-cert-file": "", "mirror-key-file": "", "force-new-cluster": "false", "bump-index": "1000000", "config-file": "",
		"cert-file": "", "key-file": "", "trusted-ca-file": "", "client-cert-auth": "false",
		"peer-cert-file": "", "peer-key-file": "", "peer-trusted-ca-file": "", "peer-client-cert-auth": "false",
		"client-crl-file": "", "client-cert-allowed-cn": "", "client-cert-allowed-hostname": "", "auto-tls": "false",
		"peer-crl-file": "", "peer-cert-allowed-cn": "", "peer-cert-allowed-hostname": "", "peer-auto-tls": "false",
		"cluster-secret-file": "", "self-signed-cert-validity": "1",
	}
	for _, v := range c.Values() {
		origin := "default"
		if v.Flag == "cache-size" {
			origin = "follows from the memory that may be used"
		}
		if text, ok := want[v.Flag]; !ok || v.Text != text || v.Origin != origin {
			t.Errorf("%s = %q from %q, want %q from %q", v.Flag, v.Text, v.Origin, text, origin)
		}
		delete(want, v.Flag)
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
}

// Machines of one cluster may differ, and settings that were given may not.
func TestTheFingerprintIsNotTheMachines(t *testing.T) {
	fingerprint := func(memory int64, args ...string) string {
		src := sources(t, nil, args, nil)
		src.CacheSize = memory
		c, _, err := config.Load(src)
		if given := len(args) > 0; err != nil || c.Given("cache-size") != given || !given && c.CacheSize != memory {
			t.Errorf("%q with %d: %d, given: %v, %v", args, memory, c.CacheSize, c.Given("cache-size"), err)
		}
		return c.Fingerprint()
	}
	of := fingerprint(128 << 20)
	if larger := fingerprint(1 << 30); larger != of {
		t.Errorf("%s, with more memory %s", of, larger)
	}
	given := fingerprint(128<<20, "--cache-size=128MiB")
	if larger, other := fingerprint(1<<30, "--cache-size=128MiB"), fingerprint(128<<20, "--cache-size=64MiB"); larger != given || other == given || of == given {
		t.Errorf("by default %s; 128MiB %s, with more memory %s; 64MiB %s", of, given, larger, other)
	}
}

func TestFlags(t *testing.T) {
	c, warnings := load(t, []string{
		"-name", "infra0", "--data-dir=/var/x", "--heartbeat-interval", "20", "-election-timeout=200",
		"--cors", "http://a:1, http://b:2", "--log-level=fatal", "--snapshot-count=5000",
		"--event-history=7", "--max-request-bytes=1", "--request-timeout=3s", "--read-timeout=1m",
		"--idle-timeout=7m", "--cache-size=1048576", "--initial-cluster-state=existing",
		"--initial-cluster-token=tok", "--name=infra1", "--shards=4", "--force-new-cluster", "--bump-index=0", "--disk-reserve=1GiB",
		"--drain-delay=5s", "--slow-request=0", "--log-format=text", "--enable-pprof=true", "--listen-metrics-urls=http://0.0.0.0:9",
	}, nil)
	if len(warnings) != 0 {
		t.Errorf("warnings: %q", warnings)
	}
	got := []any{c.Name, c.DataDir, c.Heartbeat, c.ElectionTimeout, c.CORS, c.LogLevel, c.SnapshotCount,
		c.EventHistory, c.MaxRequestBytes, c.RequestTimeout, c.ReadTimeout, c.IdleTimeout, c.CacheSize,
		c.InitialClusterState, c.InitialClusterToken, value(c, "name").Origin, value(c, "initial-cluster").Text,
		c.Shards, c.Renewal, c.DiskReserve, c.DrainDelay, c.SlowRequest, c.LogFormat, c.EnablePprof, texts(c.ListenMetricsURLs)}
	want := []any{"infra1", "/var/x", 20 * time.Millisecond, 200 * time.Millisecond,
		[]string{"http://a:1", "http://b:2"}, slog.LevelError, uint64(5000), 7, 1, 3 * time.Second,
		time.Minute, 7 * time.Minute, int64(1 << 20), "existing", "tok", "flag", "infra1=http://127.0.0.1:2380",
		4, config.Renewal{ForceNewCluster: true}, int64(1 << 30), 5 * time.Second, time.Duration(0), "text", true, "http://0.0.0.0:9"}
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
		{"etcd's variable wins over the image's", nil, []string{"ETCD_NAME=a", "COPSE_DEFAULT_NAME=i"}, "a", "environment ETCD_NAME"},
		{"the image's default", nil, []string{"COPSE_DEFAULT_NAME=i"}, "i", "environment COPSE_DEFAULT_NAME"},
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
	src := sources(t, nil, []string{"--listen-client-urls=http://0.0.0.0:79"}, nil)
	src.Hostname = ""
	if _, _, err := config.Load(src); err == nil || !strings.Contains(err.Error(), "advertise-client-urls") {
		t.Errorf("err = %v", err)
	}
}

func TestWarnings(t *testing.T) {
	_, warnings := load(t,
		[]string{"--enable-v2", "--wal-dir", "/w", "--proxy=off", "--cert-file=", "--auto-tls=false", "--snapshot-count=10"},
		[]string{"ETCD_MAX_WALS=5", "ETCD_VERSION=3.4", "COPSE_NAEM=x", "ETCD_DATA_DIR=/d", "ETCD_LOGGER=", "PATH=/bin"})
	want := []string{
		"unknown environment variables are ignored: COPSE_NAEM, ETCD_VERSION",
		"these etcd settings have no effect here and are ignored: --enable-v2, --wal-dir, ETCD_MAX_WALS",
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
		if _, _, err := config.Load(sources(t, nil, args, nil)); !errors.Is(err, config.ErrHelp) {
			t.Errorf("%q: err = %v", args, err)
		}
	}
	if c, _ := load(t, []string{"--version", "--election-timeout=1"}, nil); !c.Version {
		t.Error("--version is not seen")
	}
	help := config.Help(serve(t))
	c := config.Default()
	for _, v := range c.Values() {
		if n := strings.Count(help, "  --"+v.Flag+" <") + strings.Count(help, "  --"+v.Flag+"\n"); n != 1 {
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
		for _, c := range complaints(t, nil, []string{"--" + name + "=1"}, nil) {
			if strings.Contains(c, "not a known flag") {
				t.Errorf("--%s: %s", name, c)
			}
		}
	}
}
