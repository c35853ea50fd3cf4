package deploy

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestABackupBringsAClusterBack follows docs/OPERATING.md on backups and on
// a lost majority: the copy of a stopped member's directory becomes a cluster of
// one, and others are added to it.
func TestABackupBringsAClusterBack(t *testing.T) {
	members := startCluster(t, 3)
	put(t, members[1], "/v2/keys/k", "saved")
	source := members[2]
	holds(t, source, "/v2/keys/k", "saved")
	if err := source.Stop(); err != nil {
		t.Fatal(err)
	}
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(source.DataDir)); err != nil {
		t.Fatal(err)
	}
	if err := source.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, source)
	put(t, source, "/v2/keys/k", "lost")
	for _, m := range members {
		m.Kill()
	}

	first := prepareMember(t, source.place, source.operations, "--force-new-cluster")
	if err := os.CopyFS(first.DataDir, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, first)
	holds(t, first, "/v2/keys/k", "saved")
	put(t, first, "/v2/keys/k", "alone")

	// Without the flag it continues, and accepts others.
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	again := prepareMember(t, source.place, source.operations)
	if err := os.Rename(first.DataDir, again.DataDir); err != nil {
		t.Fatal(err)
	}
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, again)
	holds(t, again, "/v2/keys/k", "alone")
	second := members[0]
	addMember(t, again, second.place.PeerURL)
	place := second.place
	place.State = "existing"
	place.Cluster = fmt.Sprintf("%s=%s,%s=%s", again.place.Name, again.place.PeerURL, place.Name, place.PeerURL)
	joined := startMember(t, place, second.operations)
	awaitReady(t, joined)
	holds(t, joined, "/v2/keys/k", "alone")
}

func addMember(t *testing.T, at process, peerURL string) {
	t.Helper()
	resp, err := http.Post(at.URL+"/v2/members", "application/json", strings.NewReader(fmt.Sprintf(`{"peerURLs":[%q]}`, peerURL)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("POST /v2/members: %s", resp.Status)
	}
}
