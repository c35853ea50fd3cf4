package netns

import (
	"errors"
	"fmt"
	"strings"
)

// Cut drops all that from sends to to, until Heal.
func (s *Switch) Cut(from, to int) error {
	s.cuts[[2]int{from, to}] = true
	return s.filter(to)
}

// Lose drops a part of what anybody sends to i, in percent, until Heal.
func (s *Switch) Lose(i, percent int) error {
	s.lossy[i] = percent
	return s.filter(i)
}

// Slow limits how many bytes a second i sends; packets that wait longer than the
// latency are dropped.
func (s *Switch) Slow(i, rate, latencyMillis int) error {
	s.slow[i] = true
	return run("tc", "-n", s.name(i), "qdisc", "replace", "dev", "eth0", "root", "tbf",
		"rate", fmt.Sprintf("%dbps", rate), "burst", "16kb", "latency", fmt.Sprintf("%dms", latencyMillis))
}

// Heal makes the network whole.
func (s *Switch) Heal() error {
	var errs []error
	clear(s.cuts)
	clear(s.lossy)
	for i := range s.n {
		errs = append(errs, s.filter(i))
		if s.slow[i] {
			errs = append(errs, run("tc", "-n", s.name(i), "qdisc", "del", "dev", "eth0", "root"))
		}
	}
	clear(s.slow)
	return errors.Join(errs...)
}

// filter puts into force what i may hear.
func (s *Switch) filter(i int) error {
	var b strings.Builder
	b.WriteString("flush ruleset\ntable inet faults {\n\tchain in {\n\t\ttype filter hook input priority 0\n")
	for from := range s.n {
		if s.cuts[[2]int{from, i}] {
			fmt.Fprintf(&b, "\t\tip saddr %s drop\n", s.Address(from))
		}
	}
	switch percent := s.lossy[i]; {
	case percent >= 100:
		b.WriteString("\t\tiifname \"eth0\" drop\n")
	case percent > 0:
		fmt.Fprintf(&b, "\t\tiifname \"eth0\" numgen random mod 100 < %d drop\n", percent)
	}
	b.WriteString("\t}\n}\n")
	return feed(b.String(), "ip", "netns", "exec", s.name(i), "nft", "-f", "-")
}
