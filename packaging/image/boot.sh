#!/bin/bash
# boot.sh BACKEND KERNEL DISK SHARE [shell]
# Boots DISK, which is written to, with directory SHARE seen inside as /run/image-test, and repeats what the program
# there prints. When that asks for it (file `again`), boots the same disk once more and runs the program with
# --after-reboot or --after-power-cut. Exits with its status; 124 when IMAGE_TEST_SECONDS are over, 125 when the machine
# ended without a status. With `shell`: a root shell on this terminal instead of the program.
set -euo pipefail
backend=$1 kernel=$2 disk=$3 share=$4 mode=${5:-test}
deadline=$((SECONDS + ${IMAGE_TEST_SECONDS:-600}))
machine=

say() { echo "image-test: $*" >&2; }

machine_command() { # the command line of the virtual machine, into `command`
    local console=null words=(rw panic=-1 loglevel=4 pty.legacy_count=0 systemd.unit=multi-user.target systemd.mask=getty.target)
    if [ "$mode" = shell ]; then
        console=fd:0
        words+=(systemd.mask=image-test.service systemd.wants=image-shell.service)
    fi
    case $backend in
        uml) # takes twice as long where it may wander between processors
            local cpus
            cpus=$(taskset -cp $$)
            command=(taskset -c "${cpus##*[ ,-]}" linux.uml mem=1024M "uml_dir=$share/../uml" "ubd0=$disk" root=/dev/ubda
                "hostfs=$share" "con0=$console,fd:1" con=null ssl=null noreboot "${words[@]}") ;;
        *)
            local accelerator="-accel tcg -cpu max -smp 1"
            [ "$backend" = tcg ] || accelerator="-accel kvm -cpu host -smp 2"
            # shellcheck disable=SC2206 # words
            command=(qemu-system-x86_64 $accelerator -m 1024 -nodefaults -no-user-config -display none -no-reboot
                -serial stdio -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd" -append "console=ttyS0 ${words[*]}"
                -drive "if=virtio,format=raw,file=$disk"
                -virtfs "local,path=$share,mount_tag=image-test,security_model=none") ;;
    esac
}

cut_power() { # of the whole group: User-Mode Linux is many processes
    [ "$machine" ] || return 0
    kill -KILL -- "-$machine" 2>/dev/null || true
    wait "$machine" 2>/dev/null || true
    machine=
}

# Until the program has ended or wants to be booted again, or the machine is off, or the time is over.
boot() {
    setsid "${command[@]}" </dev/null >>"$share/../console" 2>&1 &
    machine=$!
    while kill -0 "$machine" 2>/dev/null; do
        cat <&"$output"
        if [ -e "$share/status" ] || [ "$(cat "$share/again" 2>/dev/null)" = power-cut ]; then break; fi
        if [ $SECONDS -ge $deadline ]; then break; fi
        sleep 0.1
    done
    cut_power
    cat <&"$output"
}

machine_command
if [ "$mode" = shell ]; then exec "${command[@]}"; fi

trap cut_power EXIT
trap 'exit 130' INT TERM HUP
rm -f "$share"/{status,again,after}
: >"$share/output"
exec {output}<"$share/output"
boots=0
while true; do
    boots=$((boots + 1))
    say "boot $boots ($backend)"
    boot
    if [ -e "$share/status" ]; then
        exit "$(cat "$share/status")"
    elif [ $SECONDS -ge $deadline ]; then
        say "not ready in ${IMAGE_TEST_SECONDS:-600} s; the end of the console:"
        tail -n 30 "$share/../console" >&2
        exit 124
    elif [ -e "$share/again" ]; then
        mv "$share/again" "$share/after"
    else
        say "the machine ended without a result; the end of the console:"
        tail -n 30 "$share/../console" >&2
        exit 125
    fi
done
