PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/run.stamp
DEV := $(VENV)/dev.stamp
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check
UV := $(VENV)/uv/bin/uv
.PHONY: run install install-dev test lint data data-named train training-named evaluate bench bench-accuracy lock audit

run: $(RUN)
	exec $(VENV)/bin/python -m gunicorn app:app

install: $(RUN)

install-dev: $(DEV)

test: $(DEV)
	$(VENV)/bin/python -m pytest --cov --cov-report=term

lint: $(DEV)
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .

# Else the memory of every step is given back and fetched again, and TensorFlow does
# without oneDNN on some CPUs: a step takes two and a half times as long.
train: export GLIBC_TUNABLES = glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=8000000000:glibc.malloc.trim_threshold=16000000000
train: export TF_ENABLE_ONEDNN_OPTS = 1
train: training-named $(DEV)
	$(VENV)/bin/python -m $(if $(DATA),training.train --data $(DATA) $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(START),--start $(START)),training.own --photos "$(PHOTOS)" $(if $(NEW),--new))

training-named:
	$(if $(DATA)$(PHOTOS),,$(error PHOTOS=DIR names the folder with your pictures, DIR/0 to DIR/9, or DATA=DIR the public data sets))

evaluate: $(DEV) data-named
	$(VENV)/bin/python -m training.evaluate --data $(DATA) $(if $(FAILURES),--failures $(FAILURES)) $(if $(PLOTS),--plots $(PLOTS))

data: $(RUN)
	$(VENV)/bin/python -m training.fetch $(or $(DATA),data)

data-named:
	$(if $(DATA),,$(error DATA=DIR names the folder with the data: `make data DATA=DIR` fetches it))

bench: $(DEV)
	$(VENV)/bin/python -m benchmarks.throughput $(OPTIONS)

bench-accuracy: $(DEV)
	$(VENV)/bin/python -m benchmarks.accuracy $(if $(DATA),--data $(DATA)) $(if $(LIMIT),--limit $(LIMIT)) $(if $(BASELINES),--baselines $(BASELINES))

# All that requirements.txt draws in, with hashes, for each Python and each system at once.
# What is locked stays as it is where it can; OPTIONS=--upgrade takes the newest.
lock: $(UV)
	$(UV) pip compile requirements.txt --output-file requirements.lock --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(OPTIONS)

# Asks the advisories of the Python Package Index about each locked package.
audit: $(UV)
	$(UV) tool run pip-audit==2.10.1 --strict --disable-pip --require-hashes --requirement requirements.lock

$(UV):
	$(PYTHON) -m venv $(VENV)/uv
	$(VENV)/uv/bin/python -m pip install --disable-pip-version-check uv==0.13.9

# A stamp is written last: without it the environment is half made and made again.
$(RUN): requirements.lock
	test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	rm -f $@
	$(PIP) --require-hashes -r requirements.lock
	touch $@

$(DEV): requirements-dev.txt $(RUN)
	rm -f $@ $(RUN)
	$(PIP) -r requirements-dev.txt
	touch $(RUN) $@
