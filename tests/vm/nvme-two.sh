#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 2
#
# Two controllers in groups of their own, one domain: a buffer mapped once is
# reached by both at the same IOVA, and taken back once is out of reach for
# both.
. "$SLUICE_VM/guest-lib.sh"

guest() {
	vm_bind vfio-pci $VM_NVME0 $VM_NVME1
	[ "$(vm_group $VM_NVME0)" != "$(vm_group $VM_NVME1)" ] ||
		vm_fail "the controllers share a group"
	vm_run 0 "$nvme_rw" two $VM_NVME0 $VM_NVME1
	vm_says 'two: ok, 1 map and 1 unmap calls to the kernel'
	stale=$(printf '%s\n' "$vm_text" |
		sed -n 's/^stale-iova \(0x[0-9a-f]*\)$/\1/p' | head -n 1)
	vm_fault_at $VM_NVME0 "$stale"
	vm_fault_at $VM_NVME1 "$stale"
}

# Each controller wrote a pattern of its own through the one mapping.
host() {
	"$SLUICE_VM/image.py" "$SLUICE_OUT/nvme0.img" pattern:20240607:0:1 &&
		"$SLUICE_VM/image.py" "$SLUICE_OUT/nvme1.img" \
			pattern:20240608:0:1 zero:1:32767
}

vm_main "$@"
