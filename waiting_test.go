package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"copse/statemachine/metric/metrictest"
)

// newcomer are the arguments of a member that joins p's cluster.
func newcomer(t *testing.T, p *program) (peer, client, operations string, args []string) {
	t.Helper()
	peer, client, operations = "http://"+freeAddress(t), "http://"+freeAddress(t), "http://"+freeAddress(t)
	return peer, client, operations, []string{
		"--name=late", "--data-dir=" + t.TempDir(), "--listen-metrics-urls=" + operations,
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + p.args[len(p.args)-1] + ",late=" + peer, "--initial-cluster-state=existing",
	}
}

// A member that nobody has let in yet is no reason to kill it, nor to send clients.
func TestAMemberThatWaitsToBeLetInIsAliveAndNotReady(t *testing.T) {
	founder := start(t, t.TempDir())
	peer, address, operations, args := newcomer(t, founder)
	c := client(t)
	resp, err := c.Post(founder.client+"/v2/members", "application/json", strings.NewReader(`{"peerURLs":["`+peer+`"]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("adding the member: %s", resp.Status)
	}
	founder.stop()

	p := launchProcess(t, address, args) // there is nobody to let it in
	eventually(t, "it answers", func() bool {
		resp, err := c.Get(operations + "/livez")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if code, body := fetch(t, c, operations+"/readyz"); code != 503 || !strings.Contains(body, "[-]started failed: the member waits to be let into the cluster\n") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if code, body := fetch(t, c, operations+"/health"); code != 503 {
		t.Errorf("/health: %d %s", code, body)
	}
	code, text := fetch(t, c, operations+"/metrics")
	if s, err := metrictest.Parse([]byte(text)); err != nil || code != 200 || s["copse_build_info"] == nil {
		t.Errorf("/metrics: %d, %v", code, err)
	}
	p.signal(syscall.SIGHUP)
	p.await("SIGHUP: there are no certificates")

	founder = restart(t, founder.client, founder.args)
	p.await("ready to serve")
	if code, body := fetch(t, c, operations+"/readyz?verbose"); code != 200 {
		t.Errorf("/readyz: %d %s", code, body)
	}

	// It is removed again, and has no place from then on, however often it starts.
	_, list := founder.do(c, "GET", "/v2/members", nil)
	if at := strings.Index(list, `","name":"late"`); at < 16 {
		t.Fatalf("members: %s", list)
	} else if status, body := founder.do(c, "DELETE", "/v2/members/"+list[strings.LastIndex(list[:at], `"`)+1:at], nil); status != http.StatusNoContent {
		t.Fatalf("removing the member: %d %s", status, body)
	}
	p.ends("copse has stopped for good")
	launchProcess(t, address, args).ends("copse has stopped for good")
	c.CloseIdleConnections()
	founder.stop()
}

func TestAMemberThatWaitsToBeLetInCanBeStopped(t *testing.T) {
	_, founder := arguments(t, t.TempDir())
	_, address, operations, args := newcomer(t, &program{args: founder})
	p := launchProcess(t, address, args)
	c := client(t)
	eventually(t, "it answers", func() bool {
		resp, err := c.Get(operations + "/livez")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	p.stop()
	if text := p.log.String(); !strings.Contains(text, "copse has stopped") || strings.Contains(text, "ERROR") {
		t.Errorf("it says:\n%s", text)
	}
}
