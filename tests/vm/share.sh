#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 8 --cpus 3
#
# Eight controllers in groups of their own and one domain: a buffer is one MAP
# call whatever number of groups reach it, each controller writes to it by DMA,
# groups come and go 200 times while a thread maps and unmaps, and the cost
# stands in a table (`sluice bench --mode share`), beside a domain for each.
. "$SLUICE_VM/guest-lib.sh"

sluice=$SLUICE_BUILD/tools/sluice
vm_share=$SLUICE_BUILD/tests/vm/vm_share

guest() {
	set --
	for slot in 03 04 05 06 07 08 09 0a; do
		set -- "$@" "0000:00:$slot.0"
	done
	vm_bind vfio-pci "$@"
	groups=$(for bdf; do vm_group "$bdf"; done | sort -u | wc -l)
	[ "$groups" = 8 ] || vm_fail "$groups groups instead of 8"
	vm_run 0 "$vm_share" reach "$@"
	for n in 1 2 4 8; do
		vm_says "groups $n: 1 MAP, 1 UNMAP, $n controllers wrote"
	done
	vm_run 0 "$vm_share" churn 200 "$@"
	vm_says 'churn: ok, 200 groups came and went'
	all=$(echo "$@" | tr ' ' ,)
	vm_run 0 "$sluice" groups --plan "$all"
	vm_run 0 "$sluice" bench --mode share --backend type1 --device "$all" \
		-s 15 --json "$SLUICE_OUT/share.json"
	vm_no_faults
}

host() {
	python3 "$SLUICE_VM/share.py" "$SLUICE_OUT/share.json" ||
		vm_fail "sharing does not save what it should"
}

vm_main "$@"
