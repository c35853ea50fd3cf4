package deploy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"copse/bench/peer"
	"copse/config/build"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// manifests are the objects in deploy/kubernetes.
type manifests struct {
	kustomization struct {
		APIVersion, Kind string
		Resources        []string
		Images           []struct{ Name, NewTag string }
	}
	set        apps.StatefulSet
	services   map[string]core.Service
	disruption policy.PodDisruptionBudget
}

// readManifests decodes them into Kubernetes' own types: a field that these don't
// have, or of another kind, ends the test.
func readManifests(t *testing.T) manifests {
	t.Helper()
	const dir = "../../deploy/kubernetes"
	m := manifests{services: map[string]core.Service{}}
	decode(t, filepath.Join(dir, "kustomization.yaml"), &m.kustomization)
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		listed = append(listed, filepath.Base(file))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(string(text), "\n---\n") {
			m.add(t, file, []byte(document))
		}
	}
	slices.Sort(m.kustomization.Resources)
	if !slices.Equal(listed, m.kustomization.Resources) {
		t.Errorf("the kustomization lists %v, there are %v", m.kustomization.Resources, listed)
	}
	return m
}

func (m *manifests) add(t *testing.T, file string, document []byte) {
	t.Helper()
	var what struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &what); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var err error
	switch what.APIVersion + " " + what.Kind {
	case "apps/v1 StatefulSet":
		err = yaml.UnmarshalStrict(document, &m.set)
	case "v1 Service":
		var s core.Service
		err = yaml.UnmarshalStrict(document, &s)
		m.services[s.Name] = s
	case "policy/v1 PodDisruptionBudget":
		err = yaml.UnmarshalStrict(document, &m.disruption)
	default:
		err = fmt.Errorf("unexpected %s of %s", what.Kind, what.APIVersion)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.UnmarshalStrict(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func TestManifestsFitTogether(t *testing.T) {
	m := readManifests(t)
	spec := m.set.Spec
	labels := spec.Template.Labels
	for name, s := range m.services {
		if !maps.Equal(s.Spec.Selector, labels) {
			t.Errorf("service %s selects %v, pods have %v", name, s.Spec.Selector, labels)
		}
	}
	if !maps.Equal(spec.Selector.MatchLabels, labels) || !maps.Equal(m.disruption.Spec.Selector.MatchLabels, labels) {
		t.Errorf("selectors %v and %v, pods have %v", spec.Selector.MatchLabels, m.disruption.Spec.Selector.MatchLabels, labels)
	}
	headless, ok := m.services[spec.ServiceName]
	if !ok || headless.Spec.ClusterIP != core.ClusterIPNone || !headless.Spec.PublishNotReadyAddresses {
		t.Errorf("the set's service %q is %+v", spec.ServiceName, headless.Spec)
	}
	if spec.PodManagementPolicy != apps.ParallelPodManagement {
		t.Error("a cluster is founded by all of its members at once, or not at all")
	}
	if n := m.disruption.Spec.MaxUnavailable.IntValue(); n != 1 {
		t.Errorf("%d members may be unavailable", n)
	}

	pod := spec.Template.Spec
	if !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod's security: %+v", pod.SecurityContext)
	}
	c := pod.Containers[0]
	if s := c.SecurityContext; *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("the container's security: %+v", s)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("resources: %+v", c.Resources)
	}
	if !slices.ContainsFunc(m.kustomization.Images, func(i struct{ Name, NewTag string }) bool { return i.Name == c.Image && i.NewTag == build.Version }) {
		t.Errorf("the kustomization doesn't know the image %s", c.Image)
	}
	image := imageDefaults(t)
	if got, want := c.VolumeMounts[0].MountPath, image["COPSE_DEFAULT_DATA_DIR"]; got != want || c.VolumeMounts[0].Name != spec.VolumeClaimTemplates[0].Name {
		t.Errorf("the volume is mounted at %s, the data is in %s", got, want)
	}
	if drain := podEnvironment(m, 0)["COPSE_DRAIN_DELAY"]; drain != "5s" || *pod.TerminationGracePeriodSeconds < 5+10 {
		t.Errorf("%d s for a stop and a drain of %s", *pod.TerminationGracePeriodSeconds, drain)
	}
	checkPorts(t, m, c, image)
}

// checkPorts follows each name of a port to the address that the image listens on.
func checkPorts(t *testing.T, m manifests, c core.Container, image map[string]string) {
	t.Helper()
	listens := map[string]string{
		"client":     image["COPSE_DEFAULT_LISTEN_CLIENT_URLS"],
		"peer":       image["COPSE_DEFAULT_LISTEN_PEER_URLS"],
		"operations": image["COPSE_DEFAULT_LISTEN_METRICS_URLS"],
	}
	numbers := map[string]int32{}
	for _, p := range c.Ports {
		numbers[p.Name] = p.ContainerPort
		if want := fmt.Sprintf("http://0.0.0.0:%d", p.ContainerPort); listens[p.Name] != want {
			t.Errorf("port %s is %d, the image listens on %q", p.Name, p.ContainerPort, listens[p.Name])
		}
	}
	if len(numbers) != len(listens) {
		t.Errorf("ports %v", numbers)
	}
	for name, s := range m.services {
		for _, p := range s.Spec.Ports {
			if numbers[p.TargetPort.StrVal] != p.Port {
				t.Errorf("service %s leads from %d to %s, which is %d", name, p.Port, p.TargetPort.StrVal, numbers[p.TargetPort.StrVal])
			}
		}
	}
	notes := m.set.Spec.Template.Annotations
	if notes["prometheus.io/port"] != fmt.Sprint(numbers["operations"]) {
		t.Errorf("metrics are scraped from %s", notes["prometheus.io/port"])
	}
	for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if probe.HTTPGet.Port.StrVal != "operations" {
			t.Errorf("%s is asked on port %s", probe.HTTPGet.Path, probe.HTTPGet.Port.StrVal)
		}
	}
	if c.StartupProbe.HTTPGet.Path != "/livez" || c.LivenessProbe.HTTPGet.Path != "/livez" {
		t.Error("whether a member is restarted must not depend on others")
	}
}

// TestCopseFollowsTheManifests asks copse itself about each pod's settings.
func TestCopseFollowsTheManifests(t *testing.T) {
	m := readManifests(t)
	ids := map[string]bool{}
	for ordinal := range int(*m.set.Spec.Replicas) {
		env := podEnvironment(m, ordinal)
		maps.Copy(env, imageDefaults(t))
		name := fmt.Sprintf("%s-%d", m.set.Name, ordinal)
		env["COPSE_CLUSTER_SECRET_FILE"] = clusterSecret(t, m, env["COPSE_CLUSTER_SECRET_FILE"])
		shown := askCopse(t, env, m.set.Spec.Template.Spec.Containers[0].Args)
		domain := name + "." + m.set.Spec.ServiceName
		for setting, want := range map[string]string{
			"name": name, "data-dir": "/var/lib/copse",
			"advertise-client-urls":       "http://" + domain + ":2379",
			"initial-advertise-peer-urls": "https://" + domain + ":2380",
			"listen-peer-urls":            "https://0.0.0.0:2380",
			"listen-metrics-urls":         "http://0.0.0.0:2381",
		} {
			if shown[setting] != want {
				t.Errorf("pod %s: %s is %q, want %q", name, setting, shown[setting], want)
			}
		}
		ids[shown["initial-cluster"]] = true
		if n := strings.Count(shown["initial-cluster"], "=https"); n != int(*m.set.Spec.Replicas) {
			t.Errorf("%d replicas, %d founders: %s", *m.set.Spec.Replicas, n, shown["initial-cluster"])
		}
	}
	if len(ids) != 1 {
		t.Errorf("the pods would found different clusters: %v", ids)
	}
}

// clusterSecret makes a secret that stands for the one at path, which must be in a volume
// of a Secret.
func clusterSecret(t *testing.T, m manifests, path string) string {
	t.Helper()
	pod := m.set.Spec.Template.Spec
	mounted := slices.ContainsFunc(pod.Containers[0].VolumeMounts, func(mount core.VolumeMount) bool {
		secret := slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Name == mount.Name && v.Secret != nil })
		return secret && mount.ReadOnly && mount.MountPath == filepath.Dir(path)
	})
	if !mounted {
		t.Errorf("no Secret is mounted for %s", path)
	}
	return secretFile(t)
}

// secretFile has a secret of a cluster, for every user to read.
func secretFile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "copse-secret-") // t.TempDir is for this user only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "secret")
	err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(file, []byte(rand.Text()+rand.Text()+"\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestProbesAreServed sends the manifests' probes to a real member.
func TestProbesAreServed(t *testing.T) {
	m := readManifests(t)
	c := m.set.Spec.Template.Spec.Containers[0]
	paths := []string{m.set.Spec.Template.Annotations["prometheus.io/path"]}
	for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		paths = append(paths, probe.HTTPGet.Path)
	}
	server := startCluster(t, 1)[0]
	for _, path := range paths {
		client := &client{endpoints: [2]string{server.operations, server.operations}}
		a, err := client.attempt(t.Context(), http.MethodGet, path, nil)
		client.close()
		if err != nil || a.status != http.StatusOK {
			t.Errorf("%s: %d %s %v", path, a.status, a.body, err)
		}
	}
}

// podEnvironment is the environment that Kubernetes gives one pod of the set.
func podEnvironment(m manifests, ordinal int) map[string]string {
	return environment(&m.set.Spec.Template.Spec.Containers[0], fmt.Sprintf("%s-%d", m.set.Name, ordinal))
}

// environment is that of one container of a pod.
func environment(c *core.Container, pod string) map[string]string {
	env := map[string]string{}
	for _, v := range c.Env {
		value := v.Value
		if v.ValueFrom != nil && v.ValueFrom.FieldRef.FieldPath == "metadata.name" {
			value = pod
		}
		env[v.Name] = expand(value, env)
	}
	return env
}

var reference = regexp.MustCompile(`\$\(([A-Z_]+)\)`)

// expand is what Kubernetes makes of a value or an argument.
func expand(text string, env map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(r string) string { return env[r[2:len(r)-1]] })
}

// imageDefaults are the variables that the Dockerfile sets.
func imageDefaults(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, pair := range regexp.MustCompile(`(COPSE_[A-Z_]+)=(\S+)`).FindAllStringSubmatch(string(text), -1) {
		env[pair[1]] = pair[2]
	}
	if len(env) < 4 {
		t.Fatalf("the Dockerfile sets %v", env)
	}
	return env
}

// askCopse runs copse config check, which must pass without a warning,
// and returns the output of copse config show.
func askCopse(t *testing.T, env map[string]string, args []string) map[string]string {
	t.Helper()
	binary, err := peer.Binary(peer.Copse)
	if err != nil {
		t.Fatal(err)
	}
	run := func(command ...string) []byte {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, slices.Concat(command, args)...)
		cmd.Env = []string{}
		for name, value := range env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil || said.Len() > 0 {
			t.Fatalf("%v: %v: %s", cmd.Args, err, &said)
		}
		return out
	}
	run("config", "check")
	var list []struct{ Setting, Value string }
	if err := json.Unmarshal(run("config", "show", "--json"), &list); err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, v := range list {
		shown[v.Setting] = v.Value
	}
	return shown
}
