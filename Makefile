# make help lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Stamping by go build itself fails where the checkout belongs to another user; the version above is enough.
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'

# Answers of endpoints that tests recorded: outside the module, whose files go test's cache watches.
RECORDS := $(or $(TMPDIR),/tmp)/oven-contract-$(shell id -u)-$(shell pwd | cksum | cut -d' ' -f1)
CONTRACT = cd test/contract && { [[ node_modules/.package-lock.json -nt package-lock.json ]] || npm ci --ignore-scripts --no-audit --no-fund >&2; } \
	&& node check.mjs $(RECORDS) $(CURDIR)/build/contract.json

.PHONY: help run build web test lint schema contract demo test-faults test-slow bench-api bench-delivery bench-inbox bench-doctor bench-search bench-stream fuzz drill test-s3

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

run: ## build and run a server for development on http://localhost:3000 (installs PostgreSQL's programs if missing)
	@scripts/setup run
	@$(MAKE) --no-print-directory build
	@exec scripts/run

build: ## build bin/oven, with the web client where Node.js is there
	@scripts/web
	@mkdir -p bin
	@$(BUILD) -o bin/oven ./cmd/oven

web: ## build the web client into web/dist (nothing to do when its sources are unchanged)
	@scripts/web --needed

test: ## install what tests need, then build, vet, check the format and run all tests
	scripts/setup test
	scripts/web --needed
	$(MAKE) --no-print-directory build
	cd web && npm run --silent check && npm test --silent
	go vet -tags faults ./...
	@unformatted=$$(gofmt -l $(wildcard cmd db internal test web/*.go)); \
		[[ -z $$unformatted ]] || { echo "not formatted with gofmt:"; echo "$$unformatted"; exit 1; }
	OVEN_TEST_RECORD=$(RECORDS) go test -timeout 15m -p 2 ./...
	@$(CONTRACT)
	go run ./test/demo

test-faults: ## run what takes longer: servers killed, frozen, cut off from their database, huge backlogs
	go test -tags faults -count=1 -timeout 20m -v ./test/faults
	go test -tags faults -count=1 -timeout 20m -v -run '^TestLong' ./internal/socket/delivery ./internal/doctor

test-slow: ## run the browser's tests as on a slow phone with a bad line
	OVEN_TEST_SLOW=1 go test -count=1 -timeout 40m ./test/web

test-s3: ## run the tests of the object store on a real one (builds versitygw)
	@scripts/test-s3

drill: ## do to databases every known way of going wrong; the doctor must find it, and nothing besides
	go test -count=1 -v -run 'Drill|Repair|Explain|Real|Private|Clean' ./internal/doctor ./cmd/oven

lint: ## golangci-lint, as tools/go.mod pins it
	go tool -modfile=tools/go.mod golangci-lint run --build-tags faults ./...

schema: ## write db/schema.sql from the migrations
	go run ./db/schemagen

contract: ## compare what endpoints answer in tests with Misskey's types; last line: implemented N / 437, valid M
	@OVEN_TEST_RECORD=$(RECORDS) go test -timeout 15m -p 2 ./internal/... >&2
	@$(CONTRACT)

demo: ## walk through a server's main functions; one line a step
	go run ./test/demo

bench-api: ## measure the API; last line: one JSON object
	go run ./test/benchapi

bench-delivery: ## measure deliveries beside a large clean-up; last line: one JSON object
	go run ./test/benchdelivery

bench-inbox: ## measure what comes in, and mentions while relays flood; last line: one JSON object
	go run ./test/benchinbox

bench-doctor: ## measure a repair of a large database while clients write; last line: one JSON object
	go run ./test/benchdoctor

bench-search: ## measure the search index beside SQLite's and PostgreSQL's; last line: one JSON object
	go run ./test/benchsearch

bench-stream: ## measure 10,000 idle sockets, and how long notes take to them; last line: one JSON object
	go run ./test/benchstream

fuzz: ## run each fuzz test for FUZZTIME (20s)
	scripts/fuzz
