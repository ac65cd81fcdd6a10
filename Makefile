# What can be done here; "make" alone lists it. Nothing needs root except what says so.

# Under sudo, PATH is often the system's own, without the directory that go is in.
GO := $(firstword $(shell command -v go) $(wildcard /usr/local/go/bin/go /usr/lib/go-1.*/bin/go /snap/bin/go))
ifeq ($(GO),)
$(error go is not in PATH nor in /usr/local/go: see https://go.dev/doc/install)
endif
export PATH := $(dir $(GO)):$(PATH)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

SOURCE_DATE := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# DESTDIR is put before every installed path (for packagers). The packages use PREFIX=/usr.
DESTDIR ?=
PREFIX  ?= /usr/local

# The tools have a module of their own, so that what they need is not in the module of the program.
TOOL := $(GO) tool -modfile=tools/go.mod

# A recipe stops at its first failing command, also in the middle of a loop.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help build install package sbom reproduce demo test simulate steady mutants fuzz bench chaos attack upgrade model check deps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

# The same source gives the same file wherever it is built: no cgo, no paths, no build time; -s -w leaves out what only a
# debugger reads (stack traces stay whole).
build: ## bin/vipd, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/vipd ./cmd/vipd
	@$(call give_back,bin)

install: build ## install into DESTDIR/PREFIX (/usr/local); an existing configuration is kept
	install -D -m 0755 bin/vipd $(DESTDIR)$(PREFIX)/bin/vipd
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in vipd.service vipd@.service; do \
		sed 's|/usr/bin/vipd|$(PREFIX)/bin/vipd|; s|/usr/share/doc|$(PREFIX)/share/doc|' deploy/$$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit; done
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/vipd README.md
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/vipd/docs docs/*.md
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/share/doc/vipd/examples deploy/examples/prepare.sh deploy/examples/fence-azure.sh
	install -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/vipd/examples deploy/examples/*.conf deploy/examples/50-vipd.rules
	install -d $(DESTDIR)/etc/vipd
	test -e $(DESTDIR)/etc/vipd/vipd.yaml || install -m 0644 deploy/examples/vipd.yaml $(DESTDIR)/etc/vipd/vipd.yaml
	for script in notify.sh check.sh; do test -e $(DESTDIR)/etc/vipd/$$script || \
		install -m 0755 deploy/examples/$$script $(DESTDIR)/etc/vipd/$$script; done
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

package: build sbom ## dist/*.deb and dist/*.rpm, and what is in them
	mkdir -p dist
	export VERSION='$(call package_version,$(VERSION))' ARCH="$$($(GO) env GOARCH)" SOURCE_DATE_EPOCH='$(SOURCE_DATE)'; \
	for packager in deb rpm; do $(TOOL) nfpm package --config deploy/nfpm.yaml --packager $$packager --target dist; done
	@$(call give_back,dist)

# From what the Go linker wrote into the program. No serial number and no time: the same program has the same list.
sbom: build ## dist/vipd.cdx.json: the modules in bin/vipd, as CycloneDX
	mkdir -p dist
	$(TOOL) cyclonedx-gomod bin -json -noserial -notimestamp -std -version '$(VERSION)' -output dist/vipd.cdx.json bin/vipd
	@$(call give_back,dist)

reproduce: ## program, packages and SBOM built twice, in different surroundings: the same bytes
	tools/reproduce '$(VERSION)' '$(SOURCE_DATE)'

demo: root deps build ## as root: three hosts, a load balancer and Apache in namespaces, and what happens when they fail
	$(GO) run ./internal/demo -vipd $(CURDIR)/bin/vipd

test: root deps ## as root: all tests, with real packets in namespaces
	$(GO) test -p 1 -race -shuffle=on -count=1 -timeout 20m ./...
	$(MAKE) mutants

# Without HOURS a minute's worth. SEED is where to begin: `make simulate SEED=17 SEEDS=1` runs one.
HOURS ?= $(if $(SEEDS),0,100)
SEED  ?=
SEEDS ?=
simulate: ## HOURS=… SEED=…: clusters on virtual time under random faults, as long as you like
	$(GO) test ./internal/simulate -count=1 -timeout 0 -run '^TestSimulate$$' -v -args -hours $(HOURS) -seed $(or $(SEED),1) $(if $(SEEDS),-seeds $(SEEDS))

steady: HOURS = 24
steady: ## HOURS=…: simulated hours of 5 % loss, and of hosts short of CPU, through which one holder must stay
	$(GO) test ./internal/simulate -count=1 -timeout 0 -run '^TestSteady$$' -v -args -hours $(HOURS) -seed $(or $(SEED),1)

mutants: ## the simulator must miss each rule of the protocol that is left out
	$(GO) test -tags mutants ./internal/simulate -count=1 -timeout 60m -run '^(TestMutants|TestTheSameProfiles.*)$$' -v

# Some targets open netlink sockets and files of root's; none changes anything on this host.
FUZZTIME ?= 10m
FUZZ     ?= .
fuzz: ## FUZZTIME=… FUZZ=…: random bytes for each parser of what comes from outside, 10m each; what fails is kept as a test
	@tools/fuzz '$(FUZZTIME)' '$(FUZZ)'

bench: root deps build ## as root: how long nobody answers, beside keepalived
	$(GO) run ./internal/bench -vipd $(CURDIR)/bin/vipd -prepare

# SEED decides the faults; a run without one draws it, and prints it.
MINUTES ?= 2
HOSTS   ?= 3

chaos: root deps build ## as root: faults at random, several at a time; SEED=… MINUTES=… HOSTS=…, page in dist/
	@code=0; seed=$(SEED); : "$${seed:=$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}"; \
	$(GO) run ./internal/chaos -vipd $(CURDIR)/bin/vipd -version '$(VERSION)' -seed "$$seed" -minutes $(MINUTES) -hosts $(HOSTS) || code=$$?; \
	$(call give_back,dist); exit $$code

SECONDS ?= 5
ONLY    ?=
attack: root deps build ## as root: what can be done from outside to three running hosts, and what it does; SECONDS=… ONLY=NAME,…
	$(GO) run ./internal/attack -vipd $(CURDIR)/bin/vipd -seconds $(SECONDS) -only '$(ONLY)'

# Not part of "make test": it builds the previous version from the git history, which an archive of the source does not have.
upgrade: root deps ## as root: the previous version upgraded host by host, and one host back
	$(GO) test -tags upgrade ./internal/lab -count=1 -timeout 20m -run '^TestRollingUpgrade$$' -v

model: ## the lease protocol, searched exhaustively by spin within bounds, with and without each rule; QUICK=1: less of it
	nice model/run $(if $(QUICK),quick,full)

check: ## all that can be said of the code without running it
	@echo '== gofumpt'; files=$$($(TOOL) gofumpt -l .); test -z "$$files" || { echo "$$files: not formatted, run: $(TOOL) gofumpt -w ."; exit 1; }
	@echo '== go vet'; $(GO) vet ./... && $(GO) vet -tags mutants ./election ./internal/simulate && $(GO) vet -tags upgrade ./internal/lab
	@echo '== golangci-lint'; $(TOOL) golangci-lint run ./...
	@echo '== govulncheck'; tools/vulncheck $(TOOL) govulncheck ./...
	@echo '== go mod tidy'; $(GO) mod tidy -diff && $(GO) -C tools mod tidy -diff
	@echo '== rules of the house, units'; $(GO) test -count=1 ./internal/rules ./deploy

deps: ## as root: the Debian packages that demo, test, bench, chaos, attack, upgrade and model need, as far as they are missing
	tools/deps

clean: ## remove what was built
	rm -rf bin dist

.PHONY: root
root:
	@test "$$(id -u)" = 0 || { echo 'This needs root (network namespaces, eBPF): sudo make $(MAKECMDGOALS)' >&2; exit 1; }

# give_back makes files that were built under sudo belong to the user whose checkout this is.
give_back = if [ -n "$${SUDO_UID:-}" ]; then chown -R "$$SUDO_UID:$$SUDO_GID" $(1); fi

# package_version turns v1.2.3-rc1-4-gabc1234-dirty into 1.2.3~rc1+4.gabc1234.dirty, and a version without a tag into
# 0.0.0+abc1234, so that dpkg and rpm sort them as meant.
package_version = $(shell echo '$(1)' | sed 's/^v//; s/-dirty$$/.dirty/; s/-\([0-9]*\)-g/+\1.g/; s/-/~/g; /^[0-9]*\.[0-9]/!s/^/0.0.0+/')
