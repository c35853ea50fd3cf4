package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"copse/bench/peer"
)

// clusterLoad says which members of a cluster the clients write to.
type clusterLoad struct {
	short string // on the command line
	how   string
	to    func(members []*peer.Server) ([]*peer.Server, error)
}

var clusterLoads = []clusterLoad{
	{"leader", "all on the leader", leader},
	{"spread", "as many on each", func(members []*peer.Server) ([]*peer.Server, error) { return members, nil }},
}

// members compares writes to clusters of three, all on this machine, one cluster at a
// time.
func members(args []string) error {
	var o requestOptions
	flags := flag.NewFlagSet("members", flag.ContinueOnError)
	o.servers.flags(flags)
	o.pattern(flags, "short names of the loads (leader, spread)")
	o.timing(flags, 5, 2*time.Second, 5*time.Second)
	connections := flags.Int("connections", 64, "connections that write")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var comparisons []*comparison
	loads := slices.DeleteFunc(slices.Clone(clusterLoads), func(l clusterLoad) bool { return !o.only.MatchString(l.short) })
	if len(loads) == 0 {
		return fmt.Errorf("no load is called %v", o.only)
	}
	for _, l := range loads {
		comparisons = append(comparisons, &comparison{readings: map[string][]reading{}, workload: workload{
			name:        fmt.Sprintf("PUT %d bytes, three members, %d connections, %s", valueSize, *connections, l.how),
			connections: *connections, value: valueSize, source: putsBelow(evenNames(1), valueSize), targets: targets{rateAtLeast: 1.5},
		}})
	}
	field := o.servers.all()
	for round := range o.rounds {
		for i := range field {
			c := field[(i+round)%len(field)]
			progress("round %d: three of %s", round+1, c.name)
			if err := measureCluster(o, c, loads, comparisons); err != nil {
				return fmt.Errorf("round %d: %s: %w", round+1, c.name, err)
			}
		}
	}
	fmt.Printf("`go run ./figures members %s` (%s; commit %s; %s)\n\n%s", strings.Join(args, " "), machine(), commit(), noise(o.servers, comparisons), requestTable(o.servers, comparisons))
	return nil
}

// measureCluster starts a cluster, measures each load, and stops it. CPU time, memory
// and bytes written are those of all members together.
func measureCluster(o requestOptions, c contender, loads []clusterLoad, comparisons []*comparison) (err error) {
	cluster, err := startMembers(c.kind, 3, nil)
	defer func() {
		for _, m := range cluster {
			err = errors.Join(err, m.Close())
		}
	}()
	if err != nil {
		return err
	}
	for i, l := range loads {
		asked, err := l.to(cluster)
		if err != nil {
			return err
		}
		r, _, err := drive(o, comparisons[i].workload, asked, cluster, func() error { return nil })
		if err != nil {
			return fmt.Errorf("%s: %w", l.how, err)
		}
		comparisons[i].note(c.name, r)
	}
	return nil
}

// leader returns the leader.
func leader(members []*peer.Server) ([]*peer.Server, error) {
	for _, m := range members {
		var self struct {
			State string `json:"state"`
		}
		if err := getJSON(m.URL+"/v2/stats/self", &self); err != nil {
			return nil, err
		}
		if self.State == "StateLeader" {
			return []*peer.Server{m}, nil
		}
	}
	return nil, errors.New("no member is the leader")
}
