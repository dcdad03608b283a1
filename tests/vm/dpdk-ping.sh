#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 0 --net
#
# sluice beside DPDK: a port of EAL, driven by DPDK's own driver, receives and
# sends packets that lie in an arena of a sluice domain in EAL's container. The
# guest's kernel, with the card at the other end of the wire, pings it.
. "$SLUICE_VM/guest-lib.sh"

echo=$SLUICE_BUILD/examples/dpdk_echo/dpdk_echo

# The kernel's name of a card.
netdev() {
	ls "/sys/bus/pci/devices/$1/net"
}

# until_there WORDS FILE: waits for a line of a program that runs.
until_there() {
	n=0
	until grep -q "$1" "$2"; do
		n=$((n + 1))
		[ $n -lt 300 ] && kill -0 "$program" 2>/dev/null || {
			cat "$2"
			return 1
		}
		sleep 0.1
	done
}

# answers PINGS WORDS…: dpdk_echo with these words answers that many, each from
# the arena, and goes in order. Its output is in $log.
answers() {
	pings=$1
	shift
	log=$TMPDIR/echo
	# No file of EAL's but the runtime folder, which is writable here.
	RUNTIME_DIRECTORY=$TMPDIR "$echo" -l 0 --in-memory -m 16 \
		--iova-mode=va -a $VM_NIC -- "$@" 10.9.0.2 >"$log" 2>&1 &
	program=$!
	until_there '^ready' "$log" || {
		status=0
		wait $program || status=$?
		[ $status != 77 ] || exit 77
		vm_fail "dpdk_echo did not start ($status)"
	}
	vm_run 0 busybox ping -q -A -c "$pings" -w 60 10.9.0.2
	vm_says "$pings packets transmitted, $pings packets received"
	kill -TERM $program
	wait $program || vm_fail "dpdk_echo ended with $?: $(cat "$log")"
	cat "$log"
	grep -q "echo $pings outside-arena 0\$" "$log" ||
		vm_fail "not all answers came from the arena"
	# EAL took memory and gave it back, and the domain's answers knew.
	# shellcheck disable=SC2046
	set -- $(sed -n 's/^memory \(.*\), with .* more \(.*\), without/\1 \2/p' \
		"$log")
	[ $# = 3 ] && [ "$2" -ge $(($1 + (48 << 20))) ] && [ "$3" = "$1" ] ||
		vm_fail "EAL's memory: $*"
	# Nobody unmapped what is another's.
	! grep 'dpdk_echo: sluice:' "$log" || vm_fail "sluice complains"
	grep -q '^down$' "$log" || vm_fail "it did not come to its end"
}

guest() {
	vm_hugepages 64
	vm_bind vfio-pci $VM_NIC
	vm_bind e1000e $VM_PEER_NIC
	card=$(netdev $VM_PEER_NIC)
	busybox ip addr add 10.9.0.1/24 dev "$card"
	busybox ip link set "$card" up
	answers 1000
	grep -q '^arena .* mapped by sluice$' "$log" ||
		vm_fail "the arena is not in EAL's container by sluice's doing"
	answers 100 apart
	grep -q '^arena .* mapped by EAL$' "$log" ||
		vm_fail "the arena was not to be mapped by sluice"
	vm_no_faults
}

vm_main "$@"
