#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# The command line on a real kernel: `sluice groups` sees the groups, and
# `sluice bench` on the type1 backend makes kernel calls and shares them.
. "$SLUICE_VM/guest-lib.sh"

sluice=$SLUICE_BUILD/tools/sluice

# counter NAME: of the bench's JSON, which $vm_text holds.
counter() {
	printf '%s\n' "$vm_text" |
		sed -n "s/.*\"$1\":[[:space:]]*\([0-9][0-9]*\).*/\1/p" |
		head -n 1
}

guest() {
	vm_run 0 "$sluice" groups
	vm_says "$VM_NVME0"
	vm_run 1 "$sluice" bench --backend type1 --device $VM_NVME0 -s 1
	vm_bind vfio-pci $VM_NVME0
	vm_run 0 "$sluice" groups --explain $VM_NVME0
	vm_run 0 "$sluice" bench --backend type1 --device $VM_NVME0 -s 1
	vm_run 0 "$sluice" bench --backend type1 --device $VM_NVME0 -s 1 \
		--depth 64 --batch 64 --json -
	[ "$(counter kernel_maps)" -gt 0 ] ||
		vm_fail "no call to the kernel was counted"
	# Neighbours that die together die in one call.
	[ $(($(counter kernel_unmaps) * 4)) -lt "$(counter unmaps)" ] ||
		vm_fail "unmaps did not share their calls"
	vm_run 0 "$sluice" bench --backend type1 --device $VM_NVME0 -s 1 \
		--mode lazy
	vm_run 0 "$sluice" bench --backend type1 --device $VM_NVME0 -s 1 \
		--mode arena
}

vm_main "$@"
