#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# The whole story once, for a reader: a controller writes and reads a disk by
# DMA at IOVAs from sluice, the disk's image is right when read from outside,
# and a DMA to memory that was taken back is refused. The last line sums up.
. "$SLUICE_VM/guest-lib.sh"

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_run 0 "$nvme_rw" $VM_NVME0 identify
	vm_run 0 "$nvme_rw" $VM_NVME0 fault-test
	stale=$(printf '%s\n' "$vm_text" |
		sed -n 's/^stale-iova \(0x[0-9a-f]*\)$/\1/p')
	vm_fault_at $VM_NVME0 "${stale:?was not printed}"
	vm_faults
	vm_run 0 "$nvme_rw" $VM_NVME0 write 0 --pattern 1 --blocks 8192
	vm_run 0 "$nvme_rw" $VM_NVME0 read 0 --verify 1 --blocks 8192
	echo "$stale" >"$SLUICE_OUT/stale"
}

host() {
	"$SLUICE_VM/image.py" "$SLUICE_OUT/nvme0.img" pattern:1:0:8192 ||
		return 1
	echo "4 MiB written, read back and found on the disk;" \
		"DMA to $(cat "$SLUICE_OUT/stale") refused after its unmap"
}

vm_main "$@"
