package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"copse/httpfront/client/v2"
)

// histories is what copse history prints: the windows of events of one member. The indexes are the oldest that
// waitIndex may ask for, and the latest.
type histories struct {
	Oldest uint64          `json:"oldestIndex"`
	Newest uint64          `json:"newestIndex"`
	Shards json.RawMessage `json:"shards"`
	Names  []nameHistory   `json:"names"`
	Next   string          `json:"next,omitempty"`
}

type nameHistory struct {
	Key    string  `json:"key"`
	Shard  uint64  `json:"shard"`
	Oldest uint64  `json:"oldestIndex"`
	Newest uint64  `json:"newestIndex"`
	Events uint64  `json:"events"`
	Bytes  uint64  `json:"bytes"`
	Age    float64 `json:"ageSeconds"`
}

// history prints the windows of all names, which come in pages.
func (t *tool) history(ctx context.Context) error {
	var h histories
	for query := (url.Values{"limit": {"10000"}}); ; query.Set("after", h.Next) {
		var page histories
		if err := t.client.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/v2/copse/history", Query: query}, &page); err != nil {
			return err
		}
		page.Names = append(h.Names, page.Names...)
		if h = page; h.Next == "" {
			break
		}
	}
	if t.line.Output == "json" {
		return t.printJSON(h)
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tOLDEST INDEX\tNEWEST INDEX\tEVENTS\tBYTES\tAGE")
	fmt.Fprintf(w, "/\t%d\t%d\t\t\t\n", h.Oldest, h.Newest)
	for _, n := range h.Names {
		age := time.Duration(n.Age * float64(time.Second)).Round(time.Second)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%v\n", n.Key, n.Oldest, n.Newest, n.Events, n.Bytes, age)
	}
	return w.Flush()
}
