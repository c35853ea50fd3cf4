package config

// Cluster is what the settings say about the cluster of a fresh data directory.
type Cluster struct {
	Name       string              // this member's
	PeerURLs   []string            // this member's, advertised
	ClientURLs []string            // this member's, advertised
	Founders   map[string][]string // peer URLs by name
	Existing   bool                // the cluster is running already
	Token      string
	Shards     int
	MirrorFrom []string // URLs of the etcd that a new cluster follows

	// Whether these were given, rather than left at their defaults.
	FoundersGiven, TokenGiven, ShardsGiven bool
	PeerURLsGiven                          bool // or what they follow from
}

// Cluster gathers the settings about the cluster.
func (c *Config) Cluster() Cluster {
	founders := map[string][]string{}
	for _, m := range c.InitialCluster {
		founders[m.Name] = Strings(m.PeerURLs)
	}
	return Cluster{
		Name: c.Name, PeerURLs: Strings(c.InitialAdvertisePeerURLs), ClientURLs: Strings(c.AdvertiseClientURLs),
		Founders: founders, Existing: c.InitialClusterState == "existing", Token: c.InitialClusterToken, Shards: c.Shards,
		MirrorFrom:    Strings(c.MirrorFrom),
		FoundersGiven: c.Given("initial-cluster"), TokenGiven: c.Given("initial-cluster-token"), ShardsGiven: c.Given("shards"),
		PeerURLsGiven: c.Given("initial-advertise-peer-urls") || c.Given("initial-cluster") || c.Given("listen-peer-urls"),
	}
}
