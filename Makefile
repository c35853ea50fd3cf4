# make test is the gate: it installs what it needs and runs everything.
# make check is its quick part, for use between commits.

GO        ?= go
FUZZTIME  ?= 3s
BIN       := bin
STATICCHECK := $(BIN)/staticcheck
GOVULNCHECK := $(BIN)/govulncheck

# Printed if there is no Docker engine.
NO_ENGINE := echo "NOT TESTED: no Docker engine answers, so the image was not built and the compose files were not run"

# What is tested, measured and released has no C in it. The race detector needs it, though: then
# Pebble has a zstd in C, which takes the C compiler longer to optimize than all tests to use.
export CGO_ENABLED := 0
export CGO_CFLAGS := -O0
RACE := CGO_ENABLED=1 $(GO) test -race

# As in bench/peer/build.go and the Dockerfile.
RELEASE_FLAGS := -trimpath -tags=nethttpomithttp2

.PHONY: all build release test waiting computing check lint vuln race model model-big mutants compat page pictures crash cluster deploy bench profile fuzz deps clean

all: build

build:
	@test -x $(BIN)/copse || echo "the first build takes minutes: it compiles all dependencies, and for the profile in default.pgo, which makes copse faster, once more than the tests do"
	$(GO) build $(RELEASE_FLAGS) -o $(BIN)/copse .

# Binaries, packages, checksums and lists of contents, for both architectures.
release:
	cd bench && $(GO) run ./release -out ../$(BIN)/release

# What only computes is nice to the suites beside it, which mostly wait: for members that elect, for
# servers that start. What puts clusters and machines through faults has the machine for itself.
test: deps lint
	$(MAKE) --no-print-directory -j2 -Oline waiting computing
	$(MAKE) --no-print-directory crash cluster deploy vuln
	@docker info >/dev/null 2>&1 || $(NO_ENGINE)
	@echo "make test: all that ran has passed"

waiting:
	+@for suite in race compat page; do $(MAKE) $$suite || exit; done

computing:
	+@for suite in model mutants fuzz; do nice $(MAKE) $$suite || exit; done

# The quick part of the gate, two to three minutes.
check: lint
	$(GO) test -pgo=off ./...
	cd bench && $(GO) vet ./...

# Answers are compared with those of etcd and etcdctl 3.4, and python-etcd and curl are
# clients. ip, tc and nft build and cut the networks of the cluster tests, spin and gcc
# check the model of the index protocol, openssl makes certificates, chromium shows the
# web page, fish and zsh try their completions, and docker-compose serves an engine without the plugin.
deps:
	@for program in etcd etcdctl ip tc nft spin gcc openssl curl chromium fish zsh; do command -v $$program >/dev/null || missing=1; done; \
	/usr/bin/python3 -c 'import etcd' 2>/dev/null || missing=1; \
	test -z "$$missing" || { \
		echo "installing etcd-server, etcd-client, python3-etcd, iproute2, nftables, spin, gcc, openssl, curl, chromium, fish and zsh from Debian's packages"; \
		apt-get update -qq && apt-get install -y -qq etcd-server etcd-client python3-etcd iproute2 nftables spin gcc openssl curl chromium fish zsh; }
	@! docker info >/dev/null 2>&1 || docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || { \
		echo "installing docker-compose from Debian's packages"; apt-get update -qq && apt-get install -y -qq docker-compose; }

# Both need what the compiler says of the dependencies, and would have them compiled for the
# profile in default.pgo once more.
lint: export GOFLAGS := -pgo=off
lint: $(STATICCHECK)
	@unformatted=$$(gofmt -l . bench); test -z "$$unformatted" || { echo "run gofmt on:" $$unformatted; exit 1; }
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	$(STATICCHECK) ./...
	cd bench && ../$(STATICCHECK) ./...

$(STATICCHECK):
	GOBIN=$(CURDIR)/$(BIN) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Without the compiler's profile, with which every dependency of package main would be
# built again. What has one goroutine runs without the race detector: the commands, whose
# scripts start dozens of processes one after the other, each of which would take a second
# before it does anything; and the WORLDS. Tested both ways are the state machine, which draws a few
# random logs only under the race detector, and the front-end, whose system calls are others under it.
SERVING := TestScripts/^(badcerts|hangup|logging|oneport|peertls|probes|raftlogtrio|renewed|service|signal|slowclient|stop|tls)$$
WORLDS  := ^(TestWorlds|TestTimesToLive|TestTheStateMachineSeesWhatTheWorldsDo)$$

# These start members that wait for each other, and are tested one after the other; the rest, which
# waits little for anything, two packages at a time.
MEMBERS := ./actors ./actors/raft

race:
	CGO_ENABLED=1 $(GO) build -race -pgo=off ./... # -p would build one package at a time, too
	$(RACE) -pgo=off -p 1 -timeout 20m $(MEMBERS)
	$(RACE) -pgo=off -timeout 20m -skip '$(WORLDS)' $$($(GO) list ./... | grep -vx -e copse $(MEMBERS:./%=-e copse/%))
	$(RACE) -pgo=off -run '$(SERVING)' .
	$(GO) test -pgo=off -skip '$(SERVING)' .
	$(GO) test -pgo=off ./statemachine ./config/dispatch ./httpfront
	$(GO) test -pgo=off -run '$(WORLDS)' ./actors/shard

# The index protocol, in every order of events; model-big explores larger systems at
# random, for MINUTES.
model:
	cd bench && $(GO) test -timeout 30m ./model/...

# The same rules broken one by one in the code, which its tests must notice.
mutants:
	cd bench && $(GO) test -count=1 -timeout 40m ./mutants/...

MINUTES ?= 15
model-big:
	cd bench && $(GO) test -v -timeout 0 -run TestThePromisesAreKept ./model/... -minutes $(MINUTES)

# Against the real etcd: in process, over HTTP, and with real clients.
#
# -count=1, here and for crash, because these tests build and start copse, and the go
# command doesn't know that it has changed. ./manual runs what docs/API.md
# and CLIENTS.md show. The race detector would see the drivers only, and have etcd's and
# the peers' packages compiled once more.
compat:
	cd bench && $(GO) test -count=1 -timeout 30m ./compat/... ./access/... ./etcdimport/... ./mirror/... ./manual/... \
		./treecompat/... ./realfiles/... ./figures/... ./etcdstore/... ./v2api/... ./writemix/... ./placement/... ./verdict/...
	cd bench && $(RACE) -count=1 -timeout 30m ./peer/...

# The web page in a real browser. pictures renews those of the README.
page:
	cd bench && $(GO) test -count=1 -timeout 10m ./page/...

pictures:
	cd bench && $(GO) test -count=1 -timeout 10m -run Pictures ./page/... -update

crash:
	cd bench && $(RACE) -count=1 -timeout 20m ./crash/...
	cd bench && $(GO) test -count=1 -timeout 20m ./damage/...
	cd bench && $(GO) test -v -count=1 -timeout 20m ./bounds/... # -v shows it where no memory limit can be set

# Three members as real processes under faults, with one shard and with four at the same
# time; a checker verifies what clients saw. About six minutes. Needs root, for network
# namespaces and a small disk.
cluster:
	cd bench && $(RACE) -count=1 -timeout 30m ./cluster/...

# Deployment: a rolling restart under load, a backup, the manifests, the unit, the
# dashboard and alerts, and the commands of docs/OPERATING.md. With a Docker engine also
# the image and the compose files, three minutes or more; without one these don't run, or
# fail if COPSE_REQUIRE_DOCKER is set. The race detector would see the driver only.
deploy:
	@command -v systemd-analyze >/dev/null || echo "there is no systemd-analyze: the unit is read by our own test alone"
	cd bench && $(GO) test -count=1 -timeout 20m -skip 'Image|Compose' ./deploy/... ./release/...
	@if docker info >/dev/null 2>&1 || test -n "$$COPSE_REQUIRE_DOCKER"; then \
		echo "with containers:"; cd bench && $(GO) test -count=1 -timeout 60m -run 'Image|Compose' ./deploy/...; \
	else $(NO_ENGINE); fi

# copse beside the real etcd 3.5, and beside stores with other APIs, in turns, for about forty
# minutes. The tables get into bench/RESULTS.md, or only those of SECTIONS.
bench:
	./bench/measure $(SECTIONS)

# Renews default.pgo, the profile that the compiler optimizes by, after large changes.
profile:
	cd bench && $(GO) run ./figures profile

# Each fuzz target for FUZZTIME, starting from the committed corpus.
fuzz:
	./.ci/fuzz $(FUZZTIME)

vuln:
	./.ci/vuln $(GOVULNCHECK)

clean:
	rm -rf $(BIN) bench/bin
