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
VM_HP0=0000:01:00.0 VM_HP1=0000:02:00.0 VM_HP2=0000:03:00.0 VM_HP3=0000:04:00.0

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

# vm_near PROGRAM…: copies programs and the libraries that they load into memory
# and has them, and a busybox for the shell's own small ones, found there first.
# Over 9p most of a program's start goes into opening its libraries.
vm_near() {
	vm_dir=/dev/shm/near
	mkdir -p $vm_dir/bin $vm_dir/lib
	cp "$@" "$(command -v busybox)" $vm_dir/bin
	for vm_word in basename cat cksum cmp cp cut date dmesg grep mkdir mv \
		readlink rm sed sleep tail tr wc; do
		ln -sf busybox $vm_dir/bin/$vm_word
	done
	for vm_word in $(ldd "$@" | sed -n 's/.*=> \(.*\) (.*/\1/p'); do
		cp -u "$vm_word" $vm_dir/lib
	done
	export PATH="$vm_dir/bin:$PATH" LD_LIBRARY_PATH=$vm_dir/lib
	hash -r
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
	# By an interrupt, which has its time.
	vm_tries=0
	until vm_faults | grep -q "[[]${1#0000:}[]] fault addr 0x$vm_page "; do
		vm_tries=$((vm_tries + 1))
		[ $vm_tries -lt 400 ] ||
			vm_fail "no DMAR fault of $1 at 0x$vm_page; the log" \
				"has: $(vm_faults)"
		sleep 0.05
	done
}

# ---- the host's side, from within: needs run-vm's --hotplug ----

vm_host_log=$SLUICE_OUT/vm-host.log
vm_host_nr=0

# What the monitor answers is collected for as long as the test runs. Open all
# the time: a port that nobody has open drops what arrives.
vm_host_open() {
	exec 9<>/dev/ttyS1
	stty raw -echo <&9 ||
		vm_fail "no monitor: give --hotplug in the \"# vm:\" line"
	cat <&9 >"$vm_host_log" &
	# Until stty has run the port echoes: the monitor's greeting went back
	# to it, and is thrown away there by a byte that JSON cannot have.
	sleep 0.2
	printf '\377' >&9
	echo '{"execute":"qmp_capabilities","id":"vm-0"}' >&9
	vm_await "the monitor did not answer" \
		grep -q '"id": "vm-0"' "$vm_host_log"
}

# vm_await SENTENCE COMMAND…: until the command succeeds, about a minute at
# most.
vm_await() {
	vm_sentence=$1
	shift
	vm_tries=0
	until "$@" >/dev/null 2>&1; do
		vm_tries=$((vm_tries + 1))
		[ $vm_tries -lt 400 ] || vm_fail "$vm_sentence"
		sleep 0.05
	done
}

# vm_host "COMMAND": one line for QEMU's human monitor, like "device_del hp0".
# Its answer, most often nothing, is in $vm_host_text; an answer that begins
# with "Error" ends the test.
vm_host() {
	[ "$vm_host_nr" -gt 0 ] || vm_host_open
	vm_host_nr=$((vm_host_nr + 1))
	printf '{"execute":"human-monitor-command","id":"vm-%s",%s}\n' \
		$vm_host_nr "\"arguments\":{\"command-line\":\"$1\"}" \
		>&9
	vm_await "the monitor did not answer: $1" \
		grep -q "\"id\": \"vm-$vm_host_nr\"" "$vm_host_log"
	vm_host_text=$(sed -n "/\"id\": \"vm-$vm_host_nr\"/"'{
		s/.*"return": "\(.*\)", "id".*/\1/
		p
	}' "$vm_host_log")
	case $vm_host_text in
	Error* | *'"error"'*) vm_fail "monitor: $1: $vm_host_text" ;;
	esac
}

# vm_host_gone ID [N]: waits until the host has taken the device away N times
# (default 1) since the first vm_host: nothing of it is left in the machine.
vm_host_deleted() {
	[ "$(grep -c "DEVICE_DELETED.*\"device\": \"$1\"" \
		"$vm_host_log")" -ge "${2:-1}" ]
}

vm_host_gone() {
	vm_await "the host still has $1" vm_host_deleted "$@"
}

# vm_present BDF, vm_absent BDF: waits until the guest's kernel has it, or has
# not.
vm_present() {
	vm_await "no $1 came up" test -e "/sys/bus/pci/devices/$1/iommu_group"
}

vm_absent() {
	vm_await "$1 did not go" test ! -e "/sys/bus/pci/devices/$1"
}

# vm_plug N: puts controller hpN back on its port.
vm_plug() {
	vm_nvme=nvme,id=hp$1,bus=port$1,serial=hp$1
	vm_host "device_add $vm_nvme,drive=hpdisk$1,max_ioqpairs=4"
	eval "vm_present \$VM_HP$1"
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
