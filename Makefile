# make help lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Stamping by go build itself fails where the checkout belongs to another user; the version above is enough.
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'

.PHONY: help run build web test lint schema demo bench-api fuzz

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
	go vet ./...
	@unformatted=$$(gofmt -l $(wildcard cmd db internal test web/*.go)); \
		[[ -z $$unformatted ]] || { echo "not formatted with gofmt:"; echo "$$unformatted"; exit 1; }
	go test -timeout 15m -p 2 ./...
	go run ./test/demo

lint: ## golangci-lint, as tools/go.mod pins it
	go tool -modfile=tools/go.mod golangci-lint run ./...

schema: ## write db/schema.sql from the migrations
	go run ./db/schemagen

demo: ## walk through a server's main functions; one line a step
	go run ./test/demo

bench-api: ## measure the API; last line: one JSON object
	go run ./test/benchapi

fuzz: ## run each fuzz test for FUZZTIME (20s)
	scripts/fuzz
