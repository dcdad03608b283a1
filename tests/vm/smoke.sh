#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 2
#
# The ground that the other VM tests stand on, shown without libsluice: this
# kernel's VFIO takes both controllers' groups in one container and maps for
# them, io_uring can post completions, hugepages exist, and the run's results
# reach the host.
. "$SLUICE_VM/guest-lib.sh"

guest() {
	vm_bind vfio-pci $VM_NVME0 $VM_NVME1
	[ "$(vm_group $VM_NVME0)" != "$(vm_group $VM_NVME1)" ] ||
		vm_fail "the controllers share a group"
	vm_hugepages 8
	vm_run 0 "$SLUICE_BUILD/tests/vm/vm_smoke" \
		"$(vm_group $VM_NVME0)" $VM_NVME0 \
		"$(vm_group $VM_NVME1)" $VM_NVME1
	vm_no_faults
	vm_bind nvme $VM_NVME1
	echo seen >"$SLUICE_OUT/mark"
}

host() {
	[ "$(cat "$SLUICE_OUT/mark")" = seen ] ||
		vm_fail "a file written in the VM did not reach the host"
}

vm_main "$@"
