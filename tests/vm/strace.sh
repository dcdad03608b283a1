#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# Lanes that work out of an arena on the type1 backend make no system call:
# strace sees none between the marks of vm_quiet, and all of those that it makes
# on purpose between two others.
. "$SLUICE_VM/guest-lib.sh"

calls=5

# counted MARK: for each thread that set it, the system calls until MARK-end.
counted() {
	awk -v mark="\"$1\"" -v end="\"$1-end\"" '
	/<\.\.\. .* resumed>/ || $2 == "+++" || $2 == "---" { next }
	$2 ~ /^prctl/ && index($0, end) { print n[$1]; on[$1] = 0; next }
	$2 ~ /^prctl/ && index($0, mark) { on[$1] = 1; n[$1] = 0; next }
	on[$1] { n[$1]++; print > "/dev/stderr" }' "$SLUICE_OUT/strace"
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_run 0 strace -f -o "$SLUICE_OUT/strace" \
		"$SLUICE_BUILD/tests/vm/vm_quiet" $VM_NVME0 200000 $calls
	control=$(counted control 2>/dev/null | tr '\n' ' ')
	[ "$control" = "$calls $calls " ] ||
		vm_fail "of $calls calls strace saw: $control"
	steady=$(counted steady | tr '\n' ' ')
	[ "$steady" = '0 0 ' ] ||
		vm_fail "system calls of the lanes: $steady"
	echo "two lanes, no system call of either; control: $control"
	vm_no_faults
}

command -v strace >/dev/null || {
	echo "strace: no strace: apt-get install strace" >&2
	exit 77
}
vm_main "$@"
