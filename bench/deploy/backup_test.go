package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const backupManifests = "../../deploy/kubernetes/backup"

// readBackup reads the manifest that backs up.
func readBackup(t *testing.T) (job batch.CronJob, claim core.PersistentVolumeClaim) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(backupManifests, "cronjob.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(string(text), "\n---\n")
	if err := yaml.UnmarshalStrict([]byte(first), &job); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(second), &claim); err != nil {
		t.Fatal(err)
	}
	return job, claim
}

// readRestore reads the patch that restores.
func readRestore(t *testing.T) (patch apps.StatefulSet) {
	t.Helper()
	decode(t, filepath.Join(backupManifests, "restore.yaml"), &patch)
	return patch
}

// The manifests for backups have known fields only, and fit those of the cluster.
func TestBackupManifestsFit(t *testing.T) {
	m := readManifests(t)
	job, claim := readBackup(t)
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	backup := pod.Containers[0]
	if want := "copse:" + m.kustomization.Images[0].NewTag; backup.Image != want {
		t.Errorf("the job runs %s, the cluster %s", backup.Image, want)
	}
	if _, ok := m.services["copse"]; !ok || !slices.Contains(backup.Args, "--endpoint=http://copse:2379") {
		t.Errorf("the job asks %v", backup.Args)
	}
	if pod.Volumes[0].PersistentVolumeClaim.ClaimName != claim.Name {
		t.Errorf("the job writes to %+v, there is %s", pod.Volumes[0], claim.Name)
	}

	patch := readRestore(t)
	if patch.Name != m.set.Name {
		t.Errorf("the patch is of %s", patch.Name)
	}
	restore, member := patch.Spec.Template.Spec.InitContainers[0], m.set.Spec.Template.Spec.Containers[0]
	for _, env := range restore.Env { // the same member, of the same cluster
		if !slices.ContainsFunc(member.Env, func(e core.EnvVar) bool { return e.Name == env.Name && e.Value == env.Value }) {
			t.Errorf("the member has no %+v", env)
		}
	}
	for _, name := range []string{"COPSE_NAME", "COPSE_INITIAL_ADVERTISE_PEER_URLS", "COPSE_INITIAL_CLUSTER", "COPSE_INITIAL_CLUSTER_TOKEN"} {
		if !slices.ContainsFunc(restore.Env, func(e core.EnvVar) bool { return e.Name == name }) {
			t.Errorf("the restore lacks %s", name)
		}
	}
}
