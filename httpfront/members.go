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

// memberJSON is a member as v2 prints it, always with all four fields.
type memberJSON struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
}

func newMemberJSON(m tree.Member) memberJSON {
	// append: an empty list is [], not null.
	return memberJSON{
		ID:         formatID(m.ID),
		Name:       m.Name,
		PeerURLs:   append([]string{}, m.PeerURLs...),
		ClientURLs: append([]string{}, m.ClientURLs...),
	}
}

// formatID prints an id as v2 does: hex without leading zeros.
func formatID(id uint64) string { return strconv.FormatUint(id, 16) }

// serveMembers serves /v2/members and below; rest is the part behind that.
func (s *Server) serveMembers(ctx *fasthttp.RequestCtx, x *exchange, rest string) {
	switch x.method {
	case methodGet:
		serveMember(ctx, s.backend.Cluster(), rest)
	case methodPost: // whatever follows the path
		s.addMember(ctx)
	case methodDelete:
		s.removeMember(ctx, rest)
	case methodPut:
		s.updateMember(ctx, rest)
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
	default: // v2 has no page for a single member, except the leader
		writeMessage(ctx, fasthttp.StatusNotFound, "Not found")
	}
}

func (s *Server) addMember(ctx *fasthttp.RequestCtx) {
	urls, ok := peerURLs(ctx)
	if !ok {
		return
	}
	m, err := s.backend.AddMember(urls)
	if err != nil {
		refuseChange(ctx, err, m.ID)
		return
	}
	writeJSONLine(ctx, fasthttp.StatusCreated, newMemberJSON(m))
}

// updateMember checks the id's form, the body, and whether the member exists, in v2's
// order.
func (s *Server) updateMember(ctx *fasthttp.RequestCtx, rest string) {
	id, ok := parseID(ctx, rest)
	if !ok {
		return
	}
	urls, ok := peerURLs(ctx)
	if !ok {
		return
	}
	if err := s.backend.UpdateMember(id, urls); err != nil {
		refuseChange(ctx, err, id)
		return
	}
	ctx.Response.Header.SetStatusCode(fasthttp.StatusNoContent)
}

func (s *Server) removeMember(ctx *fasthttp.RequestCtx, rest string) {
	id, ok := parseID(ctx, rest)
	if !ok {
		return
	}
	err := s.backend.RemoveMember(id)
	switch {
	case err == nil:
		ctx.Response.Header.SetStatusCode(fasthttp.StatusNoContent)
	case err.Code == tree.CodeMemberRemoved: // v2 distinguishes this for a removal only
		writeMessage(ctx, fasthttp.StatusGone, "Member permanently removed: "+formatID(id))
	default:
		refuseChange(ctx, err, id)
	}
}

// refuseChange answers a refused change of the member id. etcd reports a loss of the quorum only in
// its log, in these words.
func refuseChange(ctx *fasthttp.RequestCtx, err *tree.Error, id uint64) {
	switch err.Code {
	case tree.CodePeerURLExists:
		writeMessage(ctx, fasthttp.StatusConflict, "membership: peerURL exists")
	case tree.CodeMemberExists:
		writeMessage(ctx, fasthttp.StatusConflict, "membership: ID exists")
	case tree.CodeMemberUnknown:
		noSuchMember(ctx, formatID(id))
	case tree.CodeQuorumLoss:
		writeMessage(ctx, fasthttp.StatusInternalServerError, "etcdserver: re-configuration failed due to not enough started members")
	default:
		writeMessage(ctx, fasthttp.StatusInternalServerError, "Internal Server Error")
	}
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
