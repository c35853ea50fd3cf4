package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"copse/bench/peer"
)

// profiled are the workloads that go into the profile, copse's most common uses, each
// for the same time.
var profiled = []string{"get-64", "get-256", "pipelined", "quorum-64", "put-64", "put-256", "mixed-64", "swap-64", "list"}

// profileMargin is how much longer the load lasts than the profile.
const profileMargin = time.Second

// profile runs copse under load and writes a CPU profile for the compiler.
func profile(args []string) error {
	flags := flag.NewFlagSet("profile", flag.ContinueOnError)
	path := flags.String("o", "../default.pgo", "where to put the profile")
	d := flags.Duration("d", 8*time.Second, "how long to watch each workload")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "copse-profile")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	operations, err := peer.FreePort()
	if err != nil {
		return err
	}
	t, err := launchWith(string(peer.Copse), peer.Copse, peer.Options{Args: []string{"--enable-pprof", "--listen-metrics-urls", "http://" + operations}})
	if err != nil {
		return err
	}
	parts, err := profileParts(t, operations, dir, *d)
	if e := t.close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	merged, err := exec.Command("go", append([]string{"tool", "pprof", "-proto"}, parts...)...).Output()
	if err != nil {
		return fmt.Errorf("go tool pprof: %w", err)
	}
	return os.WriteFile(*path, merged, 0o644)
}

// profileParts profiles the server under each workload, and returns the files.
func profileParts(t *target, operations, dir string, d time.Duration) (parts []string, err error) {
	if err := fillBench(t.address, false); err != nil {
		return nil, err
	}
	o := requestOptions{warm: profileMargin, duration: d + profileMargin}
	for _, w := range workloads() {
		if !slices.Contains(profiled, w.short) {
			continue
		}
		part := filepath.Join(dir, w.short)
		parts = append(parts, part)
		watched := make(chan error, 1)
		go func() {
			time.Sleep(profileMargin)
			watched <- download(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", operations, d.Seconds()), part)
		}()
		r, err := runOne(o, w, t)
		if e := <-watched; err == nil {
			err = e
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		(&comparison{workload: w, readings: make(map[string][]reading)}).note(t.name, r)
	}
	return parts, nil
}

func download(url, path string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
