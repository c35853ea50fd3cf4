# make test is the gate: it installs what it needs and runs everything.
# make check is the quick part, for use between two commits.

GO        ?= go
FUZZTIME  ?= 30s
BIN       := bin
STATICCHECK := $(BIN)/staticcheck
GOVULNCHECK := $(BIN)/govulncheck

# The message if no Docker engine answers.
NO_ENGINE := echo "NOT TESTED: no Docker engine answers, so the image was not built and the compose files were not run"

.PHONY: all build test check lint vuln race model model-big compat crash cluster deploy bench profile fuzz deps clean

all: build

build:
	$(GO) build -trimpath -o $(BIN)/copse .

test: deps lint race model compat crash cluster deploy fuzz vuln
	@docker info >/dev/null 2>&1 || $(NO_ENGINE)
	@echo "make test: everything that was run passed"

# The quick part of the gate: two to three minutes.
check: lint
	$(GO) test -pgo=off ./...
	cd bench && $(GO) vet ./...

# Answers are compared with etcd and etcdctl 3.4; ip, tc and nft create and cut
# the networks of the cluster tests; spin and gcc check the model of
# the index protocol; openssl makes certificates; docker-compose is for engines
# without a compose command of their own.
deps:
	@for program in etcd etcdctl ip tc nft spin gcc openssl; do command -v $$program >/dev/null || missing=1; done; \
	test -z "$$missing" || { \
		echo "installing etcd-server, etcd-client, iproute2, nftables, spin, gcc and openssl from Debian's packages"; \
		apt-get update -qq && apt-get install -y -qq etcd-server etcd-client iproute2 nftables spin gcc openssl; }
	@! docker info >/dev/null 2>&1 || docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || { \
		echo "installing docker-compose from Debian's packages"; apt-get update -qq && apt-get install -y -qq docker-compose; }

lint: $(STATICCHECK)
	@unformatted=$$(gofmt -l . bench); test -z "$$unformatted" || { echo "run gofmt on:" $$unformatted; exit 1; }
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	$(STATICCHECK) ./...
	cd bench && ../$(STATICCHECK) ./...

$(STATICCHECK):
	GOBIN=$(CURDIR)/$(BIN) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Without the compiler's profile, which would rebuild all packages for package main.
race:
	$(GO) test -pgo=off -race -p 1 -timeout 20m ./...

# The index protocol, in every order of events; model-big explores larger cases at
# random, for as long as you like.
model:
	cd bench && $(GO) test -timeout 30m ./model/...

MINUTES ?= 15
model-big:
	cd bench && $(GO) test -v -timeout 0 -run TestThePromisesAreKept ./model/... -minutes $(MINUTES)

# -count=1, here and for crash, because the go command can't know that copse itself,
# which these tests build and start, has changed.
#
# Against the real etcd: in process, over HTTP, and with real clients. ./compat goes
# without the race detector, which would see only the driver, and slow down its many
# comparisons.
compat:
	cd bench && $(GO) test -count=1 -timeout 30m ./compat/...
	cd bench && $(GO) test -race -count=1 -timeout 30m ./treecompat/... ./peer/... ./realfiles/... ./figures/... ./etcdstore/... ./v2api/... ./writemix/... ./placement/... ./verdict/...

crash:
	cd bench && $(GO) test -race -count=1 -timeout 20m ./crash/...

# Three members as real processes under faults, judged by a checker, with one shard and
# with four; eight to ten minutes. It needs root for network namespaces and for a small disk.
cluster:
	cd bench && $(GO) test -race -count=1 -timeout 30m ./cluster/...

# As people deploy it: a rolling restart under load, a backup, the manifests, the
# unit, and the commands of docs/OPERATING.md; then with containers, for three
# minutes or more: the image and the compose files. Those need a Docker engine;
# without one they are not run, or fail if COPSE_REQUIRE_DOCKER is set. The race
# detector would see only their driver.
deploy:
	@command -v systemd-analyze >/dev/null || echo "there is no systemd-analyze: the unit is read by our own test alone"
	cd bench && $(GO) test -race -count=1 -timeout 20m -skip 'Image|Compose' ./deploy/...
	@if docker info >/dev/null 2>&1 || test -n "$$COPSE_REQUIRE_DOCKER"; then \
		echo "with containers:"; cd bench && $(GO) test -count=1 -timeout 60m -run 'Image|Compose' ./deploy/...; \
	else $(NO_ENGINE); fi

# copse and the real etcd 3.5, alternating, for about an hour. The output
# goes into bench/RESULTS.md.
bench:
	cd bench && $(GO) run ./figures requests -pictures pictures
	cd bench && $(GO) run ./figures watchers -n 15000 -turns 3
	cd bench && $(GO) run ./figures watchput -n 15000 -turns 3
	cd bench && $(GO) run ./figures keys
	cd bench && $(GO) run ./figures members
	cd bench && $(GO) run ./figures shards
	cd bench && $(GO) run ./figures scaling
	cd bench && $(GO) run ./figures growth -pictures pictures

# Writes bench/model/testdata again: what the model does in each scenario, a line for each event.
.PHONY: model-traces
model-traces:
	cd bench && $(GO) test -count=1 -run TestTraces ./model -args -traces testdata -seeds 60

# A CPU profile for the compiler (default.pgo); run it after large changes.
profile:
	cd bench && $(GO) run ./figures profile

# Each target for FUZZTIME, starting from the committed corpus.
fuzz:
	./.ci/fuzz $(FUZZTIME)

vuln:
	./.ci/vuln $(GOVULNCHECK)

clean:
	rm -rf $(BIN) bench/bin
