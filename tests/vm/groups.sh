#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 2 --pair --nic
#
# The groups that are computed from this machine's topology are those that its
# kernel made, the pair in one slot among them; and the doctor sees the machine
# as it is.
. "$SLUICE_VM/guest-lib.sh"

sluice=$SLUICE_BUILD/tools/sluice

guest() {
	vm_run 0 "$sluice" groups --json=/dev/shm/kernel.json
	vm_run 0 "$sluice" groups --compute --json=/dev/shm/computed.json
	vm_run 0 python3 "$SLUICE_VM/same-groups.py" /dev/shm/kernel.json \
		/dev/shm/computed.json
	vm_says 'groups, the same'
	vm_run 0 "$sluice" groups --explain $VM_PAIR1
	vm_says "$VM_PAIR0" 'share a slot' 'no ACS'
	# The kernel's driver holds the NIC: the machine could be used, is not yet.
	vm_run 1 "$sluice" doctor --device $VM_NIC
	vm_says 'an IOMMU is in use' 'VFIO is there' \
		'a kernel driver holds'
	vm_bind vfio-pci $VM_NIC
	vm_run 0 "$sluice" doctor --device $VM_NIC
	vm_says "$VM_NIC can be opened"
}

vm_main "$@"
