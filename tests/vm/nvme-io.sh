#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1
#
# Data on a disk: what nvme_rw writes it reads back into other buffers, and the
# disk's image, read outside the VM by other code, holds exactly that.
. "$SLUICE_VM/guest-lib.sh"

# A file of the tree that is no multiple of a block.
file=$SLUICE_VM/run-vm

guest() {
	vm_bind vfio-pci $VM_NVME0
	vm_run 0 "$nvme_rw" $VM_NVME0 identify
	vm_says sluice0 'blocks     32768' 'block-size 512'
	vm_run 0 "$nvme_rw" $VM_NVME0 selftest
	# 9000 blocks are nine transfers of the most the controller takes.
	vm_run 0 "$nvme_rw" $VM_NVME0 write 100 --pattern 7 --blocks 9000
	vm_run 0 "$nvme_rw" $VM_NVME0 read 100 --verify 7 --blocks 9000
	vm_run 0 "$nvme_rw" $VM_NVME0 read 4711 --verify 7 --blocks 1
	# The check can fail: another seed, and a block beside the pattern.
	vm_run 1 "$nvme_rw" $VM_NVME0 read 100 --verify 8 --blocks 1
	vm_says 'byte 51200 of the disk'
	vm_run 1 "$nvme_rw" $VM_NVME0 read 9099 --verify 7 --blocks 2
	vm_run 0 "$nvme_rw" $VM_NVME0 write 20000 "$file"
	vm_run 0 "$nvme_rw" $VM_NVME0 read 20000 "$TMPDIR/back" --blocks 1
	[ "$(head -c 512 "$file" | cksum)" = "$(cksum <"$TMPDIR/back")" ] ||
		vm_fail "a file came back changed"
	vm_run 0 "$nvme_rw" $VM_NVME0 flush
	vm_run 1 "$nvme_rw" $VM_NVME0 write 32760 --pattern 1 --blocks 9
	vm_says 'the disk has 32768 blocks'
	vm_run 2 "$nvme_rw" $VM_NVME0 read 0 --verify 1
	vm_no_faults
	# The kernel's own driver takes the controller as we left it.
	vm_bind nvme $VM_NVME0
}

host() {
	"$SLUICE_VM/image.py" "$SLUICE_OUT/nvme0.img" \
		pattern:7:100:9000 zero:9100:10900 "file:$file:20000" \
		zero:20100:12668
}

vm_main "$@"
