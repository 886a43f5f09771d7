# The two that matter: "make run" and "make test". The rest: "make help".

SHELL := /bin/bash
GO ?= go
LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VULN := golang.org/x/vuln/cmd/govulncheck@v1.9.0
VERSION := $(shell git describe --always --dirty 2>/dev/null)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Serve on http://127.0.0.1:8000 with dueto.db in this folder
	@exec bin/dueto serve

.PHONY: build
build: need-go ## Build bin/dueto
	@test -e bin/dueto || echo "Building; the first time takes a minute or two, for SQLite is compiled with it."
	@$(GO) build -ldflags "-X dueto/cli.version=$(VERSION)" -o bin/dueto .

.PHONY: test
test: need-tools tests/npm/node_modules ## Run every test, on both engines; as root on Debian, install what they need
	$(GO) vet ./...
	$(GO) test -race -parallel $(PARALLEL) -timeout 15m ./...
	$(GO) test -count=1 -run '^TestRequestCosts_' ./tests # the race detector would allocate too
	DUETO_TEST_ENGINE=postgres $(GO) test -race -parallel $(PARALLEL) -timeout 15m -run '$(RACY)' ./tests
	DUETO_TEST_ENGINE=postgres $(GO) test -parallel $(PARALLEL) -timeout 15m -skip '^Test(SQLite|Postgres|Browser)|$(RACY)' ./tests
	@$(MAKE) --no-print-directory fuzz

# Tests wait for disks, clocks and other programs: more at once than processors.
PARALLEL := 4

# What much happens in at once: on PostgreSQL the race detector looks at this
# alone, for the rest is the same code as on SQLite.
RACY := ^Test(Concurrency|Durability|Sessions|Refresh|Throttle|Outbox|Keys)

# Targets are found, not listed, so that none is forgotten. Each begins with the
# inputs that are kept beside it: what earlier runs met takes no time from this
# one. What makes one fail is left in testdata/fuzz, to be mended and kept.
FUZZTIME ?= 2s
.PHONY: fuzz
fuzz: need-go ## Try inputs that nobody thought of, for FUZZTIME on each target
	@set -e; tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	folders=$$(grep -rl '^func Fuzz' --include='*_test.go' . | xargs -r dirname | sort -u); \
	test -n "$$folders" || { echo "There is no fuzz target."; exit 1; }; \
	for folder in $$folders; do \
		$(GO) test -c -fuzz . -o "$$tmp/fuzz.test" "$$folder"; \
		for target in $$("$$tmp/fuzz.test" -test.list '^Fuzz'); do \
			echo "$$folder $$target"; \
			(cd "$$folder" && "$$tmp/fuzz.test" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzminimizetime 200x -test.fuzzcachedir "$$tmp/corpus") || exit 1; \
		done; \
	done

.PHONY: costs
costs: need-go ## Record anew what requests cost, which a test compares
	$(GO) test -count=1 -run '^TestRequestCosts_' ./tests -update
	DUETO_TEST_ENGINE=postgres $(GO) test -count=1 -run '^TestRequestCosts_' ./tests -update

.PHONY: check
check: need-go ## Check formatting, modules and lint, as CI does first
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run: gofmt -w ."; exit 1; }
	$(GO) mod verify
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) run $(LINT) run --allow-parallel-runners ./...

.PHONY: vuln
vuln: need-go ## Look for known vulnerabilities (needs the Go vulnerability database)
	$(GO) run $(VULN) ./...

SCREENSHOTS ?= screenshots
.PHONY: screenshots
screenshots: need-go ## Take pictures of the pages into the folder SCREENSHOTS, and those of the README
	DUETO_SCREENSHOTS=$(abspath $(SCREENSHOTS)) $(GO) test -count=1 -run '^TestBrowser_Screenshots$$' ./tests
	cp $(SCREENSHOTS)/tasks-desktop-light.png docs/screenshots/tasks.png
	cp $(SCREENSHOTS)/task-phone-dark.png docs/screenshots/task-phone.png

.PHONY: bench
bench: need-go ## Measure against hand-made servers and write bench/RESULTS.md
	$(GO) run ./bench $(BENCH)

.PHONY: routes
routes: build ## Print the routes of the API
	@bin/dueto routes

# What building needs besides Go: a C compiler for SQLite. What the tests need
# besides: the clients that the README's tour is typed in, and PostgreSQL. Without
# the pooler, the browser, its fonts, and npm, some are skipped, except on CI.
COMPILER := gcc libc6-dev
TOOLS := curl httpie jq postgresql pgbouncer chromium fonts-dejavu-core npm

.PHONY: need-go
need-go:
	@command -v $(GO) >/dev/null || { echo "Go is missing: get it from https://go.dev/dl (the version in go.mod, or newer)."; exit 1; }
	@$(compiles) || { $(may-install) && $(call install,$(COMPILER)) && $(compiles); } || { echo "A C compiler, or the headers of the C library, are missing. On Debian: apt-get install $(COMPILER)"; exit 1; }

.PHONY: need-tools
need-tools: need-go
	@lacking() { \
		for tool in curl http jq; do command -v $$tool >/dev/null || printf ' %s' $$tool; done; \
		test -n "$$DUETO_TEST_POSTGRES" || command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || printf ' %s' postgresql; \
	}; \
	wanting() { \
		for tool in pgbouncer npm; do command -v $$tool >/dev/null || printf ' %s' $$tool; done; \
		command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || printf ' chromium'; \
	}; \
	PATH="$$PATH:/usr/sbin"; \
	test -z "$$(lacking)$$(wanting)" || { $(may-install) && $(no-server) && $(call install,$(TOOLS)); }; \
	missing=$$(lacking); test -z "$$missing" || { \
		echo "The tests need what is missing:$$missing. On Debian: apt-get install $(TOOLS)"; \
		echo "In place of PostgreSQL's programs, DUETO_TEST_POSTGRES may name a server on which databases can be made."; exit 1; }; \
	missing=$$(wanting); test -z "$$missing" || echo "Some tests are skipped for want of:$$missing. On Debian: apt-get install $(TOOLS)"

# What the tests take from npm is pinned by the lock file, and runs nothing when
# it is installed.
tests/npm/node_modules: tests/npm/package-lock.json
	@! command -v npm >/dev/null || { cd tests/npm && npm ci --ignore-scripts --loglevel=error >/dev/null && touch node_modules; } || \
		{ echo "The tests that need what npm cannot get are skipped, except on CI."; test -z "$$CI"; }

# Go compiles SQLite with the compiler that it names itself.
compiles = printf '\#include <stdlib.h>\n' | $$($(GO) env CC) -fsyntax-only -x c - 2>/dev/null

# As root on Debian, what is missing is installed; PostgreSQL without the server
# that its package would start, unless that was decided before.
may-install = test "$$(id -u)" = 0 && command -v apt-get >/dev/null
install = apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $(1) >/dev/null
no-server = { test -d /etc/postgresql-common || { mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf; }; }
