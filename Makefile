# Everything runs in .venv, which is created from requirements.lock when it is missing or older.
# All paths are relative, so that a directory with spaces in its name works too.

PYTHON ?= python3
PY := .venv/bin/python
STAMP := .venv/.complete
SOURCES := verifier models tests examples cli.py setup.py

.PHONY: help demo test test-sweeps test-foreign test-all trust lint types kernel kernel-check kernel-page docs bench lock sbom clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    explain one real prediction, check the certificate, write a page"
	@echo "make test    run the tests, on all cores: a few minutes"
	@echo "make test-sweeps  the many further cases of what make test tries in few"
	@echo "make test-foreign  the same for every kind of head from either exporter: long"
	@echo "make test-all     all three"
	@echo "make trust   forgeries, costly and mutated files, mutants, samples, at size: hours"
	@echo "make lint    ruff: rules and format"
	@echo "make types   mypy, strict"
	@echo "make kernel  prove and build the machine-checked kernel (needs Coq and OCaml)"
	@echo "make kernel-check  check its compiled proofs again, with coqchk"
	@echo "make kernel-page  the same as a script, into the package: after each change of its sources"
	@echo "make docs    the documentation as a site: out/site/index.html"
	@echo "make bench   measure; results under tests/benchmarks/results"
	@echo "make lock    regenerate requirements.lock"
	@echo "make sbom    list what the tool is made of: out/sbom.json, CycloneDX"
	@echo "make clean   remove .venv, caches and out/"

demo: $(STAMP)
	$(PY) cli.py demo

# pyproject.toml leaves the sweeps out unless they are asked for; a sweep is spread case by case
test: $(STAMP)
	$(PY) -m pytest -n auto --dist loadfile

test-sweeps: $(STAMP)
	$(PY) -m pytest -n auto -m "sweep or deeper" --hypothesis-profile=sweep --ignore=tests/foreign

# every kind of head of the list, from both exporters, in every vocabulary
test-foreign: $(STAMP)
	$(PY) -m pytest -n auto -m "sweep or deeper" --hypothesis-profile=sweep tests/foreign

test-all: test test-sweeps test-foreign

# what docs/trust.md lists, at size; writes tests/trust/results and the table of README
trust: $(STAMP)
	$(PY) -m tests.trust

lint: $(STAMP)
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m ruff format --check $(SOURCES)

types: $(STAMP)
	$(PY) -m mypy

kernel:
	@if ! command -v coqc > /dev/null || ! ocamlfind query zarith > /dev/null 2>&1; then \
		echo "make kernel: needs coqc and OCaml with zarith (Debian: coq ocaml-findlib libzarith-ocaml-dev)"; \
		exit 2; \
	fi
	@$(MAKE) --no-print-directory -C verifier/formal

kernel-check: kernel
	@$(MAKE) --no-print-directory -C verifier/formal validate

kernel-page: kernel
	@if ! command -v js_of_ocaml > /dev/null; then \
		echo "make kernel-page: needs js_of_ocaml (Debian: js-of-ocaml)"; \
		exit 2; \
	fi
	@$(MAKE) --no-print-directory -C verifier/formal page

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

bench: $(STAMP)
	$(PY) -m tests.benchmarks

# auto_LiRPA's metadata caps torch far below what it runs on, hence --no-deps, after the lock.
$(STAMP): requirements.lock
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@echo "once: an environment in .venv, from requirements.lock; a few minutes"
	"$(PYTHON)" -m venv --clear .venv
	$(PY) -m pip install --quiet --requirement requirements.lock
	$(PY) -m pip install --quiet --no-deps auto_LiRPA==0.3
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

# The resolver's answer for everything that development needs. Left out: the CUDA packages, which pip adds
# where the platform's torch asks for them, and the build label after a version's plus sign.
lock:
	"$(PYTHON)" -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip install --quiet --dry-run --ignore-installed \
		--report .venv-lock/report.json ".[dev]"
	.venv-lock/bin/python -c "$$LOCK_SCRIPT" .venv-lock/report.json > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -rf .venv-lock

sbom: $(STAMP)
	mkdir -p out
	$(PY) cli.py bom --lock requirements.lock --out out/sbom.json

clean:
	rm -rf .venv .venv-lock build out .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

define LOCK_SCRIPT
import json, re, sys
found = json.load(open(sys.argv[1], encoding="utf-8"))["install"]
pins = {re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower(): item["metadata"]["version"].split("+")[0] for item in found}
pins.pop("protoproof")
print("# Made by `make lock`: all that development needs. Installed by pip with its resolver.")
for name, version in sorted(pins.items()):
    if not name.startswith(("nvidia-", "cuda-", "triton")):
        print(name + "==" + version)
endef
export LOCK_SCRIPT
