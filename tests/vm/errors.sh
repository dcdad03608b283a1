#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1 --pair --nic
#
# What a user meets first: each way in which a device cannot be had ends in a
# named error and a message that says what to do, and leaves nothing behind:
# once the cause is gone the same command works.
. "$SLUICE_VM/guest-lib.sh"

works() {
	vm_run 0 "$nvme_rw" $VM_NVME0 identify
}

no_such_device() {
	vm_run 1 "$nvme_rw" 0000:00:1e.7 identify
	vm_says ENODEV 0000:00:1e.7
	vm_run 1 "$nvme_rw" not-an-address identify
	vm_says EINVAL not-an-address
}

# The only member is the kernel's: the group has no node for VFIO at all.
kernel_has_it() {
	vm_bind nvme $VM_NVME0
	vm_run 1 "$nvme_rw" $VM_NVME0 identify
	vm_says $VM_NVME0 vfio-pci nvme driver_override
	vm_bind vfio-pci $VM_NVME0
	works
}

# Two functions without isolation are one group; the other one keeps its kernel
# driver. The message names it, its driver and the commands.
not_viable() {
	[ "$(vm_group $VM_PAIR0)" = "$(vm_group $VM_PAIR1)" ] ||
		vm_fail "the pair is not one group"
	vm_bind vfio-pci $VM_PAIR0
	vm_bind nvme $VM_PAIR1
	vm_run 1 "$nvme_rw" $VM_PAIR0 identify
	vm_says EPERM $VM_PAIR1 nvme \
		"/sys/bus/pci/devices/$VM_PAIR1/driver_override"
	# What it says to type is right.
	printf '%s\n' "$vm_text" |
		sed -n 's/.*As root: //p' >"$TMPDIR/commands"
	[ -s "$TMPDIR/commands" ] || vm_fail "the message has no commands"
	vm_run 0 sh -e "$TMPDIR/commands"
	vm_run 0 "$nvme_rw" $VM_PAIR0 identify
	# Half of a group held by nobody is viable too.
	vm_unbind $VM_PAIR1
	vm_run 0 "$nvme_rw" $VM_PAIR0 identify
}

already_open() {
	mkfifo "$TMPDIR/fifo"
	# It opens the device, then waits for the fifo's writer.
	"$nvme_rw" $VM_NVME0 write 0 "$TMPDIR/fifo" &
	holder=$!
	n=0
	until readlink /proc/$holder/fd/* | grep -q vfio-device; do
		n=$((n + 1))
		[ $n -lt 600 ] || vm_fail "the holder did not open the device"
		sleep 0.1
	done
	vm_run 1 "$nvme_rw" $VM_NVME0 identify
	vm_says EBUSY $VM_NVME0
	echo data >"$TMPDIR/fifo"
	wait $holder || vm_fail "the holder was disturbed"
	works
}

vfio_missing() {
	mv /dev/vfio /dev/vfio.away
	vm_run 1 "$nvme_rw" $VM_NVME0 identify
	vm_says ENOENT modprobe
	mv /dev/vfio.away /dev/vfio
	works
}

no_permission() {
	node=/dev/vfio/$(vm_group $VM_NVME0)
	chown 65534 "$node"
	vm_run 1 setpriv --bounding-set=-dac_override,-dac_read_search \
		"$nvme_rw" $VM_NVME0 identify
	vm_says EACCES "$node"
	chown 0 "$node"
	works
}

# Root is not bound by the limit unless it gives the capability up.
limited() {
	# shellcheck disable=SC2016
	setpriv --bounding-set=-ipc_lock sh -c \
		'ulimit -l "$1" && shift && exec "$@"' sh "$@"
}

memlock() {
	# 44 KiB of queues do not fit 16 KiB.
	vm_run 1 limited 16 "$nvme_rw" $VM_NVME0 identify
	vm_says RLIMIT_MEMLOCK ENOMEM 'ulimit -l'
	# They fit 64 KiB, but not with a buffer of 512 KiB.
	vm_run 0 limited 64 "$nvme_rw" $VM_NVME0 identify
	vm_run 1 limited 64 "$nvme_rw" $VM_NVME0 \
		read 0 /dev/null --blocks 1024
	vm_says RLIMIT_MEMLOCK 'ulimit -l'
	vm_run 0 limited 1024 "$nvme_rw" $VM_NVME0 \
		read 0 /dev/null --blocks 1024
}

# A device that is no NVMe controller.
wrong_device() {
	vm_bind vfio-pci $VM_NIC
	vm_run 1 "$nvme_rw" $VM_NIC identify
	vm_says $VM_NIC 'class 020000' 'lspci -Dn'
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	works
	no_such_device
	kernel_has_it
	not_viable
	already_open
	vfio_missing
	no_permission
	memlock
	wrong_device
	vm_no_faults
}

vm_main "$@"
