# Each verb sets up .venv by itself; `make help` lists them. The plain venv commands stand in README.md.
PYTHON ?= python3
SUBJECT ?= all
BIN := .venv/bin
PY ?= $(BIN)/python
READY := .venv/ready
export OMP_NUM_THREADS ?= 1

.PHONY: help report test test-slow verify bench card card-laws card-sanitize card-bench card-full mutants lint format
.DEFAULT_GOAL := report

OLD := sys.exit("rnn-twins needs Python 3.11 or newer; $(PYTHON) is %d.%d. Another is named so: make report PYTHON=python3.12"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or $(OLD) % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e '.[test]' -c constraints.txt
	touch $(READY)

help:  ## the verbs, a line each
	@awk -F ':[^#]*## *' '/^[a-z-]+:.*##/ {printf "%-15s%s\n", $$1, $$2}' Makefile

.DEFAULT:
	@echo "make: there is no verb '$@'; these are there:" >&2
	@$(MAKE) --silent --no-print-directory help >&2
	@exit 2

report: $(READY)  ## about five minutes: every experiment, preset tour, into reports/tour
	$(BIN)/python -m experiments run all --preset tour

test: $(READY)  ## eight to twelve minutes: the laws on both twins and torch.nn, the planted faults, the harness
	$(BIN)/python -m pytest -n auto --dist worksteal

test-slow: $(READY)  ## what `make test` leaves out, eight minutes: every command of the README, every report made again
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow

# Other libraries are installed where one is asked for by its built-in name; whatever else is judged brings its own.
OUTSIDE := onnx_runtime onnx_reference keras_torch keras_jax flax_linen flax_nnx equinox_cells jax_rnn mlx_cpu
NEEDS := $(if $(filter all $(OUTSIDE),$(SUBJECT)),.venv/subjects,$(READY))

verify: $(NEEDS)  ## all laws on SUBJECT (a built-in name, MODULE[:ATTR] or path/to/file.py[:NAME]; default: all); a report
	$(BIN)/python -m experiments verify --subject $(SUBJECT)

bench: $(READY)  ## about six minutes: ours against torch.nn and others, paired; a report
	$(BIN)/python -m experiments run speed --preset quick

# A Python with CUDA's torch is set up by hand (README.md). Each verb ends after about MINUTES, and goes on when typed again.
MINUTES ?= 9
EXPERIMENT ?= memory
FULL := --preset full --engine torch --device cuda --no-report

card: card-laws card-sanitize card-bench  ## with a GPU, these three in turn (-k: whatever one leaves); PY is a python with its torch
card-laws:  ## with a GPU: its tests, and the laws on the plain loop, cuDNN and our kernels; goes on where it stopped
	$(PY) -m properties.twins.judge_card --minutes $(MINUTES)
card-sanitize:  ## with a GPU: compute-sanitizer, where that is installed, over our kernels; goes on where it stopped
	$(PY) -m properties.twins.sanitize --minutes $(MINUTES)
card-bench:  ## with a GPU, seven minutes: our kernels against their peers, and where the time goes; a report
	TRITON_INTERPRET=0 $(PY) -m experiments run speed_gpu --preset quick --minutes $(MINUTES)
card-full:  ## with a GPU: the full preset of EXPERIMENT (default: memory), in pieces; goes on where it stopped
	$(PY) -m experiments run $(EXPERIMENT) $(FULL) --minutes $(MINUTES)

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
