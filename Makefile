# Each verb sets up .venv by itself; `make help` lists them. The plain venv commands stand in README.md.
PYTHON ?= python3
SUBJECT ?= all
BIN := .venv/bin
PY ?= $(BIN)/python
READY := .venv/ready
export OMP_NUM_THREADS ?= 1

.PHONY: help report test test-slow verify bench card mutants lint format
.DEFAULT_GOAL := report

OLD := sys.exit("rnn-twins needs Python 3.11 or newer; $(PYTHON) is %d.%d. Another is named so: make report PYTHON=python3.12"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or $(OLD) % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e '.[test]' -c constraints.txt
	touch $(READY)

help:  ## the verbs, a line each
	@awk -F ':[^#]*## *' '/^[a-z-]+:.*##/ {printf "%-12s%s\n", $$1, $$2}' Makefile

.DEFAULT:
	@echo "make: there is no verb '$@'; these are there:" >&2
	@$(MAKE) --silent --no-print-directory help >&2
	@exit 2

report: $(READY)  ## about five minutes: every experiment, preset tour, into reports/tour
	$(BIN)/python -m experiments run all --preset tour

test: $(READY)  ## under eight minutes: the laws on both twins and torch.nn, the planted faults, the harness
	$(BIN)/python -m pytest -n auto --dist worksteal

test-slow: $(READY)  ## what `make test` leaves out, some minutes: every command of the README, reports on an older processor
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow

# Libraries are installed where one is asked for; our own subjects and files of yours need none.
OWN := numpy_twin numpy_fast numpy_compiled torch_twin torch_module torch_vendor torch_fused torch_nn
NEEDS := $(if $(filter-out $(OWN) %.py,$(firstword $(subst :, ,$(SUBJECT)))),.venv/subjects,$(READY))

verify: $(NEEDS)  ## all laws on SUBJECT (a built-in name, MODULE[:ATTR] or path/to/file.py[:NAME]; default: all); a report
	$(BIN)/python -m experiments verify --subject $(SUBJECT)

bench: $(READY)  ## about six minutes: ours against torch.nn and others, paired; a report
	$(BIN)/python -m experiments run speed --preset quick

# A Python with CUDA's torch is set up by hand (README.md); warnings of other versions are no errors there.
CARD := TRITON_INTERPRET=0 $(PY) -m pytest -W default
card:  ## with a GPU, about seven minutes: its tests, the laws on the kernels, their speed; PY is a python with its torch
	$(CARD) properties/twins experiments/speed -m gpu --subject torch_twin
	$(CARD) properties --ignore=properties/meta --ignore=properties/twins --subject torch_fused -n auto
	TRITON_INTERPRET=0 $(PY) -m experiments run speed_gpu --preset quick

.venv/subjects: $(READY)
	$(BIN)/pip install --quiet -e '.[test,subjects]' -c constraints.txt
	touch $@

mutants: $(READY)  ## forty minutes, mutmut over impl/: a module's share that the tests kill, and whether survivors are argued
	$(BIN)/pip install --quiet -e '.[test,mutants]' -c constraints.txt
	rm -rf mutants
	$(BIN)/mutmut run
	$(BIN)/python -m properties.mutants

lint: $(READY)  ## ruff's complaints
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)  ## mends what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
