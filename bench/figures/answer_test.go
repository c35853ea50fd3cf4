package main

import (
	"fmt"
	"strings"
	"testing"

	"copse/bench/peer"
)

const plainAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"

func TestAnswersAreCutHoweverTheyCome(t *testing.T) {
	stream := plainAnswer +
		"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n" +
		"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" + plainAnswer
	want := "200 201 404 200"
	for step := 1; step <= len(stream); step++ {
		var a answers
		var got []string
		for rest := stream; rest != ""; rest = rest[min(step, len(rest)):] {
			for b := []byte(rest[:min(step, len(rest))]); len(b) > 0; {
				var done bool
				var err error
				if b, done, err = a.next(b); err != nil {
					t.Fatalf("in steps of %d: %v", step, err)
				}
				if done {
					got = append(got, fmt.Sprint(a.code))
				}
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Fatalf("in steps of %d: got %s want %s", step, s, want)
		}
	}
}

func TestAnswersThatAreNoneAreNoticed(t *testing.T) {
	for name, text := range map[string]string{
		"not HTTP":      "SSH-2.0-OpenSSH_9.9\r\n\r\n",
		"no length":     "HTTP/1.1 200 OK\r\n\r\n",
		"a bad length":  "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"a bad chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"an empty line": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
		"no end":        strings.Repeat("x", 2*answerHeadLimit),
	} {
		var a answers
		if _, _, err := a.next([]byte(text)); err == nil {
			t.Errorf("%s: taken for an answer", name)
		}
	}
}

// The client counts answers, and reports those with a wrong status.
func TestClientCountsAnswers(t *testing.T) {
	_, address := startStub(t, false)
	p := puts(address, 10)
	c, err := connect(address, 4, 1, p)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.delay = newDelays()
	if _, err := c.runUntil(25); err != nil || c.answered != 100 || c.delay.TotalCount() != 100 {
		t.Errorf("%d answers, %d latencies, %v", c.answered, c.delay.TotalCount(), err)
	}
	c.source = gets(address, "") // the stub knows no plain GET
	if _, err := c.runUntil(50); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("wrong answers passed: %v", err)
	}
}

func TestTableShowsMediansRatiosAndTargets(t *testing.T) {
	b := &comparison{workload: workload{name: "work", targets: targets{rateAtLeast: 2, cpuAtMost: 0.5}}, readings: map[string][]reading{
		"copse":  {{rate: 300, cpu: 5, p50: 1e-3}, {rate: 100, cpu: 10, p50: 1e-3}, {rate: 200, cpu: 5, p50: 1e-3}},
		"etcd35": {{rate: 100, cpu: 10, p50: 2e-3}, {rate: 100, cpu: 10, p50: 2e-3}, {rate: 100, cpu: 8, p50: 2e-3}},
	}}
	l, all := newLineup(peer.Copse, peer.Etcd35), []*comparison{b}
	if got := overview(l, all); !strings.HasSuffix(got, "\n| work | 2.00 | 0.62 | 0.50 | – | – |\n") {
		t.Errorf("the overview is\n%s", got)
	}
	got := requestTable(l, all)
	for _, want := range []string{
		"| **work** | copse | 200 |", "| etcd35 | 100 |", "| 2.00 (1.00…3.00) |",
		"requests/s ≥ 2.00: 2.00, met", "CPU ≤ 0.50: 0.62, **missed**",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
