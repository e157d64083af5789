#!/bin/bash
# test.sh PROGRAM [ARGUMENT...]      boots a Debian with our packages and runs PROGRAM in it as root
# test.sh --shell                    a root shell in it instead
# Says and exits what PROGRAM does; 77 when this computer cannot do it. README.md tells the environment.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
target=$(realpath "$here/../..")/target
debs=${IMAGE_TEST_DEBS:-$target/deb}
export IMAGE_TEST_CACHE=${IMAGE_TEST_CACHE:-$target/image}

say() { echo "image-test: $*" >&2; }

ls "$debs"/*.deb >/dev/null 2>&1 || { say "no packages in $debs: make deb"; exit 64; }
backend=$("$here/backend.sh") || exit

mkdir -p "$IMAGE_TEST_CACHE"
IMAGE_TEST_CACHE=$(realpath "$IMAGE_TEST_CACHE")
exec {lock}>"$IMAGE_TEST_CACHE/lock"
flock "$lock"

run=$IMAGE_TEST_CACHE/run
rm -rf "$run"
mkdir -p "$run/share"
"$here/repository.sh" "$debs" "$run/first"
"$here/repository.sh" "$debs" "$run/share/packages" +newer

kernel=$IMAGE_TEST_CACHE/kernel-$backend
"$here/kernel.sh" "$backend" "$kernel"
"$here/root.sh" "$run/first" "$kernel" "$run/disk"
say "$backend, Linux $(cat "$kernel/version"); disk of $(du -m "$run/disk" | cut -f1) MiB ready after $SECONDS s"

if [ "${1:-}" = --shell ]; then exec "$here/boot.sh" "$backend" "$kernel" "$run/disk" "$run/share" shell; fi
install -m 755 "$1" "$run/share/program"
: >"$run/share/arguments"
[ $# = 1 ] || printf '%s\0' "${@:2}" >"$run/share/arguments"
status=0
"$here/boot.sh" "$backend" "$kernel" "$run/disk" "$run/share" || status=$?
say "exit status $status after $SECONDS s; console, output and journal are in $run"
exit $status
