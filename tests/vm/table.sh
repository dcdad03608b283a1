#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1 --cpus 4 --memory 3G --timeout 290 --append tsc=reliable
#
# Every way of giving a device buffers, beside one ioctl for each, on a real
# kernel: prints the table of `sluice bench --matrix`, insists on the calls that
# each way may make, and sets the times beside the bars of the design (B20 to
# B22). SLUICE_LONG=1 or SLUICE_BARS=1: with 1, 2 and 4 lanes.
. "$SLUICE_VM/guest-lib.sh"

sluice=$SLUICE_BUILD/tools/sluice

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_hugepages 24
	lanes=1
	[ -z "${SLUICE_LONG-}${SLUICE_BARS-}" ] || lanes=1,2,4
	vm_run 0 "$sluice" bench --matrix --backend type1 --device $VM_NVME0 \
		-t $lanes --json "$SLUICE_OUT/matrix.json"
	vm_no_faults
}

host() {
	python3 "$SLUICE_VM/table.py" "$SLUICE_OUT/matrix.json" ||
		vm_fail "a way makes too many calls, or misses its bar"
}

vm_main "$@"
