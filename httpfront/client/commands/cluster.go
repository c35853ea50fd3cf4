package commands

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

// without carries out a command that has no operands.
func (t *tool) without(ctx context.Context) error {
	switch t.line.Name {
	case "member list":
		return t.memberList(ctx)
	case "user list":
		return t.names(ctx, "/v2/auth/users", "users", "user")
	case "role list":
		return t.names(ctx, "/v2/auth/roles", "roles", "role")
	case "auth enable":
		return t.enable(ctx, http.MethodPut, "Authentication Enabled")
	case "auth disable":
		return t.enable(ctx, http.MethodDelete, "Authentication Disabled")
	}
	if t.line.Name == "history" {
		return t.history(ctx)
	}
	return t.status(ctx)
}

// named carries out a command about one user or role.
func (t *tool) named(ctx context.Context, name string) error {
	switch t.line.Name {
	case "user get":
		return t.userGet(ctx, name)
	case "user add":
		return t.userAdd(ctx, name)
	case "user passwd":
		return t.userPasswd(ctx, name)
	case "user remove":
		return t.drop(ctx, "users", name, "User %s removed\n")
	case "role get":
		return t.roleGet(ctx, name)
	case "role add":
		return t.roleAdd(ctx, name)
	}
	return t.drop(ctx, "roles", name, "Role %s removed\n")
}

func (t *tool) memberList(ctx context.Context) error {
	members, err := t.client.Members(ctx)
	if err != nil {
		return err
	}
	leader, err := t.client.Leader(ctx)
	if err != nil {
		leader.ID = "" // there is none; the list is worth having
	}
	if t.line.Output == "json" {
		return t.printJSON(members)
	}
	for _, m := range members {
		if m.Name == "" {
			fmt.Fprintf(t.Out, "%s[unstarted]: peerURLs=%s\n", m.ID, strings.Join(m.PeerURLs, ","))
			continue
		}
		fmt.Fprintf(t.Out, "%s: name=%s peerURLs=%s clientURLs=%s isLeader=%t\n", m.ID, m.Name, strings.Join(m.PeerURLs, ","), strings.Join(m.ClientURLs, ","), m.ID == leader.ID)
	}
	return nil
}

// peerURLs checks a list of URLs as etcd writes them.
func peerURLs(text string) ([]string, error) {
	list := strings.Split(text, ",")
	for _, one := range list {
		if u, err := url.Parse(one); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, usage("%s: each must be a URL such as http://host:2380", cli.Quote(text))
		}
	}
	return list, nil
}

func (t *tool) memberAdd(ctx context.Context, args *cli.MemberAdd) error {
	urls, err := peerURLs(args.PeerURL)
	if err != nil {
		return err
	}
	var added v2.Member
	err = t.client.JSON(ctx, v2.Request{Method: http.MethodPost, Path: "/v2/members", JSON: map[string]any{"peerURLs": urls}}, &added)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "Added member named %s with ID %s to cluster\n\n", args.Name, added.ID)
	members, err := t.client.Members(ctx)
	if err != nil {
		return err
	}
	var founders []string
	var others []v2.Member
	for _, m := range members {
		if m.ID == added.ID {
			m.Name = args.Name
		} else {
			others = append(others, m)
		}
		if m.Name == "" {
			continue // it hasn't started: it can't be asked, and --initial-cluster needs names
		}
		for _, u := range m.PeerURLs {
			founders = append(founders, m.Name+"="+u)
		}
	}
	if plain := func(u string) bool { return strings.HasPrefix(u, "http://") }; slices.ContainsFunc(urls, plain) && len(others) > 0 &&
		!slices.ContainsFunc(others, func(m v2.Member) bool { return slices.ContainsFunc(m.PeerURLs, plain) }) {
		fmt.Fprintf(t.Err, "The other members have https peer URLs, and %s has http: if that is a mistake, copse member update %s URL mends it\n", args.PeerURL, added.ID)
	}
	_, err = fmt.Fprintf(t.Out, "ETCD_NAME=%q\nETCD_INITIAL_CLUSTER=%q\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n", args.Name, strings.Join(founders, ","))
	return err
}

// known finds a member by its id, or by its name.
func (t *tool) known(ctx context.Context, id string) (string, error) {
	members, err := t.client.Members(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(members, func(m v2.Member) bool { return m.ID == id || m.Name == id })
	if i < 0 {
		return "", usage("no member has the ID or the name %s: copse member list shows all", id)
	}
	return members[i].ID, nil
}

func (t *tool) memberRemove(ctx context.Context, args *cli.MemberRemove) error {
	id, err := t.known(ctx, args.ID)
	if err == nil {
		err = t.client.JSON(ctx, v2.Request{Method: http.MethodDelete, Path: "/v2/members/" + id}, nil)
	}
	if err == nil {
		_, err = fmt.Fprintf(t.Out, "Removed member %s from cluster\n", id)
	}
	return err
}

func (t *tool) memberUpdate(ctx context.Context, args *cli.MemberUpdate) error {
	urls, err := peerURLs(args.PeerURLs)
	if err != nil {
		return err
	}
	id, err := t.known(ctx, args.ID)
	if err == nil {
		err = t.client.JSON(ctx, v2.Request{Method: http.MethodPut, Path: "/v2/members/" + id, JSON: map[string]any{"peerURLs": urls}}, nil)
	}
	if err == nil {
		_, err = fmt.Fprintf(t.Out, "Updated member with ID %s in cluster\n", id)
	}
	return err
}

const healthPause = 10 * time.Second // etcdctl's

func (t *tool) clusterHealth(ctx context.Context, args *cli.ClusterHealth) error {
	for {
		err := t.health(ctx)
		if !args.Forever {
			return err
		}
		if pause(ctx, healthPause) != nil {
			return nil
		}
	}
}

// health asks each member once.
func (t *tool) health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.line.TotalTimeout)
	defer cancel()
	members, err := t.client.Members(ctx)
	if err != nil {
		fmt.Fprintln(t.Out, "cluster may be unhealthy: failed to list members")
		return err
	}
	healthy := 0
	for _, m := range members {
		if t.memberHealth(ctx, m) {
			healthy++
		}
	}
	state := map[bool]string{true: "healthy", false: "degraded"}[healthy == len(members)]
	if healthy == 0 {
		state = "unavailable"
	}
	fmt.Fprintf(t.Out, "cluster is %s\n", t.paint(map[bool]int{true: green, false: red}[state == "healthy"], state))
	if state != "healthy" {
		return &exit{code: exitUnhealthy}
	}
	return nil
}

func (t *tool) memberHealth(ctx context.Context, m v2.Member) bool {
	if len(m.ClientURLs) == 0 {
		fmt.Fprintf(t.Out, "member %s is unreachable: no available published client urls\n", m.ID)
		return false
	}
	for _, u := range m.ClientURLs {
		var answer struct{ Health any }
		one, err := t.client.At(u)
		if err == nil {
			err = one.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/health"}, &answer)
		}
		switch {
		case v2.Answered(err): // with a refusal
		case err != nil:
			fmt.Fprintf(t.Out, "failed to check the health of member %s on %s: %v\n", m.ID, u, err)
			continue
		case answer.Health == true || answer.Health == "true":
			fmt.Fprintf(t.Out, "member %s is healthy: got healthy result from %s\n", m.ID, u)
			return true
		}
		fmt.Fprintf(t.Out, "member %s is unhealthy: got unhealthy result from %s\n", m.ID, u)
		return false
	}
	fmt.Fprintf(t.Out, "member %s is unreachable: %v are all unreachable\n", m.ID, m.ClientURLs)
	return false
}

// state is what copse status prints of a member.
type state struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	URL     string `json:"clientURL"`
	Role    string `json:"role"`              // leader, follower, or why that isn't known
	Version string `json:"version,omitempty"` // of the etcd whose API it serves
	Index   uint64 `json:"index,omitempty"`
	Term    uint64 `json:"term,omitempty"`
	Copse   string `json:"copse,omitempty"` // its own version
}

func (t *tool) status(ctx context.Context) error {
	members, err := t.client.Members(ctx)
	if err != nil {
		return err
	}
	var list []state
	unreachable := false
	for _, m := range members {
		s := t.askState(ctx, m)
		unreachable = unreachable || s.Version == ""
		list = append(list, s)
	}
	if t.line.Output == "json" {
		if err := t.printJSON(list); err != nil {
			return err
		}
	} else if err := t.printStates(list); err != nil {
		return err
	}
	if unreachable {
		return &exit{exitUnhealthy, "a member doesn't answer: see copse cluster-health, and its log"}
	}
	return nil
}

func (t *tool) printStates(list []state) error {
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tROLE\tVERSION\tINDEX\tTERM\tCLIENT URL\tCOPSE") // scripts may count columns
	for _, s := range list {
		index, term := "-", "-"
		if s.Term > 0 {
			index, term = fmt.Sprint(s.Index), fmt.Sprint(s.Term)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, cmp.Or(s.Name, "-"), s.Role, cmp.Or(s.Version, "-"), index, term, cmp.Or(s.URL, "-"), cmp.Or(s.Copse, "-"))
	}
	return w.Flush()
}

// askState asks one member about itself.
func (t *tool) askState(ctx context.Context, m v2.Member) state {
	s := state{ID: m.ID, Name: m.Name, Role: "unstarted"}
	for _, u := range m.ClientURLs {
		s.URL, s.Role = u, "unreachable"
		one, err := t.client.At(u)
		if err != nil {
			continue
		}
		var self struct{ State string }
		var version struct{ Etcdserver string }
		if one.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/version"}, &version) != nil {
			continue
		}
		s.Version, s.Role = version.Etcdserver, "unknown"
		if one.JSON(ctx, v2.Request{Method: http.MethodGet, Path: "/v2/stats/self"}, &self) == nil {
			s.Role = strings.ToLower(strings.TrimPrefix(self.State, "State"))
		}
		if answer, err := one.Do(ctx, v2.Request{Method: http.MethodHead, Path: "/v2/keys/"}); err == nil {
			s.Index, s.Term = answer.Index, answer.Term
		}
		if answer, err := one.Do(ctx, v2.Request{Method: http.MethodGet, Path: "/metrics"}); err == nil {
			s.Copse = strings.Join(parseSamples(answer.Body).labels("copse_build_info", "version"), "")
		}
		return s
	}
	return s
}
