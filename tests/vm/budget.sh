#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# A full budget on a real kernel: 64 mappings per container, and locked memory
# for a process without privilege. Each refusal names what is missing; each
# command that it says to type is typed, and helps.
. "$SLUICE_VM/guest-lib.sh"

budget=$SLUICE_BUILD/tests/vm/vm_budget
entry_limit=/sys/module/vfio_iommu_type1/parameters/dma_entry_limit

# with_memlock SOFT HARD COMMAND…: both in KiB, without the capability that
# lifts the limit.
with_memlock() {
	# shellcheck disable=SC2016
	setpriv --bounding-set=-ipc_lock sh -c \
		'ulimit -S -l "$1" && ulimit -H -l "$2" && shift 2 &&
		exec "$@"' sh "$@"
}

# The same as nobody, who can raise the soft limit only.
as_nobody() {
	# shellcheck disable=SC2016
	sh -c 'ulimit -S -l "$1" && ulimit -H -l "$2" && shift 2 &&
		exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"' \
		sh "$@"
}

sluice=$SLUICE_BUILD/tools/sluice

# The bench says what stops it.
bench() {
	vm_run 1 "$sluice" bench --backend type1 --device $VM_NVME0 -s 1 \
		--depth 128
	vm_says ENOSPC '0 left, 1 missing' "$entry_limit"
	vm_run 1 with_memlock 256 256 "$sluice" bench --backend type1 \
		--device $VM_NVME0 -s 1 -g 16 --depth 16
	vm_says ENOMEM RLIMIT_MEMLOCK 'prlimit --pid'
}

mappings() {
	echo 64 >"$entry_limit"
	vm_run 0 "$budget" $VM_NVME0 arena
	vm_run 0 "$budget" $VM_NVME0 strict
	echo 64 >"$entry_limit"
	bench
	echo 65535 >"$entry_limit"
}

memlock() {
	vm_run 0 with_memlock 256 256 "$budget" $VM_NVME0 memlock-hard 262144
	vm_run 0 with_memlock 256 8192 "$budget" $VM_NVME0 memlock-soft 262144
	node=/dev/vfio/$(vm_group $VM_NVME0)
	chown 65534 "$node"
	chmod 666 /dev/vfio/vfio
	vm_run 0 as_nobody 512 8192 "$budget" $VM_NVME0 memlock-soft 524288
	chown 0 "$node"
	vm_hugepages 8
	vm_run 0 "$budget" $VM_NVME0 unlimited
	vm_hugepages 0
}

in_cgroup() {
	# shellcheck disable=SC2016
	sh -c 'echo $$ >/sys/fs/cgroup/few/memory/cgroup.procs && exec "$@"' \
		sh "$@"
}

cgroup() {
	mount -t cgroup2 none /sys/fs/cgroup
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p /sys/fs/cgroup/few
	echo +memory >/sys/fs/cgroup/few/cgroup.subtree_control
	mkdir -p /sys/fs/cgroup/few/memory
	echo 64M >/sys/fs/cgroup/few/memory.max
	vm_run 0 in_cgroup "$budget" $VM_NVME0 cgroup 67108864
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	mappings
	memlock
	cgroup
	vm_no_faults
}

vm_main "$@"
