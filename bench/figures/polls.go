package main

import (
	"fmt"
	"net/http"
	"strings"
)

// What clients poll that watch nothing, such as confd and conftool: a tree that hardly ever changes.
const (
	polledDir   = "/bench/pools"
	polledFiles = 10_000
	polledValue = `{"weight": 10, "pooled": "yes"}`
)

// fillPolled writes the tree, unless it is there.
func fillPolled(t *target) error {
	w, err := dial(t.address)
	if err != nil {
		return err
	}
	defer w.close()
	if status, _, err := w.get(polledDir); err != nil || status == http.StatusOK {
		return err
	}
	return fill(t.address, polledDir, polledValue, 0, polledFiles, 25)
}

// polls reads the tree again and again, as a client does that sends back the tag of what it has. etcd
// has no tags, and sends the tree each time.
func polls(address string) source {
	condition := ""
	if answer, err := http.Get("http://" + address + "/v2/keys" + polledDir + "?recursive=true"); err == nil {
		_ = answer.Body.Close()
		if tag := answer.Header.Get("ETag"); tag != "" {
			condition = "If-None-Match: " + tag + "\r\n"
		}
	}
	return reads(address, polledDir+"?recursive=true", condition)
}

// accepting reads as most clients do, which say that they accept gzip.
func accepting(target string) func(string) source {
	return func(address string) source { return reads(address, target, "Accept-Encoding: gzip\r\n") }
}

// reads sends one request with a header.
func reads(address, target, header string) source {
	return &prepared{
		requests: [][]byte{fmt.Appendf(nil, "GET /v2/keys%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, address, header)},
		pick:     func(int, int64) int { return 0 },
		codes:    []int{http.StatusOK, http.StatusNotModified},
	}
}

// textKey holds 64 KiB of a configuration.
const textKey = "/bench/text"

func fillText(t *target) error {
	var text strings.Builder
	for i := 0; text.Len() < 64<<10; i++ {
		fmt.Fprintf(&text, "server backend-%d 10.%d.%d.%d:8080 weight %d check inter %ds\n", i, i%3, i*7919%251, i*104729%253, i*31%90, i%7+1)
	}
	w, err := dial(t.address)
	if err != nil {
		return err
	}
	defer w.close()
	return w.put(textKey+"?noValueOnSuccess=true", text.String())
}
