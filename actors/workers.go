package actors

// execShards is the number of dragonboat's workers that save entries, for so many shards on a machine
// of so many cores. One worker syncs once for all its shards, and keeps up with five shards
// that apply all the time; on few cores more workers only make more syncs. The data directory keeps
// the number for good. docs/CORES.md has the figures.
func execShards(shards, cores int) uint64 {
	return uint64(max(1, min(shards/shardsPerWorker, cores/coresPerWorker)))
}

const (
	shardsPerWorker = 4
	coresPerWorker  = 8
)
