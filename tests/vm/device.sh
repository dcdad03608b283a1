#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1 --hotplug 1
#
# A device's life on a real kernel, by the public calls only: its registers,
# reset and interrupts, what a child after fork() may do (nothing), and the
# host taking it away while its DMA runs, twice, with io_uring and without.
. "$SLUICE_VM/guest-lib.sh"

device=$SLUICE_BUILD/tests/vm/vm_device

# unplug_while_busy N COMMAND [plain]: the Nth time.
unplug_while_busy() {
	nth=$1
	how=$2
	shift 2
	log=$TMPDIR/unplug
	vm_bind vfio-pci $VM_HP0
	"$device" "$how" $VM_HP0 "$@" >"$log" 2>&1 &
	user=$!
	vm_await "vm_device did not get ready: $(cat "$log")" \
		grep -q 'unplug: ready' "$log"
	sleep 0.3
	vm_host "device_del hp0"
	status=0
	wait $user || status=$?
	cat "$log"
	[ $status = 0 ] || vm_fail "the device was not given back"
	vm_absent $VM_HP0
	vm_host_gone hp0 "$nth"
	vm_plug 0
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	for how in '' plain; do
		for what in look irq intx fork; do
			vm_run 0 "$device" $what $VM_NVME0 $how
		done
	done
	unplug_while_busy 1 unplug
	unplug_while_busy 2 unplug plain
	unplug_while_busy 3 rude
	# Nobody has it open: it goes at once.
	vm_host "device_del hp0"
	vm_absent $VM_HP0
	vm_no_faults
	# The kernel's own driver takes the controller as we left it.
	vm_bind nvme $VM_NVME0
}

vm_main "$@"
