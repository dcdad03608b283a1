#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 2 --disk-size 300M --memory 1536M
#
# 256 MiB from a file to a disk that hybrid_copy drives and back, with equal
# checksums in the guest and of the disk's image; from there to a disk that the
# kernel drives, past the page cache; and the same where io_uring is refused.
. "$SLUICE_VM/guest-lib.sh"

bytes=268435456
chunks=2048

hybrid=$SLUICE_BUILD/examples/hybrid_copy/hybrid_copy
without_uring=$SLUICE_BUILD/tests/backend/without_uring
sums=$SLUICE_OUT/sums

# The checksum of standard input or of a file.
sum() {
	sha256sum "$@" | cut -d' ' -f1
}

# vm_says of io_uring and of pread().
with_ring() {
	vm_says "copied $1 bytes" "used $2 times map-calls 0" \
		"disk commands $2 container uring-cmd 0" 'preads 0 ' \
		' io_uring'
}

without_ring() {
	vm_says 'no io_uring (EPERM)' "copied $1 bytes" \
		"used $2 times map-calls 0" 'requests 0 enters 0 ' \
		' no-io_uring'
}

same() {
	[ "$(sum "$1")" = "$2" ] || vm_fail "$1 is not what was copied"
}

guest() {
	vm_bind vfio-pci $VM_NVME0
	other=/dev/$(basename "/sys/bus/pci/devices/$VM_NVME1/nvme"/*/nvme*n1)
	file=$TMPDIR/file back=$TMPDIR/back
	head -c $bytes /dev/urandom >"$file"
	data=$(sum "$file")
	echo "$data" >"$sums"
	echo "random data made: $(cut -d' ' -f1 /proc/uptime) s"

	vm_run 0 "$hybrid" $VM_NVME0 to-disk "$file" 2048 --verify
	with_ring $bytes $chunks
	printf '%s\n' "$vm_text" | sed -n 's/^crc32 source //p' >"$SLUICE_OUT/crc"
	rm "$file"
	vm_run 0 "$hybrid" $VM_NVME0 from-disk 2048 "$back" --bytes $bytes
	with_ring $bytes $chunks
	same "$back" "$data"
	rm "$back"
	vm_run 0 "$without_uring" EPERM \
		"$hybrid" $VM_NVME0 from-disk 2048 "$back" --bytes $bytes
	without_ring $bytes $chunks
	same "$back" "$data"

	# The comparison can fail: somebody else writes to the target.
	while :; do
		printf scribble | dd of="$back" conv=notrunc 2>/dev/null
	done &
	scribbler=$!
	vm_run 1 "$hybrid" $VM_NVME0 from-disk 2048 "$back" --verify \
		--bytes $((bytes / 4))
	kill $scribbler
	wait $scribbler 2>/dev/null || true
	vm_says 'differs from the source in bytes 0 to 131071'

	# Two disks, one driven by the kernel: DMA into the arena, DMA out.
	vm_run 0 "$hybrid" $VM_NVME0 from-disk 2048 "$other" --bytes $bytes
	with_ring $bytes $chunks
	vm_says ' direct '
	vm_run 0 "$hybrid" $VM_NVME0 to-disk "$other" 540000 --verify \
		--bytes $((bytes / 16))
	with_ring $((bytes / 16)) $((chunks / 16))
	vm_says ' direct '

	# Lengths that are no multiple of a slot, of a page, of a block.
	head -c 1000001 "$back" >"$file"
	rm "$back"
	sum "$file" >>"$sums"
	vm_run 0 "$without_uring" EPERM \
		"$hybrid" $VM_NVME0 to-disk "$file" 600000 --verify
	without_ring 1000001 8
	vm_run 0 "$hybrid" $VM_NVME0 from-disk 600000 "$back" --verify \
		--bytes 1000001 --slot 12288 --depth 5
	with_ring 1000001 82
	cmp "$file" "$back" || vm_fail "a short file came back changed"

	# What cannot be.
	vm_run 1 "$hybrid" $VM_NVME0 to-disk "$file" 614399
	vm_says 'the disk has 614400 blocks, 1954 from LBA 614399 on are wanted'
	vm_run 1 "$hybrid" $VM_NVME0 to-disk "$file" 0 --bytes 1000002
	vm_says 'has 1000001 bytes only'
	vm_run 1 "$hybrid" $VM_NVME0 to-disk "$file" 0 --slot 1048576
	vm_says 'choose --slot accordingly'
	vm_run 1 "$hybrid" $VM_NVME0 to-disk "$TMPDIR" 0
	vm_no_faults
}

# part IMAGE SKIP COUNT: bytes of an image, read outside of the VM.
part() {
	tail -c "+$(($2 + 1))" "$SLUICE_OUT/$1.img" | head -c "$3" | sum
}

host() {
	read -r data <"$sums"
	[ "$(part nvme0 1048576 $bytes)" = "$data" ] ||
		vm_fail "the first disk's image is not what was copied"
	[ "$(part nvme1 0 $bytes)" = "$data" ] ||
		vm_fail "the second disk's image is not what was copied"
	[ "$(part nvme0 276480000 $((bytes / 16)))" = \
		"$(part nvme1 0 $((bytes / 16)))" ] ||
		vm_fail "what came from the second disk is not what is there"
	[ "$(part nvme0 307200000 1000001)" = "$(sed -n 2p "$sums")" ] ||
		vm_fail "the short file's image is not what was copied"
	# The last block is filled up; what follows was not touched.
	[ "$(part nvme0 308200001 8192)" = "$(head -c 8192 /dev/zero | sum)" ] ||
		vm_fail "more than the short file was written"
	# And the checksum that hybrid_copy prints is what it says it is.
	crc=$(python3 -c 'import sys, zlib
f = open(sys.argv[1], "rb")
f.seek(1 << 20)
crc = zlib.crc32(f.read(1 << 28))
print("%08x target %08x" % (crc, crc))' "$SLUICE_OUT/nvme0.img")
	[ "$(cat "$SLUICE_OUT/crc")" = "$crc" ] ||
		vm_fail "hybrid_copy's CRC-32 is not $crc"
	echo "images: equal checksums"
}

vm_main "$@"
