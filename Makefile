# Everything a person types here. Each target makes what it needs, and a second run reuses it.
#   make run      the venue on http://127.0.0.1:8000, data in .shuji/ (make run PORT=9000 DATA=elsewhere HOST=...)
#   make test     all tests
#   make check    style, types, imports, house rules
#   make mutants  the rulebook with one thing wrong, a few thousand times, and who finds out
#   make load     a venue under the load of users for a minute (make load RATE=800 SECONDS=60 SHAPE=open)
#   make install  only the environment      make bench / make chaos ROUNDS=n / make real / make drill / make fresh / make lock

ROUNDS ?= 3
WORKERS ?= 2

BIN := .venv/bin
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --extra build

.PHONY: run install test check mutants bench chaos load real drill fresh lock develop format clean
.DEFAULT_GOAL := run

# HOST, PORT and DATA count where they are given to make. Shells export a HOST too, and whoever means the environment
# has SHUJI_HOST, SHUJI_PORT and SHUJI_DATA.
given = $(if $(findstring command line,$(origin $1)),$2 "$($1)")

run: install
	@$(BIN)/python -m exchange serve $(call given,DATA,--data) $(call given,HOST,--host) $(call given,PORT,--port)

install:
	@sh .ci/install requirements.txt

develop:
	@sh .ci/install requirements-dev.txt

test: develop
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: develop
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(wildcard exchange clearing credit loadtests tests verify_evidence.py)
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -q tests/test_house_rules.py

# Every rule with one thing wrong, and whether the examples find it; half a minute.
mutants: develop
	@$(BIN)/python -m tests.clearing.mutation

format: develop
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: develop
	@$(BIN)/python -m loadtests.bench

chaos: develop
	@$(BIN)/python -m loadtests.chaos --rounds "$(ROUNDS)"

load: develop
	@$(BIN)/python -m loadtests.load $(call given,SECONDS,--seconds) $(call given,RATE,--rate) $(call given,SHAPE,--shape)

real: develop
	@$(BIN)/python -m loadtests.real_listings

drill: develop
	@$(BIN)/python -m loadtests.drill $(if $(ORDERS),--orders "$(ORDERS)")

# A clone of the committed HEAD, installed and run in an empty environment.
fresh:
	@sh .ci/fresh

# The locks name no index: whoever installs uses their own. The second is held to the versions of the first.
lock: develop
	@$(COMPILE) --upgrade --output-file requirements.txt
	@$(COMPILE) --upgrade --extra dev --constraint requirements.txt --output-file requirements-dev.txt

clean:
	@rm -rf .venv
