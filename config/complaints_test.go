package config_test

import (
	"strings"
	"testing"

	"copse/config"
)

func TestComplaints(t *testing.T) {
	tests := []struct {
		name    string
		args    []string
		environ []string
		want    []string // a part of each complaint, in order
	}{
		{"unknown flag", []string{"--listen-client-url=x"}, nil, []string{"did you mean --listen-client-urls"}},
		{"unknown flag with a value", []string{"-data-dri", "x", "--naem=y"}, nil, []string{"unknown flag -data-dri", "did you mean --name"}},
		{"unknown help", []string{"--hepl"}, nil, []string{"did you mean --help"}},
		{"stray argument", []string{"--name=a", "start"}, nil, []string{`"start" is not a flag`}},
		{"no value", []string{"--name"}, nil, []string{"--name needs a value"}},
		{"three dashes", []string{"---name=a"}, nil, []string{"unknown flag ---name=a"}},
		{"three dashes after a good one", []string{"--name=a", "---x", "--=", "--nope", "---y"}, nil,
			[]string{"unknown flag ---x", "unknown flag --=", "unknown flag --nope", "unknown flag ---y"}},
		{"numbers", []string{"--heartbeat-interval=1s"}, []string{"ETCD_SNAPSHOT_COUNT=-1"},
			[]string{`--heartbeat-interval: "1s"`, `ETCD_SNAPSHOT_COUNT: "-1"`}},
		{"durations", []string{"--read-timeout=5", "--idle-timeout=-1s"}, nil, []string{`--read-timeout: "5"`, `--idle-timeout: "-1s"`}},
		{"level", []string{"--log-level=loud"}, nil, []string{`--log-level: "loud"`}},
		{"every mistake at once", []string{"--listen-client-urls=ftp://a:1,http://b", "--election-timeout=100", "--event-history=0", "x"}, nil,
			[]string{`"x" is not a flag`, "--listen-client-urls: \"ftp://a:1\"", "--listen-client-urls: \"http://b\"",
				"election-timeout (100ms) must be at least 5 times", "event-history (0)"}},
		{"a name with a line end", []string{"--name=a\nb"}, nil, []string{`name ("a\nb") must not contain control characters`}},
		{"election too long", []string{"--election-timeout=50001"}, nil, []string{"at most 50s"}},
		{"heartbeat zero", []string{"--heartbeat-interval=0"}, nil, []string{"heartbeat-interval must be above"}},
		{"limits", []string{"--event-history=10000001", "--max-request-bytes=0", "--cache-size=1"}, nil,
			[]string{"event-history", "max-request-bytes", "cache-size"}},
		{"events of names", []string{"--event-history-per-prefix=10000001", "--event-history-per-prefix-bytes=1GiB", "--event-history-per-prefix-age=1s", "--event-history-prefixes=0"}, nil,
			[]string{"event-history-per-prefix (10000001)", "event-history-prefixes (0) must be between 1 and", "event-history-per-prefix-bytes (1GiB) must be at least 1MiB, and at most event-history-prefixes-bytes (512MiB)", "event-history-per-prefix-age (1s) must be 0 or"}},
		{"URL with a path", []string{"--advertise-client-urls=http://a:1/"}, nil, []string{"must end after the port"}},
		{"URL with a port out of range", []string{"--advertise-client-urls=http://a:65536"}, nil, []string{`"65536" is not a port`}},
		{"URL without a scheme", []string{"--advertise-client-urls=a:1"}, nil, []string{"must begin with http://"}},
		{"listening on a name", []string{"--listen-client-urls=http://me:1"}, nil, []string{"must name an IP address or localhost"}},
		{"one port for both", []string{"--listen-client-urls=http://127.0.0.1:1", "--listen-peer-urls=http://127.0.0.1:1"}, nil,
			[]string{"http://127.0.0.1:1 of listen-peer-urls and http://127.0.0.1:1 of listen-client-urls can't both"}},
		{"unix", []string{"--listen-client-urls=unix://x"}, nil, []string{"unix sockets are not served"}},
		{"TLS of tomorrow", []string{"--tls-min-version=TLS1.3"}, nil, []string{"always TLS1.2"}},
		{"discovery", []string{"--discovery=https://x", "--discovery-srv=y"}, nil, []string{"name the members", "name the members"}},
		{"hosts", []string{"--host-whitelist=a"}, nil, []string{"--host-whitelist:"}},
		{"proxy", []string{"--proxy=on"}, nil, []string{"--proxy: copse is no proxy"}},
		{"file", nil, []string{"ETCD_CONFIG_FILE=/etc/etcd.yml"}, []string{"ETCD_CONFIG_FILE: open /etc/etcd.yml: file does not exist"}},
		{"file, by its old name", []string{"--config=/x"}, nil, []string{"--config: give the file as config-file"}},
		{"name not in the cluster", []string{"--name=b", "--initial-cluster=a=http://h:1"}, nil, []string{`no member named "b"`}},
		{"broken cluster", []string{"--initial-cluster=http://h:1,b=h:2,=http://h:3"}, nil,
			[]string{`"http://h:1" is not of the form name=url`, `"h:2" must begin with`, `"=http://h:3" is not of the form`}},
		{"cluster and advertised URLs differ", []string{"--initial-cluster=default=http://h:1", "--initial-advertise-peer-urls=http://i:1"}, nil,
			[]string{"but initial-advertise-peer-urls is http://i:1"}},
		{"bump", []string{"--bump-index=1099511627777"}, nil, []string{"bump-index (1099511627777) must be at most 1099511627776"}},
		{"state", []string{"--initial-cluster-state=old"}, nil, []string{"is not new or existing"}},
		{"mirror without a key", []string{"--mirror-cert-file=/c"}, nil, []string{"of mirror-cert-file and mirror-key-file, only one is given"}},
		{"shards", []string{"--shards=65"}, []string{"COPSE_SHARDS="}, []string{"shards (65) must be between 1 and 64"}},
		{"no shard", nil, []string{"COPSE_SHARDS=0"}, []string{"shards (0) must be"}},
		{"sizes", []string{"--disk-reserve=256MB", "--cache-size=1.5GiB", "--max-request-bytes=64MiB", "--max-header-bytes=9007199254740993TiB"}, nil,
			[]string{`--max-header-bytes: "9007199254740993TiB" is not a size`, `--cache-size: "1.5GiB" is not`,
				`--disk-reserve: "256MB" is not a size such as`, "max-request-bytes (64MiB) must be between 1 and 32MiB"}},
		{"words", []string{"--log-format=xml", "--enable-pprof=maybe", "--drain-delay=-1s"}, nil,
			[]string{`--enable-pprof: "maybe" is not true or false`, `--drain-delay: "-1s"`, `--log-format: "xml" is not auto, text or json`}},
		{"profiles without their port", []string{"--enable-pprof", "--listen-metrics-urls=off"}, nil, []string{"enable-pprof needs the operations port"}},
		{"operations on a name", []string{"--listen-metrics-urls=http://me:1"}, nil, []string{"listen-metrics-urls: \"http://me:1\" must name an IP"}},
		{"older name against newer", []string{"--debug", "--log-level=warn"}, nil, []string{"--debug (true) and --log-level (warn) contradict"}},
		{"older name with a mistake", []string{"--debug=perhaps"}, nil, []string{`--debug: "perhaps" is not true or false`}},
		{"command behind the flags", []string{"--name=a", "health"}, nil, []string{`"health" is a command, which comes before the flags`}},
		{"origin", []string{"--cors=a b"}, nil, []string{`--cors: "a b"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, complaints(t, nil, tt.args, tt.environ), tt.want)
		})
	}
}

func TestPasswordsInURLsAreNotPrinted(t *testing.T) {
	for _, line := range []string{
		"import --from=http://root:s3cret@h:1", "import --from=http://root:s3cret,x@h:1", "import --from=ftp://root:s3cret@h", "import --fron=http://root:s3cret@h:1",
		"serve --initial-cluster=a=http://root:s3cret@h:1", "serve --initial-cluster=a=http://root:x,s3cret@h:1",
		"serve --listen-client-urls=http://root:s3cret@h:1", "serve http://root:s3cret@h:1", "serve --cors=http://root:s3cret@h:1/ x",
		"health --endpoint=http://root:s3cret@h:x", "--endpoints-=http://root:s3cret@h:1 get /a",
		"get /a http://root:s3cret@h:1", "http://root:s3cret@h:1 get", "member http://root:s3cret@h:1", "-o=http://root:s3cret@h:1 get /a",
	} {
		args := strings.Fields(line)
		command, rest, err := config.FindCommand(args)
		if err == nil {
			_, _, err = config.Load(config.Sources{Command: command, Args: rest, MaxShards: 64, Hostname: "h", ReadFile: func(string) ([]byte, error) { return nil, nil }})
		}
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
