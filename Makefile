# One command each. Everything is set up inside the checkout (.venv) from requirements.lock.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DATA   ?= sekisho-demo

.PHONY: help demo demo-settle test check format bench bench-inquiry bench-issuance bench-settlement faults faults-issuance components clean
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@echo "setting up $(VENV) (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## start both centres with synthetic residents, ask, and issue certificates at a kiosk
	@exec $(BIN)/sekisho demo --data $(DATA)

demo-settle: $(STAMP) ## a past month and quarter of synthetic business, settled to the paid and proven invoices
	@exec $(BIN)/sekisho demo --once --settle --data $(DATA)-settled

components: $(STAMP) ## install the Debian packages the tests use for real components, where allowed
	@sh deploy/components.sh

test: $(STAMP) components ## run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP) ## format, lint, types, layers, dead code
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/vulture

format: $(STAMP) ## rewrite the code in the project's format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(STAMP) ## measure; writes bench/out/latest.json
	@$(BIN)/python -m bench

bench-inquiry: $(STAMP) ## measure a register of 1,000,000: loading, search by name, look-up by code beside it
	@$(BIN)/python -m bench.inquiry

bench-issuance: $(STAMP) ## measure certificates: a steady rate, more, a burst, the renderer; writes bench/out/issuance.json
	@$(BIN)/python -m bench.issuance

bench-settlement: $(STAMP) ## measure settlement: statements of 3,000,000 entries, 1,000,000 proofs; writes bench/out/settlement.json
	@$(BIN)/python -m bench.settlement

faults: $(STAMP) components ## kill workers and cut commits under load, at full length (minutes)
	@SEKISHO_FAULTS=full $(BIN)/python -m pytest tests/app/test_killed_workers.py tests/app/test_cut_commits.py

faults-issuance: $(STAMP) components ## kill relay, workers, municipalities and kiosks at random for five minutes under load
	@SEKISHO_FAULTS=full $(BIN)/python -m pytest tests/service/test_killed_parts.py

clean: ## remove what was set up in the checkout
	rm -rf $(VENV) build bench/out sekisho-demo *.egg-info
