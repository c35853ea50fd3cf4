package stores

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsEnv makes this program a server of NATS: "port dir". See ServeNATS.
const natsEnv = "COPSE_BENCH_NATS"

func startNATS() (*Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return run(func(dir string, port int) *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", natsEnv, port, dir))
		return cmd
	})
}

// ServeNATS serves NATS, and returns true, if this process was started for that: main has to call it
// first. It ends at SIGTERM.
func ServeNATS() (served bool, err error) {
	plan := os.Getenv(natsEnv)
	if plan == "" {
		return false, nil
	}
	var port int
	var dir string
	if _, err := fmt.Sscan(plan, &port, &dir); err != nil {
		return true, err
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
	})
	if err != nil {
		return true, err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go s.Start()
	if !s.ReadyForConnections(startLimit) {
		return true, errors.New("NATS isn't ready")
	}
	<-stop
	s.Shutdown()
	return true, nil
}

// bucket is a connection to a bucket of keys.
type bucket struct {
	conn *nats.Conn
	kv   jetstream.KeyValue
}

const bucketName = "bench"

func dialNATS(address string) (Client, error) {
	conn, err := nats.Connect("nats://"+address, nats.Timeout(answerLimit))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucketName, Storage: jetstream.FileStorage})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &bucket{conn, kv}, nil
}

func (b *bucket) Put(key string, value []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	_, err := b.kv.Put(ctx, key, value)
	return err
}

func (b *bucket) Get(key string) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	_, err := b.kv.Get(ctx, key)
	return err
}

func (b *bucket) Close() { b.conn.Close() }
