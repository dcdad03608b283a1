#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The ways of giving a device buffers, as `sluice bench --matrix` measured them
in one run, beside one ioctl pair for each buffer.

    table.py MATRIX.json

The calls that each way makes for a buffer are counted and judged. How long it
takes is a ratio to raw, set beside the bars of the design (B20 to B22): printed
always, judged when SLUICE_BARS is set, because a VM without hardware support on
a host that others use tells little about it.

Exit: 0 all that is judged holds; 1 not.
"""

import json
import os
import sys

KIB = 1024

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


# Calls to the kernel for each buffer, at most: one to map and one to unmap, or
# for 64 pool neighbours together; else none but what the bounds of laziness and
# refills of a lane's hand cost.
CALLS = {'single': 2.05, 'burst': 2.2 / 64, 'bounce': 0.01, 'lazy': 0.25,
         'arena': 0.01}


def check_calls(doc):
    """The ways that make more calls than they should."""
    bad = []
    for c in doc['cells']:
        for way, most in CALLS.items():
            if way not in c or c['bytes'] != 4 * KIB or c['depth'] != 64:
                continue
            if way == 'burst' and c['buffers'] != 'contiguous':
                continue
            calls = c[way]['kernel_calls']
            if calls > most:
                bad.append(f'{way}, {c["buffers"]}, {c["lanes"]} lanes: '
                           f'{calls:.3f} calls a buffer, at most {most:.3f}')
    return bad


def bars(doc):
    """(name, what, reached, must)"""
    yield 'B20', 'one large map', min(cells(doc, 'single', 32 << 20, 1)), 0.9
    yield ('B21a', '4K, bursts of 64 of a pool',
           min(cells(doc, 'burst', 4 * KIB, 64, 1, 'contiguous')), 10)
    for lanes in sorted({c['lanes'] for c in doc['cells']}):
        yield ('B21b', f'4K, bounce, {lanes} lane{"s"[:lanes > 1]}',
               min(cells(doc, 'bounce', 4 * KIB, 64, lanes)), 20)
    yield ('B21c', '4K, single, 64 in flight',
           min(cells(doc, 'single', 4 * KIB, 64)), 0.95)
    yield ('B22', '4K, lazy, recycled',
           min(cells(doc, 'lazy', 4 * KIB, 64)), 100)
    yield ('B22', '4K, arena',
           min(cells(doc, 'arena', 4 * KIB, 1) +
               cells(doc, 'arena', 4 * KIB, 64)), 100)


def check_bars(doc):
    missed = []
    limit = raw_ns(doc) / doc['bounce']['copy_page_ns']
    for name, what, reached, must in bars(doc):
        word = 'holds' if reached >= must else 'missed'
        if name == 'B21b' and '4 lanes' not in what and reached < must:
            # docs/decisions/0017: the bar is that of four lanes.
            word = (f'less: copying and wiping 4 KiB alone is {limit:.1f} '
                    'times faster than raw of one lane')
        elif reached < must:
            missed.append(name)
        print(f'{name:5} {what:28} {reached:8.2f}x  must {must:6.2f}x  {word}')
    return missed


def main(path):
    with open(path, encoding='utf-8') as f:
        doc = json.load(f)
    missed = check_bars(doc)
    bad = check_calls(doc)
    for line in bad:
        print(f'too many calls: {line}')
    return 1 if bad or (missed and os.environ.get('SLUICE_BARS')) else 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
