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
	b.WriteString("\n## etcd's other settings\n\nAccepted, mentioned in one warning, and without meaning here:\n\n")
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
	fmt.Fprintf(&b, "\nRefused, since dropping them silently would be dangerous; a harmless value is dropped:\n\n| flag | harmless | why |\n| --- | --- | --- |\n%s", strings.Join(refused, ""))
	b.WriteString("\nOlder names: `ca-file` and `peer-ca-file` are `trusted-ca-file` and `peer-trusted-ca-file`, `debug` is `log-level=debug`.\n")

	b.WriteString("\n## Commands\n\n| | |\n| --- | --- |\n")
	for _, command := range Commands() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(synopsis(&command), "|", `\|`), cell(command.Summary))
	}
	b.WriteString("\n`copse help COMMAND` says more. Exit codes:\n\n| | |\n| --- | --- |\n")
	for _, code := range exitCodes() {
		fmt.Fprintf(&b, "| %d | %s |\n", code.code, code.meaning)
	}
	return b.String()
}

// cell escapes a text for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace(text)
}

const referenceIntroduction = `Each setting has a flag, a variable and a name in a file, and all three are made of the same words:

    copse --election-timeout=2000          one dash or two; --election-timeout 2000 is the same
    COPSE_ELECTION_TIMEOUT=2000            or ETCD_ELECTION_TIMEOUT
    election-timeout: 2000                 in the file that --config-file or COPSE_CONFIG_FILE names

A flag wins over the environment, COPSE_ over ETCD_, the environment over the file, and the file over the default.
A container's image sets COPSE_DEFAULT_DATA_DIR and the like: defaults of its own, that all of these win over.
(etcd 3 drops all flags and variables as soon as there is a file, and ends if a flag and its variable are both given.)
` + "`copse config show`" + ` prints what holds and where it came from; ` + "`copse config check`" + ` prints every complaint without
starting. An empty variable or an empty value counts as none.

The file is YAML, with etcd's names; a list may be written as one. The settings of TLS may stand in etcd's two sections:

    name: infra0
    listen-client-urls: https://0.0.0.0:2379
    client-transport-security:
      cert-file: /etc/copse/server.pem
      key-file: /etc/copse/server.key
    peer-transport-security:
      trusted-ca-file: /etc/copse/ca.pem         # peer-trusted-ca-file

A name that is not known is refused, with its line and the nearest name that is. Names that etcd has and copse doesn't
need are mentioned in one warning.

Sizes are bytes, or have a unit: 512KiB, 64MiB, 1GiB. Durations are such as 200ms, 30s or 1m30s. URLs have a scheme, a
host and a port; several are joined by commas. Where one is listened on, the host is an IP address or localhost; where one is
advertised it may be any name, and IPv6 addresses stand in brackets: http://[::1]:2380.

A cluster of three starts with the same initial-cluster everywhere, and each member's own name:

    copse --name=n1 --listen-peer-urls=http://0.0.0.0:2380 --initial-cluster=n1=http://n1:2380,n2=http://n2:2380,n3=http://n3:2380

Where initial-advertise-peer-urls is given too, it must name this member as initial-cluster does: names are not resolved to
compare them.
`
