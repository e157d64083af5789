#!/bin/bash
# Says which virtual machine this computer can run, after installing what it needs: kvm, uml or tcg.
# IMAGE_TEST_BACKEND names one of them instead. Exits with 77 where none can be run, and says why.
set -euo pipefail

cannot() { echo "image-test: cannot run here: $*" >&2; exit 77; }

install() { # COMMAND PACKAGE
    ! command -v "$1" >/dev/null || return 0
    echo "image-test: installing $2" >&2
    apt-cache show "$2" >/dev/null 2>&1 || apt-get -qq update >/dev/null 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$2" >/dev/null 2>&1
}

need() { install "$@" || cannot "$2 cannot be installed"; }

# /dev/kvm also exists where the processor cannot run a stock kernel with it.
kvm_works() { [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; }

# A kernel without a disk that gets as far as missing it has the ptrace and the memory that it needs.
uml_works() {
    install linux.uml user-mode-linux || return 1
    local directory log
    directory=$(mktemp -d)
    log=$(timeout -k 1 20 linux.uml mem=64M uml_dir="$directory" con=null ssl=null con0=null,fd:1 noreboot panic=-1 </dev/null 2>&1) || true
    rm -rf "$directory"
    grep -qa 'Unable to mount root' <<<"$log"
}

choose() {
    if kvm_works; then echo kvm; elif uml_works; then echo uml; else echo tcg; fi
}

[ "$(id -u)" = 0 ] || cannot "root file systems are made by root"
[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || cannot "made for Debian on amd64"
backend=${IMAGE_TEST_BACKEND:-$(choose)}
case $backend in
    uml) need linux.uml user-mode-linux ;;
    kvm | tcg) need qemu-system-x86_64 qemu-system-x86 ;;
    *) echo "image-test: no such backend: $backend" >&2; exit 64 ;;
esac
need mmdebstrap mmdebstrap
need mkfs.ext4 e2fsprogs
need depmod kmod
need cpio cpio
need dpkg-scanpackages dpkg-dev
echo "$backend"
