package datadir

// LiftSteps lets a test stop LiftHostPin after any of its steps.
func (d *Dir) LiftSteps(host string) []func() error { return d.liftSteps(host) }
