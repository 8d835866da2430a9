# Python 3.11 or newer and make are all that a machine needs; `make help` lists the targets.

# The first of these that is new enough; `make PYTHON=...` decides otherwise.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
BRIDGE := $(BIN)/ltp-bridge
READY := $(VENV)/.ready
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links
UV := $(VENV)/lock/bin/uv
HELM ?= helm
CHART := helm/ltp-kafka-bridge
# The engine that runs containers, and what builds an image with it.
ENGINE ?= docker
BUILD ?= $(ENGINE) build
IMAGE ?= ltp-kafka-bridge:dev
SANDBOX_IMAGE ?= ltp-kafka-bridge-sandbox:dev
# The base is pinned in the Dockerfile; `make image BASE=...` takes another one, such as a mirror's.
BASE ?=
LABELS = --build-arg VERSION=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' bridge/__init__.py) \
	--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
	--build-arg CREATED=$$(git show -s --format=%cI HEAD 2>/dev/null || date -u +%Y-%m-%dT%H:%M:%SZ)
# An image as the chart and compose.yaml run it.
RUN = $(ENGINE) run --rm --read-only --cap-drop ALL --security-opt no-new-privileges
# What `make quick` runs: the tests of what needs no Kafka broker.
QUICK := tests/alerts tests/core tests/contract tests/ltp tests/flow tests/admin tests/client/test_building.py \
	tests/doctor/test_files.py tests/doctor/test_network.py tests/doctor/test_report.py \
	$(filter-out tests/inspect/test_streams_reader.py,$(wildcard tests/inspect/test_*.py)) \
	$(filter-out tests/test_setup.py,$(wildcard tests/test_*.py))
ARGS ?=

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo sandbox examples test quick lint types imports pytest pace poison failover spread recovery \
	day panic bench crash chaos outage records canary alerts calm page validators format lock schemas released dist \
	image sbom containers chart clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the locked dependencies; done once, and again when they change

$(READY): requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none is on PATH: install it," \
		"or name it with make PYTHON=/path/to/python3"; exit 1; }
	@test ! -L $(VENV) || { echo "$(VENV) is a link: making it anew would empty what it leads to; remove it"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments:" \
		"install its venv package (Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "setting up $(VENV) with $$("$(PYTHON)" --version)"
	@begin=$$(date +%s) \
	&& "$(PYTHON)" -m venv --clear $(VENV) \
	&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt \
	&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . \
	&& $(BIN)/python -m pip check --disable-pip-version-check \
	&& touch $@ \
	&& echo "set-up took $$(( $$(date +%s) - begin )) s"

demo: $(READY) ## broker, sandbox and daemon live in the terminal; ARGS="--seconds 20 --json" ends by itself
	@$(BRIDGE) demo $(ARGS)

sandbox: $(READY) ## broker, sandbox and daemon on fixed ports, and nobody who trades; ARGS="--dialect observed"
	@$(BRIDGE) sandbox --broker $(ARGS)

examples: $(READY) ## the desks in Python, Java and Go against the demo, and over a log of traps; ARGS="python" runs one
	@$(BIN)/python -m tests.examples.run $(ARGS)

test: lint types imports pytest ## everything that must hold: lint, types, import order, tests on a real broker

quick: lint types imports ## lint, types, and the tests that need no broker: core, contract, ltp, flow, settings; two minutes
	$(BIN)/pytest -n 3 --dist worksteal --no-broker $(QUICK) $(ARGS)

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases tests
	$(BIN)/mypy examples/python/desk.py

imports: $(READY) ## the rooms import only downwards
	$(BIN)/lint-imports

pytest: $(READY) ## every test, in three processes, each with a broker of its own: most of them wait
	$(BIN)/pytest -n 3 --dist worksteal --cov --cov-report= -m "not pace and not poison" $(ARGS)
	@echo "coverage of the whole package, then of the pure rooms, which must be complete (complete files are not listed):"
	@$(BIN)/coverage report
	@$(BIN)/coverage report --fail-under=100 --include='bridge/core/*,bridge/contract/*,bridge/ltp/failover.py,bridge/ltp/login_refusals.py'

pace: $(READY) ## the long run at the venue's documented limits; takes minutes
	$(BIN)/pytest -m pace $(ARGS)

poison: $(READY) ## hostile batches, records and frames against a daemon in 512 MiB, by the hundred thousand; prints a table
	$(BIN)/pytest -n 0 -s -m poison tests/daemon/test_poison.py $(ARGS)

failover: $(READY) ## measure takeovers, and what standbys cost; takes minutes. ARGS="--takeovers 20 --results 200000"
	$(BIN)/python -m tests.failover $(ARGS)

spread: $(READY) ## thirty accounts over three replicas: a kill, a fourth, and accounts handed over; minutes. ARGS="--accounts 12"
	@$(BIN)/python -m tests.spread $(ARGS)

recovery: $(READY) ## measure recoveries after cuts, and what limits them; takes minutes. ARGS="--cuts 50 --orders 1000 --delay-ms 100"
	@$(BIN)/python -m tests.recovery $(ARGS)

day: $(READY) ## a day of 100,000 fills in virtual time: memory, and requests by the hour; minutes. ARGS="--hours 3 --open 20000"
	@$(BIN)/python -m tests.day $(ARGS)

panic: $(READY) ## measure how soon a cancel_orders is on the wire while the venue hangs; minutes. ARGS="--times 20 --queued 10000"
	@$(BIN)/python -m tests.panic $(ARGS)

bench: $(READY) ## daemon beside the floor of its libraries: throughput, CPU, latency; half an hour. ARGS="flood place --rounds 1"
	@$(BIN)/python -m tests.bench $(ARGS)

crash: $(READY) ## SIGKILL at every step of a command, on a real broker; 20 minutes. ARGS="--rounds N"
	@$(BIN)/python -m tests.crash.run $(ARGS)

chaos: $(READY) ## everything goes wrong that costs pushes, and nothing is missed in silence; 20 minutes. ARGS="--runs N --seed S"
	@$(BIN)/python -m tests.chaos.run $(ARGS)

outage: $(READY) ## drop all packets to a real broker for 40 s, in network namespaces: the last record is the truth; Linux, root
	@$(BIN)/python -m tests.outage

records: $(READY) ## hold every record of a real run against the published contract; minutes. ARGS="--seconds 120 --cuts 3"
	@$(BIN)/python -m tests.records $(ARGS)

canary: $(READY) ## search all that the tests put out at DEBUG, topics and pages too, for every secret; ARGS="tests/daemon"
	$(BIN)/pytest -n 2 --canary -m "not pace and not poison" $(or $(ARGS),tests/admin tests/flow tests/ltp tests/daemon)

alerts: $(READY) ## alert rules: promtool's tests, then every fault on a real Prometheus; 20 minutes; apt install prometheus
	@for tool in promtool prometheus; do command -v $$tool >/dev/null || { echo "$$tool is not on PATH: install" \
		"Prometheus (Debian and Ubuntu: apt install prometheus)"; exit 1; }; done
	promtool check rules $(CHART)/files/alerts.yaml
	promtool test rules tests/alerts/rules_test.yaml tests/alerts/rules_calm_test.yaml
	@$(BIN)/python -m tests.alerts $(ARGS)

calm: $(READY) ## ten ordinary minutes with starts, standbys and handovers on a real Prometheus: no alert may fire. ARGS="--minutes 30"
	@$(BIN)/python -m tests.alerts.calm $(ARGS)

page: $(READY) ## the status page in Chromium under the demo's load: looks, axe-core, cost; six minutes; needs Node, Chromium
	@$(BIN)/python -m tests.page

validators: ## hold AsyncAPI, schemas and samples against their official validators; needs Node 18 or newer
	@tests/validators/run.sh

format: $(READY) ## write the files as ruff wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY) $(UV) ## take newer dependencies: requirements*.txt and the jars of the embedded broker
	$(LOCK) --upgrade pyproject.toml -o requirements.txt
	$(LOCK) --upgrade pyproject.toml -c requirements.txt --extra otel -o requirements-otel.txt
	# editables: what hatchling needs to install this folder itself. The two folders are distributions of the project, so
	# neither is looked for in an index, and neither stands in a lock.
	printf '%s\n' editables '.[demo,otel]' ./bridge/sandbox | $(LOCK) --upgrade - -c requirements-otel.txt --group dev \
		--no-emit-package ltp-kafka-bridge --no-emit-package ltp-kafka-bridge-sandbox -o requirements-dev.txt
	# What builds the distributions, and what lists an image's components.
	printf '%s\n' cyclonedx-bom hatchling | $(LOCK) --upgrade -c requirements-dev.txt - -o requirements-build.txt
	# What writes the locks.
	echo uv | $(LOCK) --upgrade - -o requirements-lock.txt
	$(BIN)/python -m bridge.sandbox.broker.jars

$(UV): requirements-lock.txt | $(READY)
	@"$(PYTHON)" -m venv --clear $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r requirements-lock.txt
	@touch $@

schemas: $(READY) ## write the published contract anew, and the tables of metrics and log events
	$(BRIDGE) schema export schemas
	$(BIN)/python -m tests.alerts.metrics_page
	$(BIN)/python -m tests.house.log_events

released: ## make the contract of today the one that later changes are held to; a part of a release
	cp schemas/asyncapi.json tests/contract/released.json

dist: $(READY) ## build wheel and source distribution of the bridge and of the sandbox, into dist/
	rm -rf dist
	$(BIN)/hatchling build -d dist
	cd bridge/sandbox && $(CURDIR)/$(BIN)/hatchling build -d $(CURDIR)/dist

image: ## build the daemon's image, and the sandbox's
	$(BUILD) $(LABELS) $(if $(BASE),--build-arg BASE=$(BASE)) -t $(IMAGE) .
	$(BUILD) $(LABELS) $(if $(BASE),--build-arg BASE=$(BASE)) --target sandbox -t $(SANDBOX_IMAGE) .

sbom: ## print what the image has installed, as CycloneDX; make -s sbom IMAGE=... > sbom.cdx.json
	@$(RUN) --entrypoint cat $(IMAGE) /opt/bridge/sbom.cdx.json

containers: image $(READY) ## prove the image non-root, content with a read-only disk, complete in its list; tests on a broker in a container
	$(RUN) $(IMAGE) --version
	$(RUN) --entrypoint python $(IMAGE) -c 'import os; assert os.getuid() == 10001, os.getuid()'
	$(RUN) --entrypoint python $(IMAGE) -c 'import json, importlib.metadata as metadata; \
		listed = {one["name"] for one in json.load(open("/opt/bridge/sbom.cdx.json"))["components"]}; \
		assert listed == {one.name for one in metadata.distributions()}; print(len(listed), "components")'
	$(RUN) --entrypoint python $(SANDBOX_IMAGE) -c 'import bridge.sandbox.launch'
	$(BIN)/pytest tests/sandbox/broker tests/kafka tests/daemon/test_main_job.py

chart: ## lint and render the chart
	$(HELM) lint --strict $(CHART)
	$(HELM) template bridge $(CHART) > /dev/null

clean: ## remove everything that make has made here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov build dist \
		examples/java/target examples/go/build tests/validators/node_modules
	find bridge tests -name __pycache__ -type d -prune -exec rm -rf {} +
