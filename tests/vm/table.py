#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The bars of the kernel path against what `sluice bench --matrix` measured in
one run: a ratio to one ioctl pair for each buffer. Knows the JSON and the
bars; measures nothing.

    table.py MATRIX.json

Exit: 0 all hold; 1 one is missed; 77 only such are missed as need two
processors at the same time, and this machine has more to do than processors.
"""

import json
import os
import sys

KIB = 1024
# What a copy alone leaves possible, and the share of it that must be reached
# where the bar itself lies beyond it.
SHARE = 0.7


def cells(doc, way, bytes_, depth, lanes=1, buffers=None):
    """Ratios of the cells that are meant."""
    found = [c[way]['ratio'] for c in doc['cells']
             if c['bytes'] == bytes_ and c['depth'] == depth and
             c['lanes'] == lanes and way in c and
             buffers in (None, c['buffers'])]
    if not found:
        raise ValueError(f'no cell with {way}, {bytes_} bytes, depth {depth}')
    return found


def raw_ns(doc):
    return min(c['raw']['ns'] for c in doc['cells']
               if c['bytes'] == 4 * KIB and c['lanes'] == 1)


def bars(doc):
    """(name, what, reached, must, needs two processors)"""
    yield ('B20', 'one large map', min(cells(doc, 'single', 32 << 20, 1)), 0.9,
           True)
    yield ('B21a', '4K, bursts of 64 of a pool',
           min(cells(doc, 'burst', 4 * KIB, 64, 1, 'contiguous')), 10, True)
    yield 'B21b', '4K, bounce', min(cells(doc, 'bounce', 4 * KIB, 64)), 20, False
    yield ('B21c', '4K, single, 64 in flight',
           min(cells(doc, 'single', 4 * KIB, 64)), 0.95, True)
    yield 'B22', '4K, lazy, recycled', min(cells(doc, 'lazy', 4 * KIB, 64)), 100, \
        False
    yield ('B22', '4K, arena',
           min(cells(doc, 'arena', 4 * KIB, 1) +
               cells(doc, 'arena', 4 * KIB, 64)), 100, False)


def judge(doc):
    """Prints; returns the bars that are missed, and those that are so on one
    processor."""
    missed, alone = [], []
    limit = raw_ns(doc) / doc['bounce']['copy_page_ns']
    for name, what, reached, must, two in bars(doc):
        word = 'holds'
        if name == 'B21b' and must > limit:
            word = (f'out of reach: copying and wiping 4 KiB alone is '
                    f'{limit:.1f} times faster than raw here')
            must = SHARE * limit
        if reached < must:
            word = 'MISSED'
            missed.append(name)
            if not two:
                alone.append(name)
        print(f'{name:5} {what:28} {reached:8.2f}x  must {must:6.2f}x  {word}')
    return missed, alone


def main(path):
    with open(path, encoding='utf-8') as f:
        doc = json.load(f)
    missed, alone = judge(doc)
    if not missed:
        return 0
    load = os.getloadavg()[0]
    if not alone and load > (os.cpu_count() or 1):
        print(f'table: the machine is too busy to tell (load {load:.1f})',
              file=sys.stderr)
        return 77
    return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
