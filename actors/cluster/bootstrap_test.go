package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"copse/actors/datadir"
	"copse/statemachine/tree"
)

// answering holds the answer of each peer, by URL; other peers don't answer.
func answering(notes map[string]any) Peers {
	p := Peers{Ask: func(_ context.Context, url string, kind uint8, _ []byte) ([]byte, error) {
		switch note := notes[url].(type) {
		case Note:
			if kind != CallNote {
				return nil, fmt.Errorf("kind %d", kind)
			}
			return json.Marshal(note)
		case string:
			return []byte(note), nil
		}
		return nil, errors.New("connection refused")
	}}
	for url := range notes {
		p.URLs = append(p.URLs, url)
	}
	return p
}

func TestPeersAreAskedAtOnceAndSomeAnswer(t *testing.T) {
	p := answering(map[string]any{"http://1": Note{ClusterID: 7}, "http://2": nil, "http://3": "not JSON"})
	notes, err := p.notes(t.Context())
	if len(notes) != 1 || notes[0].ClusterID != 7 {
		t.Errorf("got %+v", notes)
	}
	if err == nil || !strings.Contains(err.Error(), "http://2: connection refused") || !strings.Contains(err.Error(), "http://3: ") {
		t.Errorf("got %v", err)
	}
}

func TestASilentPeerIsNotWaitedForForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Peers{URLs: []string{"http://1"}, Ask: func(ctx context.Context, _ string, _ uint8, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		began := time.Now()
		if _, err := p.notes(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != peerLimit {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestAFreshMemberFindsItsCluster(t *testing.T) {
	const own = "http://own"
	self := tree.Member{ID: 11, PeerURLs: []string{own}}
	running := Note{ClusterID: 0xab, Generation: 3, Token: "t", Shards: 2, Founded: true, Members: []tree.Member{{ID: 5, Name: "b", PeerURLs: []string{"http://b"}}, self}}
	started := running
	started.Members = []tree.Member{{ID: 11, Name: "a", PeerURLs: []string{own}}}
	removed := running
	removed.Removed = []uint64{11}
	foreign := running
	foreign.ClusterID = 0xcd
	with := func(notes ...any) func(b *Bootstrap) {
		return func(b *Bootstrap) {
			byURL := map[string]any{}
			for i, n := range notes {
				byURL[fmt.Sprintf("http://%d", i)] = n
			}
			b.Peers = answering(byURL)
		}
	}
	joining := func(changes ...func(b *Bootstrap)) func(b *Bootstrap) {
		return func(b *Bootstrap) {
			b.Existing = true
			for _, change := range changes {
				change(b)
			}
		}
	}
	tests := map[string]struct {
		given func(b *Bootstrap)
		want  datadir.Identity // if its MemberID isn't 0
		cause error
		text  string
	}{
		"founder, alone":               {with(), datadir.Identity{ClusterID: 0xab, MemberID: 11, Shards: 2}, nil, ""},
		"founder, others aren't there": {with(nil, nil), datadir.Identity{ClusterID: 0xab, MemberID: 11, Shards: 2}, nil, ""},
		"founder, others are":          {with(running, nil), datadir.Identity{ClusterID: 0xab, MemberID: 11, Shards: 2}, nil, ""},
		"founder, of another cluster":  {with(foreign), datadir.Identity{}, datadir.ErrContradicted, "belongs to the cluster cd, but these settings describe ab"},
		"founder, other shards":        {withShards(with(running), 3), datadir.Identity{}, ErrShards, "--shards=3, another one with 2"},
		"founder, started before":      {with(nil, started), datadir.Identity{}, ErrStartedBefore, "DELETE /v2/members/b"},
		"founder, removed":             {with(removed), datadir.Identity{}, ErrStartedBefore, "was removed from the cluster"},
		"joins": {joining(with(nil, running)),
			datadir.Identity{ClusterID: 0xab, MemberID: 11, Generation: 3, Token: "t", Shards: 2, Marks: datadir.Marks{Joined: true, Learning: true}}, nil, ""},
		"joins, nobody to ask":    {joining(), datadir.Identity{}, datadir.ErrContradicted, "names no other member to ask"},
		"joins, started before":   {joining(with(started)), datadir.Identity{}, ErrStartedBefore, ""},
		"joins, other shards":     {joining(with(running), func(b *Bootstrap) { b.Shards = 3 }), datadir.Identity{}, ErrShards, "leave the flag out"},
		"joins, not on the list":  {joining(with(running), func(b *Bootstrap) { b.PeerURLs = []string{"http://new"} }), datadir.Identity{}, errUnlisted, `{"peerURLs":["http://new"]}`},
		"joins, not founded yet":  {joining(with(Note{ClusterID: 0xab, Members: []tree.Member{self}})), datadir.Identity{}, errUnlisted, ""},
		"joins, nobody ever says": {joining(with(nil)), datadir.Identity{}, context.DeadlineExceeded, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := Bootstrap{
					Wanted:   datadir.Identity{ClusterID: 0xab, MemberID: 11, Shards: 2},
					Founders: []tree.Member{self}, PeerURLs: []string{own}, Logger: slog.New(slog.DiscardHandler),
				}
				tt.given(&b)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				id, members, err := Identify(ctx, b)
				switch {
				case tt.want.MemberID != 0:
					if err != nil || id != tt.want || len(members) == 0 {
						t.Errorf("got %+v, %v, %v, want %+v", id, members, err, tt.want)
					}
				case err == nil || tt.cause != nil && !errors.Is(err, tt.cause) || !strings.Contains(err.Error(), tt.text):
					t.Errorf("got %v, want %v with %q", err, tt.cause, tt.text)
				}
			})
		})
	}
}

// withShards returns given with another number of shards.
func withShards(given func(b *Bootstrap), shards int) func(b *Bootstrap) {
	return func(b *Bootstrap) {
		given(b)
		b.Wanted.Shards = shards
	}
}
