# make run        the tracker on its defaults
# make test       set-up, and all tests that take minutes together
# make test-long  the rest: clients in network namespaces, long fuzzing (needs root)
# make model      the models of the cluster, searched whole by spin: some ten minutes
# make lab        real clients behind shaped uplinks, against what docs/locality.md promises: some
#                 80 minutes, or one with LAB=-lab.quick (needs root)
# make bench      against an echo, opentracker and npm's bittorrent-tracker, in turn, with ratios; then benchmarks (needs root)
# make screenshots  every page of the console, light and dark, into docs/screenshots
# make release    binaries for Linux, macOS and Windows, Debian packages, bills of materials and
#                 checksums, in dist; the same commit makes the same bytes
# make release-twice  proves that, for all of them, in another folder and without Go's cache
# make lambda-zip  bin/waggle-lambda-arm64.zip and -amd64.zip, for AWS Lambda
# make lint-template  the template of deploy/lambda, by cfn-lint (needs pip)
# make lint-kubernetes  the manifests of deploy/kubernetes, by Kubernetes' own types
# make lint       the linter, whose rules include who may import whom
# make soak       days of churn within 20 minutes, or SOAK=1h: memory, goroutines, descriptors must not grow
# make vuln       what is known of weaknesses in the modules; needs vuln.go.dev
# make fuzz       every fuzz target for FUZZTIME each

SHELL := /bin/bash
BIN := $(CURDIR)/bin
FUZZTIME ?= 5m

# Packages that are tested at a time: one more than processors, as many tests wait for servers.
PACKAGES := $(shell expr $$(nproc) + 1)
PLATFORMS := linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64 windows-arm64
GOLANGCI_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.8.0
SOAK ?= 20m

# Servers that stores are tested against, built from their modules into bin.
VERSITYGW_VERSION := v1.8.0
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c

# An authority that certificates by ACME are tested with.
PEBBLE_VERSION := v2.10.0
export PATH := $(BIN):$(PATH)

# What package peer's library would have of C and C++, which nothing here uses.
NO_C := nosqlite,disable_libutp
export GOFLAGS := -tags=$(NO_C)

comma := ,
space := $(subst ,, )

# A program that tests use, and the Debian package that brings it. What is not on
# PATH is looked for as a path.
TEST_TOOLS := mktorrent:mktorrent qbittorrent-nox:qbittorrent-nox node:nodejs npm:npm \
	redis-server:redis-server redis-cli:redis-tools chromium:chromium /usr/sbin/haproxy:haproxy promtool:prometheus gcc:gcc /usr/include/stdlib.h:libc6-dev /usr/sbin/nsd:nsd ip:iproute2 \
	/usr/lib/python3/dist-packages/libtorrent.egg-info:python3-libtorrent \
	/usr/lib/python3/dist-packages/feedparser:python3-feedparser
LONG_TOOLS := deluged:deluged deluge-console:deluge-console transmission-daemon:transmission-daemon \
	transmission-remote:transmission-cli aria2c:aria2 rtorrent:rtorrent spin:spin gcc:gcc \
	systemd-analyze:systemd setpriv:util-linux unshare:util-linux \
	curl:curl jq:jq openssl:openssl mount:mount

.PHONY: run build release release-twice test test-long model lab bench screenshots soak lint lint-template lint-kubernetes lambda-zip vuln fuzz setup setup-long clean

run:
	CGO_ENABLED=0 go run ./cmd/waggle serve

build:
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o $(BIN)/waggle ./cmd/waggle

# MAINTAINER='Anna <anna@waggle.example>' is whom Debian packages name; else it is who made the commit.
release: $(PLATFORMS:%=vet-%)
	go run ./deploy/release $(if $(MAINTAINER),-maintainer '$(MAINTAINER)')

# vet-windows-arm64 looks at the program as it is there; its tests are for Linux. With -trimpath what it
# compiles is what the release is made of.
vet-%: $(BIN)/golangci-lint-$(GOLANGCI_VERSION)
	export GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath"; \
	$< run --tests=false --enable-only govet $$(go list -deps -f '{{with .Module}}{{if .Main}}{{$$.Dir}}{{end}}{{end}}' ./cmd/waggle)

release-twice:
	go test -count=1 -timeout 120m -tags long,$(NO_C) -run SameCommit -v ./deploy/release -targets $(subst $(space),$(comma),$(subst -,/,$(PLATFORMS)))

test: setup
	go vet ./...
	go vet -tags function,$(NO_C) ./cmd/waggle
	go test -race -p $(PACKAGES) -timeout 10m ./...

test-long: setup setup-long
	go test -race -timeout 60m -tags long,$(NO_C) ./...
	go test -race -tags portable ./frontend/http ./frontend/websocket
	go test -count=1 -run FiftyThousand -v ./frontend/websocket
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

bench: build interop/node_modules/.installed
	@$(call install,opentracker:opentracker taskset:util-linux curl:curl jq:jq redis-server:redis-server redis-benchmark:redis-tools)
	bench/goals.sh $(BIN)/waggle
	bench/console.sh $(BIN)/waggle
	bench/redis.sh $(BIN)/waggle
	bench/cluster.sh $(BIN)/waggle
	bench/lambda.sh $(BIN)/waggle
	bench/links.sh $(BIN)/waggle
	bench/lan.sh $(BIN)/waggle
	bench/websocket.sh $(BIN)/waggle
	go test -run '^$$' -bench . -benchmem ./access ./bittorrent ./locality ./roster ./store/... ./frontend/http ./torrent ./tracker

screenshots: setup
	go test -count=1 -tags screenshots,$(NO_C) -run Screenshots ./console/browser

lambda-zip:
	for arch in arm64 amd64; do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -tags=$(NO_C),function,lambda.norpc -ldflags="-s -w" -o $(BIN)/lambda/$$arch/bootstrap ./cmd/waggle && \
		go run ./deploy/lambda/pack $(BIN)/lambda/$$arch/bootstrap $(BIN)/waggle-lambda-$$arch.zip || exit 1; \
	done

lint-kubernetes:
	cd deploy/kubernetes/check && GOFLAGS= go test -count=1 ./...

lint-template:
	python3 -m venv $(BIN)/cfn-lint
	$(BIN)/cfn-lint/bin/pip install -q cfn-lint==1.58.0
	$(BIN)/cfn-lint/bin/cfn-lint deploy/lambda/template.yaml

lint: $(BIN)/golangci-lint-$(GOLANGCI_VERSION)
	$< run ./...
	$< run --build-tags long ./interop/... ./deploy/release ./docs/walk
	$< run --build-tags lab ./lab/...
	$< run --build-tags long ./console/browser
	$< run --build-tags screenshots ./console/browser
	$< run --build-tags long ./attack
	$< run --build-tags soak ./attack
	go mod tidy -diff

soak:
	SOAK=$(SOAK) go test -count=1 -tags soak,$(NO_C) -timeout 0 -run Days -v ./attack

vuln:
	GOBIN=$(BIN) GOFLAGS= go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	$(BIN)/govulncheck -tags $(NO_C) ./... || { \
		code=$$?; \
		[ $$code = 3 ] || echo "govulncheck has told nothing of the modules: does this machine reach https://vuln.go.dev?" >&2; \
		exit $$code; \
	}

# go test fuzzes one target at a time.
fuzz:
	set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target for $(FUZZTIME)"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

NODE_MODULES := interop/node_modules console/web/node_modules store/dynamodb/node_modules
SERVERS := $(BIN)/.versitygw-$(VERSITYGW_VERSION) $(BIN)/.minio-$(MINIO_VERSION) $(BIN)/.pebble-$(PEBBLE_VERSION)

setup: $(NODE_MODULES:%=%/.installed) $(SERVERS)
	@$(call install,$(TEST_TOOLS))

# What there is in the Debian that packages are installed into.
DEBIAN_PACKAGES := systemd,adduser,procps,bash-completion
DEBIAN_HAS := .has-$(subst $(comma),-,$(DEBIAN_PACKAGES))

setup-long: $(BIN)/.debian/$(DEBIAN_HAS) interop/webtorrent/node_modules/.installed
	@$(call install,$(LONG_TOOLS))

# It is from where this machine has its own.
$(BIN)/.debian/$(DEBIAN_HAS):
	@$(call install,debootstrap:debootstrap)
	rm -rf $(BIN)/.debian
	debootstrap --variant=minbase --include=$(DEBIAN_PACKAGES) "$$(. /etc/os-release && echo $$VERSION_CODENAME)" $(BIN)/.debian \
		"$$(apt-get indextargets --format '$$(REPO_URI)' 'Created-By: Packages' | head -n 1)" >/dev/null
	touch $@

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

$(BIN)/.pebble-$(PEBBLE_VERSION):
	GOBIN=$(BIN) GOFLAGS= go install github.com/letsencrypt/pebble/v2/cmd/pebble@$(PEBBLE_VERSION)
	touch $@

$(BIN)/golangci-lint-$(GOLANGCI_VERSION):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(BIN)/golangci-lint $@

clean:
	rm -rf $(BIN) $(NODE_MODULES) interop/webtorrent/node_modules

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
