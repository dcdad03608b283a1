#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 0 --net
#
# A network card driven from user space answers a kernel's pings: the guest's
# own kernel drives a second card on the same hub and pings the first, 1000
# times in each round, with payloads from none to 1400 bytes, and every byte is
# compared. QEMU's user network is the other peer: our side resolves and pings
# its gateway. Then a buffer is taken away from under the card: that one frame
# must be refused by the IOMMU.
. "$SLUICE_VM/guest-lib.sh"

ours=10.0.2.50 peer=10.0.2.20 gateway=10.0.2.2
total=1000

peer_up() {
	vm_if=$(ls "/sys/bus/pci/devices/$VM_PEER_NIC/net") ||
		vm_fail "the kernel has no driver for $VM_PEER_NIC"
	busybox ip addr add $peer/24 dev "$vm_if"
	busybox ip link set "$vm_if" up
}

# until_says FILE WORDS: the program that writes there has come so far.
until_says() {
	vm_tries=0
	until grep -q "$2" "$1"; do
		vm_tries=$((vm_tries + 1))
		if [ $vm_tries = 300 ] || ! kill -0 "$pid" 2>/dev/null; then
			vm_fail "it does not say \"$2\": $(cat "$1")"
		fi
		sleep 0.1
	done
}

# number NAME: what the program printed beside that name.
number() {
	sed -n "s/^$1 \([0-9]*\)\$/\1/p" "$log"
}

# expect NAME NUMBER
expect() {
	[ "$(number "$1")" = "$2" ] || vm_fail "$1 is not $2: $(cat "$log")"
}

echo_up() {
	log=$TMPDIR/echo.$1
	shift
	"$e1000e_echo" $VM_NIC $ours "$@" >"$log" 2>&1 &
	pid=$!
	until_says "$log" '^ready '
}

echo_done() {
	status=0
	wait $pid || status=$?
	[ $status = 0 ] || vm_fail "e1000e_echo: $status: $(cat "$log")"
}

# round MODE WINDOW
round() {
	echo_up "$1" --mode "$1" --count $total --ping $gateway
	vm_run 0 "$SLUICE_BUILD/tests/vm/vm_ping" $ours $total "$2"
	echo_done
	echo "mode $1:"
	cat "$log"
	grep -q "^peer $gateway answered" "$log" ||
		vm_fail "the user network did not answer"
	# Counts are equal on both sides.
	expect echo-replies $total
	expect bad 0
	expect kernel-errors 0
	expect hardware-missed 0
	expect frames-in "$(number hardware-in)"
	expect frames-out "$(number hardware-out)"
	vm_no_faults
}

guest() {
	peer_up
	vm_bind vfio-pci $VM_NIC
	vm_run 2 "$e1000e_echo" $VM_NIC 10.0.2.256
	vm_run 1 "$e1000e_echo" $VM_NIC $ours --seconds 1 --count 1
	vm_says 'fewer echo requests'
	# Who may ping: everybody.
	echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range
	# One at a time each frame costs its own mappings, one in and one out;
	# of many at a time neighbours share the calls that take them back.
	round strict 1
	[ "$(number kernel-maps)" -ge $((2 * total)) ] ||
		vm_fail "strict mode without a mapping for each frame"
	alone=$(number kernel-unmaps)
	round strict 16
	[ "$(number kernel-unmaps)" -lt "$alone" ] ||
		vm_fail "bursts cost as many unmaps as single frames: $alone"
	round arena 1
	expect kernel-maps 0
	expect kernel-unmaps 0

	echo_up break --break --seconds 20
	if busybox ping -q -W 1 -c 1 $ours >"$TMPDIR/ping" 2>&1; then
		vm_fail "a ping was answered out of a buffer taken away"
	fi
	echo_done
	cat "$log"
	grep -q '^stale-iova: memory untouched' "$log" ||
		vm_fail "the control has shown nothing"
	stale=$(sed -n 's/^stale-iova \(0x[0-9a-f]*\)$/\1/p' "$log")
	sleep 1
	vm_fault_at $VM_NIC "${stale:?was not printed}"
	# Nothing else was refused. (The kernel may print one fault twice.)
	for at in $(vm_faults | sed 's/.*fault addr \(0x[0-9a-f]*\) .*/\1/'); do
		[ $((at)) = $((stale)) ] ||
			vm_fail "a fault that the test did not make: $at"
	done
	# The kernel's own driver takes the card as we left it.
	vm_bind e1000e $VM_NIC
}

vm_main "$@"
