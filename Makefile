# Every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
PROTOS := $(shell find protos/omnisphere -name '*.proto' | sort)
SERVICE_PROTOS := $(shell grep -rlE '^service ' protos/omnisphere --include='*.proto' | sort)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

.PHONY: setup
setup: $(STAMP) ## make .venv with everything; the other targets call it

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("omnisphere needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "The venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) (about 60 packages, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

.PHONY: demo
demo: $(STAMP) ## start four services and a simulator, send 100 real prompts through them, print what came of it
	@$(BIN)/omnisphere demo

.PHONY: up
up: $(STAMP) ## keep a mesh running in one process; Ctrl-C ends it
	@$(BIN)/omnisphere up

.PHONY: test
test: $(STAMP) ## all tests
	@$(BIN)/python -m compileall -q services protos/python bench # a hundred processes are started: none compiles all anew
	$(BIN)/python -m pytest

.PHONY: test-unit
test-unit: $(STAMP) ## the quick ones
	$(BIN)/python -m pytest tests/unit tests/contract

.PHONY: test-mesh
test-mesh: $(STAMP) ## whole requests, in one process and through four
	$(BIN)/python -m pytest tests/mesh

.PHONY: properties
properties: $(STAMP) ## long property runs, an hour: 100,000 conversations through Fit, a million look-ups that try to get somebody else's answer; MORE=--peers=2000: other trimmers, too
	$(BIN)/python -m bench.invariants --cases 100000 $(MORE)
	ISOLATION_LOOK_UPS=1000000 $(BIN)/python -m pytest tests/unit/cache/test_isolation.py -q

.PHONY: chaos
chaos: $(STAMP) ## the cache is killed a hundred times while it writes, its file alone and as a whole process
	CACHE_KILLS=100 $(BIN)/python -m pytest tests/unit/cache/test_killed.py tests/unit/cache/test_process_killed.py -q

.PHONY: bench-cache
bench-cache: $(STAMP) ## true and false hits of the semantic cache; needs ../shared/data
	$(BIN)/python -m bench.cache --train ../shared/data/paraphrases/pairs.jsonl.gz --test ../shared/data/paraphrases/pairs.jsonl.gz

.PHONY: lint
lint: $(STAMP) ## format, lint, walls between services, contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/buf lint

.PHONY: types
types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

.PHONY: fix
fix: $(STAMP) ## format, and mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: protos
protos: $(STAMP) ## regenerate protos/python
	rm -rf protos/python/omnisphere
	$(call generate,protos/python)

.PHONY: protos-check
protos-check: $(STAMP) ## regenerate elsewhere and compare; buf lint; buf breaking against the last tag
	@rm -rf .venv/protos && mkdir -p .venv/protos
	@$(call generate,.venv/protos)
	@diff -r --exclude=__pycache__ .venv/protos protos/python && echo "protos/python is what the contracts say"
	@$(BIN)/buf lint
	@tag=$$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null); \
	if [ -z "$$tag" ]; then echo "no tag yet: nothing that could break"; \
	else $(BIN)/buf breaking --against ".git#ref=$$tag" && echo "no breaking change since $$tag"; fi

define generate
$(BIN)/python -m grpc_tools.protoc -I protos --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --python_out=$(1) --mypy_out=quiet:$(1) $(PROTOS) && \
$(BIN)/python -m grpc_tools.protoc -I protos --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(SERVICE_PROTOS) && \
cp protos/omnisphere/service_config.json $(1)/omnisphere/ && touch $(1)/omnisphere/py.typed
endef

.PHONY: examples
examples: $(STAMP) ## clients in Python, Node and Go against a mesh of their own, as far as there are toolchains
	@$(BIN)/python -m examples.run

.PHONY: interop
interop: $(STAMP) ## the mesh before llama.cpp's own server, built once, and vendors' clients before the simulator
	@$(BIN)/python -m tools.interop
	@$(BIN)/python -m pytest tests/unit/simulator/test_sdks.py tests/mesh/test_edge_openai.py tests/mesh/test_edge_anthropic.py -q

.PHONY: release
release: $(STAMP) ## dist/: the contracts as an archive, and the wheels of the services and of the Python client
	@$(BIN)/python -m tools.release

.PHONY: docs
docs: $(STAMP) ## rewrite the generated pages: docs/map.md, docs/configuration.md, docs/errors.md, docs/metrics.md, the dashboard
	$(BIN)/python -m tools.docs
	$(BIN)/python -m tools.dashboard

.PHONY: bench
bench: $(STAMP) ## the figures of the README: start-up, memory, restarts under load
	$(BIN)/python -m bench.start
	$(BIN)/python -m pytest tests/mesh/test_drain.py -q -s

.PHONY: bench-mesh
bench-mesh: $(STAMP) ## speed beside a bare echo and its upstream; needs h2load and a C compiler; MORE=--peers: other gateways too
	$(BIN)/python -m bench.mesh $(MORE)

.PHONY: bench-wire
bench-wire: $(STAMP) ## recorded traffic of real providers through the providers service; needs the recordings beside the checkout
	$(BIN)/python -m bench.wire --data ../shared/data/wire --replay ../shared/tools/replay.py

.PHONY: manifests
manifests: $(STAMP) ## build and validate what Kubernetes would get, and compare it with the settings; no cluster needed
	$(BIN)/python -m tools.manifests
	$(BIN)/python -m pytest tests/deploy -q -k manifests

.PHONY: images
images: $(STAMP) ## build all images with podman, start them as the manifests do, ask them something, stop them
	$(BIN)/python -m tools.images

.PHONY: check
check: lint types protos-check test ## everything CI does

.PHONY: lock
lock: ## pin requirements/*.txt with hashes, without addresses
	@test -x .venv/lock/bin/uv || { $(PYTHON) -m venv .venv/lock && .venv/lock/bin/pip install --quiet uv; }
	@mkdir -p requirements
	@for extra in router cache context providers simulator cli dev; do \
	  .venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header --no-strip-extras --extra $$extra pyproject.toml -o requirements/$$extra.txt \
	  && echo "requirements/$$extra.txt"; done
	@echo 'hatchling>=1.27' | .venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --constraint requirements/dev.txt - -o requirements/build.txt \
	  && echo "requirements/build.txt (what makes the wheel, for the images)"

.PHONY: clean
clean: ## remove what the targets made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build examples/go/gen examples/node/node_modules
