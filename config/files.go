package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// CheckFiles reads the certificates of both ports and for a mirror, looks whether the member has a
// data directory where it needs one, and reports every problem. A server
// must be able to read them; to ask for its health, or to show its settings, isn't a
// reason to.
func (c *Config) CheckFiles(read func(path string) ([]byte, error)) error {
	return errors.Join(c.checkJoins(read), c.ClientTLS.check("", read), c.PeerTLS.check("peer-", read), c.MirrorTLS.check("mirror-", read))
}

// checkJoins refuses a member that would join a cluster and has nobody to ask, which one that has
// joined needs no more.
func (c *Config) checkJoins(read func(path string) ([]byte, error)) error {
	if c.InitialClusterState != "existing" || c.ForceNewCluster || len(c.InitialCluster) > 1 {
		return nil
	}
	if _, err := read(filepath.Join(c.DataDir, "copse.json")); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("initial-cluster-state is existing and data-dir %s has no data, but initial-cluster names no other member to ask", c.DataDir)
}
