package config

import (
	"fmt"
	"slices"
	"strings"
)

// Reference is the text of docs/CONFIG.md. A test compares it with the page, and rewrites
// the page with -update.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Settings

(Made from the table in config/table.go by ` + "`go test ./config -update`" + `; change it there.)

`)
	b.WriteString(referenceIntroduction)
	c := Default()
	for _, g := range groups() {
		fmt.Fprintf(&b, "\n## %s\n\n| flag | value | default | meaning |\n| --- | --- | --- | --- |\n", g.name)
		for _, s := range g.settings {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.flag, cell(s.unit), cell(s.standard(&c)), cell(s.usage))
		}
	}
	b.WriteString("\n## etcd's other settings\n\nIgnored, with one warning:\n\n")
	var ignored, refused []string
	for _, f := range foreigners() {
		if f.refused == "" {
			ignored = append(ignored, "`"+f.flag+"`")
			continue
		}
		harmless := f.harmless
		if f.boolean {
			harmless = []string{"false"}
		}
		refused = append(refused, fmt.Sprintf("| `%s` | %s | %s |\n", f.flag, cell(strings.Join(harmless, ", ")), cell(f.refused)))
	}
	slices.Sort(ignored)
	fmt.Fprintf(&b, "%s", wrap(strings.Join(ignored, ", ")+".", "", 116))
	fmt.Fprintf(&b, "\nRejected, because ignoring them would be dangerous, unless the value is harmless:\n\n| flag | harmless | why |\n| --- | --- | --- |\n%s", strings.Join(refused, ""))
	b.WriteString("\nOlder names are accepted: `ca-file` and `peer-ca-file` are `trusted-ca-file` and `peer-trusted-ca-file`, `debug` is `log-level=debug`.\n")

	b.WriteString("\n## Commands\n\n| | |\n| --- | --- |\n")
	for _, command := range Commands() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(synopsis(&command), "|", `\|`), cell(command.Summary))
	}
	b.WriteString("\n`copse help COMMAND` has the details. Exit codes; those of the client commands are etcdctl's ([COMMANDS.md](COMMANDS.md)):\n\n| | |\n| --- | --- |\n")
	for _, code := range exitCodes() {
		fmt.Fprintf(&b, "| %d | %s |\n", code.code, code.meaning)
	}
	return b.String()
}

// cell escapes a text for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace(text)
}

const referenceIntroduction = `Each setting can be a flag, an environment variable or an entry in a file, under the same name:

    copse --election-timeout=2000          one dash or two; --election-timeout 2000 works too
    COPSE_ELECTION_TIMEOUT=2000            or ETCD_ELECTION_TIMEOUT
    election-timeout: 2000                 in the file that --config-file or COPSE_CONFIG_FILE names

Flags take precedence over the environment, COPSE_ over ETCD_, the environment over the file, the file over the default.
The image for containers sets other defaults, as COPSE_DEFAULT_DATA_DIR and the like.
(etcd 3 ignores all flags and variables if there is a file, and fails if a flag and its variable are both set.)
` + "`copse config show`" + ` prints each setting and where it came from; ` + "`copse config check`" + ` prints all problems without
starting. An empty variable or value counts as unset.

The file is YAML, with etcd's names; lists may be YAML lists. The TLS settings may be in etcd's two sections:

    name: infra0
    listen-client-urls: https://0.0.0.0:2379
    client-transport-security:
      cert-file: /etc/copse/server.pem
      key-file: /etc/copse/server.key
    peer-transport-security:
      trusted-ca-file: /etc/copse/ca.pem         # peer-trusted-ca-file

An unknown name is an error, with its line and the most similar known name. Settings of etcd that have no effect here are
ignored with one warning.

Sizes are in bytes, or have a unit: 512KiB, 64MiB, 1GiB. Durations are written 200ms, 30s or 1m30s. URLs have a scheme, a
host and a port; several are separated by commas. To listen on, the host must be an IP address or localhost; to advertise, any
name. IPv6 addresses are in brackets: http://[::1]:2380.

The members of a cluster of three start with the same initial-cluster, and each with its own name:

    copse --name=n1 --listen-peer-urls=http://0.0.0.0:2380 --initial-cluster=n1=http://n1:2380,n2=http://n2:2380,n3=http://n3:2380

If initial-advertise-peer-urls is set too, it must be the same as in initial-cluster, literally: host names are not resolved.
`
