package stores

import (
	"context"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// answerLimit is how long one request may take.
const answerLimit = 10 * time.Second

// v2 is a connection to a server of the v2 API.
type v2 struct {
	http     fasthttp.HostClient
	url      string
	request  fasthttp.Request
	response fasthttp.Response
}

func dialV2(address string) (Client, error) {
	return &v2{http: fasthttp.HostClient{Addr: address, MaxConns: 1}, url: "http://" + address + "/v2/keys/"}, nil
}

func (c *v2) Put(key string, value []byte) error {
	c.request.Header.SetMethod(fasthttp.MethodPut)
	c.request.Header.SetContentType("application/x-www-form-urlencoded")
	c.request.SetBodyString("value=" + string(value)) // which needs no escapes here
	return c.do(key)
}

func (c *v2) Get(key string) error {
	c.request.Reset()
	return c.do(key)
}

func (c *v2) do(key string) error {
	c.request.SetRequestURI(c.url + key)
	if err := c.http.DoTimeout(&c.request, &c.response, answerLimit); err != nil {
		return err
	}
	if code := c.response.StatusCode(); code != fasthttp.StatusOK && code != fasthttp.StatusCreated {
		return fmt.Errorf("%s: %d: %s", key, code, c.response.Body())
	}
	return nil
}

func (c *v2) Close() { c.http.CloseIdleConnections() }

// v3 is a connection to etcd's v3 API.
type v3 struct{ *clientv3.Client }

func dialV3(address string) (Client, error) {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: answerLimit, Logger: zap.NewNop()})
	return v3{c}, err
}

func (c v3) Put(key string, value []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	_, err := c.Client.Put(ctx, key, string(value))
	return err
}

// Get asks for no quorum, as the others don't.
func (c v3) Get(key string) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	r, err := c.Client.Get(ctx, key, clientv3.WithSerializable())
	if err == nil && len(r.Kvs) != 1 {
		err = fmt.Errorf("%s has %d values", key, len(r.Kvs))
	}
	return err
}

func (c v3) Close() { _ = c.Client.Close() }
