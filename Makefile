# Every chore, one line each. The scripts do all the set-up they need: the first
# run may build an interpreter, which takes some minutes.

.PHONY: help pythons build demo test test-rust test-python test-capi bench lint fmt docs headers install uninstall clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

pythons: ## make the Python environments ready, and print where they are
	@scripts/pythons

build: ## build boc from source and install it into both environments
	@scripts/pythons >/dev/null

demo: ## a code scan on all cores, then a bank without locks
	@scripts/demo

test: ## everything that must hold; scripts/test NAME runs one stage
	@scripts/test

test-rust: ## the Rust core alone
	@scripts/test no-std rust loom tsan

test-python: ## the Python package alone
	@scripts/test python-direct python-dev python-gil python-oldest types examples

test-capi: ## the C ABI alone
	@scripts/test capi

bench: ## measure the core, and the package on each interpreter
	@scripts/bench

lint: ## formatting, clippy and types
	@scripts/test fmt clippy types

fmt: ## format the Rust code
	@cargo fmt --all
	@cargo fmt --manifest-path tests/no-std/Cargo.toml

docs: ## make a site of the documentation, in target/docs
	@scripts/test docs

headers: ## write what is generated of the C ABI: include/boc, symbols.txt
	@BOC_UPDATE=1 cargo test --quiet --package boc-capi --test header --test symbols

PREFIX = /usr/local
LIBDIR = lib

install: ## build libboc and install it: PREFIX=/usr/local LIBDIR=lib DESTDIR= DEBUG=
	@scripts/install --prefix "$(PREFIX)" --libdir "$(LIBDIR)" --destdir "$(DESTDIR)" $(if $(DEBUG),--debug)

uninstall: ## remove it again: PREFIX=/usr/local DESTDIR=
	@scripts/uninstall --prefix "$(PREFIX)" --destdir "$(DESTDIR)"

clean: ## remove what was built in this clone
	@scripts/clean
