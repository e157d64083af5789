# Busbar. On a fresh Debian 12 with Rust and make:
#   make demo   one whole charge on the bench, with its timeline and receipt
#   make test   the whole test suite

CARGO ?= cargo
APT = $(if $(filter 0,$(shell id -u)),,sudo) apt-get

.PHONY: demo test build setup check

build: setup
	$(CARGO) build --locked --workspace --bins

demo: build
	target/debug/busbar-bench demo

test: build
	$(CARGO) test --locked --workspace --no-fail-fast

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# What a fresh Debian lacks: a C compiler for SQLite, the bus daemon, and busctl for the tests that use it.
setup:
	@missing=""; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v dbus-daemon >/dev/null || missing="$$missing dbus-daemon"; \
	command -v busctl >/dev/null || missing="$$missing systemd"; \
	command -v setpriv >/dev/null || missing="$$missing util-linux"; \
	if [ -n "$$missing" ]; then \
		echo "installing:$$missing"; \
		$(APT) update -q && DEBIAN_FRONTEND=noninteractive $(APT) install -q -y --no-install-recommends $$missing; \
	fi
