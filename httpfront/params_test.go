package httpfront

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/statemachine/tree"
)

// noon is when the tests' requests come in.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// parseKey parses a request for /k as it would come over the wire.
func parseKey(method method, query, body string) (*request, *tree.Error) {
	var r request
	err := r.parse(new(params), &input{
		method:      method,
		key:         "/k",
		query:       []byte(query),
		contentType: []byte(formType),
		body:        []byte(body),
		bodyLimit:   10 << 20,
		now:         noon,
	})
	return &r, err
}

func TestMalformedParametersGetV2sAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		method      method
		query, body string
		want        string
	}{
		"bad escape in the query":        {methodGet, "x=%zz", "", `210 invalid URL escape "%zz"`},
		"bad escape at the end":          {methodGet, "x=%a", "", `210 invalid URL escape "%a"`},
		"bad escape in a name":           {methodGet, "%q=1", "", `210 invalid URL escape "%q"`},
		"semicolon":                      {methodGet, "a=1;b=2", "", "210 invalid semicolon separator in query"},
		"semicolon counts more":          {methodGet, "a=%zz&b;", "", "210 invalid semicolon separator in query"},
		"the body's fault is told first": {methodPut, "a;", "b=%zz", `210 invalid URL escape "%zz"`},
		"form before fields":             {methodGet, "recursive=x&x=%zz", "", `210 invalid URL escape "%zz"`},
		"prevIndex":                      {methodPut, "prevIndex=x&waitIndex=x", "", `203 invalid value for "prevIndex"`},
		"prevIndex, empty":               {methodPut, "prevIndex=", "", `203 invalid value for "prevIndex"`},
		"prevIndex, signed":              {methodPut, "prevIndex=%2B1", "", `203 invalid value for "prevIndex"`},
		"prevIndex, too large":           {methodPut, "prevIndex=18446744073709551616", "", `203 invalid value for "prevIndex"`},
		"prevIndex, hex":                 {methodPut, "prevIndex=0x1", "", `203 invalid value for "prevIndex"`},
		"prevIndex, underscore":          {methodPut, "prevIndex=1_0", "", `203 invalid value for "prevIndex"`},
		"waitIndex":                      {methodGet, "waitIndex=-1&recursive=x", "", `203 invalid value for "waitIndex"`},
		"recursive, bare":                {methodGet, "recursive", "", `209 invalid value for "recursive"`},
		"recursive before sorted":        {methodGet, "sorted=x&recursive=x", "", `209 invalid value for "recursive"`},
		"sorted before wait":             {methodGet, "wait=x&sorted=yes", "", `209 invalid value for "sorted"`},
		"wait before dir":                {methodGet, "dir=x&wait=tRUE", "", `209 invalid value for "wait"`},
		"dir before quorum":              {methodGet, "quorum=x&dir=2", "", `209 invalid value for "dir"`},
		"quorum before stream":           {methodGet, "stream=x&quorum=on", "", `209 invalid value for "quorum"`},
		"stream before wait on a write":  {methodPut, "wait=true&stream=", "", `209 invalid value for "stream"`},
		"v2's faults before others":      {methodGet, "limit=x&waitIndex=x", "", `203 invalid value for "waitIndex"`},
		"limit, none":                    {methodGet, "limit=0", "", `209 invalid value for "limit"`},
		"limit, empty":                   {methodGet, "limit=", "", `209 invalid value for "limit"`},
		"limit, too large":               {methodGet, "limit=2147483648", "", `209 invalid value for "limit"`},
		"depth":                          {methodGet, "depth=-1", "", `209 invalid value for "depth"`},
		"keysOnly":                       {methodGet, "keysOnly=yes", "", `209 invalid value for "keysOnly"`},
		"count":                          {methodGet, "count=", "", `209 invalid value for "count"`},
		"showHidden":                     {methodGet, "showHidden=y", "", `209 invalid value for "showHidden"`},
		"atIndex":                        {methodGet, "atIndex=now", "", `203 invalid value for "atIndex"`},
		"after, the key itself":          {methodGet, "after=/k", "", `209 "after" must be a key below the one that is read`},
		"after, beside":                  {methodGet, "after=/kk/a", "", `209 "after" must be a key below the one that is read`},
		"after, not clean":               {methodGet, "after=/k/a/", "", `209 "after" must be a key below the one that is read`},
		"after, empty":                   {methodGet, "after=", "", `209 "after" must be a key below the one that is read`},
		"after, too deep":                {methodGet, "after=/k" + strings.Repeat("/a", 5000), "", `209 "after" is too deep`},
		"ttlMs":                          {methodPut, "ttlMs=1s", "", `209 invalid value for "ttlMs"`},
		"ttlMs, empty":                   {methodPut, "", "ttlMs=", `209 invalid value for "ttlMs"`},
		"ttlMs, a fraction":              {methodPut, "", "ttlMs=1.5", `209 invalid value for "ttlMs"`},
		"ttlMs, too large":               {methodPut, "", "ttlMs=9999999999999999", `209 invalid value for "ttlMs"`},
		"ttlMs beside ttl":               {methodPut, "", "ttlMs=5&ttl=5", `209 "ttl" and "ttlMs" can't be used together`},
		"requestId, empty":               {methodPut, "requestId=", "", `209 "requestId" must be 1 to 128 printable ASCII characters`},
		"requestId, too long":            {methodDelete, "requestId=" + strings.Repeat("x", 129), "", `209 "requestId" must be 1 to 128 printable ASCII characters`},
		"requestId, not printable":       {methodPost, "requestId=a%0a", "", `209 "requestId" must be 1 to 128 printable ASCII characters`},
		"requestId, not ASCII":           {methodPut, "", "requestId=%c3%bc", `209 "requestId" must be 1 to 128 printable ASCII characters`},
		"ttlMs, for nothing":             {methodGet, "ttlMs=x", "", `209 invalid value for "ttlMs"`},
		"minIndex":                       {methodGet, "minIndex=new", "", `203 invalid value for "minIndex"`},
		"minIndex, empty":                {methodHead, "minIndex=", "", `203 invalid value for "minIndex"`},
		"maxStale":                       {methodGet, "maxStale=old", "", `209 invalid value for "maxStale"`},
		"maxStale, empty":                {methodGet, "maxStale=", "", `209 invalid value for "maxStale"`},
		"maxStale, negative":             {methodGet, "maxStale=-1s", "", `209 invalid value for "maxStale"`},
		"maxStale, too long":             {methodGet, "maxStale=24h1s", "", `209 invalid value for "maxStale"`},
		"maxStale, seconds without end":  {methodGet, "maxStale=99999999999999999999", "", `209 invalid value for "maxStale"`},
		"waitMax":                        {methodGet, "wait=true&waitMax=long", "", `209 invalid value for "waitMax"`},
		"waitMax, none":                  {methodGet, "wait=true&waitMax=0", "", `209 invalid value for "waitMax"`},
		"waitMax, too long":              {methodGet, "wait=true&waitMax=86401", "", `209 invalid value for "waitMax"`},
		"prefix, beside":                 {methodGet, "wait=true&prefix=/k/a&prefix=/j", "", `209 "prefix" must be the key that is watched, or one below it`},
		"prefix, not clean":              {methodGet, "wait=true&prefix=/k//a", "", `209 "prefix" must be the key that is watched, or one below it`},
		"prefix, empty":                  {methodGet, "wait=true&prefix=", "", `209 "prefix" must be the key that is watched, or one below it`},
		"prefix, too deep":               {methodGet, "wait=true&prefix=/k" + strings.Repeat("/a", 5000), "", `209 "prefix" must be the key that is watched, or one below it`},
		"prefixes, too many":             {methodGet, "wait=true" + strings.Repeat("&prefix=/k", 65), "", `209 more than 64 times "prefix"`},
		"heartbeat":                      {methodGet, "wait=true&heartbeat=1.5", "", `209 invalid value for "heartbeat"`},
		"wait on a write":                {methodPut, "wait=true&prevValue=", "", `209 "wait" can only be used with GET requests`},
		"wait on HEAD":                   {methodHead, "wait=true", "", `209 "wait" can only be used with GET requests`},
		"prevValue, empty":               {methodPut, "prevValue=&noValueOnSuccess=x", "", `201 "prevValue" cannot be empty`},
		"noValueOnSuccess":               {methodPut, "noValueOnSuccess=&ttl=x", "", `209 invalid value for "noValueOnSuccess"`},
		"ttl":                            {methodPut, "ttl=1e3&prevExist=x", "", `202 invalid value for "ttl"`},
		"ttl on a read":                  {methodGet, "ttl=x", "", `202 invalid value for "ttl"`},
		"ttl beyond any clock":           {methodPut, "ttl=9000000000", "", `202 invalid value for "ttl"`},
		"ttl that would overflow":        {methodPut, "ttl=18446744073709551615", "", `202 invalid value for "ttl"`},
		"prevExist, unquoted":            {methodPut, "prevExist=&refresh=x", "", `209 invalid value for prevExist`},
		"refresh, unquoted":              {methodPut, "refresh=", "", `209 invalid value for refresh`},
		"refresh with a value":           {methodPut, "refresh=1", "value=v", `211 A value was provided on a refresh`},
		"refresh without a ttl":          {methodPut, "refresh=t&value=", "", `212 No TTL value set`},
		"refresh with an empty ttl":      {methodPut, "refresh=true&ttl=", "", `212 No TTL value set`},
		"refresh on a read":              {methodGet, "refresh=true", "", `212 No TTL value set`},
		"refresh on a delete":            {methodDelete, "refresh=true&value=v", "", `211 A value was provided on a refresh`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseKey(c.method, c.query, c.body)
			if err == nil {
				t.Fatalf("got no error want %s", c.want)
			}
			got := fmt.Sprintf("%d %s", err.Code, err.Cause)
			if got != c.want || err.Index != 0 {
				t.Errorf("got %s [%d] want %s [0]", got, err.Index, c.want)
			}
		})
	}
}

func TestWritesAreDispatchedAsV2Does(t *testing.T) {
	at := noon.UnixNano()
	for name, c := range map[string]struct {
		method      method
		query, body string
		want        tree.Command
	}{
		"set": {methodPut, "", "value=v",
			tree.Command{Op: tree.OpSet, Value: []byte("v")}},
		"set without a value": {methodPut, "", "",
			tree.Command{Op: tree.OpSet}},
		"the body wins": {methodPut, "value=query&ttl=1", "value=body",
			tree.Command{Op: tree.OpSet, Value: []byte("body"), Expires: at + 1e9}},
		"the first of several wins": {methodPut, "", "value=a&value=b",
			tree.Command{Op: tree.OpSet, Value: []byte("a")}},
		"any bytes": {methodPut, "", "value=%00%ff+%2B%26%3B%0A",
			tree.Command{Op: tree.OpSet, Value: []byte("\x00\xff +&;\n")}},
		"an encoded name": {methodPut, "", "%76alue=v",
			tree.Command{Op: tree.OpSet, Value: []byte("v")}},
		"unknown parameters": {methodPut, "Value=x&foo&=y&&prevvalue=z", "value=v=w",
			tree.Command{Op: tree.OpSet, Value: []byte("v=w")}},
		"pages mean nothing": {methodPut, "limit=x&after=y&minIndex=x&maxStale=y&waitMax=z&heartbeat=z", "value=a&count=b",
			tree.Command{Op: tree.OpSet, Value: []byte("a")}},
		"ttlMs": {methodPut, "", "value=v&ttlMs=1500",
			tree.Command{Op: tree.OpSet, Value: []byte("v"), Expires: at + 1.5e9}},
		"ttlMs for a refresh": {methodPut, "", "refresh=true&prevExist=true&ttlMs=20",
			tree.Command{Op: tree.OpUpdate, Refresh: true, Expires: at + 2e7}},
		"ttl=0 means now": {methodPut, "ttl=0", "",
			tree.Command{Op: tree.OpSet, Expires: at}},
		"ttl with zeros": {methodPut, "ttl=0005", "",
			tree.Command{Op: tree.OpSet, Expires: at + 5e9}},
		"an empty ttl is none": {methodPut, "ttl=", "",
			tree.Command{Op: tree.OpSet}},
		"dir": {methodPut, "dir=true", "",
			tree.Command{Op: tree.OpSet, Dir: true}},
		"create": {methodPut, "prevExist=false", "value=v",
			tree.Command{Op: tree.OpCreate, Value: []byte("v")}},
		"create ignores other conditions": {methodPut, "prevExist=0&prevValue=a&prevIndex=7&refresh=true&ttl=1", "",
			tree.Command{Op: tree.OpCreate, Expires: at + 1e9}},
		"update": {methodPut, "prevExist=true", "value=v",
			tree.Command{Op: tree.OpUpdate, Value: []byte("v")}},
		"prevIndex=0 is none": {methodPut, "prevExist=true&prevIndex=0", "",
			tree.Command{Op: tree.OpUpdate}},
		"refreshing update": {methodPut, "prevExist=true&refresh=true&ttl=2", "",
			tree.Command{Op: tree.OpUpdate, Refresh: true, Expires: at + 2e9}},
		"compare and swap by value": {methodPut, "prevValue=a+b", "value=v",
			tree.Command{Op: tree.OpCompareAndSwap, PrevValue: "a b", Value: []byte("v")}},
		"compare and swap by index": {methodPut, "prevIndex=7&prevExist=true", "",
			tree.Command{Op: tree.OpCompareAndSwap, PrevIndex: 7}},
		"in order": {methodPost, "prevExist=true&prevIndex=3&refresh=1&ttl=1", "",
			tree.Command{Op: tree.OpCreateInOrder, Expires: at + 1e9}},
		"delete": {methodDelete, "prevExist=true&dir=1&recursive=1", "value=ignored",
			tree.Command{Op: tree.OpDelete, Dir: true, Recursive: true}},
		"compare and delete": {methodDelete, "prevIndex=18446744073709551615&prevValue=x", "",
			tree.Command{Op: tree.OpCompareAndDelete, PrevIndex: math.MaxUint64, PrevValue: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parseKey(c.method, c.query, c.body)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Key, c.want.Now = "/k", at
			got, want := fmt.Sprintf("%+v", r.cmd), fmt.Sprintf("%+v", c.want)
			if r.kind != kindWrite || got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestReadsAndWatches(t *testing.T) {
	read := func(q tree.Query) request {
		q.Key = "/k"
		return request{kind: kindRead, recursive: q.Recursive, query: q}
	}
	watch := func(w watchRequest) request { return request{kind: kindWatch, watch: w} }
	for name, c := range map[string]struct {
		method method
		query  string
		want   request
	}{
		"plain":                     {methodGet, "", read(tree.Query{})},
		"as stock clients ask":      {methodGet, "quorum=false&recursive=false&sorted=false", read(tree.Query{})},
		"everything":                {methodGet, "quorum=1&recursive=T&sorted=True", read(tree.Query{Recursive: true, Sorted: true, Quorum: true})},
		"HEAD has no quorum":        {methodHead, "quorum=true&recursive=t", read(tree.Query{Recursive: true})},
		"how up to date":            {methodGet, "minIndex=9&maxStale=1.5s", read(tree.Query{MinIndex: 9, MaxStale: 1500 * time.Millisecond})},
		"maxStale in seconds":       {methodHead, "maxStale=60", read(tree.Query{MaxStale: time.Minute})},
		"maxStale=0 is a quorum":    {methodHead, "maxStale=0", read(tree.Query{Quorum: true})},
		"quorum counts before wait": {methodGet, "quorum=true&wait=true", read(tree.Query{Quorum: true})},
		"stream alone is nothing":   {methodGet, "stream=true&waitIndex=9", read(tree.Query{})},
		"wait":                      {methodGet, "wait=true", watch(watchRequest{})},
		"wait with everything":      {methodGet, "wait=true&recursive=true&stream=TRUE&waitIndex=007", request{kind: kindWatch, recursive: true, watch: watchRequest{stream: true, since: 7}}},
		"wait ignores sorted, dir":  {methodGet, "wait=t&sorted=true&dir=true", watch(watchRequest{})},
		"a page": {methodGet, "limit=10&after=/k/a&atIndex=9&depth=1&keysOnly=true", read(tree.Query{Page: tree.Page{
			Limit: 10, After: "/k/a", At: 9, Depth: 1, KeysOnly: true}})},
		"what is below and hidden takes the permission for all below": {methodGet, "depth=2&count=true&showHidden=1", request{kind: kindRead, recursive: true,
			query: tree.Query{Key: "/k", Page: tree.Page{Depth: 2, Count: true, Hidden: true}}}},
		"a bounded wait":               {methodGet, "wait=true&waitMax=90&heartbeat=2.5s&waitIndex=8", watch(watchRequest{since: 8, wait: 90 * time.Second, heartbeat: 2500 * time.Millisecond})},
		"prefixes":                     {methodGet, "wait=true&prefix=/k/b&prefix=/k/a/&prefix=/k&prefix=/k/b", watch(watchRequest{prefixes: []string{"/k/b", "/k/b", "/k", "/k/a/"}})},
		"a read waits for nothing":     {methodGet, "waitMax=x&heartbeat=y&prefix=z", read(tree.Query{})},
		"a watch's pages mean nothing": {methodGet, "wait=true&limit=x&after=y&minIndex=x&maxStale=y", watch(watchRequest{})},
		"a watch has no pages":         {methodGet, "wait=true&showHidden=true&depth=2&limit=1", watch(watchRequest{})},
		"values of writes are legal":   {methodGet, "ttl=5&prevIndex=1&value=x&prevValue=y&prevExist=true", read(tree.Query{})},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseKey(c.method, c.query, "")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", c.want); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestBodiesCountByTheirType(t *testing.T) {
	for name, c := range map[string]struct {
		kind, value, err string
	}{
		"form":                    {kind: formType, value: "v"},
		"form in capitals":        {kind: "Application/X-WWW-Form-URLencoded", value: "v"},
		"form with a charset":     {kind: formType + "; charset=utf-8", value: "v"},
		"none":                    {kind: ""},
		"json":                    {kind: "application/json"},
		"multipart":               {kind: "multipart/form-data; boundary=x"},
		"no media type":           {kind: ";", err: "mime: no media type"},
		"broken parameter":        {kind: formType + "; charset", err: "mime: invalid media parameter"},
		"broken parameter, other": {kind: "text/plain; =", err: "mime: invalid media parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			var r request
			err := r.parse(new(params), &input{
				method: methodPut, key: "/k", contentType: []byte(c.kind), body: []byte("value=v"), bodyLimit: 7, now: noon,
			})
			switch {
			case c.err == "" && err != nil:
				t.Fatal(err)
			case c.err != "" && (err == nil || err.Code != tree.CodeInvalidForm || err.Cause != c.err):
				t.Fatalf("got %v want %s", err, c.err)
			case string(r.cmd.Value) != c.value:
				t.Errorf("value: got %q want %q", r.cmd.Value, c.value)
			}
		})
	}
}

func TestBodyLimitCountsTheWholeForm(t *testing.T) {
	var r request
	in := input{method: methodPut, key: "/k", contentType: []byte(formType), body: []byte("value=v"), bodyLimit: 6, now: noon}
	err := r.parse(new(params), &in)
	if err == nil || err.Code != tree.CodeInvalidForm || err.Cause != "http: POST too large" {
		t.Errorf("got %v want 210 http: POST too large", err)
	}
}

// FuzzQuery holds the reading of a query against Go's.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"wait=true&waitIndex=7", "a=%zz&b;c", "value=%00+%2B", "%76alue=x&value=y", "recursive&&=&sorted", "prevValue=%a", "prefix=/a&prefix=%2Fb&wait=1&prefix=/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if strings.Count(query, "&") >= 10000 {
			return // Go counts parameters since 1.26
		}
		want, wantErr := url.ParseQuery(query)
		var p params
		comparePairs(t, &p, want, p.scan([]byte(query)), wantErr)
	})
}

// FuzzForm holds the reading of a whole request against net/http's, and then
// lets parse make sense of it.
func FuzzForm(f *testing.F) {
	f.Add(uint8(methodPut), "prevExist=true", formType, "value=v&ttl=5")
	f.Add(uint8(methodPost), "", formType+"; charset=utf-8", "value=%zz")
	f.Add(uint8(methodDelete), "prevValue=a;b", "", "value=v")
	f.Add(uint8(methodGet), "wait=true&stream=1&recursive=t", ";", "")
	f.Add(uint8(methodPut), "refresh=true&ttl=99999999999", "text/plain; =", "x")
	f.Fuzz(func(t *testing.T, m uint8, query, kind, body string) {
		if strings.Count(query, "&")+strings.Count(body, "&") >= 10000 {
			return
		}
		names := map[method]string{methodGet: "GET", methodHead: "HEAD", methodPut: "PUT", methodPost: "POST", methodDelete: "DELETE"}
		name, ok := names[method(m)]
		if !ok {
			return
		}
		oracle := http.Request{
			Method: name,
			URL:    &url.URL{RawQuery: query},
			Header: http.Header{"Content-Type": {kind}},
			Body:   http.NoBody,
		}
		if body != "" {
			oracle.Body = readCloser{strings.NewReader(body)}
		}
		wantErr := oracle.ParseForm()
		in := func() *input {
			return &input{
				method: method(m), key: "/k", query: []byte(query), contentType: []byte(kind),
				body: []byte(body), bodyLimit: 10 << 20, now: noon,
			}
		}
		var p params
		comparePairs(t, &p, oracle.Form, p.read(in()), wantErr)

		var r request
		if err := r.parse(new(params), in()); err != nil {
			if err.Code.Message() == "" || err.Cause == "" || err.Index != 0 {
				t.Fatalf("not an answer of v2: %v", err)
			}
			return
		}
		if r.kind == 0 || r.kind == kindWrite && (r.cmd.Op == 0 || r.cmd.Expires < 0) {
			t.Fatalf("half a request: %+v", r)
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func comparePairs(t *testing.T, got *params, want url.Values, gotErr, wantErr error) {
	t.Helper()
	if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
		t.Fatalf("error: got %v want %v", gotErr, wantErr)
	}
	if wantErr != nil {
		return // what else was sent makes no difference
	}
	more := []string{}
	for p := got[paramPrefix].next; p != nil; p = p.next {
		more = append(more, string(p.text))
	}
	slices.Reverse(more)
	if all := want["prefix"]; len(all) > 1 && !slices.Equal(more, all[1:min(len(all), prefixLimit+1)]) || len(all) < 2 && len(more) > 0 {
		t.Fatalf("prefix: got %q more, want %q", more, all)
	}
	for id, name := range paramNames {
		if got[id].given != want.Has(name) || string(got[id].text) != want.Get(name) {
			t.Fatalf("%s: got %q (%v) want %q (%v)", name, got[id].text, got[id].given, want[name], want.Has(name))
		}
	}
}
