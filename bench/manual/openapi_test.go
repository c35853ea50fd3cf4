package manual

import (
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
