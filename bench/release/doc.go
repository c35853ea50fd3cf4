// Command release makes what is published of copse: for each architecture a static binary, a
// tar file, packages for Debian and for RPM, and a list of what is in it (SPDX); and the
// checksums of all.
//
//	go build ──▶ binary ──┬─▶ tar.gz
//	                      ├─▶ deb, rpm ◀── unit, man page, completions, docs
//	                      └─▶ SPDX
//
// The same commit gives the same bytes: times are that of the commit, paths are trimmed, and
// nothing of the machine gets in. "make release" runs it; with -licenses it writes the texts
// that copse licenses prints.
//
// It runs no goroutine.
package main
