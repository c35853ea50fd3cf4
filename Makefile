# make test is the gate: it installs what it needs and runs everything.
# make check is the quick half, for between two commits.

GO        ?= go
FUZZTIME  ?= 60s
BIN       := bin
STATICCHECK := $(BIN)/staticcheck
GOVULNCHECK := $(BIN)/govulncheck

.PHONY: all build test check lint vuln race compat crash fuzz deps bench clean

all: build

build:
	$(GO) build -trimpath -o $(BIN)/copse .

test: deps lint race compat crash fuzz vuln
	@echo "make test: everything passed"

# The gate's quick half: two to three minutes.
check: lint
	$(GO) test ./...
	cd bench && $(GO) vet ./...

# etcd and etcdctl 3.4 are what the answers are held against.
deps:
	@command -v etcd >/dev/null && command -v etcdctl >/dev/null || { \
		echo "installing etcd-server and etcd-client from Debian's packages"; \
		apt-get update -qq && apt-get install -y -qq etcd-server etcd-client; }

lint: $(STATICCHECK)
	@unformatted=$$(gofmt -l . bench); test -z "$$unformatted" || { echo "run gofmt on:" $$unformatted; exit 1; }
	$(GO) vet ./...
	cd bench && $(GO) vet ./...
	$(STATICCHECK) ./...
	cd bench && ../$(STATICCHECK) ./...

$(STATICCHECK):
	GOBIN=$(CURDIR)/$(BIN) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2

race:
	$(GO) test -race -timeout 20m ./...

# -count=1, here and for crash: the go command can't know that copse itself,
# which these tests build and start, has changed.
#
# Against the real etcd: in process, over HTTP, and with real clients.
compat:
	cd bench && $(GO) test -race -count=1 -timeout 30m ./oracle/... ./compat/... ./peer/... ./loadtree/... ./load/...

crash:
	cd bench && $(GO) test -race -count=1 -timeout 20m ./crash/...

# Each target for FUZZTIME, starting from the committed corpus.
fuzz:
	./.ci/fuzz $(FUZZTIME)

vuln:
	./.ci/vuln $(GOVULNCHECK)

# copse beside the real etcd 3.5, turn by turn, for half an hour or so. What it
# prints is for bench/RESULTS.md.
bench:
	cd bench && $(GO) run ./load requests -pictures pictures
	cd bench && $(GO) run ./load watchers -n 15000 -turns 3
	cd bench && $(GO) run ./load watchput -n 15000 -turns 3
	cd bench && $(GO) run ./load keys

clean:
	rm -rf $(BIN) bench/bin
