package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/lni/dragonboat/v4"
	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	sm "github.com/lni/dragonboat/v4/statemachine"

	"copse/actors/raftlog"
	"copse/bench/peer"
)

// raftName is the name of raw proposals in tables.
const raftName = "raw dragonboat"

// raftReading is printed by the child of runRaft.
type raftReading struct {
	Rate, CPU, P50, P99, P999, Memory float64
	Delays                            *hdrhistogram.Snapshot
}

// runRaft measures raw proposals in a separate process: the upper limit for
// writes. copse adds HTTP, batches and the store.
func runRaft(proposers int, warm, d time.Duration) (reading, error) {
	self, err := os.Executable()
	if err != nil {
		return reading{}, err
	}
	before, err := busyTime()
	if err != nil {
		return reading{}, err
	}
	cmd := exec.Command(self, "raft", strconv.Itoa(proposers), warm.String(), d.String())
	cmd.Stderr = os.Stderr
	begin := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return reading{}, err
	}
	after, err := busyTime()
	if err != nil {
		return reading{}, err
	}
	var r raftReading
	if err := json.Unmarshal(out, &r); err != nil {
		return reading{}, err
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return reading{
		rate: r.Rate, cpu: r.CPU, memory: r.Memory,
		others: max(0, (after-before-used).Seconds()/time.Since(begin).Seconds()),
		p50:    r.P50, p99: r.P99, p999: r.P999,
		delays: hdrhistogram.Import(r.Delays),
	}, nil
}

// raftShard is the one group.
const raftShard, raftReplica = 1, 1

// proposeRaw is the child: a number of goroutines, each with one proposal of
// valueSize bytes in flight.
func proposeRaw(proposers int, warm, d time.Duration) error {
	dir, err := os.MkdirTemp("", "raft-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	nh, err := startRaw(dir)
	if err != nil {
		return err
	}
	defer nh.Close()
	session := nh.GetNoOPSession(raftShard)
	value := make([]byte, valueSize)
	propose := func() error {
		rs, err := nh.Propose(session, value, 5*time.Second)
		if err != nil {
			return err
		}
		if r := <-rs.AppliedC(); !r.Completed() {
			return errors.New("a proposal failed")
		}
		rs.Release()
		return nil
	}
	for begin := time.Now(); propose() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			return errors.New("no leader")
		}
	}
	work := slices.Repeat([]func() error{propose}, proposers)
	if _, _, err := workFor(warm, work); err != nil {
		return err
	}
	before := ownTime()
	begin := time.Now()
	n, delays, err := workFor(d, work)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	used := usage{server: ownTime() - before}
	r := newReading(n, took, used, delays)
	memory, err := resident(os.Getpid())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(raftReading{
		Rate: r.rate, CPU: r.cpu, P50: r.p50, P99: r.p99, P999: r.p999, Memory: memory, Delays: delays.Export(),
	})
}

// workFor has each of the functions called again and again, on a goroutine of its own, and counts the calls.
func workFor(d time.Duration, work []func() error) (n int64, delays *hdrhistogram.Histogram, err error) {
	delays = newDelays()
	var mu sync.Mutex // guards the three results
	var working sync.WaitGroup
	end := now() + d
	for _, do := range work {
		working.Go(func() {
			own, count := newDelays(), int64(0)
			var failed error
			for at := now(); at < end && failed == nil; count++ {
				failed = do()
				after := now()
				_ = own.RecordValue(max(min(int64(after-at), delayHighest), delayLowest)) // it is within the limits
				at = after
			}
			mu.Lock()
			defer mu.Unlock()
			n += count
			delays.Merge(own)
			err = errors.Join(err, failed)
		})
	}
	working.Wait()
	return n, delays, err
}

// startRaw starts dragonboat the way that copse's package actors/raft does for one
// member with one shard.
func startRaw(dir string) (*dragonboat.NodeHost, error) {
	for _, name := range []string{"dragonboat", "raft", "rsm", "transport", "logdb", "config", "grpc", "raftpb", "settings", "order", "server", "tests"} {
		logger.GetLogger(name).SetLevel(logger.ERROR)
	}
	l, err := peer.FreePort()
	if err != nil {
		return nil, err
	}
	logdb := raft.GetTinyMemLogDBConfig()
	logdb.Shards = 1
	raftDir := filepath.Join(dir, "raft")
	log := raftlog.New(raftlog.Options{Fatal: func(err error) { panic(err) }, Logger: slog.New(slog.DiscardHandler)})
	nh, err := dragonboat.NewNodeHost(raft.NodeHostConfig{
		NodeHostDir:    raftDir,
		RTTMillisecond: 5,
		RaftAddress:    l,
		Expert: raft.ExpertConfig{
			Engine: raft.EngineConfig{ExecShards: 1, CommitShards: 1, ApplyShards: 2, SnapshotShards: 4, CloseShards: 2},
			LogDB:  logdb,

			LogDBFactory: log,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("start raw dragonboat: %w", err)
	}
	create := func(uint64, uint64) sm.IOnDiskStateMachine { return &idleMachine{} }
	err = nh.StartOnDiskReplica(map[uint64]string{raftReplica: l}, false, create, raft.Config{
		ReplicaID: raftReplica, ShardID: raftShard,
		CheckQuorum: true, PreVote: true, OrderedConfigChange: true,
		HeartbeatRTT: 1, ElectionRTT: 10,
		MaxInMemLogSize: 64 << 20,
	})
	if err != nil {
		nh.Close()
		return nil, fmt.Errorf("start raw dragonboat: %w", err)
	}
	return nh, nil
}

// idleMachine applies nothing.
type idleMachine struct{}

func (*idleMachine) Open(<-chan struct{}) (uint64, error)          { return 0, nil }
func (*idleMachine) Update(entries []sm.Entry) ([]sm.Entry, error) { return entries, nil }
func (*idleMachine) Lookup(any) (any, error)                       { return nil, errors.ErrUnsupported }
func (*idleMachine) Sync() error                                   { return nil }
func (*idleMachine) PrepareSnapshot() (any, error)                 { return nil, nil }
func (*idleMachine) SaveSnapshot(_ any, w io.Writer, _ <-chan struct{}) error {
	b := bufio.NewWriter(w)
	_ = b.WriteByte(1) // Flush tells
	return b.Flush()
}
func (*idleMachine) RecoverFromSnapshot(io.Reader, <-chan struct{}) error {
	return errors.ErrUnsupported
}
func (*idleMachine) Close() error { return nil }
