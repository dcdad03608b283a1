# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
#
# What every VM test needs, in the guest and on the host: binding PCI devices
# to drivers, reading the kernel's DMA fault lines, checks that stop the test
# with a sentence. A test is one script that defines guest() and, when
# something is to be checked after the machine is off, host(); it ends with
# `vm_main "$@"`. Knows sysfs and the kernel log; knows nothing of sluice.

# Where QEMU puts the devices of run-vm.
# shellcheck disable=SC2034
VM_NVME0=0000:00:03.0 VM_NVME1=0000:00:04.0
# shellcheck disable=SC2034
VM_PAIR0=0000:00:11.0 VM_PAIR1=0000:00:11.1 VM_NIC=0000:00:10.0
# shellcheck disable=SC2034
VM_PEER_NIC=0000:00:12.0

vm_fail() {
	echo "FAILED: $*"
	exit 1
}

# vm_run STATUS COMMAND…: runs it and insists on its exit status; its output
# is shown and kept in $vm_text.
vm_run() {
	vm_want=$1
	shift
	echo "\$ $*"
	vm_status=0
	vm_text=$("$@" 2>&1) || vm_status=$?
	[ -z "$vm_text" ] || printf '%s\n' "$vm_text"
	[ "$vm_status" = "$vm_want" ] ||
		vm_fail "exit status $vm_status, expected $vm_want: $*"
}

# vm_says WORDS…: the last vm_run printed each of these.
vm_says() {
	for vm_word; do
		case $vm_text in
		*"$vm_word"*) ;;
		*) vm_fail "the message does not say \"$vm_word\"" ;;
		esac
	done
}

vm_driver() {
	vm_link=/sys/bus/pci/devices/$1/driver
	[ ! -e "$vm_link" ] || basename "$(readlink "$vm_link")"
}

vm_group() {
	basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"
}

vm_unbind() {
	[ -z "$(vm_driver "$1")" ] ||
		echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
}

# vm_bind DRIVER BDF…
vm_bind() {
	vm_name=$1
	shift
	for vm_bdf; do
		vm_unbind "$vm_bdf"
		echo "$vm_name" >"/sys/bus/pci/devices/$vm_bdf/driver_override"
		echo "$vm_bdf" >/sys/bus/pci/drivers_probe
		[ "$(vm_driver "$vm_bdf")" = "$vm_name" ] ||
			vm_fail "$vm_bdf is not bound to $vm_name"
	done
}

vm_hugepages() {
	echo "$1" >/proc/sys/vm/nr_hugepages
	[ "$(cat /proc/sys/vm/nr_hugepages)" = "$1" ] ||
		vm_fail "cannot have $1 hugepages"
}

# The IOMMU's fault lines in the kernel log (the kernel limits their rate:
# ten in five seconds).
vm_faults() {
	dmesg | grep 'DMAR:.*fault addr' || true
}

vm_no_faults() {
	[ -z "$(vm_faults)" ] || vm_fail "unexpected DMA fault: $(vm_faults)"
}

# vm_fault_at BDF IOVA: the kernel has logged a refused access of this device
# to this page.
vm_fault_at() {
	vm_page=$(printf '%x' $(($2 & ~4095)))
	vm_faults | grep -q "[[]${1#0000:}[]] fault addr 0x$vm_page " ||
		vm_fail "no DMAR fault of $1 at 0x$vm_page; the log has:" \
			"$(vm_faults)"
}

# A test without checks on the host keeps this one.
host() {
	:
}

vm_main() {
	# shellcheck disable=SC2034
	nvme_rw=${SLUICE_BUILD:?is set by vmtest}/examples/nvme_rw/nvme_rw
	# shellcheck disable=SC2034
	e1000e_echo=$SLUICE_BUILD/examples/e1000e_echo/e1000e_echo
	case $1 in
	guest) guest ;;
	host) host ;;
	*) vm_fail "run this through tests/vm/vmtest" ;;
	esac || exit 1
}
