package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"copse/bench/peer"
)

// project is one of the compose files, running.
type project struct {
	t       *testing.T
	command []string // docker compose, as it is called here
	name    string
	env     []string
}

// composeUp runs a compose file on ports of its own, with the image under test.
func composeUp(t *testing.T, file string, env ...string) *project {
	t.Helper()
	needImage(t)
	p := &project{t: t, name: fmt.Sprintf("copse-test-%08x", rand.Uint32()), env: append(os.Environ(), env...)}
	p.env = append(p.env, "COPSE_IMAGE="+imageName)
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(command[0], append(command[1:], "version")...).Run() == nil {
			p.command = append(command, "-p", p.name, "-f", file)
		}
	}
	if p.command == nil {
		t.Fatal("neither docker compose nor docker-compose is here, though an engine is")
	}
	t.Cleanup(p.down)
	p.run(t.Context(), "up", "-d", "--no-build")
	return p
}

func (p *project) run(ctx context.Context, args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, dockerLimit)
	defer cancel()
	args = append(p.command[1:], args...)
	cmd := exec.CommandContext(ctx, p.command[0], args...)
	cmd.Env = p.env
	out, err := output(cmd)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// down takes away all that the project has made, volumes included.
func (p *project) down() {
	ctx := context.Background()
	if p.t.Failed() {
		p.t.Logf("end of the members' logs:\n%s", p.run(ctx, "logs", "--tail", "15"))
	}
	p.run(ctx, "down", "-v", "--timeout", "10")
}

// service is one service's container, a member.
type service struct {
	name, id, client string
}

func (p *project) service(name, client string) service {
	p.t.Helper()
	return service{name: name, id: p.run(p.t.Context(), "ps", "-q", name), client: client}
}

func (s service) Called() string { return s.name }
func (s service) Client() string { return s.client }

func (s service) Start() error {
	_, err := try(context.Background(), "docker", "start", s.id)
	return err
}

func (s service) Stop() error {
	ctx := context.Background()
	if _, err := try(ctx, "docker", "stop", "-t", fmt.Sprint(int(graceLimit/time.Second)), s.id); err != nil {
		return err
	}
	code, err := try(ctx, "docker", "inspect", "--format", "{{.State.ExitCode}}", s.id)
	if err == nil && code != "0" {
		err = fmt.Errorf("stop %s: exit code %s", s.name, code)
	}
	return err
}

// Ready asks as the image's health check does.
func (s service) Ready(ctx context.Context) error { return s.health(ctx) }

func (s service) health(ctx context.Context, more ...string) error {
	_, err := try(ctx, "docker", append([]string{"exec", s.id, "/copse", "health"}, more...)...)
	return err
}

// leads asks a member whether it leads.
func (s service) leads(t *testing.T) bool {
	t.Helper()
	c := &client{endpoints: [2]string{s.client, s.client}}
	defer c.close()
	a, err := c.attempt(t.Context(), http.MethodGet, "/v2/stats/self", nil)
	var self struct{ State string }
	return err == nil && json.Unmarshal([]byte(a.body), &self) == nil && self.State == "StateLeader"
}

func TestComposeOfOne(t *testing.T) {
	port := ports(t, 1)[0]
	p := composeUp(t, "../../deploy/compose.yaml", "COPSE_PORT="+port)
	s := p.service("copse", "127.0.0.1:"+port)
	awaitReady(t, s)
	put(t, s, "/v2/keys/k", "v")
	p.run(t.Context(), "restart", "copse")
	awaitReady(t, s)
	holds(t, s, "/v2/keys/k", "v")
}

// TestComposeOfThree does to a cluster of containers what happens to them: one is
// killed, one is cut off, and all are restarted in turn under load.
func TestComposeOfThree(t *testing.T) {
	port := ports(t, 3)
	p := composeUp(t, "../../deploy/compose.cluster.yaml", "COPSE_PORT_1="+port[0], "COPSE_PORT_2="+port[1], "COPSE_PORT_3="+port[2], "COPSE_SECRET="+secretFile(t))
	var members []service
	for i, port := range port {
		members = append(members, p.service(fmt.Sprintf("m%d", i+1), "127.0.0.1:"+port))
	}
	for _, m := range members {
		awaitReady(t, m)
	}

	// The others continue without a member that is killed, and it comes back.
	victim, others := apart(t, members)
	docker(t, "kill", victim.id)
	for _, m := range others {
		put(t, m, "/v2/keys/"+m.name, "without "+victim.name)
	}
	docker(t, "start", victim.id)
	awaitReady(t, victim)
	for _, m := range others {
		holds(t, victim, "/v2/keys/"+m.name, "without "+victim.name)
	}

	// One that is cut off is alive and not ready; with the network, it is.
	victim, others = apart(t, members)
	network := docker(t, "inspect", "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}", victim.id)
	docker(t, "network", "disconnect", network, victim.id)
	for _, m := range others {
		put(t, m, "/v2/keys/"+m.name, victim.name+" is cut off")
	}
	await(t, victim.name+"'s noticing", func() error {
		if victim.Ready(t.Context()) == nil {
			return errors.New("it is ready")
		}
		return nil
	})
	if err := victim.health(t.Context(), "--endpoint", "http://127.0.0.1:2381/livez"); err != nil {
		t.Errorf("without its network, a member isn't alive: %v", err)
	}
	docker(t, "network", "connect", "--alias", victim.name, network, victim.id)
	awaitReady(t, victim)
	for _, m := range others {
		holds(t, victim, "/v2/keys/"+m.name, victim.name+" is cut off")
	}

	rollingRestart(t, members, 1)
}

// apart separates the leader from the others.
func apart(t *testing.T, members []service) (leader service, others []service) {
	t.Helper()
	await(t, "a leader", func() error {
		others = nil
		for _, m := range members {
			if m.leads(t) {
				leader = m
			} else {
				others = append(others, m)
			}
		}
		if len(others) != len(members)-1 {
			return fmt.Errorf("%d members lead", len(members)-len(others))
		}
		return nil
	})
	return leader, others
}

// ports are free ports of this machine.
func ports(t *testing.T, n int) (list []string) {
	t.Helper()
	free, err := peer.FreePorts(rand.New(rand.NewPCG(rand.Uint64(), 0)), n)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range free {
		list = append(list, strings.TrimPrefix(address, "127.0.0.1:"))
	}
	return list
}
