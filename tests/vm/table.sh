#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1 --cpus 4 --memory 3G --timeout 290
#
# Every way of giving a device buffers, beside one ioctl for each, on a real
# kernel: prints the table of `sluice bench --matrix` and insists on the bars
# of the kernel path (design B20 to B22).
. "$SLUICE_VM/guest-lib.sh"

sluice=$SLUICE_BUILD/tools/sluice

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_hugepages 24
	vm_run 0 "$sluice" bench --matrix --backend type1 --device $VM_NVME0 \
		-t 1,2,4 --json "$SLUICE_OUT/matrix.json"
	vm_no_faults
}

host() {
	python3 "$SLUICE_VM/table.py" "$SLUICE_OUT/matrix.json" || {
		[ $? = 77 ] && exit 77
		vm_fail "a bar of the kernel path is missed"
	}
}

vm_main "$@"
