#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# The trap of merging: of two neighbours that were mapped together, each for
# itself, one is taken back while the controller writes to the other without a
# break. The one faults, at exactly its page; the other goes on undisturbed.
. "$SLUICE_VM/guest-lib.sh"

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_run 0 "$nvme_rw" $VM_NVME0 trap-test
	vm_says 'queued together, mapped singly' 'all right' 'trap-test: ok'
	stale=$(printf '%s\n' "$vm_text" |
		sed -n 's/^stale-iova \(0x[0-9a-f]*\)$/\1/p')
	: "${stale:?was not printed}"
	# The pair are neighbours: what faults is the one, not the other.
	vm_says "pair $stale 0x$(printf '%x' $((stale + 4096))):"
	vm_fault_at $VM_NVME0 "$stale"
	for at in $(vm_faults | sed 's/.*fault addr \(0x[0-9a-f]*\) .*/\1/'); do
		[ $((at)) = $((stale)) ] ||
			vm_fail "a fault that the test did not make: $at"
	done
	# The controller lives.
	vm_run 0 "$nvme_rw" $VM_NVME0 selftest
}

vm_main "$@"
