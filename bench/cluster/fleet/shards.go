package fleet

import "fmt"

// shardLeader is the name of the member that leads a shard, as this one knows.
func (m *Member) shardLeader(slot int) (string, error) {
	var known struct {
		Shards []struct {
			Slot   int    `json:"slot"`
			Leader string `json:"leader"` // a member's id
		} `json:"shards"`
	}
	if err := m.ask("/v2/copse/shards", &known); err != nil {
		return "", err
	}
	var list struct {
		Members []listed `json:"members"`
	}
	if err := m.ask("/v2/members", &list); err != nil {
		return "", err
	}
	for _, s := range known.Shards {
		for _, l := range list.Members {
			if s.Slot == slot && s.Leader == l.ID {
				return l.Name, nil
			}
		}
	}
	return "", fmt.Errorf("%s knows of no leader of shard %d", m.Name, slot)
}
