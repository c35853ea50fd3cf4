package actors

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// NameLimits limit the events that are kept of each top-level name.
type NameLimits = statemachine.NameLimits

// histories is the body of /v2/copse/history. The indexes are the oldest that waitIndex may ask for,
// and the latest.
type histories struct {
	Oldest tree.Index     `json:"oldestIndex"` // of the root
	Newest tree.Index     `json:"newestIndex"`
	Shards []shardHistory `json:"shards"`
	Names  []nameHistory  `json:"names"`
	Next   string         `json:"next,omitempty"` // after which the list of names goes on
}

type shardHistory struct {
	Shard  uint64     `json:"shard"`
	Oldest tree.Index `json:"oldestIndex"`
	Newest tree.Index `json:"newestIndex"`
	// Others is the oldest index of names that aren't listed; 0: events aren't kept for each name.
	Others tree.Index `json:"otherNamesOldestIndex,omitempty"`
}

type nameHistory struct {
	Key    string     `json:"key"`
	Shard  uint64     `json:"shard"`
	Oldest tree.Index `json:"oldestIndex"`
	Newest tree.Index `json:"newestIndex"` // of the name's latest event
	Events uint64     `json:"events"`
	Bytes  uint64     `json:"bytes"`
	Age    float64    `json:"ageSeconds"` // of the oldest event; 0 as long as it isn't known
}

// namesRead is how many names are read of a shard at once.
const namesRead = 1000

// Histories returns, as JSON, what the windows of events reach back to, with those of up to limit top-level
// names after a key, which sees has to allow; nil allows none.
func (r *Router) Histories(after string, limit int, sees func(key string) bool) ([]byte, *tree.Error) {
	out := histories{Oldest: r.parts[0].machine.Floor(), Newest: r.State().Index, Shards: []shardHistory{}, Names: []nameHistory{}}
	for _, p := range r.parts {
		floor := p.machine.Floor()
		out.Oldest = max(out.Oldest, floor)
		names, others, err := p.names(after, limit+1, sees)
		if err != nil {
			return nil, tree.Unavailable(err)
		}
		out.Shards = append(out.Shards, shardHistory{Shard: p.id, Oldest: floor, Newest: r.state(p).Index, Others: min(floor, others)})
		out.Names = append(out.Names, names...)
	}
	slices.SortFunc(out.Names, func(a, b nameHistory) int { return cmp.Compare(a.Key, b.Key) })
	if len(out.Names) > limit {
		out.Names = out.Names[:limit]
		out.Next = out.Names[limit-1].Key
	}
	return jsonLine(out)
}

// names are the windows of up to limit names after a key. JSON can't say what isn't UTF-8: such names are left out.
func (p *part) names(after string, limit int, sees func(key string) bool) (list []nameHistory, others tree.Index, err error) {
	read := namesRead
	if sees == nil {
		read, limit = 0, 0
	}
	for name := after; ; {
		windows, floor, err := p.machine.NameWindows(name, read)
		if err != nil {
			return nil, 0, err
		}
		for _, w := range windows {
			name = "/" + w.Name
			if !sees(name) || !utf8.ValidString(name) {
				continue
			}
			if len(list) == limit {
				return list, floor, nil
			}
			list = append(list, nameHistory{
				Key: name, Shard: p.id, Oldest: min(w.Floor, p.machine.Floor()), Newest: w.Last,
				Events: w.Events, Bytes: w.Bytes, Age: w.Age.Seconds(),
			})
		}
		if len(windows) < namesRead {
			return list, floor, nil
		}
	}
}
