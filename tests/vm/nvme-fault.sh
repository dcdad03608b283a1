#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# The gate closes: after the ticket of an unmap has passed, the controller's
# next DMA to that IOVA is refused by the IOMMU (the kernel logs it) and the
# memory does not change; nor does memory that is mapped for reading only.
. "$SLUICE_VM/guest-lib.sh"

# The address that the program printed for $1.
iova_of() {
	printf '%s\n' "$vm_text" | sed -n "s/^$1 \(0x[0-9a-f]*\)\$/\1/p"
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	# Ordinary work leaves no line: those below are of the test.
	vm_run 0 "$nvme_rw" $VM_NVME0 selftest
	vm_no_faults
	vm_run 0 "$nvme_rw" $VM_NVME0 fault-test
	stale=$(iova_of stale-iova)
	readonly=$(iova_of read-only-iova)
	: "${stale:?was not printed}" "${readonly:?was not printed}"
	vm_fault_at $VM_NVME0 "$stale"
	vm_fault_at $VM_NVME0 "$readonly"
	# Nothing else was refused. (The kernel may print one fault twice.)
	for at in $(vm_faults | sed 's/.*fault addr \(0x[0-9a-f]*\) .*/\1/'); do
		[ $((at)) = $((stale)) ] || [ $((at)) = $((readonly)) ] ||
			vm_fail "a fault that the test did not make: $at"
	done
	[ $((stale)) != $((readonly)) ] || vm_fail "one address for two faults"
	# The controller lives, and a new mapping works.
	vm_run 0 "$nvme_rw" $VM_NVME0 selftest
}

vm_main "$@"
