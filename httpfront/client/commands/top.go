package commands

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

// What a picture shows at most.
const (
	prefixesShown  = 10
	prefixesLimit  = 4096 // counted between two pictures; further ones are left out
	topShards      = 16
	metricsPort    = "2381"
	clearScreen    = "\033[H\033[2J"
	streamPause    = time.Second
	prefixSegments = 2
)

// top shows pictures of the cluster, one after another.
func (t *tool) top(ctx context.Context, args *cli.Top) error {
	count := args.Count
	live := isTerminal(raw(t.Out))
	if count == 0 && !live {
		count = 1
	}
	if args.Interval < 100*time.Millisecond {
		return usage("--interval must be at least 100ms")
	}
	ports, err := t.metricsPorts(ctx, args.Metrics)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var counter sync.WaitGroup
	defer counter.Wait()
	defer cancel()
	busy := newPrefixes()
	streaming := t.client.First()
	counter.Go(func() { busy.count(ctx, streaming) })
	before := t.sample(ctx, ports)
	for n := 0; count == 0 || n < count; n++ {
		if pause(ctx, args.Interval) != nil {
			return nil
		}
		now := t.sample(ctx, ports)
		picture := t.picture(before, now, busy.take())
		if live {
			fmt.Fprint(t.Out, clearScreen)
		}
		if _, err := t.Out.Write(picture); err != nil {
			return err
		}
		before = now
	}
	return nil
}

// metricsPorts are the operations ports, by the name of the member or the URL.
func (t *tool) metricsPorts(ctx context.Context, given string) (map[string]string, error) {
	ports := map[string]string{}
	if given != "" {
		for _, text := range strings.Split(given, ",") {
			u, err := url.Parse(text)
			if err != nil || u.Host == "" {
				return nil, usage("--metrics: %s is not a URL such as http://127.0.0.1:2381", cli.Quote(given))
			}
			ports[u.Host] = strings.TrimRight(text, "/")
		}
		return ports, nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.line.TotalTimeout)
	defer cancel()
	members, err := t.client.Members(ctx)
	if err != nil {
		return nil, err
	}
	hosts := map[string]bool{}
	for _, m := range members {
		for _, text := range m.ClientURLs {
			if u, err := url.Parse(text); err == nil {
				if hosts[u.Hostname()] { // one of them, or another server, would be shown as each
					return nil, usage("several members are on %s: name their operations ports with --metrics", u.Hostname())
				}
				hosts[u.Hostname()] = true
				ports[cmp.Or(m.Name, m.ID)] = "http://" + net.JoinHostPort(u.Hostname(), metricsPort)
				break
			}
		}
	}
	return ports, nil
}

// reading is what one operations port has said.
type reading struct {
	at     time.Time
	values samples
	err    error
}

// sample reads all ports.
func (t *tool) sample(ctx context.Context, ports map[string]string) map[string]reading {
	all := map[string]reading{}
	for name, port := range ports {
		limited, cancel := context.WithTimeout(ctx, t.line.Timeout)
		r := reading{at: time.Now()}
		one, err := t.client.Anonymous(port)
		if err == nil {
			var answer *v2.Answer
			if answer, err = one.Do(limited, v2.Request{Method: http.MethodGet, Path: "/metrics"}); err == nil {
				r.values = parseSamples(answer.Body)
			}
		}
		r.err = err
		cancel()
		all[name] = r
	}
	return all
}

// picture draws what happened between two samples.
func (t *tool) picture(before, now map[string]reading, busy []prefixCount) []byte {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "MEMBER\tREQ/S\tREADS/S\tWRITES/S\tERRORS/S\tMEAN\tWATCHERS\tINDEX\tLEADS\t")
	names := slices.Sorted(maps.Keys(now))
	for _, name := range names {
		b, n := before[name], now[name]
		if b.err != nil || n.err != nil {
			fmt.Fprintf(w, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t\n", name)
			continue
		}
		rate := func(metric string, labels ...string) float64 {
			return max(0, n.values.sum(metric, labels...)-b.values.sum(metric, labels...)) / n.at.Sub(b.at).Seconds()
		}
		const requests = "copse_http_requests_total"
		all, reads := rate(requests), rate(requests, `method="GET"`)+rate(requests, `method="HEAD"`)
		mean := "-"
		if served := rate("copse_http_request_duration_seconds_count"); served > 0 {
			mean = time.Duration(rate("copse_http_request_duration_seconds_sum") / served * float64(time.Second)).Round(10 * time.Microsecond).String()
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t%.0f\t%.0f\t%.0f\t\n", name, all, reads, all-reads, rate(requests, `code="5`), mean,
			n.values.sum("copse_watchers"), n.values.largest("copse_history_newest_index"), n.values.sum("copse_raft_is_leader"))
	}
	_ = w.Flush() // into memory
	t.drawShards(&out, names, now)
	fmt.Fprintf(&out, "\n%s\n", t.paint(bold, "Changes by prefix, as the watch of this command has seen them:"))
	for i, p := range busy {
		if i == prefixesShown {
			break
		}
		fmt.Fprintf(&out, "%8d  %s\n", p.count, p.prefix)
	}
	if len(busy) == 0 {
		fmt.Fprintln(&out, "       0  nothing has changed")
	}
	for _, name := range names {
		if err := now[name].err; err != nil {
			fmt.Fprintf(&out, "%s: the operations port doesn't answer (%v); --metrics names others.\n", name, err)
		}
	}
	return out.Bytes()
}

// drawShards prints the leader and the term of each shard.
func (t *tool) drawShards(out *bytes.Buffer, names []string, now map[string]reading) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSHARD\tLEADER\tTERM\tAPPLIED")
	leaders, shards := map[string]string{}, map[string]string{} // by shard; where to read of it
	for _, name := range names {
		for _, shard := range now[name].values.labels("copse_raft_is_leader", "shard") {
			if _, seen := shards[shard]; !seen {
				shards[shard] = name
			}
			if now[name].values.sum("copse_raft_is_leader", label("shard", shard)) > 0 {
				leaders[shard], shards[shard] = name, name
			}
		}
	}
	for i, shard := range slices.Sorted(maps.Keys(shards)) {
		if i == topShards {
			fmt.Fprintf(w, "... and %d more\n", len(shards)-i)
			break
		}
		v := now[shards[shard]].values
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\n", shard, cmp.Or(leaders[shard], "none that is seen"),
			v.sum("copse_raft_term", label("shard", shard)), v.sum("copse_raft_applied_index", label("shard", shard)))
	}
	_ = w.Flush() // into memory
}

// prefixes counts changes by the beginning of their keys.
type prefixes struct {
	mu     sync.Mutex
	counts map[string]int
}

type prefixCount struct {
	prefix string
	count  int
}

func newPrefixes() *prefixes { return &prefixes{counts: map[string]int{}} }

// count runs until ctx is done.
func (p *prefixes) count(ctx context.Context, c *v2.Client) {
	for ctx.Err() == nil {
		_ = c.Stream(ctx, func(r *v2.Response) { p.add(prefixOf(r.Node.Key)) }) // it is made anew
		_ = pause(ctx, streamPause)
	}
}

func (p *prefixes) add(prefix string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.counts[prefix]; known || len(p.counts) < prefixesLimit {
		p.counts[prefix]++
	}
}

// take returns the counts since the last call, the largest first.
func (p *prefixes) take() (list []prefixCount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for prefix, n := range p.counts {
		list = append(list, prefixCount{prefix, n})
	}
	clear(p.counts)
	slices.SortFunc(list, func(a, b prefixCount) int {
		return cmp.Or(b.count-a.count, strings.Compare(a.prefix, b.prefix))
	})
	return list
}

// prefixOf is the first parts of a key, less its name.
func prefixOf(key string) string {
	parts := strings.Split(strings.Trim(key, "/"), "/")
	parts = parts[:min(prefixSegments, len(parts)-1)]
	return "/" + strings.Join(parts, "/")
}
