// Package build says which copse this is: its version, and the commit that it was
// built from.
//
// It is pure and runs no goroutine.
package build

import (
	"runtime"
	"runtime/debug"
	"slices"

	"copse/statemachine/metric"
)

// Version is copse's own; clients see the version of the etcd that it answers like.
const Version = "0.1.0"

// stamp is the commit, for builds outside a repository, such as the Dockerfile's.
// The linker alone sets it: -X copse/config/build.stamp=...
var stamp string

// Revision is the commit that this copse was built from, as far as the build tells.
func Revision() string {
	if stamp != "" {
		return stamp
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unrecorded
	}
	setting := func(key string) string {
		i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == key })
		if i < 0 {
			return ""
		}
		return info.Settings[i].Value
	}
	r := setting("vcs.revision")
	if r == "" {
		return unrecorded
	}
	r += " of " + setting("vcs.time")
	if setting("vcs.modified") == "true" {
		r += ", with changes"
	}
	return r
}

const unrecorded = "not recorded in this build"

// WriteMetrics writes what is running, and the version of etcd that it answers like.
func WriteMetrics(w *metric.Writer, like string) {
	w.Family("copse_build_info", metric.GaugeKind, "What is running.")
	w.Uint(1, "version", Version, "revision", Revision(), "goversion", runtime.Version(), "answers_like", like)
}
