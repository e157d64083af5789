#!/bin/bash
# root.sh DEBS KERNEL DISK
# Makes DISK, a Debian 12 with the packages of the repository DEBS installed by apt and the modules of KERNEL
# (kernel.sh). The Debian is kept in IMAGE_TEST_CACHE and built again when what it consists of changes. Two builds from
# the same archive are the same to the bit, but for the times of change in the inodes of DISK, which nobody can set. They
# hold nothing of the machine's own apt settings, which they are built with.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
debs=$(realpath "$1") kernel=$2 disk=$3
packages=systemd-sysv,dbus,udev,kmod,iproute2,can-utils
export SOURCE_DATE_EPOCH=1700000000 E2FSPROGS_FAKE_TIME=1700000000 DEBIAN_FRONTEND=noninteractive

names() { sed -n 's/^Package: //p' "$debs/Packages"; }

# What our packages need of Debian: their dependencies, less those on each other.
needed() {
    sed -nE 's/^(Pre-)?Depends: //p' "$debs/Packages" | tr ',' '\n' | sed 's/^ *//; s/ *$//' | sort -u |
        awk 'NR == FNR { own[$1]; next } { split($0, word, /[ (:|]/) } !(word[1] in own)' <(names) - | paste -sd,
}

debian() { # TAR
    local sources=() file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ ! -s "$file" ] || sources+=("$file")
    done
    # shellcheck disable=SC2016 # the hooks are expanded by mmdebstrap
    NEEDED=$(needed) mmdebstrap --quiet --mode=root --variant=apt --include="$packages" \
        --aptopt="$(apt-config dump | grep -E '^Acquire::(https?|Check|Retries)' || true)" \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --customize-hook='[ -z "$NEEDED" ] || chroot "$1" apt-get -qq -y --no-install-recommends satisfy "$NEEDED"' \
        --customize-hook='rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/resolv.conf' \
        bookworm "$1" "${sources[@]}"
}

# In a mount namespace of its own, so that nothing stays mounted whatever happens.
apt_install() { # ROOT
    # shellcheck disable=SC2016 # expanded by the inner shell
    names | xargs unshare --mount sh -ec '
        root=$1; shift
        mkdir -p "$root/run/image-test/packages"
        mount -t proc proc "$root/proc"
        mount --bind "$0" "$root/run/image-test/packages"
        chroot "$root" apt-get -qq update
        chroot "$root" apt-get -qq -y --no-install-recommends install "$@"' "$debs" "$1"
    rm -rf "$1/run/image-test"
}

# Of the noise that every run makes differently.
clean() { # ROOT
    rm -rf "$1"/var/log/apt "$1"/var/log/*.log "$1"/var/cache/apt/*.bin "$1"/var/cache/ldconfig/aux-cache \
        "$1"/var/lib/apt/lists/* "$1"/var/lib/dpkg/*-old "$1"/etc/*-
    find "$1" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

umask 022
cache=${IMAGE_TEST_CACHE:?}
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
key=$( (cat "$0"; needed) | sha256sum | cut -c1-16)
base=$cache/debian-$key.tar
if [ ! -e "$base" ]; then
    echo "image-test: building Debian" >&2
    debian "$work/debian.tar" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
    rm -f "$cache"/debian-*.tar
    mv "$work/debian.tar" "$base"
fi

root=$work/root
mkdir "$root"
tar -C "$root" --numeric-owner -xf "$base"
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap"
cp -r "$kernel/lib/modules" "$root/usr/lib/"
cp -r "$here/guest/." "$root"
chroot "$root" systemctl -q enable systemd-networkd.service image-test.service
# What a test machine need not do while its minutes are counted, or has no kernel for.
chroot "$root" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer systemd-binfmt.service
apt_install "$root" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
clean "$root"
mkfs.ext4 -q -F -m 0 -U 62757362-6172-0000-0000-000000000001 -E hash_seed=62757362-6172-0000-0000-000000000002 -d "$root" "$work/disk" 1G >"$work/log"
mv "$work/disk" "$disk"
