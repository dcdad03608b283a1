#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 0 --hotplug 1
#
# The controller is unplugged while it works. The lane is told, transfers under
# way end, everything is taken back and the group closed, and the process says
# by its exit status why it stopped: only then does the host get the device.
# Plugged in again, it works, and the disk holds what was written before.
. "$SLUICE_VM/guest-lib.sh"

journal=/dev/shm/journal

# More is in the journal than its header.
begun() {
	[ -n "$(tr -d '\000' <"$journal" | tail -c +12)" ]
}

# unplug WORDS…: of the stress that is interrupted.
unplug() {
	gone=$((gone + 1))
	rm -f "$journal"
	"$nvme_rw" $VM_HP0 stress --verify --journal "$journal" --seconds 100 \
		"$@" >"$TMPDIR/said" 2>&1 &
	pid=$! # the monitor's first use starts a process too
	vm_await "no I/O begins: $(cat "$TMPDIR/said")" begun
	vm_host "device_del hp0"
	status=0
	wait $pid || status=$?
	vm_text=$(cat "$TMPDIR/said")
	printf '%s\n' "$vm_text"
	[ "$status" = 3 ] || vm_fail "exit status $status, expected 3"
	vm_says 'wants the device back' ' errors 0 wrong-bytes 0 '
	vm_host_gone hp0 $gone
	vm_absent $VM_HP0
	vm_no_faults
	# Nothing is left that could be opened.
	vm_run 1 "$nvme_rw" $VM_HP0 identify
	vm_plug 0
	vm_bind vfio-pci $VM_HP0
	vm_run 0 "$nvme_rw" $VM_HP0 stress --check --irq --journal "$journal"
	vm_says ' errors 0 wrong-bytes 0 '
}

guest() {
	gone=0
	vm_bind vfio-pci $VM_HP0
	unplug --queues 4 --depth 16
	unplug --queues 4 --depth 16 --irq
	unplug --queues 2 --depth 16 --per-io-map burst
	vm_run 0 "$nvme_rw" $VM_HP0 stress --verify --ios 2000 --queues 4
	vm_no_faults
}

vm_main "$@"
