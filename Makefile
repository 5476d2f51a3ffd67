# SPDX-License-Identifier: Apache-2.0
# A thin front: each target calls cmake or one script of scripts/. Nothing is decided here.
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local

.DEFAULT_GOAL := help
.PHONY: help deps build demo demo-train check soak bench install packages clean

help: ## this page
	@echo 'ckptd: checkpoints in the memory of two nodes, proven equal by digest'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'
	@echo
	@echo "  JOBS=$(JOBS) (parallel compilers), PREFIX=$(PREFIX)"

deps: ## install the missing Debian packages (without root: print the command)
	@scripts/deps.sh

build: ## the release preset: programs in build/release/bin
	@scripts/build.sh release $(JOBS)

demo: ## real weights survive the loss of a node, bit for bit
	@scripts/deps.sh build demo
	@scripts/build.sh release $(JOBS)
	@scripts/demo.sh

demo-train: ## a transformer trains through a killed rank and a lost node
	@scripts/deps.sh build demo
	@scripts/build.sh release $(JOBS)
	@scripts/demo_train.sh

check: ## everything that must hold before a commit; what CI runs
	@JOBS=$(JOBS) scripts/check.sh

soak: ## the long form: 100,000 simulator seeds, fuzzers 10 minutes each, valgrind, fault loops
	@JOBS=$(JOBS) scripts/soak.sh

bench: ## measure stall, replicate, restore and digest beside the raw tools
	@scripts/deps.sh build bench
	@scripts/build.sh release $(JOBS)
	@scripts/bench.sh

install: ## into PREFIX (DESTDIR is honoured)
	@scripts/build.sh release $(JOBS) -DCMAKE_INSTALL_PREFIX=$(PREFIX)
	@cmake --install build/release --prefix $(PREFIX)

packages: ## Debian packages, a Python wheel, and what they are made of: into build/packages
	@JOBS=$(JOBS) scripts/packages.sh

clean: ## remove build/
	rm -rf build
