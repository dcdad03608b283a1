#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# 10^5 transfers, each with a mapping of its own that is taken back before the
# data is looked at: four queues, many in flight, every byte compared, and no
# DMA that the IOMMU refused. Then the same in the driver's other ways: bursts,
# an arena, polling instead of interrupts, PRP lists.
. "$SLUICE_VM/guest-lib.sh"

# stress WORDS…: every byte right, nothing refused.
stress() {
	vm_run 0 "$nvme_rw" $VM_NVME0 stress --verify "$@"
	vm_says ' errors 0 wrong-bytes 0 retries 0 timeouts 0 '
}

# The nth number behind a word of the report.
number() {
	printf '%s\n' "$vm_text" | sed -n "s/.* $1 \([0-9]*\).*/\1/p"
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_run 0 "$nvme_rw" $VM_NVME0 identify
	vm_says 'queues     4' 'data       SGLs'
	# Sleeping: on an emulated machine of two processors, threads that poll
	# take them from the thread that makes the calls, which is 2-3 times as
	# slow.
	stress --ios 100000 --queues 3 --depth 32 --irq
	vm_says 'stress: ios 100000 '
	# Each for itself: as many MAP calls as transfers.
	[ "$(number kernel-calls)" -ge 100000 ] ||
		vm_fail "mappings were shared"
	vm_no_faults

	stress --ios 5000 --queues 4 --depth 32 --per-io-map burst
	[ "$(number kernel-calls)" -lt 1000 ] || vm_fail "bursts were split"
	stress --ios 5000 --queues 4 --depth 32 --per-io-map arena
	vm_says ' kernel-calls 0 '
	stress --ios 2000 --queues 4 --depth 20
	# Transfers of 17 pages: one descriptor, or a list of 16 entries.
	stress --ios 500 --queues 2 --depth 16 --bytes 69632
	stress --ios 500 --queues 2 --depth 16 --bytes 69632 --prp
	vm_no_faults

	# The comparison can fail: what the journal knows is overwritten.
	journal=$TMPDIR/journal
	stress --ios 2000 --depth 16 --irq --journal "$journal"
	vm_run 0 "$nvme_rw" $VM_NVME0 stress --check --irq --journal "$journal"
	vm_run 0 "$nvme_rw" $VM_NVME0 write 0 --pattern 1234567 --blocks 32768
	vm_run 1 "$nvme_rw" $VM_NVME0 stress --check --irq --journal "$journal"
	[ "$(number wrong-bytes)" -gt 1000000 ] ||
		vm_fail "wrong bytes were not seen"
	vm_no_faults
}

vm_main "$@"
