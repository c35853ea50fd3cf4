package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/valyala/fasthttp"
)

// bareName is how the bare handler is called in tables.
const bareName = "bare fasthttp"

// serveBare is the limit for reads: fasthttp with a handler that knows the one
// answer beforehand. It has the same header lines as the sample, which comes on
// standard input, and the same body.
func serveBare() error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var sample fasthttp.Response
	if err := sample.Read(bufio.NewReader(bytes.NewReader(text))); err != nil {
		return fmt.Errorf("the sample: %w", err)
	}
	type line struct{ name, value []byte }
	var lines []line
	for name, value := range sample.Header.All() {
		switch string(name) {
		case "Content-Length", "Content-Type", "Date", "Server":
		default:
			lines = append(lines, line{bytes.Clone(name), bytes.Clone(value)})
		}
	}
	contentType, body := sample.Header.ContentType(), sample.Body()
	server := fasthttp.Server{
		NoDefaultServerHeader: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			h := &ctx.Response.Header
			h.SetContentTypeBytes(contentType)
			for _, l := range lines {
				h.SetCanonical(l.name, l.value)
			}
			ctx.Response.SetBodyRaw(body)
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	return server.Serve(l)
}
