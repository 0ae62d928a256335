# JupyterHealth Exchange. `make help` lists what there is.

# No tool may fetch a toolchain or a target by itself.
export RUSTUP_DIST_SERVER = http://127.0.0.1:9
export RUSTUP_UPDATE_ROOT = http://127.0.0.1:9

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help run demo verify test test-large bench lint lint-infra build deploy lambda-test clean-local

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

run: ## serve the demo world on http://localhost:8000 (PORT= changes it)
	@scripts/ensure-postgres
	@$(CARGO) build --quiet -p standalone
	@exec $${CARGO_TARGET_DIR:-target}/debug/jhe serve --demo

demo: ## tell the whole story on a throw-away instance, checking every promise
	@scripts/ensure-postgres
	@scripts/ensure-venv
	@$(CARGO) build --quiet -p standalone
	@.venv/bin/python tests/python/demo.py

verify: ## look whether this deployment is as it must be (TARGET=, OPTIONS=: docs/verify.md)
	@scripts/ensure-postgres
	@$(CARGO) build --quiet -p standalone
	@$${CARGO_TARGET_DIR:-target}/debug/jhe verify --target $${TARGET:-local} $(OPTIONS)

test: ## everything, ending with one line: N passed, N failed
	@scripts/ensure-postgres
	@scripts/ensure-venv
	@scripts/ensure-command xmlsec1 xmlsec1
	@scripts/ensure-command chromium chromium
	@scripts/ensure-command npm npm
	@scripts/ensure-command nft nftables
	@scripts/ensure-command ip iproute2
	@scripts/ensure-command systemd-analyze systemd
	@scripts/ensure-infra-tools
	@.venv/bin/python tests/run.py

test-large: ## the jobs over a million observations (ROWS=), counted and in bounded memory; not part of `make test`
	@scripts/ensure-postgres
	@scripts/ensure-venv
	@$(CARGO) build --quiet -p standalone
	@LARGE_ROWS=$(or $(ROWS),1000000) .venv/bin/python tests/python/large_test.py

lint: ## formatting and lints
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --quiet --workspace --all-targets -- -D warnings

lint-infra: ## what is deployed on AWS, against every tool and the rules of infra/policies
	@scripts/ensure-command npm npm
	@scripts/ensure-infra-tools
	@.venv-infra/bin/python infra/lint.py

build: ## every function for AWS Lambda, in target/lambda (ARCHITECTURE=x86_64 or arm64)
	@JHE_BUILD="$${JHE_BUILD:-$$(git describe --always --dirty)}" CARGO="$(CARGO)" scripts/build-functions $(ARCHITECTURE)

deploy: ## build, check, and deploy to AWS: STAGE=dev, staging or prod of samconfig.toml
	@case "$(STAGE)" in dev|staging|prod) ;; *) echo "say which: make deploy STAGE=dev, staging or prod" >&2; exit 1 ;; esac
	@scripts/ensure-infra-tools
	@$(MAKE) --no-print-directory build ARCHITECTURE=$$(.venv-infra/bin/python infra/stage.py $(STAGE) Architecture)
	@$(MAKE) --no-print-directory lint-infra
	@.venv-infra/bin/sam deploy --config-file "$(CURDIR)/samconfig.toml" --config-env $(STAGE)

lambda-test: ## the events of events/ through the Lambda runtime
	@scripts/ensure-postgres
	@scripts/ensure-venv
	@.venv/bin/python tests/python/lambda_test.py

bench: build ## the figures of docs/benchmarks.md; the jobs over ten million observations (ROWS=)
	@scripts/ensure-postgres
	@scripts/ensure-venv
	@.venv/bin/python tests/bench/bench.py
	@.venv/bin/python tests/bench/lambda_bench.py
	@target/release/jhe with-database .venv/bin/python tests/bench/backup.py $(or $(ROWS),10000000)
	@target/release/jhe with-database .venv/bin/python tests/bench/retention.py $(or $(ROWS),10000000)
	@target/release/jhe with-database .venv/bin/python tests/bench/exports.py $(or $(ROWS),10000000)
	@target/release/jhe with-database .venv/bin/python tests/bench/exports.py $(or $(ROWS),10000000) parquet
	@.venv/bin/python tests/bench/seal.py

clean-local: ## delete the private PostgreSQL and all that `make run` keeps
	@test ! -e .local/lock || flock -n .local/lock true || { echo "jhe still runs: stop it first"; exit 1; }
	@test ! -e .local/postgres || rm -rf "$$(readlink -f .local/postgres)"
	@rm -rf .local
