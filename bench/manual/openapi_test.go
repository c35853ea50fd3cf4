package manual

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

const openAPIFile = "../../httpfront/openapi.yaml"

// described reads the file, which has to be OpenAPI.
func described(t *testing.T) routers.Router {
	t.Helper()
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context(), openapi3.EnableMultiError(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// Of these the file says no more than that they are text.
func init() {
	for _, kind := range []string{"text/event-stream", "application/yaml"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.PlainBodyDecoder)
	}
}

func TestTheFileIsOpenAPI(t *testing.T) { described(t) }

// strictly holds a request or an answer against all that the file says.
var strictly = &openapi3filter.Options{
	MultiError: true, IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true,
	AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // whom copse lets in is tested elsewhere
}

// checkCalls holds requests and answers against the file. A request that is refused needn't
// be a good one.
func checkCalls(t *testing.T, p *tap) {
	t.Helper()
	router := described(t)
	if len(p.calls) < 50 {
		t.Errorf("%d calls were seen", len(p.calls))
	}
	for _, c := range p.calls {
		if c.request.Method == http.MethodOptions {
			continue
		}
		what := c.request.Method + " " + c.request.RequestURI
		for _, err := range check(t, router, &c) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// check returns in what a call isn't as the file says.
func check(t *testing.T, router routers.Router, c *call) []error {
	t.Helper()
	c.request.URL.Scheme, c.request.URL.Host = "http", clients
	flatten(c.request)
	route, params, err := router.FindRoute(c.request)
	if err != nil {
		return []error{err}
	}
	var errs []error
	request := &openapi3filter.RequestValidationInput{Request: c.request, PathParams: params, Route: route, Options: strictly}
	if c.response.StatusCode < 300 {
		if !strings.HasPrefix(c.request.URL.Path, "/v2/keys") { // JSON, whatever curl calls it
			c.request.Header.Set("Content-Type", "application/json")
		}
		c.request.Body = io.NopCloser(bytes.NewReader(c.form))
		if err := openapi3filter.ValidateRequest(t.Context(), request); err != nil {
			errs = append(errs, err)
		}
	}
	for _, body := range bodies(c) {
		answer := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: request, Options: strictly,
			Status: c.response.StatusCode, Header: c.response.Header, Body: io.NopCloser(bytes.NewReader(body)),
		}
		if err := openapi3filter.ValidateResponse(t.Context(), answer); err != nil {
			errs = append(errs, fmt.Errorf("%d %s: %w", c.response.StatusCode, body, err))
		}
	}
	return errs
}

// TestWhatIsNotDescribedIsNoticed shows that checkCalls can fail.
func TestWhatIsNotDescribedIsNoticed(t *testing.T) {
	router := described(t)
	const good = `{"action":"get","node":{"key":"/x","value":"v","modifiedIndex":4,"createdIndex":4}}`
	for _, c := range []struct {
		what, target, form string
		status             int
		answer             string
	}{
		{"", "GET /v2/keys/x?wait=true", "", 200, good},
		{"", "PUT /v2/keys/x", "value=v&ttl=3", 201, good},
		{"a path", "GET /v2/nothing", "", 200, "{}"},
		{"a parameter's value", "GET /v2/keys/x?wait=maybe", "", 200, good},
		{"a number below its least", "GET /v2/keys/x?limit=0", "", 200, good},
		{"a field of a form", "PUT /v2/keys/x", "value=v&ttl=soon", 201, good},
		{"a status", "GET /v2/keys/x", "", 299, good},
		{"an action", "GET /v2/keys/x", "", 200, strings.Replace(good, "get", "got", 1)},
		{"a value's type", "GET /v2/keys/x", "", 200, strings.Replace(good, `"v"`, "3", 1)},
		{"a member of an object", "GET /v2/keys/x", "", 200, strings.Replace(good, "value", "valve", 1)},
	} {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(c.target + " HTTP/1.1\r\nHost: copse\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Content-Type": {"application/json"}}
		for _, name := range []string{"X-Etcd-Cluster-Id", "X-Etcd-Index", "X-Raft-Index", "X-Raft-Term"} {
			header.Set(name, "7")
		}
		response := &http.Response{StatusCode: c.status, Header: header}
		errs := check(t, router, &call{request: request, form: []byte(c.form), response: response, body: []byte(c.answer)})
		if noticed := len(errs) > 0; noticed != (c.what != "") {
			t.Errorf("%q in %s %q, %d %s: %v", c.what, c.target, c.form, c.status, c.answer, errs)
		}
	}
}

// flatten makes one name of a key: a path parameter of OpenAPI 3.1 has no slashes.
func flatten(r *http.Request) {
	const keys = "/v2/keys/"
	if key, ok := strings.CutPrefix(r.URL.Path, keys); ok {
		r.URL.Path, r.URL.RawPath = strings.TrimSuffix(keys+strings.ReplaceAll(key, "/", "-"), "/"), ""
	}
}

// bodies are the JSON values of an answer: of a stream there are several.
func bodies(c *call) [][]byte {
	if !c.request.URL.Query().Has("stream") {
		return [][]byte{c.body}
	}
	return slices.Collect(bytes.Lines(c.body))
}
