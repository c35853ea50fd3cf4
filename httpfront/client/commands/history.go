package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

// histories is what copse history prints: the windows of events of one member. The indexes are the oldest that
// waitIndex may ask for, and the latest.
type histories struct {
	Oldest uint64 `json:"oldestIndex"`
	Newest uint64 `json:"newestIndex"`
	Names  []struct {
		Key    string  `json:"key"`
		Oldest uint64  `json:"oldestIndex"`
		Newest uint64  `json:"newestIndex"`
		Events uint64  `json:"events"`
		Bytes  uint64  `json:"bytes"`
		Age    float64 `json:"ageSeconds"`
	} `json:"names"`
	Next string `json:"next"`
}

func (t *tool) history(ctx context.Context, args *cli.History) error {
	query := url.Values{"limit": {strconv.FormatUint(uint64(args.Limit), 10)}}
	if args.After != "" {
		query.Set("after", args.After)
	}
	var body json.RawMessage
	if err := t.client.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/v2/copse/history", Query: query}, &body); err != nil {
		return err
	}
	if t.line.Output == "json" {
		return t.printJSON(body)
	}
	var h histories
	if err := json.Unmarshal(body, &h); err != nil {
		return err
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tOLDEST INDEX\tNEWEST INDEX\tEVENTS\tBYTES\tAGE")
	fmt.Fprintf(w, "/\t%d\t%d\t\t\t\n", h.Oldest, h.Newest)
	for _, n := range h.Names {
		age := time.Duration(n.Age * float64(time.Second)).Round(time.Second)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%v\n", n.Key, n.Oldest, n.Newest, n.Events, n.Bytes, age)
	}
	if err := w.Flush(); err != nil || h.Next == "" {
		return err
	}
	_, err := fmt.Fprintf(t.Out, "more: copse history --after=%s\n", cli.Quote(h.Next))
	return err
}
