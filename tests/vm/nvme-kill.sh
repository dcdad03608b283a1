#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# A process is killed at any moment, with commands in flight and mappings half
# made, and the next one starts at once, up to 100 times. The group is free each
# time, the controller comes up, each block holds what was written last or what
# was on its way (the journal in shared memory knows both), and no DMA of the
# dead is refused: the kernel stops the device before it takes its memory away.
. "$SLUICE_VM/guest-lib.sh"

rounds=100
# On a machine that is too busy for them all there are as many as fit this time,
# in milliseconds; SLUICE_LONG=1 insists on all.
limit=60000
journal=/dev/shm/journal

# One line for each round: how long it may live, 50 to 500 ms, or longer where
# the start alone takes $1 ms of that.
lives() {
	awk -v n=$rounds -v start="$1" -v seed="$(date +%s%N | tail -c 7)" '
	BEGIN {
		srand(seed)
		most = start * 2 > 500 ? start * 2 : 500
		for (i = 0; i < n; i++)
			printf "%.3f\n", (50 + rand() * (most - 50)) / 1000
	}'
}

now_ms() {
	echo $(($(date +%s%N) / 1000000))
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	start=$(now_ms)
	vm_run 0 "$nvme_rw" $VM_NVME0 stress --ios 1 --journal "$journal"
	start=$(($(now_ms) - start))
	nr=0 hit=0 until=$(($(now_ms) + limit))
	for life in $(lives $start); do
		[ "${SLUICE_LONG:-0}" = 1 ] || [ "$(now_ms)" -lt $until ] ||
			break
		nr=$((nr + 1))
		before=$(cksum <"$journal")
		"$nvme_rw" $VM_NVME0 stress --verify --journal "$journal" \
			--seconds 100 --queues 4 --depth 16 --irq \
			>"$TMPDIR/said" 2>&1 &
		sleep "$life"
		kill -KILL $!
		status=0
		wait $! 2>/dev/null || status=$?
		# It neither ended nor complained: it was killed.
		[ "$status" = 137 ] && [ ! -s "$TMPDIR/said" ] || vm_fail \
			"round $nr, status $status: $(cat "$TMPDIR/said")"
		[ "$before" = "$(cksum <"$journal")" ] || hit=$((hit + 1))
	done
	echo "killed $nr times of $rounds, $hit of them in the middle of I/O;" \
		"a start takes $start ms"
	[ $((hit * 4)) -ge $nr ] || vm_fail "too few were hit in their I/O"
	vm_no_faults
	vm_run 0 "$nvme_rw" $VM_NVME0 stress --check --irq --depth 64 \
		--journal "$journal"
	vm_says ' errors 0 wrong-bytes 0 '
	vm_no_faults
	# The kernel's own driver takes the controller as the last one left it.
	vm_bind nvme $VM_NVME0
}

vm_main "$@"
