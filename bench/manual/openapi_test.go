package manual

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

const openAPIFile = "../../httpfront/openapi.yaml"

func described(t *testing.T) validator.Validator {
	t.Helper()
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	t.Cleanup(v.Release)
	return v
}

func TestTheFileIsOpenAPI(t *testing.T) {
	if ok, errs := described(t).ValidateDocument(); !ok {
		for _, err := range errs {
			t.Errorf("%v", err)
		}
	}
}

// checkCalls holds requests and answers against the file. A request that is refused needn't
// be a good one.
func checkCalls(t *testing.T, p *tap) {
	t.Helper()
	v := described(t)
	if len(p.calls) < 50 {
		t.Errorf("%d calls were seen", len(p.calls))
	}
	for _, c := range p.calls {
		if c.request.Method == http.MethodOptions {
			continue
		}
		c.request.URL.Host = clients
		flatten(c.request)
		what := c.request.Method + " " + c.request.RequestURI
		if c.response.StatusCode < 300 {
			if !strings.HasPrefix(c.request.URL.Path, "/v2/keys") { // JSON, whatever curl calls it
				c.request.Header.Set("Content-Type", "application/json")
			}
			c.request.Body = io.NopCloser(bytes.NewReader(c.form))
			if _, errs := v.ValidateHttpRequestSync(c.request); len(errs) > 0 {
				t.Errorf("%s: %v", what, errs)
			}
		}
		for _, body := range bodies(&c) {
			c.response.Body = io.NopCloser(bytes.NewReader(body))
			if _, errs := v.ValidateHttpResponse(c.request, c.response); len(errs) > 0 {
				t.Errorf("%s: %d %s: %v", what, c.response.StatusCode, body, errs)
			}
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
