// Package deploy runs copse the way people deploy it, and looks after what is
// in the Dockerfile and under deploy/.
//
//	clients ──two endpoints, one retry──▶ members ◀──stop, start, kill, cut── the test
//
// A member is a process on loopback or a container; the same load and the same
// rolling restart run on both. What needs Docker asks the engine first: without
// one these tests say so and are skipped, or fail where COPSE_REQUIRE_DOCKER is
// set. They leave no container, network, volume or image behind.
package deploy
