# Sternpost. `make help` lists what can be done.

# FUZZTIME is how long each fuzz target of `make check` runs. 0: only the inputs that are kept in the repository.
FUZZTIME ?= 10s

# ROUNDS is how often `make crash` kills the agent, and SEED where the randomness of it begins.
ROUNDS ?= 200
SEED ?= 1

# What `make bench` measures beside runs of 10,000 messages: one run with MANY messages, DEPTH messages queued for a dead destination, and TARPITS
# destinations that stall. With these numbers it takes about 20 minutes, of which Postfix needs twelve (six for its one run of MANY).
MANY ?= 200000
DEPTH ?= 1000000
TARPITS ?= 500
# ENTRIES is how many entries the journal has at least when it is asked about the past.
ENTRIES ?= 100000

GO ?= go

.DEFAULT_GOAL := help
.PHONY: help build run demo test check docs interop crash bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build bin/sternpost
	@test -x bin/sternpost || echo "The first build takes a minute or two: Go fetches the libraries of go.mod and compiles them."
	$(GO) build -o bin/sternpost ./cmd/sternpost

run: build ## run the agent with its queue in ./var: mail comes in at 127.0.0.1:2587
	STERNPOST_QUEUE_DIRECTORY=$${STERNPOST_QUEUE_DIRECTORY:-var} bin/sternpost serve

demo: build ## see the agent meet four kinds of trouble: offline, in seconds
	@bin/sternpost demo

test: ## run the tests
	$(GO) test ./...

check: ## formatting, vet, staticcheck, tests with the race detector in random order, short fuzzing
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags interop,crash,bench ./test/...
	$(GO) tool staticcheck ./...
	$(GO) test -race -shuffle=on ./...
	@FUZZTIME=$(FUZZTIME) GO="$(GO)" ./test/fuzz.sh

docs: build ## make docs/configuration.md from the program
	bin/sternpost config docs > docs/configuration.md

interop: ## real mail servers and clients, hostile ones, nmap (Debian, npm, root; see test/interop)
	test/interop/setup.sh
	$(GO) test -tags interop -count=1 -v ./test/interop/...

crash: ## kill the agent, cut its power, fail and fill its disk; nothing may be lost (the disks need root)
	ROUNDS=$(ROUNDS) SEED=$(SEED) $(GO) test -tags crash -count=1 -timeout 60m -v ./test/crash/...

bench: ## allocations, five days in the lab, a comparison with Postfix, a deep queue and tarpits with their limits, the doors, questions under load (Debian, root; see test/bench)
	$(GO) test -run '^$$' -bench . -benchmem ./delivery/...
	$(GO) test -run '^$$' -bench LabRunFiveDays ./cmd/sternpost
	test/interop/setup.sh
	$(GO) run -tags bench ./test/bench -many $(MANY) -many-postfix
	$(GO) run -tags bench ./test/bench -depth $(DEPTH) -tarpits $(TARPITS)
	$(GO) run -tags bench ./test/bench -doors
	$(GO) run -tags bench ./test/bench -questions $(ENTRIES)

clean: ## remove what was built
	rm -rf bin
