package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"copse/bench/v2api"
)

// counts are a server's metrics by name, each summed over its labels, without the
// buckets of histograms.
type counts map[string]float64

// scrape reads the metrics of some servers and adds them up.
func scrape(addresses ...string) (counts, error) {
	all := counts{}
	client := v2api.NewClient(nil, answerLimit)
	for _, address := range addresses {
		resp, err := client.Get("http://" + address + "/metrics")
		if err != nil {
			return nil, err
		}
		err = all.read(bufio.NewScanner(resp.Body))
		resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("/metrics answers %d", resp.StatusCode)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c counts) read(lines *bufio.Scanner) error {
	for lines.Scan() {
		line := lines.Text()
		end := strings.LastIndexByte(line, ' ')
		if line == "" || line[0] == '#' || end < 0 {
			continue
		}
		name, _, _ := strings.Cut(line[:end], "{")
		if strings.HasSuffix(name, "_bucket") {
			continue
		}
		v, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			return fmt.Errorf("metric %q: %w", line, err)
		}
		c[name] += v
	}
	return lines.Err()
}

// since is the difference to an earlier scrape.
func (c counts) since(before counts) counts {
	d := counts{}
	for name, v := range c {
		d[name] = v - before[name]
	}
	return d
}

// mean is the mean of a histogram's observations, 0 if there are none.
func (c counts) mean(histogram string) float64 {
	if n := c[histogram+"_count"]; n > 0 {
		return c[histogram+"_sum"] / n
	}
	return 0
}
