#!/bin/bash
# kernel.sh BACKEND TO
# Puts into TO what a virtual machine of this kind boots with: `version`, the modules that the guest may load as
# lib/modules/VERSION, and for QEMU `vmlinuz` and an `initrd` that finds the disk. Does nothing when they are there.
set -euo pipefail
backend=$1
to=$(realpath -m "$2")

# CAN, the shared directory, the disk; the other 400 MB drive nothing that a guest has.
wanted=(kernel/net/can kernel/drivers/net/can/vcan.ko kernel/drivers/net/can/vxcan.ko kernel/drivers/net/can/slcan
    kernel/drivers/net/can/dev kernel/drivers/net/dummy.ko kernel/drivers/virtio kernel/drivers/block/virtio_blk.ko
    kernel/fs/ext4 kernel/fs/jbd2 kernel/fs/mbcache.ko kernel/fs/9p kernel/fs/netfs kernel/fs/fscache kernel/fs/autofs
    kernel/net/9p kernel/crypto/crc32c_generic.ko kernel/lib/crc16.ko)

modules() { # FROM
    mkdir -p "$to/lib/modules/$version"
    cp "$1"/modules.{builtin,builtin.modinfo,order} "$to/lib/modules/$version"
    local part
    for part in "${wanted[@]}"; do
        [ ! -e "$1/$part" ] || (cd "$1" && cp -r --parents "$part" "$to/lib/modules/$version")
    done
    depmod -b "$to" "$version"
}

download() { # PACKAGE, unpacked into the directory `packages`
    (cd "$to" && apt-get -qq -o APT::Sandbox::User=root download "$1" >/dev/null && dpkg-deb -x "$1"_*.deb packages && rm "$1"_*.deb)
}

# Only as much as mounts the disk; systemd is started by it as it would be by a boot loader's.
initrd() {
    local tree=$to/initrd.d module
    mkdir -p "$tree"/{bin,dev,modules,disk}
    cp "$to/packages/bin/busybox" "$tree/bin"
    {
        echo '#!/bin/busybox sh'
        echo '/bin/busybox mount -t devtmpfs dev /dev'
        for module in virtio_pci virtio_blk crc32c_generic ext4; do
            modprobe -d "$to" -S "$version" --show-depends "$module"
        done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
            cp "$module" "$tree/modules"
            echo "/bin/busybox insmod /modules/${module##*/}"
        done
        echo '/bin/busybox mount -t ext4 /dev/vda /disk'
        echo '/bin/busybox mount --move /dev /disk/dev'
        # shellcheck disable=SC2016 # expanded in the guest
        echo 'exec /bin/busybox switch_root /disk /sbin/init "$@"'
    } >"$tree/init"
    chmod 755 "$tree/init"
    (cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) | gzip -1n >"$to/initrd"
    rm -rf "$tree"
}

if [ "$backend" = uml ]; then
    version=$(ls /usr/lib/uml/modules)
else
    # The cloud kernel has no CAN.
    package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
    version=${package#linux-image-}
fi
[ "$(cat "$to/version" 2>/dev/null)" != "$version" ] || [ "$0" -nt "$to/version" ] || exit 0

rm -rf "$to"
mkdir -p "$to"
if [ "$backend" = uml ]; then
    modules "/usr/lib/uml/modules/$version"
else
    download "$package"
    download busybox-static
    modules "$to/packages/lib/modules/$version"
    initrd
    mv "$to/packages/boot/vmlinuz-$version" "$to/vmlinuz"
    rm -rf "$to/packages"
fi
echo "$version" >"$to/version"
