#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# Small maps beside a large one of memory that nobody has touched, with and
# without faulting in beforehand: the figures of docs/decisions/0014.
. "$SLUICE_VM/guest-lib.sh"

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_run 0 "$SLUICE_BUILD/tests/vm/prefault" $VM_NVME0 64 16
}

vm_main "$@"
