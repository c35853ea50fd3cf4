package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Mirror is what copse mirror asks for.
type Mirror struct {
	Server   Server
	Password Password
	JSON     bool // print what the server says
	// For a promotion.
	Force  bool
	Hold   time.Duration
	Margin int
}

// mirrorTimeout is longer than a promotion may take beside its hold.
const mirrorTimeout = 2 * time.Minute

// ask makes one request, as root if there is a password.
func (m *Mirror) ask(ctx context.Context, method, path string, query url.Values) ([]byte, int, error) {
	password := ""
	if m.Password.Given() {
		err := m.Server.MayHearSecrets()
		if err == nil {
			password, err = m.Password.Read(ctx)
		}
		if err != nil {
			return nil, 2, err
		}
	}
	security, err := m.Server.Security()
	if err != nil {
		return nil, 1, err
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	u := m.Server.URL.JoinPath(path)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, 1, err
	}
	if password != "" {
		request.SetBasicAuth("root", password)
	}
	response, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: security, DisableKeepAlives: true}}).Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, 1, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = refusal(response, body)
	}
	return body, 1, err
}

// mirrorStatus is the answer of /v2/copse/mirror.
type mirrorStatus struct {
	Mirror                                 bool
	Sources                                []string
	Follower, Error                        string
	Index, SourceIndex, LagEvents, EndedAt uint64
	LagMs                                  int64
	Filling                                bool
	Compared                               *struct {
		At               time.Time
		Index, Corrected uint64
	}
	Past pastMirror
}

// pastMirror are the writes that didn't pass through the mirror.
type pastMirror struct {
	Since  time.Time
	Silent []string
	Keys   []struct {
		Key   string
		Count uint64
		Last  time.Time
	}
}

// MirrorStatus prints how a cluster follows its source. The exit code is 0 if it does, and lags by nothing;
// 1 if not, or if it can't be asked.
func MirrorStatus(ctx context.Context, m *Mirror, stdout, stderr io.Writer) int {
	body, code, err := m.ask(ctx, http.MethodGet, "/v2/copse/mirror", nil)
	var s mirrorStatus
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		fmt.Fprintf(stderr, "failed: %s: %v\n", m.Server.URL.Redacted(), err)
		return code
	}
	if m.JSON {
		_, _ = stdout.Write(body)
	} else {
		s.print(stdout)
	}
	if !s.Mirror || s.Error != "" || s.LagEvents > 0 || s.Filling {
		return 1
	}
	return 0
}

func (s *mirrorStatus) print(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	defer w.Flush()
	if !s.Mirror {
		if s.EndedAt > 0 {
			fmt.Fprintf(w, "promoted\tat the source's index %d; this cluster takes writes itself\n", s.EndedAt)
			return
		}
		fmt.Fprintln(w, "no mirror\tthis cluster follows nobody")
		return
	}
	fmt.Fprintf(w, "source\t%s\n", strings.Join(s.Sources, " "))
	fmt.Fprintf(w, "followed by\tmember %s\n", s.Follower)
	fmt.Fprintf(w, "index\t%d, the source's %d\n", s.Index, s.SourceIndex)
	fmt.Fprintf(w, "lag\t%d events, %d ms\n", s.LagEvents, s.LagMs)
	if s.Filling {
		fmt.Fprintln(w, "reading\tthe whole source; until then nothing can be read here")
	}
	if s.Error != "" {
		fmt.Fprintf(w, "error\t%s\n", s.Error)
	}
	if c := s.Compared; c != nil {
		fmt.Fprintf(w, "last comparison\t%s, at index %d: %d nodes differed\n", c.At.Format(time.RFC3339), c.Index, c.Corrected)
	}
	s.Past.print(w)
}

func (s *pastMirror) print(w io.Writer) {
	if len(s.Silent) > 0 {
		fmt.Fprintf(w, "not asked\tmembers %s: what passes through them counts as below\n", strings.Join(s.Silent, " "))
	}
	since := s.Since.Format(time.RFC3339)
	if len(s.Keys) == 0 {
		fmt.Fprintf(w, "past the mirror\tno client has written to the source directly since %s\n", since)
		return
	}
	fmt.Fprintf(w, "past the mirror\tclients write to the source directly; since %s, by top-level key:\n", since)
	for _, f := range s.Keys {
		fmt.Fprintf(w, "  %s\t%d, the last at %s\n", f.Key, f.Count, f.Last.Format(time.RFC3339))
	}
}

// PromoteMirror makes a mirror a cluster of its own, and prints what that can't promise. The exit code is 1 if
// it was refused or nobody knows.
func PromoteMirror(ctx context.Context, m *Mirror, stdout, stderr io.Writer) int {
	query := url.Values{"hold": {m.Hold.String()}, "margin": {strconv.Itoa(m.Margin)}}
	if m.Force {
		query.Set("force", "true")
	}
	body, code, err := m.ask(ctx, http.MethodPost, "/v2/copse/mirror/promote", query)
	var done struct {
		SourceIndex, Index, Corrected uint64
		HeldMs                        int64
	}
	if err == nil {
		err = json.Unmarshal(body, &done)
	}
	if err != nil {
		fmt.Fprintf(stderr, "failed: %s: %v\n", m.Server.URL.Redacted(), err)
		return code
	}
	fmt.Fprintf(stdout, `promoted: writes were held for %d ms
  the tree is the source's at index %d (the last comparison corrected %d nodes), and goes on at %d
Stop the source's client port now: etcd has no read-only switch, and what a client still writes there is lost here.
Not known here: hidden nodes that nobody has touched since the mirror began, users, roles and passwords.
`, done.HeldMs, done.SourceIndex, done.Corrected, done.Index)
	return 0
}
