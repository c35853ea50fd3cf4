package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"copse/bench/peer"
)

// txnPuts is how many keys are written together.
const txnPuts = 10

// transactions measures the writing of ten keys, by PUTs and, where the server knows that, in one transaction:
// how long it takes on one connection, and how many keys a second get written on many.
func transactions(o options, s *peer.Server, r *results) error {
	value := strings.Repeat("v", o.value)
	ways := []struct {
		name  string
		write func(w *wire, group int) error
	}{{"PUTs, one after the other", func(w *wire, group int) error {
		for i := range txnPuts {
			if err := w.put(txnKey(group, i), value); err != nil {
				return err
			}
		}
		return nil
	}}}
	if s.Kind.IsCopse() {
		ways = append(ways, struct {
			name  string
			write func(w *wire, group int) error
		}{"one transaction", func(w *wire, group int) error { return w.txn(group, value) }})
	}
	for _, way := range ways {
		w, err := dial(s.Address)
		if err != nil {
			return err
		}
		defer w.close()
		for round := range o.rounds {
			begin := time.Now()
			if err := way.write(w, round); err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			r.add(fmt.Sprintf("%d keys by %s, 1 connection", txnPuts, way.name), millis, time.Since(begin).Seconds())
		}
		begin := time.Now()
		if err := spread(s.Address, o.writers, o.n/txnPuts, way.write); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		r.add(fmt.Sprintf("keys written by %s, %d connections", way.name, o.writers), rate, float64(o.n/txnPuts*txnPuts)/time.Since(begin).Seconds())
	}
	return nil
}

func txnKey(group, i int) string { return fmt.Sprintf("/txn/g%03d/k%d", group%perDirectory, i) }

// txn sets the keys of a group in one transaction; the value must need no escapes.
func (w *wire) txn(group int, value string) error {
	var ops []string
	for i := range txnPuts {
		ops = append(ops, fmt.Sprintf(`{"op":"set","key":%q,"value":%q}`, txnKey(group, i), value))
	}
	body := `{"ops":[` + strings.Join(ops, ",") + `]}`
	w.out = fmt.Appendf(w.out[:0], "POST /v2/copse/txn HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", w.host, len(body), body)
	status, text, err := w.ask()
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("a transaction: status %d: %s", status, text)
	}
	return err
}
