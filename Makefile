# Busbar. On a fresh Debian 12 with Rust and make:
#   make demo   one whole charge on the bench, with its timeline and receipt
#   make test   the whole test suite
#   make power-cut   session killed at every durable write of a whole day, alone and with the machine (minutes)
#   make fault-matrix   every fault of the simulated hardware in every phase of a charge (minutes)
#   make deb    the Debian packages, in target/deb (PROFILE=dev: quickly; DEB_VERSION=0.1.0+2: of another version)
#   make image-test   the packages installed in a Debian that is booted, and a day of a station in it (packaging/image)
#   make fuzz   a minute of broken frames for the OCPP parser (FUZZ_SECONDS=3600 for more)

CARGO ?= cargo
FUZZ_SECONDS ?= 60
PROFILE ?= release
DEB_VERSION ?= $(shell sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog)
DEB_DIR ?= target/deb
APT = $(if $(filter 0,$(shell id -u)),,sudo) apt-get

.PHONY: demo test build setup check fuzz power-cut fault-matrix deb deb-setup image-test image-shell

build: setup
	$(CARGO) build --locked --workspace --bins

demo: build
	target/debug/busbar-bench demo

test: build
	$(CARGO) test --locked --workspace --no-fail-fast

power-cut: build
	$(CARGO) test --locked -p busbar-suite --test power_cut -- --ignored --nocapture

fault-matrix: build
	$(CARGO) test --locked -p busbar-suite --test power_faults -- --ignored --nocapture

# Works on a copy of packaging/debian. What cargo has built stays: another version of the packages compiles nothing.
deb: setup deb-setup
	rm -rf $(DEB_DIR)
	mkdir -p $(DEB_DIR)/build
	cp -r packaging/debian $(DEB_DIR)/build/debian
	cd $(DEB_DIR)/build && { head -1 debian/changelog | sed 's/([^)]*)/($(DEB_VERSION))/'; \
		echo; echo '  * Built from the sources.'; echo; \
		sed -n '/^ -- /{p;q}' debian/changelog; echo; \
		cat debian/changelog; } >changelog.new
	grep -q '($(DEB_VERSION))' packaging/debian/changelog || \
		mv $(DEB_DIR)/build/changelog.new $(DEB_DIR)/build/debian/changelog
	cd $(DEB_DIR)/build && SOURCES=$(CURDIR) PROFILE=$(PROFILE) CARGO=$(CARGO) DEB_BUILD_OPTIONS=noautodbgsym \
		dpkg-buildpackage --build=binary --no-sign
	rm -rf $(DEB_DIR)/build $(DEB_DIR)/*.buildinfo $(DEB_DIR)/*.changes
	ls $(DEB_DIR)

image-test: deb
	$(CARGO) build --locked --release -p busbar-image-test
	packaging/image/test.sh target/release/busbar-image-test

image-shell: deb
	packaging/image/test.sh --shell

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# No sanitizer, because those need a nightly compiler and the crate has no unsafe code; overflow and debug assertions are
# on. The committed inputs are where it starts; what it finds on the way is kept under fuzz/target, a crash in fuzz/artifacts.
fuzz:
	@command -v c++ >/dev/null || { $(APT) update -q && DEBIAN_FRONTEND=noninteractive $(APT) install -q -y --no-install-recommends g++; }
	$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	mkdir -p fuzz/target/corpus
	$(CARGO) fuzz run --sanitizer none frame fuzz/target/corpus fuzz/corpus/frame -- -max_total_time=$(FUZZ_SECONDS)

deb-setup:
	@command -v dh >/dev/null && command -v dpkg-buildpackage >/dev/null || \
		{ $(APT) update -q && DEBIAN_FRONTEND=noninteractive $(APT) install -q -y --no-install-recommends debhelper dpkg-dev; }

# What a fresh Debian lacks: a C compiler for SQLite, the bus daemon, busctl for the tests that use it, and what
# installs the strict CSMS of tests/strict-csms, whose test is skipped where there is no Python.
setup:
	@missing=""; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v dbus-daemon >/dev/null || missing="$$missing dbus-daemon"; \
	command -v busctl >/dev/null || missing="$$missing systemd"; \
	command -v setpriv >/dev/null || missing="$$missing util-linux"; \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv ca-certificates"; \
	if [ -n "$$missing" ]; then \
		echo "installing:$$missing"; \
		$(APT) update -q && DEBIAN_FRONTEND=noninteractive $(APT) install -q -y --no-install-recommends $$missing; \
	fi
