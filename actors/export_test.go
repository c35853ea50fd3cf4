package actors

// NewMemberID computes the id of a member that is added at a moment.
var NewMemberID = newMemberID

// LiftSteps lets a test stop LiftHostPin after any of its steps.
func (d *DataDir) LiftSteps(host string) []func() error { return d.liftSteps(host) }

// LogBegin is the first entry that the raft log still holds.
func (n *Node) LogBegin() (uint64, error) {
	log, err := n.host.nh.GetLogReader(shardID)
	if err != nil {
		return 0, err
	}
	first, _ := log.GetRange()
	return first, nil
}
