#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# A process is killed at any moment, with commands in flight and mappings half
# made, and the next one starts at once, up to 100 times. The group is free each
# time, the controller comes up, each block holds what was written last or what
# was on its way (the journal in shared memory knows both), and no DMA of the
# dead is refused: the kernel stops the device before it takes its memory away.
. "$SLUICE_VM/guest-lib.sh"

rounds=100
# On a machine that is too busy for them all there are as many as fit this time,
# in seconds; SLUICE_LONG=1 insists on all.
limit=150
[ "${SLUICE_LONG:-0}" != 1 ] || limit=100000
journal=/dev/shm/journal

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_near "$nvme_rw" "$SLUICE_BUILD/tests/vm/vm_kill"
	nvme_rw=$(command -v nvme_rw)
	vm_run 0 "$nvme_rw" $VM_NVME0 stress --ios 1 --journal "$journal"
	vm_run 0 vm_kill $rounds $limit "$journal" "$TMPDIR/said" \
		"$nvme_rw" $VM_NVME0 stress --verify --journal "$journal" \
		--seconds 1000 --queues 4 --depth 16 --irq
	vm_no_faults
	vm_run 0 "$nvme_rw" $VM_NVME0 stress --check --irq --depth 64 \
		--journal "$journal"
	vm_says ' errors 0 wrong-bytes 0 '
	vm_no_faults
	# The kernel's own driver takes the controller as the last one left it.
	vm_bind nvme $VM_NVME0
}

vm_main "$@"
