# Every target sets up what it needs; a second run starts at once.
# Set-up runs again only when pyproject.toml or scripts/setup changes.
VENV ?= .venv
PYTHON ?=
# A file stays on one worker; the longest begin first (tests/conftest.py).
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
bin := $(VENV)/bin
stamp := $(VENV)/.align-agent-installed
# Two test workers with one thread each: more threads only fight over the same cores.
# Fewer trips to the kernel for memory: training is a good deal faster on a CPU.
malloc_env := MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456
# Compiled code is kept, also where the environment says otherwise: each process starts quicker.
test_env := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONDONTWRITEBYTECODE=

.DEFAULT_GOAL := help
.PHONY: help setup demo test check cov test-long test-openclaw test-llama pocket card bench-gate bench-serve bench-proxy bench-engine bench-personalization bench-solve bench-reader reader clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(stamp) ## make .venv and install everything (the others do it by themselves)

$(stamp): pyproject.toml scripts/setup
	@PYTHON='$(PYTHON)' scripts/setup '$(VENV)'
	@touch $@

demo: $(stamp) ## see it learn: a student corrects the agent, two nights, a rollback
	@$(bin)/align-agent demo $(DEMO_ARGS)

test: check ## lint, types, all tests, coverage of at least 90%
	@scripts/browser
	$(test_env) $(bin)/python -m pytest --cov --cov-report=term $(PYTEST_ARGS)

check: $(stamp) ## lint and types
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy

cov: $(stamp) ## tests with a browsable coverage report in htmlcov/
	$(test_env) $(bin)/python -m pytest --cov --cov-report=html $(PYTEST_ARGS)

test-long: $(stamp) ## lives of the demonstration's other people and the slowest other tests (minutes)
	$(test_env) $(bin)/python -m pytest -m long $(PYTEST_ARGS)

test-openclaw: $(stamp) ## the whole way with the real OpenClaw, which it installs (npm, 800 MB)
	$(test_env) $(bin)/python -m pytest -m openclaw -n 0 tests/openclaw

test-llama: $(stamp) ## a real llama-server behind the door, which it builds (8 minutes)
	scripts/llama $(bin)/python
	$(test_env) $(bin)/python -m pytest -m llama -n 0 tests/server/test_llama.py

pocket: $(stamp) ## train the pocket model again from scratch (an hour on 2 cores)
	$(malloc_env) $(bin)/python -m align_agent.models.pocket.train
	cd align_agent/models/pocket && (sha256sum weights/* || shasum -a 256 weights/*) > SHA256SUMS

card: $(stamp) ## measure the pocket model: the table of its model card
	$(bin)/python benchmarks/pocket_card.py

.PHONY: bench-pages screenshots
bench-pages: $(stamp) ## how fast the dashboard is with 100,000 turns and 365 versions
	@scripts/browser
	$(bin)/python benchmarks/pages.py $(BENCH_ARGS)

screenshots: $(stamp) ## pictures of the dashboard: desktop, phone, dark (SCREENSHOT_ARGS="--home DIR --out DIR")
	@scripts/browser
	$(bin)/python scripts/screenshots.py $(SCREENSHOT_ARGS)

bench-serve: $(stamp) ## how fast the server is beside the bare model
	$(bin)/python benchmarks/serve_speed.py

bench-engine: $(stamp) ## training beside TRL 1.16 and a loop as CLaaS runs it; TRL goes into .cache/
	PYTHONPATH=.:benchmarks $(bin)/python benchmarks/engine/run.py $(BENCH_ARGS)

.PHONY: bench-gpu
bench-gpu: $(stamp) ## training at the shapes of Qwen3-4B and 8B on a card (BENCH_ARGS=--tiny without one)
	PYTHONPATH=.:benchmarks $(bin)/python -W ignore benchmarks/engine/gpu.py $(BENCH_ARGS)

.PHONY: bench-growth
bench-growth: $(stamp) ## time and memory against the number and length of turns, and a picture (4 minutes)
	OMP_NUM_THREADS=1 PYTHONPATH=.:benchmarks $(bin)/python benchmarks/engine/growth.py $(BENCH_ARGS)

.PHONY: bench-foretold
bench-foretold: $(stamp) ## are minutes and memory of a night as `distill plan --probe` foretells (6 minutes)
	OMP_NUM_THREADS=1 PYTHONPATH=.:benchmarks $(bin)/python -W ignore benchmarks/engine/foretold.py $(BENCH_ARGS)

.PHONY: bench-prompt-gradient
bench-prompt-gradient: $(stamp) ## what a night learns with and without a gradient through the prompt (2 minutes)
	OMP_NUM_THREADS=1 $(malloc_env) PYTHONPATH=.:benchmarks $(bin)/python -W ignore benchmarks/engine/prompt_gradient.py $(BENCH_ARGS)

bench-gate: $(stamp) ## honest nights before the gate: how many are promoted (BENCH_ARGS="--nights 4")
	OMP_NUM_THREADS=1 $(malloc_env) $(bin)/python -W ignore benchmarks/gate_nights.py $(BENCH_ARGS)

bench-proxy: $(stamp) ## what the server adds in front of another one, and how many streams it holds
	$(bin)/python benchmarks/proxy_speed.py

.PHONY: bench-redaction
bench-redaction: $(stamp) ## what redaction finds, and how often it strikes what is harmless
	$(bin)/python benchmarks/redaction.py $(ARGS)

bench-personalization: $(stamp) ## does it learn a person, beside other ways (BENCH_ARGS="--minutes 20")
	$(bin)/python -c 'import matplotlib' 2>/dev/null || $(bin)/pip install --quiet '.[bench]'
	OMP_NUM_THREADS=1 $(malloc_env) PYTHONPATH=benchmarks $(bin)/python -m personalization $(BENCH_ARGS)

bench-reader: $(stamp) ## how well your messages are read as feedback (real rows in ../shared/data)
	$(bin)/python benchmarks/reader.py

reader: $(stamp) ## train the words layer of that reading again
	$(bin)/python benchmarks/reader_train.py

.PHONY: bench-learn bench-live bench-ablations bench-solve-gpu
bench-learn: $(stamp) ## what demonstrations teach and what is forgotten, beside fine-tuning (6 minutes)
	OMP_NUM_THREADS=1 $(malloc_env) $(bin)/python -W ignore benchmarks/learn.py $(BENCH_ARGS)

bench-live: $(stamp) ## what one or two steps at once change, and what else they move (resumable, 30 minutes)
	OMP_NUM_THREADS=1 $(malloc_env) $(bin)/python -W ignore benchmarks/live.py $(BENCH_ARGS)

bench-ablations: $(stamp) ## teacher, tokens compared, distance, one by one (resumable, 15 minutes)
	OMP_NUM_THREADS=1 $(malloc_env) $(bin)/python -W ignore benchmarks/ablations.py $(BENCH_ARGS)

bench-solve-gpu: $(stamp) ## attempts and steps at the shapes of Qwen3-4B and 8B (BENCH_ARGS=--tiny without a card)
	$(bin)/python benchmarks/solve_gpu.py $(BENCH_ARGS)

bench-solve: $(stamp) ## methods on hard problems: attempts until the first success (resumable)
	$(bin)/python benchmarks/solve.py $(BENCH_ARGS)

clean: ## remove caches and build output, keep .venv
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .demo
	find align_agent tests -name __pycache__ -type d -prune -exec rm -rf {} +
