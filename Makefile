# Ringlink. `make demo` needs only Go; `make test` says what else it needs, and
# as root installs it. A tier is a group of tests that needs more than Go:
# postgres, asterisk, sipp, chromium.

.PHONY: help demo build test lint bench soak clean

help:
	@echo 'make demo    the main job on this machine, with no telephone'
	@echo 'make build   one static binary, bin/ringlink'
	@echo 'make test    every test that can run here'
	@echo 'make lint    gofmt, go vet, staticcheck'
	@echo 'make bench   the figures, ours beside the peers (quiet machine, some minutes)'
	@echo 'make soak    hours of calls: make soak SOAK=2h'

demo:
	go run ./cmd/ringlink demo

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ringlink ./cmd/ringlink

test:
	@.ci/test

lint:
	@.ci/lint

# The figures of the whole gateway as one table, about twelve minutes, then the
# packages' own benchmarks. A part: make bench FIGURES=idle BENCH='^$$'
FIGURES ?= .
BENCH ?= .
bench:
	@tiers=$$(.ci/setup) && export RINGLINK_BENCH=1 RINGLINK_TIERS=$$tiers && \
		go test -count=1 -timeout 60m -run '^TestFigures$$/$(FIGURES)' -bench '^$$' ./cmd/ringlink && \
		go test -count=1 -p 1 -timeout 60m -run '^$$' -bench '$(BENCH)' -benchmem ./...

SOAK ?= 10m
soak:
	@tiers=$$(.ci/setup) && RINGLINK_SOAK=$(SOAK) RINGLINK_TIERS=$$tiers \
		go test -count=1 -p 1 -timeout 0 -v -run '^TestSoak' ./...

clean:
	rm -rf bin
