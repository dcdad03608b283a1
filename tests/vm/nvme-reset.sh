#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# Resets in the middle of I/O, by the controller's own bit and by the PCI
# function, and completions that never come: every command ends, its transfer
# is done in the end, the queues come back, and no byte is wrong, neither then
# nor for the next process.
. "$SLUICE_VM/guest-lib.sh"

journal=/dev/shm/journal

number() {
	printf '%s\n' "$vm_text" | sed -n "s/.* $1 \([0-9]*\).*/\1/p"
}

# survive RESETS WORDS…: so many resets at least, and commands were hit.
survive() {
	want=$1
	shift
	vm_run 0 "$nvme_rw" $VM_NVME0 stress --verify --journal "$journal" \
		--queues 4 --depth 16 "$@"
	vm_says ' errors 0 wrong-bytes 0 '
	[ "$(number resets)" -ge "$want" ] ||
		vm_fail "fewer than $want resets"
	[ "$(number retries)" -gt 0 ] || vm_fail "no command was hit"
	late=$(number timeouts)
	vm_run 0 "$nvme_rw" $VM_NVME0 stress --check --irq --journal "$journal"
	vm_says ' wrong-bytes 0 '
	[ "$(number ios)" -gt 100 ] || vm_fail "the journal knows too little"
	vm_no_faults
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	# Milliseconds, each way; a reset takes some of its own.
	survive 5 --seconds 3 --reset controller --reset-ms 150
	survive 5 --seconds 3 --reset function --reset-ms 250
	survive 5 --seconds 3 --reset both --reset-ms 200 --irq
	survive 5 --seconds 3 --reset both --reset-ms 200 --per-io-map burst
	# A completion is lost now and then: it is late, an Abort does not bring
	# it, a reset does.
	survive 2 --ios 6000 --lose 1200 --timeout 400
	[ "$late" -gt 0 ] || vm_fail "no command was late"
	# The kernel's own driver takes the controller as we left it.
	vm_bind nvme $VM_NVME0
}

vm_main "$@"
