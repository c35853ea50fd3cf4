package peerlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
)

// dial connects to a member, at the first of its addresses where that member answers. It
// begins with the address that worked last time.
func (l *Link) dial(ctx context.Context, member uint64, k kind) (*conn, error) {
	urls := slices.Clone(l.o.Book.urls(member))
	if len(urls) == 0 {
		return nil, fmt.Errorf("member %x: %w", member, errUnknown)
	}
	p := l.peer(member)
	var security *tls.Config
	if l.o.ClientTLS != nil {
		security = l.o.ClientTLS()
	}
	if i := slices.Index(urls, p.lastURL()); i > 0 {
		urls = slices.Insert(slices.Delete(urls, i, i+1), 0, p.lastURL())
	}
	// Closing the link ends every connection.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()

	h := hello{kind: k, cluster: l.o.Cluster, generation: l.o.Generation, from: l.o.Self, to: member}
	var failed []error
	for _, url := range urls {
		c, err := dialURL(ctx, url, security, h, l.timeouts)
		if err == nil {
			c.member, c.kind, c.url = member, k, url
			if err = l.add(c, 0); err == nil {
				c.greeted(p, l.now)
				p.setLastURL(url)
				return c, nil
			}
			c.close()
		}
		failed = append(failed, err)
		l.log.untrusted(member, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("member %x: %w", member, errors.Join(failed...))
}

// dialURL connects to one address and performs the handshake.
func dialURL(ctx context.Context, url string, config *tls.Config, h hello, p *timeouts) (_ *conn, err error) {
	a, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: p.dial, KeepAliveConfig: keepAlive()}
	if net.ParseIP(a.host) == nil {
		d.Timeout *= 2
	}
	raw, err := d.DialContext(ctx, "tcp", a.hostport)
	if err != nil {
		return nil, err
	}
	c := newConn(raw, p)
	defer func() {
		if err != nil {
			c.close()
			err = fmt.Errorf("%s: %w", url, err)
		}
	}()
	defer c.closeWith(ctx)()
	if a.tls {
		if err := c.dialTLS(ctx, a.host, config); err != nil {
			return nil, err
		}
	}
	if _, err := c.Write(h.append(nil)); err != nil {
		return nil, err
	}
	answer := make([]byte, answerSize)
	if _, err := io.ReadFull(c.r, answer); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // closeWith has closed the connection
			return nil, errNoMember
		}
		if errors.Is(err, io.EOF) {
			err = errors.New("it closed the connection during the handshake")
		}
		return nil, explain(err) // with TLS 1.3 it looks at this member's certificate last
	}
	return c, decodeAnswer(answer)
}

// dialTLS starts TLS with the host that was dialled.
func (c *conn) dialTLS(ctx context.Context, host string, config *tls.Config) error {
	if config == nil {
		return errors.New("its URL is https, but this member has no TLS configuration for peers")
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = host
	}
	if err := c.raw.SetDeadline(c.by); err != nil {
		return err
	}
	client := tls.Client(c.raw, config)
	if err := client.HandshakeContext(ctx); err != nil {
		if header := (tls.RecordHeaderError{}); errors.As(err, &header) {
			return NoTLS
		}
		return explain(err)
	}
	c.nc = client
	return nil
}

func (p *peer) lastURL() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.preferred
}

func (p *peer) setLastURL(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.preferred = url
}
