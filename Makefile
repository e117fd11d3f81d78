# Sidestream. `make` prints this help.

GO        ?= go
LINT      := bin/golangci-lint
LINT_VERSION := v2.15.0
PROGRAMS  := bin/sidestream bin/orders bin/inventory bin/details bin/email
# The Go programs of services.yaml, so that a new one is built too.
SERVICES  := $(shell sed -n 's|^ *program: *\(\./services/[a-z0-9-]*\) *$$|\1|p' services/services.yaml)
KAFKA     ?= 127.0.0.1:29092

export CGO_ENABLED := 1

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  DEMO_EXIT=1 make demo   ends by itself, with 0 when all is as it should be"

.PHONY: setup
setup: ## check the tools that a build needs (Go and a C compiler)
	@scripts/setup

.PHONY: build
build: setup ## the CLI and the services, into bin/
	$(GO) build -o bin/ ./sidecar/cmd/... $(sort $(SERVICES) ./services/email)

# EMAILER=node sends the mails with the Node.js program.
EMAILER   ?= go
OVERLAY   := $(if $(filter node,$(EMAILER)),--overlay services/emailer-node/services.yaml)

.PHONY: demo
demo: build bin/mailpit ## the whole flow on this machine, with a shop, orders and an inbox (EMAILER=node)
	bin/sidestream dev --demo --bin bin $(OVERLAY)

bin/mailpit: scripts/mailpit
	scripts/mailpit
	@touch $@

.PHONY: test
test: build ## every test that needs nothing but this machine
	$(GO) test -timeout 15m ./...
	bin/sidestream test ksql --cover

.PHONY: golden
golden: ## replay what was recorded from a real ksqlDB (GOLDEN=b02 for one scenario)
	$(GO) test -count=1 -timeout 10m -run TestGolden -v ./sidecar/engine/rest

CASES ?= ../shared/cases/cases-dev.jsonl.gz

.PHONY: bin/conformance
bin/conformance:
	@$(GO) build -o bin/ ./sidecar/engine/enginetest/conformance

.PHONY: conformance
conformance: bin/conformance ## ksqlDB's query cases (CASES=file, ONLY=pattern, OUT=report.json, UPDATE=1)
	@bin/conformance -cases '$(CASES)' $(if $(ONLY),-only '$(ONLY)') $(if $(OUT),-out '$(OUT)') $(if $(UPDATE),-update) $(if $(CHECK),-check '$(CHECK)')

.PHONY: compatibility
compatibility: bin/conformance ## COMPATIBILITY.md, from a run of the query cases
	@bin/conformance -cases '$(CASES)' -compatibility COMPATIBILITY.md

.PHONY: test-chart
test-chart: ## the chart without a cluster: goldens, types, pod security, access rules
	cd helm/sidestream/charttest && $(GO) vet ./... && $(GO) test -timeout 10m ./...

.PHONY: test-k8s
test-k8s: ## the chart on the cluster of kubectl (IN=prefix of commands, LOAD=command that takes an image archive)
	scripts/test-k8s

.PHONY: test-ksqldb
test-ksqldb: ## the applier and the SQL tests on a ksqlDB by URL (KSQLDB_URL=http://…)
	scripts/test-ksqldb

.PHONY: images
images: ## an image for each program, into dist/images (BY=docker: with Docker)
	scripts/images/make $(IMAGES)

.PHONY: test-new
test-new: ## a new service in Go, Node and Python: made, built, tested, run in a demo (needs npm and pip)
	TEST_NEW=1 $(GO) test -count=1 -timeout 30m -run TestNewServices -v ./sidecar/scaffold

.PHONY: test-images
test-images: images ## the images by Docker: they start, become ready, serve an order
	IMAGES_DIR=$(CURDIR)/dist/images $(GO) test -count=1 -timeout 10m -v ./sidecar/image

.PHONY: test-kafka
test-kafka: build ## the flow's tests on Apache Kafka (needs Java 17 and Maven)
	scripts/kafka-up
	TEST_KAFKA=$(KAFKA) $(GO) test -count=1 -timeout 20m ./services/e2e/... ; status=$$?; scripts/kafka-down; exit $$status

.PHONY: chaos
chaos: build ## 200 kills of random sidecars, programs and the broker under load, then the books are checked
	CHAOS_KILLS=200 $(GO) test -count=1 -timeout 60m -run TestKill -v ./services/e2e/...

.PHONY: chaos-email
chaos-email: build ## 200 kills of each emailer and its SMTP server at random steps, then the mails are counted
	CHAOS_EMAIL_KILLS=200 $(GO) test -count=1 -timeout 120m -run TestEmailKill -v ./services/e2e/...

.PHONY: metamorphic
metamorphic: ## the same records by other partitions, portions, commits and restarts (SEEDS=20)
	@METAMORPHIC_SEEDS=$(or $(SEEDS),20) $(GO) test -count=1 -timeout 60m -v -run TestHowItIsRunChangesNothing ./sidecar/engine/runtime/

.PHONY: fuzz
fuzz: ## every fuzz test for a while (FUZZTIME=30s each)
	@scripts/fuzz

.PHONY: chaos-apply
chaos-apply: ## an apply killed at every step of a rebuild, then the records are counted
	DEPLOY_KILLS=all $(GO) test -count=1 -timeout 20m -run TestKilledAppliers -v ./sidecar/deploy

.PHONY: bench
bench: build ## latency, throughput, start-up and memory, with the machine and commit
	scripts/bench

.PHONY: lint
lint: $(LINT) ## formatting, vet and linters
	@test -z "$$(gofmt -l services sidecar helm scripts | tee /dev/stderr)" || (echo "run make fmt"; exit 1)
	$(LINT) run ./...
	bin/sidestream fmt --check ksql
	bin/sidestream lint ksql

.PHONY: fmt
fmt: ## format Go and SQL
	gofmt -w services sidecar helm scripts
	bin/sidestream fmt ksql

$(LINT):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: clean
clean: ## remove what was built and the demo's data
	rm -rf bin .sidestream
