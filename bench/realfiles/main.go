package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// options of one run.
type options struct {
	endpoint  string
	from      []string
	to        string
	limit     int
	sizeLimit int64
	writers   int
	disturb   int // one in so many loaded keys is changed while watched
	etcd      bool
}

func main() {
	var o options
	var from string
	flag.StringVar(&o.endpoint, "endpoint", "http://127.0.0.1:2379", "the server's client URL")
	flag.StringVar(&from, "from", "/usr/share,/etc", "directories to take files from")
	flag.StringVar(&o.to, "to", "/files", "key to load them below; it must not exist. / is the whole tree, which must be empty")
	flag.IntVar(&o.limit, "limit", 20_000, "most files to load, shared evenly among the directories")
	flag.Int64Var(&o.sizeLimit, "size-limit", 256<<10, "leave larger files out")
	flag.IntVar(&o.writers, "writers", 16, "concurrent connections")
	flag.IntVar(&o.disturb, "disturb", 10, "change one in so many keys after the load")
	flag.BoolVar(&o.etcd, "etcd", false, "the server is etcd, which shows hidden keys in replayed history")
	flag.Parse()
	o.from = strings.Split(from, ",")
	differences, err := run(o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "realfiles:", err)
	}
	if err != nil || differences > 0 {
		os.Exit(1)
	}
}
