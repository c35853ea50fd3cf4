package deploy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// pods run the containers of manifests on an engine, as far as one goes: user, environment,
// arguments, volumes, memory and what a container may do are those of the manifest. Host and
// Service names are the network's. What only a cluster can show is when pods are started.
type pods struct {
	t       *testing.T
	network string
	dir     string // has the volumes
	image   string
}

func newPods(t *testing.T) *pods {
	t.Helper()
	needImage(t)
	dir, err := os.MkdirTemp("", "copse-pods-") // t.TempDir is for this user only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &pods{t: t, network: fmt.Sprintf("copse-test-%08x", rand.Uint32()), dir: dir, image: imageName}
	docker(t, "network", "create", p.network)
	t.Cleanup(func() { forget(t, "network", "rm", p.network) })
	return p
}

// volume makes an empty volume that belongs to the pods' fsGroup, as the kubelet does.
func (p *pods) volume(spec *core.PodSpec, name string) (dir string) {
	p.t.Helper()
	dir = filepath.Join(p.dir, name)
	for _, err := range []error{os.Mkdir(dir, 0o755), os.Chown(dir, 0, int(*spec.SecurityContext.FSGroup)), os.Chmod(dir, 0o770|os.ModeSetgid)} {
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return dir
}

// args are docker's for one container of a pod. volumes are directories by the name of the volume.
func (p *pods) args(spec *core.PodSpec, c *core.Container, pod string, volumes map[string]string, more ...string) []string {
	p.t.Helper()
	if c.SecurityContext.AllowPrivilegeEscalation == nil || *c.SecurityContext.AllowPrivilegeEscalation || !*c.SecurityContext.ReadOnlyRootFilesystem {
		p.t.Errorf("the container %s may do more than it needs", c.Name)
	}
	s := spec.SecurityContext
	args := []string{"run", "--network", p.network, "--hostname", pod, "--memory", fmt.Sprint(c.Resources.Limits.Memory().Value()),
		"--user", fmt.Sprintf("%d:%d", *s.RunAsUser, *s.RunAsGroup), "--group-add", fmt.Sprint(*s.FSGroup), "--read-only", "--security-opt", "no-new-privileges:true"}
	for _, capability := range c.SecurityContext.Capabilities.Drop {
		args = append(args, "--cap-drop", string(capability))
	}
	env := environment(c, pod)
	for name, value := range env {
		args = append(args, "-e", name+"="+value)
	}
	for _, m := range c.VolumeMounts {
		at := volumes[m.Name] + ":" + m.MountPath
		if volumes[m.Name] == "" {
			p.t.Fatalf("there is no volume %s", m.Name)
		}
		if m.ReadOnly {
			at += ":ro"
		}
		args = append(args, "-v", at)
	}
	args = append(slices.Concat(args, more), p.image)
	for _, a := range c.Args {
		args = append(args, expand(a, env))
	}
	return args
}

// The nightly job makes a file of a running cluster, and the init containers make of it the
// members of a new one.
func TestImageBacksUpAndRestoresAsOnKubernetes(t *testing.T) {
	m, patch := readManifests(t), readRestore(t)
	job, _ := readBackup(t)
	p := newPods(t)
	set := &m.set.Spec.Template.Spec
	volumes := func(generation string, ordinal int) map[string]string {
		return map[string]string{"data": p.volume(set, fmt.Sprintf("%s-%d", generation, ordinal))}
	}
	secret := filepath.Dir(secretFile(t))
	members := func(data []map[string]string) (all []*container) {
		for i := range data {
			pod := fmt.Sprintf("%s-%d", m.set.Name, i)
			data[i]["cluster"] = secret
			args := p.args(set, &set.Containers[0], pod, data[i], "-d", "-p", "127.0.0.1::2379",
				"--network-alias", pod+"."+m.set.Spec.ServiceName, "--network-alias", m.services["copse"].Name)
			c := &container{t: t, id: docker(t, args...)}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("end of %s's log:\n%s", pod, logsOf(c.id))
				}
				forget(t, "rm", "-f", c.id)
			})
			all = append(all, c)
		}
		for _, c := range all {
			c.awaitHealth("healthy")
		}
		return all
	}
	var old, fresh []map[string]string
	for i := range int(*m.set.Spec.Replicas) {
		old, fresh = append(old, volumes("old", i)), append(fresh, volumes("new", i))
	}

	first := members(old)
	first[0].put("/v2/keys/kept", "before")
	night := &job.Spec.JobTemplate.Spec.Template.Spec
	backups := p.volume(night, "backup")
	docker(t, p.args(night, &night.Containers[0], "copse-backup-29", map[string]string{"backup": backups}, "--rm")...)
	first[0].put("/v2/keys/later", "lost")
	for _, c := range first {
		docker(t, "kill", c.id)
	}

	file, err := os.ReadFile(filepath.Join(backups, "copse-backup-29.gz"))
	if err != nil {
		t.Fatal(err)
	}
	upload := func(file []byte) string {
		dir := p.volume(set, fmt.Sprintf("restore-%d", len(file)))
		if err := os.WriteFile(filepath.Join(dir, "copse.gz"), file, 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	restore := &patch.Spec.Template.Spec.InitContainers[0]
	start := func(i int, from string) error {
		fresh[i]["cluster"], fresh[i]["restore"] = secret, from
		_, err := try(t.Context(), "docker", p.args(set, restore, fmt.Sprintf("%s-%d", m.set.Name, i), fresh[i], "--rm")...)
		return err
	}
	if err := start(0, upload(file[:len(file)-1])); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("a file that isn't whole: %v", err)
	}
	whole := upload(file)
	for i := range fresh {
		for range 2 { // pods are started again and again
			if err := start(i, whole); err != nil {
				t.Fatal(err)
			}
		}
	}
	second := members(fresh)
	for _, c := range second {
		if got := c.get("/v2/keys/?recursive=true&quorum=true"); !strings.Contains(got, `"value":"before"`) || strings.Contains(got, "later") {
			t.Errorf("after the restore: %s", got)
		}
	}
	second[1].put("/v2/keys/new", "x")
	if err := start(0, whole); err != nil { // the patch is still there
		t.Error("a member with data is left alone:", err)
	}
}
