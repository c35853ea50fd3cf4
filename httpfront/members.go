package httpfront

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// memberJSON is a member as v2 prints it: all four fields, always.
type memberJSON struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
}

func newMemberJSON(m tree.Member) memberJSON {
	peers := append([]string{}, m.PeerURLs...)
	slices.Sort(peers)
	return memberJSON{
		ID:         formatID(m.ID),
		Name:       m.Name,
		PeerURLs:   peers,
		ClientURLs: append([]string{}, m.ClientURLs...),
	}
}

// formatID prints an id as v2 does: hex without leading zeros.
func formatID(id uint64) string { return strconv.FormatUint(id, 16) }

// serveMembers serves /v2/members; rest is what follows that, if anything.
func (s *Server) serveMembers(ctx *fasthttp.RequestCtx, m method, rest string) {
	if !allow(ctx, m, allowMembers) {
		return
	}
	c := s.backend.Cluster()
	switch m {
	case methodGet:
		serveMember(ctx, c, rest)
	case methodPost: // whatever follows the path
		if urls, ok := peerURLs(ctx); ok {
			changeMembers(ctx, c, 0, urls)
		}
	case methodDelete:
		if _, ok := memberID(ctx, c, rest); ok {
			changeMembers(ctx, c, 0, nil)
		}
	case methodPut:
		servePutMember(ctx, c, rest)
	}
}

func serveMember(ctx *fasthttp.RequestCtx, c *tree.Cluster, rest string) {
	switch rest {
	case "":
		list := struct {
			Members []memberJSON `json:"members"`
		}{[]memberJSON{}}
		for _, m := range c.Members {
			list.Members = append(list.Members, newMemberJSON(m))
		}
		writeJSONLine(ctx, fasthttp.StatusOK, list)
	case "leader":
		m, ok := c.Member(c.Leader)
		if c.Leader == 0 || !ok {
			writeMessage(ctx, fasthttp.StatusServiceUnavailable, "During election")
			return
		}
		writeJSONLine(ctx, fasthttp.StatusOK, newMemberJSON(m))
	default: // v2 shows no single member but the leader
		writeMessage(ctx, fasthttp.StatusNotFound, "Not found")
	}
}

// servePutMember checks the form of the id, then the body, then whether there
// is such a member, in v2's order.
func servePutMember(ctx *fasthttp.RequestCtx, c *tree.Cluster, rest string) {
	id, ok := parseID(ctx, rest)
	if !ok {
		return
	}
	urls, ok := peerURLs(ctx)
	if !ok {
		return
	}
	if _, ok := c.Member(id); !ok {
		noSuchMember(ctx, formatID(id))
		return
	}
	changeMembers(ctx, c, id, urls)
}

// memberID returns the id of an existing member that a path names, or answers
// the request.
func memberID(ctx *fasthttp.RequestCtx, c *tree.Cluster, text string) (uint64, bool) {
	id, ok := parseID(ctx, text)
	if !ok {
		return 0, false
	}
	if _, ok := c.Member(id); !ok {
		noSuchMember(ctx, formatID(id))
		return 0, false
	}
	return id, true
}

func parseID(ctx *fasthttp.RequestCtx, text string) (uint64, bool) {
	if text == "" {
		methodNotAllowed(ctx) // v2 names no allowed methods here
		return 0, false
	}
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		noSuchMember(ctx, text)
		return 0, false
	}
	return id, true
}

func noSuchMember(ctx *fasthttp.RequestCtx, id string) {
	writeMessage(ctx, fasthttp.StatusNotFound, "No such member: "+id)
}

// changeMembers would carry out a change that is well-formed. Membership is
// fixed so far, so it is refused in the words for all that v2 can't do.
func changeMembers(ctx *fasthttp.RequestCtx, c *tree.Cluster, self uint64, urls []string) {
	for _, m := range c.Members {
		if m.ID == self {
			continue
		}
		if slices.ContainsFunc(m.PeerURLs, func(u string) bool { return slices.Contains(urls, u) }) {
			writeMessage(ctx, fasthttp.StatusConflict, "membership: peerURL exists")
			return
		}
	}
	writeMessage(ctx, fasthttp.StatusInternalServerError, "Internal Server Error")
}

// peerURLs reads the body of a membership change, or answers the request.
func peerURLs(ctx *fasthttp.RequestCtx) ([]string, bool) {
	kind := string(ctx.Request.Header.ContentType())
	if i := strings.IndexByte(kind, ';'); i >= 0 {
		kind = strings.TrimSpace(strings.ToLower(kind[:i]))
	}
	if kind != "application/json" {
		writeMessage(ctx, fasthttp.StatusUnsupportedMediaType, "Bad Content-Type "+kind+", accept application/json")
		return nil, false
	}
	urls, err := parsePeerURLs(ctx.Request.Body())
	if err != nil {
		writeMessage(ctx, fasthttp.StatusBadRequest, err.Error())
		return nil, false
	}
	return urls, true
}

// parsePeerURLs decodes with the standard library: clients see its messages.
func parsePeerURLs(body []byte) ([]string, error) {
	var request struct {
		PeerURLs []string `json:"peerURLs"`
	}
	if err := stdjson.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	if len(request.PeerURLs) == 0 {
		return nil, errors.New("no valid URLs given")
	}
	var urls []string
	for _, text := range request.PeerURLs {
		text = strings.TrimSpace(text)
		u, err := url.Parse(text)
		if err == nil {
			err = checkPeerURL(u, text)
		}
		if err != nil {
			return nil, err
		}
		urls = append(urls, u.String())
	}
	slices.Sort(urls)
	return urls, nil
}

func checkPeerURL(u *url.URL, text string) error {
	switch u.Scheme {
	case "unix", "unixs":
		return nil
	case "http", "https":
	default:
		return fmt.Errorf("URL scheme must be http, https, unix, or unixs: %s", text)
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil {
		return fmt.Errorf(`URL address does not have the form "host:port": %s`, text)
	}
	if u.Path != "" {
		return fmt.Errorf("URL must not contain a path: %s", text)
	}
	return nil
}
