# make test is the gate: it installs what it needs and runs everything.
# make check is the quick half, for between two commits.

GO        ?= go
FUZZTIME  ?= 30s
BIN       := bin
STATICCHECK := $(BIN)/staticcheck
GOVULNCHECK := $(BIN)/govulncheck

# What is said where no Docker engine answers.
NO_ENGINE := echo "NOT TESTED: no Docker engine answers, so the image was not built and the compose files were not run"

.PHONY: all build test check lint vuln race model model-big model-traces compat crash cluster deploy bench profile fuzz deps clean

all: build

build:
	$(GO) build -trimpath -o $(BIN)/copse .

test: deps lint race model compat crash cluster deploy fuzz vuln
	@docker info >/dev/null 2>&1 || $(NO_ENGINE)
	@echo "make test: everything that was run passed"

# The gate's quick half: two to three minutes.
check: lint
	$(GO) test -pgo=off ./...
	cd bench && $(GO) vet ./...

# etcd and etcdctl 3.4 are what the answers are held against; ip, tc and nft
# make and part the networks of the cluster tests; spin and gcc check the model of
# the index protocol; openssl makes certificates; docker-compose is for where there
# is an engine without a compose of its own.
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

# Without the compiler's profile, which would have everything built anew for package main.
race:
	$(GO) test -pgo=off -race -p 1 -timeout 20m ./...

# The index protocol, in every order of events; then at random, for as long as
# wanted, where there are too many.
model:
	cd bench && $(GO) test -timeout 30m ./model/...

MINUTES ?= 15
model-big:
	cd bench && $(GO) test -v -timeout 0 -run TestThePromisesAreKept ./model/... -minutes $(MINUTES)

# What the model does in each scenario, a line for each event: bench/model/testdata.
model-traces:
	cd bench && $(GO) test -count=1 -run TestTraces ./model -args -traces testdata -seeds 60

# -count=1, here and for crash: the go command can't know that copse itself,
# which these tests build and start, has changed.
#
# Against the real etcd: in process, over HTTP, and with real clients. ./compat goes
# without the race detector: it would see the driver alone, which compares a great deal.
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
# unit, and the commands of docs/OPERATING.md; and with containers, which takes three
# minutes or more: the image built, and the compose files run. Those need a Docker engine;
# where none answers they are not run, or fail if COPSE_REQUIRE_DOCKER is set. The race
# detector would see their driver only.
deploy:
	@command -v systemd-analyze >/dev/null || echo "there is no systemd-analyze: the unit is read by our own test alone"
	cd bench && $(GO) test -race -count=1 -timeout 20m -skip 'Image|Compose' ./deploy/...
	@if docker info >/dev/null 2>&1 || test -n "$$COPSE_REQUIRE_DOCKER"; then \
		echo "with containers:"; cd bench && $(GO) test -count=1 -timeout 60m -run 'Image|Compose' ./deploy/...; \
	else $(NO_ENGINE); fi

# copse beside the real etcd 3.5, turn by turn, for an hour or so. What it
# prints is for bench/RESULTS.md.
bench:
	cd bench && $(GO) run ./figures requests -pictures pictures
	cd bench && $(GO) run ./figures watchers -n 15000 -turns 3
	cd bench && $(GO) run ./figures watchput -n 15000 -turns 3
	cd bench && $(GO) run ./figures keys
	cd bench && $(GO) run ./figures members
	cd bench && $(GO) run ./figures shards
	cd bench && $(GO) run ./figures scaling
	cd bench && $(GO) run ./figures growth -pictures pictures

# Where copse's time goes, for the compiler (default.pgo): after large changes.
profile:
	cd bench && $(GO) run ./figures profile

# Each target for FUZZTIME, starting from the committed corpus.
fuzz:
	./.ci/fuzz $(FUZZTIME)

vuln:
	./.ci/vuln $(GOVULNCHECK)

clean:
	rm -rf $(BIN) bench/bin
