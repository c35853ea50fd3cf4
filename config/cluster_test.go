package config_test

import (
	"strings"
	"testing"

	"copse/config"
)

// three is a cluster as three unit files would have it.
const three = "n1=http://n1:2380,n2=http://n2:2380,n3=http://n3:2380"

func TestClustersOfSeveral(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want map[string]string // some values
	}{
		{"own URLs come from initial-cluster", []string{"--name=n2", "--initial-cluster=" + three},
			map[string]string{"initial-cluster": three, "initial-advertise-peer-urls": "http://n2:2380"}},
		{"several URLs of a member", []string{"--name=a", "--initial-cluster=a=http://10.0.0.1:2380,b=http://h:2380,a=http://[fd00::1]:7001"},
			map[string]string{"initial-cluster": "a=http://10.0.0.1:2380,a=http://[fd00::1]:7001,b=http://h:2380",
				"initial-advertise-peer-urls": "http://10.0.0.1:2380,http://[fd00::1]:7001"}},
		{"in another order", []string{"--name=a", "--initial-cluster=a=http://h:1,a=http://h:2,b=http://i:1", "--initial-advertise-peer-urls=http://h:2,http://h:1"},
			map[string]string{"initial-advertise-peer-urls": "http://h:2,http://h:1"}},
		{"a name in other letters, an address in another form", []string{"--name=a",
			"--initial-cluster=a=http://Host:2380,a=http://[::1]:1", "--initial-advertise-peer-urls=http://host:2380,http://[0:0::1]:01"}, nil},
		{"listening on several addresses", []string{"--listen-peer-urls=http://10.0.0.1:2380,http://[::1]:7001", "--listen-client-urls=http://10.0.0.1:2379,http://127.0.0.1:2379"},
			map[string]string{"listen-peer-urls": "http://10.0.0.1:2380,http://[::1]:7001"}},
		{"joining", []string{"--name=n1", "--initial-cluster=" + three, "--initial-cluster-state=existing", "--initial-cluster-token=t"},
			map[string]string{"initial-cluster-state": "existing", "initial-cluster-token": "t"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := load(t, tt.args, nil)
			for flag, want := range tt.want {
				if got := value(c, flag).Text; got != want {
					t.Errorf("%s = %s, want %s", flag, got, want)
				}
			}
		})
	}
}

// What the image sets, and a compose file adds.
func TestAContainerNeedsNoFlag(t *testing.T) {
	image := []string{
		"COPSE_DATA_DIR=/var/lib/copse", "COPSE_LISTEN_CLIENT_URLS=http://0.0.0.0:2379",
		"COPSE_LISTEN_PEER_URLS=http://0.0.0.0:2380", "COPSE_LISTEN_METRICS_URLS=http://0.0.0.0:2381",
	}
	tests := []struct {
		name, peer, clients, cluster string
		more                         []string
	}{
		{"alone", "http://box1:2380", "http://box1:2379", "default=http://box1:2380", nil},
		{"one of three, under names", "http://n1:2380", "http://box1:2379", three,
			[]string{"COPSE_NAME=n1", "COPSE_INITIAL_CLUSTER=" + three}},
		{"a Kubernetes pod", "http://c-0.c.ns.svc:2380", "http://c-0.c.ns.svc:2379", "c-0=http://c-0.c.ns.svc:2380,c-1=http://c-1.c.ns.svc:2380",
			[]string{"COPSE_NAME=c-0", "COPSE_INITIAL_CLUSTER=c-0=http://c-0.c.ns.svc:2380,c-1=http://c-1.c.ns.svc:2380",
				"COPSE_ADVERTISE_CLIENT_URLS=http://c-0.c.ns.svc:2379",
				"COPSE_SERVICE_HOST=10.96.0.1", "COPSE_PORT=tcp://10.96.0.1:2379", "COPSE_SERVICE_PORT_CLIENT=2379",
				"COPSE_PORT_2379_TCP_ADDR=10.96.0.1", "COPSE_PEERS_PORT_2380_TCP=tcp://10.96.0.2:2380", "ETCD_CLIENT_SERVICE_PORT=2379"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings := load(t, nil, append(image, tt.more...))
			if len(warnings) != 1 || !strings.Contains(warnings[0], "whoever reaches http://0.0.0.0:2380") {
				t.Errorf("warnings: %q", warnings)
			}
			for flag, want := range map[string]string{
				"initial-advertise-peer-urls": tt.peer, "advertise-client-urls": tt.clients, "initial-cluster": tt.cluster,
				"listen-metrics-urls": "http://0.0.0.0:2381",
			} {
				if got := value(c, flag).Text; got != want {
					t.Errorf("%s = %s, want %s", flag, got, want)
				}
			}
		})
	}
}

func TestClustersThatCantBe(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"without this one", []string{"--name=n4", "--initial-cluster=" + three}, []string{`no member named "n4"`}},
		{"another address", []string{"--name=n1", "--initial-cluster=" + three, "--initial-advertise-peer-urls=http://10.0.0.1:2380"},
			[]string{`initial-cluster gives "n1" the peer URLs http://n1:2380, but initial-advertise-peer-urls is http://10.0.0.1:2380`}},
		{"one address too few", []string{"--name=a", "--initial-cluster=a=http://h:1,a=http://h:2", "--initial-advertise-peer-urls=http://h:1"},
			[]string{"http://h:1,http://h:2, but initial-advertise-peer-urls is http://h:1"}},
		{"another scheme", []string{"--name=a", "--initial-cluster=a=https://h:1", "--initial-advertise-peer-urls=http://h:1"},
			[]string{"https://h:1, but initial-advertise-peer-urls is http://h:1"}},
		{"an address of two members", []string{"--name=a", "--initial-cluster=a=http://h:1,b=http://H:1,c=https://h:1"},
			[]string{`gives h:1 to "a" and to "b"`, `gives h:1 to "b" and to "c"`}},
		{"a wildcard among several", []string{"--name=a", "--initial-cluster=a=http://0.0.0.0:1,b=http://[::]:2"},
			[]string{`member a: "http://0.0.0.0:1" can't be reached`, `member b: "http://[::]:2" can't be reached`}},
		{"dialled without TLS, listened on with it", []string{"--name=n1", "--initial-cluster=" + three, securePeer, "--peer-cert-file=c", "--peer-key-file=k"},
			[]string{"http://n1:2380 is advertised to other members, but listen-peer-urls (https://127.0.0.1:2) is https"}},
		{"everything at once", []string{"--name=x", "--initial-cluster=a=http://h:1,b=http://h:1", "--initial-cluster-state=y", "--election-timeout=1"},
			[]string{`--initial-cluster-state: "y"`, `no member named "x"`, "gives h:1", "election-timeout"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, complaints(t, nil, tt.args, nil), tt.want) })
	}
}

func TestPortsThatOverlap(t *testing.T) {
	const clash = "can't both be listened on"
	tests := []struct {
		name, client, peer, metrics string
		want                        []string
	}{
		{"apart", "http://0.0.0.0:1", "http://0.0.0.0:2", "http://0.0.0.0:3", nil},
		{"other addresses, one port", "http://10.0.0.1:1", "http://10.0.0.2:1", "http://[::1]:1", nil},
		{"any free port", "http://0.0.0.0:0", "http://0.0.0.0:0", "http://0.0.0.0:0", nil},
		{"localhost", "http://localhost:1", "http://127.0.0.1:1", "off", []string{clash}},
		{"a wildcard over an address", "http://0.0.0.0:1", "http://127.0.0.1:1", "off", []string{clash}},
		{"an address below a wildcard", "http://127.0.0.1:1", "http://0.0.0.0:1", "off", []string{clash}},
		{"a wildcard of IPv4 beside IPv6", "http://0.0.0.0:1", "http://[::1]:1", "off", nil},
		{"a wildcard of IPv6 over IPv4", "http://[::]:1", "http://127.0.0.1:1", "off", []string{clash}},
		{"operations", "http://0.0.0.0:1", "http://0.0.0.0:2", "http://127.0.0.1:2", []string{clash}},
		{"http and https of clients", "http://127.0.0.1:1,https://127.0.0.1:1", "http://0.0.0.0:2", "off", []string{"https://127.0.0.1:1 can't be served without"}},
		{"http and https of members", "http://0.0.0.0:1", "http://0.0.0.0:2,https://0.0.0.0:2", "off", []string{clash, "https://0.0.0.0:2 can't be served without"}},
		{"http and https on two names", "http://localhost:1,https://127.0.0.1:1", "http://0.0.0.0:2", "off", []string{clash, "can't be served without"}},
		{"in one list", "http://0.0.0.0:1,http://127.0.0.1:1", "http://0.0.0.0:2", "off", []string{clash}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, complaints(t, nil, []string{"--listen-client-urls=" + tt.client, "--listen-peer-urls=" + tt.peer, "--listen-metrics-urls=" + tt.metrics}, nil), tt.want)
		})
	}
}

func TestTheOperationsPort(t *testing.T) {
	tests := []struct {
		name     string
		args     []string
		environ  []string
		text     string
		warnings int
	}{
		{"by default", nil, nil, "http://127.0.0.1:2381", 0},
		{"off", []string{"--listen-metrics-urls=off"}, nil, "off", 0},
		{"an empty flag", []string{"--listen-metrics-urls="}, []string{"ETCD_LISTEN_METRICS_URLS=http://10.0.0.1:1"}, "off", 0},
		{"an empty variable is not set", nil, []string{"ETCD_LISTEN_METRICS_URLS="}, "http://127.0.0.1:2381", 0},
		{"off by variable", nil, []string{"COPSE_LISTEN_METRICS_URLS=off"}, "off", 0},
		{"its place is a client port", []string{"--listen-client-urls=http://0.0.0.0:2381"}, nil, "off", 1},
		{"its place is a peer port", []string{"--listen-peer-urls=http://127.0.0.1:2381"}, nil, "off", 1},
		{"profiles don't bring it back", []string{"--listen-client-urls=http://127.0.0.1:2381", "--enable-pprof"}, nil, "off", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings, err := config.Load(sources(t, nil, tt.args, tt.environ))
			if got := value(c, "listen-metrics-urls").Text; err != nil || got != tt.text || len(warnings) != tt.warnings {
				t.Errorf("%s, %v, warnings %q", got, err, warnings)
			}
		})
	}
}
