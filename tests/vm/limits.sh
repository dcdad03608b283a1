#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# The real kernel with little to give: 64 mappings in a container, then little
# memory to lock. The request that meets the limit fails with the documented
# error and says what to raise; all others live, and so does what comes after
# room was given back.
. "$SLUICE_VM/guest-lib.sh"

limits=$SLUICE_BUILD/tests/vm/vm_limits
budget=/sys/module/vfio_iommu_type1/parameters/dma_entry_limit

# Root is not bound by the limit unless it gives the capability up.
locked() {
	# shellcheck disable=SC2016
	setpriv --bounding-set=-ipc_lock sh -c \
		'ulimit -l "$1" && shift && exec "$@"' sh "$@"
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	old=$(cat $budget)
	# It holds for containers that are opened from now on.
	echo 64 >$budget
	vm_run 0 "$limits" $VM_NVME0 ENOSPC 64 dma_entry_limit
	echo "$old" >$budget
	# 256 KiB are 64 pages.
	vm_run 0 locked 256 "$limits" $VM_NVME0 ENOMEM 64 'ulimit -l'
	vm_run 0 locked 128 "$limits" $VM_NVME0 ENOMEM 32 'ulimit -l'
	vm_no_faults
}

vm_main "$@"
