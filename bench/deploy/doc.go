// Package deploy runs copse the way people deploy it, and tests the Dockerfile and
// the files under deploy/.
//
//	clients ──two endpoints, one retry──▶ members ◀──stop, start, kill, cut── the test
//
// A member is a process on loopback or a container; the same load and the same
// rolling restart run on both. Manifests, unit and the commands of
// docs/OPERATING.md are checked with Kubernetes' types, systemd's tools, openssl
// and copse itself.
//
// Tests that need Docker check first whether an engine answers: without one they
// report that and are skipped, or fail if COPSE_REQUIRE_DOCKER is set. If the
// Dockerfile's base image is missing, it is made of this machine's Go. Concurrent runs
// don't collide, because each uses names of its own. They leave no container, network,
// volume or image behind; COPSE_KEEP_IMAGES=NAME keeps the images under that name,
// which saves the next run with it the build.
package deploy
