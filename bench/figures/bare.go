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

// bareName is the name of the bare handler in tables.
const bareName = "bare fasthttp"

// serveBare is the upper limit for reads: fasthttp with a handler that always gives
// the same answer. Header lines and body are those of the sample on standard input.
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
