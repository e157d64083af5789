#!/bin/bash
# repository.sh DEBS TO [SUFFIX]
# Makes of the packages in directory DEBS a repository for apt in TO. With SUFFIX their versions are raised by it:
# a newer build of the same programs, without compiling them again.
set -euo pipefail
debs=$1 to=$2 suffix=${3:-}

raise() { # DEB
    local tree
    tree=$(mktemp -d)
    dpkg-deb --raw-extract "$1" "$tree"
    sed -i "s/^Version: .*/&$suffix/" "$tree/DEBIAN/control"
    dpkg-deb -Znone --root-owner-group --build "$tree" "$to" >/dev/null
    rm -rf "$tree"
}

rm -rf "$to"
mkdir -p "$to"
for deb in "$debs"/*.deb; do
    if [ "$suffix" ]; then raise "$deb"; else cp "$deb" "$to"; fi
done
cd "$to"
dpkg-scanpackages --multiversion . 2>/dev/null >Packages
