# Two commands set everything up: `make demo` and `make test`.
PYTHON      ?= python3
VENV        ?= .venv
OUT         ?= out/demo
# The package index that torch comes from; empty for pip's own. On Linux pip's own brings the CUDA
# build, several GB; https://pytorch.org/get-started/locally names the index of the CPU build.
TORCH_INDEX ?=
IN          := $(VENV)/bin
PIP         := $(IN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test gpu-check clean

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/installed ## Make 12 labelled faces with the built-in head and name their contact sheet
	$(IN)/python generate_synthforge_data.py --output_dir $(OUT) --num_images 12

test: $(VENV)/installed-test ## Set up and run the linters and all tests
	$(IN)/ruff check .
	$(IN)/ruff format --check .
	$(IN)/mypy
	$(IN)/python -m pytest --numprocesses auto

BENCH := $(IN)/python benchmarks/bench_next3d.py --device cuda
gpu-check: $(VENV)/installed-test ## On a machine with a GPU: its tests, and figures of Next3D
	$(IN)/python -m pytest -m gpu --numprocesses 0
	$(BENCH) --precision fp32 tf32 fp16 bf16 --batch 1 4 16 32 --graph
	$(BENCH) --precision fp16 --batch 16 --profile
	$(BENCH) --precision fp16 --batch 16 --compile

# torch goes first and alone, so that it can come from an index of its own.
$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12"; exit 2; }
	@echo "Setting up $(VENV) with $(PYTHON) (once)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) -c constraints.txt -e '.[test]'
	@touch $@

clean: ## Remove the environment and what the demo made
	rm -rf $(VENV) out
