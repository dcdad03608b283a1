#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What lies on a disk's raw image, judged outside the VM by code that shares
nothing with nvme_rw.

    image.py IMAGE CHECK…     a CHECK is one of
      pattern:SEED:BLOCK:COUNT   nvme_rw's pattern of that seed
      file:PATH:BLOCK            the file's bytes, zeroes to the block's end
      zero:BLOCK:COUNT           nothing
Blocks are 512 bytes. Exit 1 names the first check that does not hold."""

import sys

BLOCK = 512
MASK = 2**64 - 1


def word(seed, n):
    """The nth 64-bit word of the disk: splitmix64."""
    x = (seed + (n + 1) * 0x9e3779b97f4a7c15) & MASK
    x = ((x ^ x >> 30) * 0xbf58476d1ce4e5b9) & MASK
    x = ((x ^ x >> 27) * 0x94d049bb133111eb) & MASK
    return (x ^ x >> 31).to_bytes(8, 'little')


def expected(check):
    """(first byte, bytes) of one check."""
    kind, *args = check.split(':')
    if kind == 'pattern':
        seed, block, count = map(int, args)
        at = block * BLOCK
        return at, b''.join(word(seed, n) for n in
                            range(at // 8, (at + count * BLOCK) // 8))
    if kind == 'file':
        path, block = args
        with open(path, 'rb') as f:
            data = f.read()
        return int(block) * BLOCK, data + bytes(-len(data) % BLOCK)
    if kind == 'zero':
        block, count = map(int, args)
        return block * BLOCK, bytes(count * BLOCK)
    sys.exit(f'image.py: unknown check {check}')


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with open(sys.argv[1], 'rb') as f:
        image = f.read()
    for check in sys.argv[2:]:
        at, want = expected(check)
        have = image[at:at + len(want)]
        if have != want:
            off = next((i for i, (a, b) in enumerate(zip(have, want))
                        if a != b), len(have))
            sys.exit(f'FAILED: {sys.argv[1]}: {check}: byte {at + off} differs')
        print(f'image: {check}: ok')


if __name__ == '__main__':
    main()
