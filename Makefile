PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/run.stamp
DEV := $(VENV)/dev.stamp
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check
UV := $(VENV)/uv/bin/uv
.PHONY: help run install install-dev test lint data data-named train training-named train-detector evaluate bench bench-accuracy lock audit

# Said before pip starts, which takes a minute to fail.
define CHECK_PYTHON
import sys
from importlib.util import find_spec
if not (3, 11) <= sys.version_info < (3, 14):
    sys.exit("Python 3.11, 3.12 or 3.13 is needed, not %d.%d: make run PYTHON=python3.12" % sys.version_info[:2])
if not find_spec("ensurepip"):
    sys.exit("Python's module venv is incomplete: sudo apt install python3-venv")
endef
export CHECK_PYTHON

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.* ## /make \1: /p' Makefile

run: $(RUN) ## the service on port 5000, or PORT
	@$(VENV)/bin/python gunicorn.conf.py
	@exec $(VENV)/bin/python -m gunicorn app:app

install: $(RUN) ## the environment

install-dev: $(DEV) ## the environment of the tests

test: $(DEV) ## the tests
	$(VENV)/bin/python -m pytest --cov --cov-report=term

lint: $(DEV) ## style and types
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m mypy

# Else the memory of every step is given back and fetched again, and TensorFlow does
# without oneDNN on some CPUs: a step takes two and a half times as long.
train train-detector: export GLIBC_TUNABLES = glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=8000000000:glibc.malloc.trim_threshold=16000000000
train train-detector: export TF_ENABLE_ONEDNN_OPTS = 1
train: training-named $(DEV) ## the model: on PHOTOS, your own, or from DATA
	$(VENV)/bin/python -m $(if $(DATA),training.train --data $(DATA) $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(START),--start $(START)),training.own --photos "$(PHOTOS)" $(if $(NEW),--new))

training-named: $(if $(DATA),data-named)
	$(if $(DATA)$(PHOTOS),,$(error PHOTOS=DIR must name the folder with your pictures, DIR/0 to DIR/9, or DATA=DIR that with the data))

train-detector: data-named $(DEV) ## the detector of digits, from DATA
	$(VENV)/bin/python -m training.train_detector --data $(DATA)

evaluate: data-named $(DEV) ## the model's accuracy on DATA
	$(VENV)/bin/python -m training.evaluate --data $(DATA) $(if $(FAILURES),--failures $(FAILURES)) $(if $(PLOTS),--plots $(PLOTS))

data: $(RUN) ## fetches the public training sets into data, or DATA
	$(VENV)/bin/python -m training.fetch $(or $(DATA),data)

data-named:
	$(if $(wildcard $(DATA)),,$(error DATA=DIR must name the folder with the data: `make data DATA=DIR` fetches it))

bench: $(DEV) ## speed beside other servers
	$(VENV)/bin/python -m benchmarks.throughput $(OPTIONS)

bench-accuracy: $(DEV) ## accuracy beside other programs
	$(VENV)/bin/python -m benchmarks.accuracy $(if $(DATA),--data $(DATA)) $(OPTIONS)

# All that requirements.txt draws in, with hashes, for each Python and each system at once.
# What is locked stays as it is where it can; OPTIONS=--upgrade takes the newest.
lock: $(UV) ## refreshes requirements.lock
	$(UV) pip compile requirements.txt --output-file requirements.lock --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(OPTIONS)

# Asks the advisories of the Python Package Index about each locked package.
audit: $(UV) ## known vulnerabilities of what is locked
	$(UV) tool run pip-audit==2.10.1 --strict --disable-pip --require-hashes --requirement requirements.lock

$(UV):
	$(PYTHON) -m venv $(VENV)/uv
	$(VENV)/uv/bin/python -m pip install --disable-pip-version-check uv==0.13.9

# A stamp is written last: without it the environment is half made and made again.
$(RUN): requirements.lock
	@$(PYTHON) -c "$$CHECK_PYTHON"
	test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	rm -f $@
	$(PIP) --require-hashes -r requirements.lock
	touch $@

$(DEV): requirements-dev.txt $(RUN)
	rm -f $@ $(RUN)
	$(PIP) -r requirements-dev.txt
	touch $(RUN) $@
