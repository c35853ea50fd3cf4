package config

// Exit codes of copse.
const (
	ExitFailed  = 1 // serving failed, or the server asked is unhealthy or refused
	ExitUsage   = 2 // the settings are invalid
	ExitLocked  = 3 // another copse uses the data directory
	ExitNewer   = 4 // another copse wrote the data, in its own format
	ExitCorrupt = 5 // the data is damaged
	ExitPartial = 6 // what was asked for was refused, or done in part
)

type exitCode struct {
	code    int
	meaning string
}

// exitCodes explains them for the help and the reference.
func exitCodes() []exitCode {
	return []exitCode{
		{0, "stopped on request, or the command succeeded"},
		{ExitFailed, "serving failed, or the server asked is unhealthy or refused"},
		{ExitUsage, "invalid flags, environment or configuration file"},
		{ExitLocked, "another copse is using the data directory"},
		{ExitNewer, "the data was written by a copse with another format"},
		{ExitCorrupt, "the data is damaged, or isn't copse's"},
		{ExitPartial, "the command was refused, or done only in part"},
	}
}
