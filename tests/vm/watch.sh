#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 2 --nic
#
# What a kernel says while drivers and devices come and go is told as it
# happens: a device keeps its handle while drivers change, and comes back with
# another one after it was removed; its group too.
. "$SLUICE_VM/guest-lib.sh"

sluice=$SLUICE_BUILD/tools/sluice
said=/dev/shm/said

# told WORDS…: a line has all of these, in this order.
told() {
	pattern=
	for word; do
		pattern=$pattern.*$word
	done
	vm_await "no line with $pattern in: $(cat $said)" \
		grep -q -- "$pattern" $said
}

handle() {
	sed -n "s/.*\"event\":\"$1\".*\"device\":\"$2\",\"device_handle\":\"\(0x[0-9a-f]*\)\".*/\1/p" \
		$said | tail -n 1
}

guest() {
	dev=$VM_NVME0
	vm_bind vfio-pci $dev
	"$sluice" groups --watch --json >$said 2>&1 &
	pid=$!
	told '"ready"'
	vm_unbind $dev
	told driver-unbound "\"$dev\"" '"driver":"vfio-pci"'
	vm_bind nvme $dev
	told driver-bound "\"$dev\"" '"driver":"nvme"' '"usable":false'
	told group-not-viable
	vm_bind vfio-pci $dev
	told driver-bound "\"$dev\"" '"driver":"vfio-pci"' '"usable":true'
	told group-viable
	before=$(handle driver-bound $dev)
	[ "$(handle driver-unbound $dev)" = "$before" ] ||
		vm_fail "another handle after a driver changed"
	echo 1 >"/sys/bus/pci/devices/$dev/remove"
	told member-left "\"$dev\""
	told device-removed "\"$dev\"" "\"$before\""
	told group-removed
	echo 1 >/sys/bus/pci/rescan
	told device-added "\"$dev\""
	told member-joined "\"$dev\""
	after=$(handle device-added $dev)
	[ -n "$after" ] && [ "$after" != "$before" ] ||
		vm_fail "handle $before became $after"
	kill -INT $pid
	status=0
	wait $pid || status=$?
	cat $said
	[ "$status" = 0 ] || vm_fail "exit status $status after SIGINT"
}

vm_main "$@"
