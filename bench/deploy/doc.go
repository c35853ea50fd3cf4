// Package deploy runs copse the way people deploy it, and looks after what is
// in the Dockerfile and under deploy/.
//
//	clients ──two endpoints, one retry──▶ members ◀──stop, start, kill, cut── the test
//
// A member is a process on loopback or a container; the same load and the same
// rolling restart run on both. Manifests, unit and the commands of
// docs/OPERATING.md are held against Kubernetes' types, systemd's tools, openssl
// and copse itself.
//
// What needs Docker asks the engine first: without one these tests say so and are
// skipped, or fail where COPSE_REQUIRE_DOCKER is set. The image that the Dockerfile
// begins with is made of this machine's Go where it isn't there. Two runs at once
// don't meet: each has names of its own. They leave no container, network, volume
// or image behind; COPSE_KEEP_IMAGES=NAME keeps the images under that name, and
// saves the next run with it the build.
package deploy
