# make run        the tracker on its defaults
# make test       set-up, and all tests that take minutes together
# make test-long  the rest: clients in network namespaces, long fuzzing (needs root)
# make model      the models of the cluster, searched whole by spin: some ten minutes
# make lab        real clients behind shaped uplinks, against what docs/locality.md promises: some
#                 80 minutes, or one with LAB=-lab.quick (needs root)
# make bench      against an echo and opentracker, in turn, with ratios; then benchmarks (needs root)
# make screenshots  every page of the console, light and dark, into docs/screenshots
# make lambda-zip  bin/waggle-lambda-arm64.zip and -amd64.zip, for AWS Lambda
# make lint-template  the template of deploy/lambda, by cfn-lint (needs pip)
# make lint       the linter, whose rules include who may import whom
# make fuzz       every fuzz target for FUZZTIME each

SHELL := /bin/bash
BIN := $(CURDIR)/bin
FUZZTIME ?= 5m
GOLANGCI_VERSION := v2.15.0

# Servers that stores are tested against, built from their modules into bin.
VERSITYGW_VERSION := v1.8.0
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c
export PATH := $(BIN):$(PATH)

# What package peer's library would have of C and C++, which nothing here uses.
NO_C := nosqlite,disable_libutp
export GOFLAGS := -tags=$(NO_C)

# A program that tests use, and the Debian package that brings it. What is not on
# PATH is looked for as a path.
TEST_TOOLS := mktorrent:mktorrent qbittorrent-nox:qbittorrent-nox node:nodejs npm:npm \
	redis-server:redis-server redis-cli:redis-tools chromium:chromium promtool:prometheus gcc:gcc /usr/include/stdlib.h:libc6-dev /usr/sbin/nsd:nsd \
	/usr/lib/python3/dist-packages/libtorrent.egg-info:python3-libtorrent \
	/usr/lib/python3/dist-packages/feedparser:python3-feedparser
LONG_TOOLS := deluged:deluged deluge-console:deluge-console transmission-daemon:transmission-daemon \
	transmission-remote:transmission-cli aria2c:aria2 rtorrent:rtorrent ip:iproute2 spin:spin gcc:gcc

.PHONY: run build test test-long model lab bench screenshots lint lint-template lambda-zip fuzz setup setup-long clean

run:
	CGO_ENABLED=0 go run ./cmd/waggle serve

build:
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o $(BIN)/waggle ./cmd/waggle

test: setup
	go vet ./...
	go test -race -timeout 10m ./...

test-long: setup setup-long
	go test -race -timeout 60m -tags long,$(NO_C) ./...
	go test -race -tags portable ./frontend/http ./frontend/websocket
	go test -count=1 -tags long,$(NO_C) -run AtAMillionPeers -v ./console/browser
	go test -count=1 -timeout 60m -run RandomSchedules ./cluster -schedules 100000
	cluster/model/check.sh
	$(MAKE) fuzz

model:
	@$(call install,spin:spin gcc:gcc)
	cluster/model/check.sh

lab:
	@$(call install,transmission-daemon:transmission-daemon rtorrent:rtorrent ip:iproute2 tc:iproute2 iptables:iptables \
		/usr/lib/python3/dist-packages/libtorrent.egg-info:python3-libtorrent)
	go test -count=1 -tags lab,$(NO_C) -timeout 150m ./lab -v $(LAB)

bench: build
	@$(call install,opentracker:opentracker taskset:util-linux curl:curl jq:jq redis-server:redis-server redis-benchmark:redis-tools)
	bench/goals.sh $(BIN)/waggle
	bench/console.sh $(BIN)/waggle
	bench/redis.sh $(BIN)/waggle
	bench/cluster.sh $(BIN)/waggle
	bench/lambda.sh $(BIN)/waggle
	bench/links.sh $(BIN)/waggle
	bench/lan.sh $(BIN)/waggle
	go test -run '^$$' -bench . -benchmem ./bittorrent ./locality ./roster ./store/... ./frontend/http ./torrent ./tracker

screenshots: setup
	go test -count=1 -tags screenshots,$(NO_C) -run Screenshots ./console/browser

lambda-zip:
	for arch in arm64 amd64; do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -tags=$(NO_C),function,lambda.norpc -ldflags="-s -w" -o $(BIN)/lambda/$$arch/bootstrap ./cmd/waggle && \
		go run ./deploy/lambda/pack $(BIN)/lambda/$$arch/bootstrap $(BIN)/waggle-lambda-$$arch.zip || exit 1; \
	done

lint-template:
	python3 -m venv $(BIN)/cfn-lint
	$(BIN)/cfn-lint/bin/pip install -q cfn-lint==1.58.0
	$(BIN)/cfn-lint/bin/cfn-lint deploy/lambda/template.yaml

lint: $(BIN)/golangci-lint-$(GOLANGCI_VERSION)
	$< run ./...
	$< run --build-tags long ./interop/...
	$< run --build-tags lab ./lab/...
	$< run --build-tags long ./console/browser
	$< run --build-tags screenshots ./console/browser
	go mod tidy -diff

# go test fuzzes one target at a time.
fuzz:
	set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target for $(FUZZTIME)"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

NODE_MODULES := interop/node_modules console/web/node_modules store/dynamodb/node_modules
SERVERS := $(BIN)/.versitygw-$(VERSITYGW_VERSION) $(BIN)/.minio-$(MINIO_VERSION)

setup: $(NODE_MODULES:%=%/.installed) $(SERVERS)
	@$(call install,$(TEST_TOOLS))

setup-long:
	@$(call install,$(LONG_TOOLS))

%/node_modules/.installed: %/package.json %/package-lock.json
	@$(call install,node:nodejs npm:npm)
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

$(BIN)/.versitygw-$(VERSITYGW_VERSION):
	GOBIN=$(BIN) GOFLAGS= go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)
	touch $@

$(BIN)/.minio-$(MINIO_VERSION):
	GOBIN=$(BIN) GOFLAGS= go install github.com/minio/minio@$(MINIO_VERSION)
	touch $@

$(BIN)/golangci-lint-$(GOLANGCI_VERSION):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(BIN)/golangci-lint $@

clean:
	rm -rf $(BIN) $(NODE_MODULES)

# install installs with apt what is missing of a list of program:package.
define install
	missing=(); for pair in $(1); do \
		program=$${pair%%:*}; \
		command -v "$$program" >/dev/null || [ -e "$$program" ] || missing+=("$${pair##*:}"); \
	done; \
	if [ $${#missing[@]} -gt 0 ]; then \
		echo "installing $${missing[*]}"; \
		sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		export DEBIAN_FRONTEND=noninteractive; \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; \
	fi
endef
