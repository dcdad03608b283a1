#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The table at the end of scripts/run: reads the JSON that `sluice replay` and
`sluice bench` left in a folder, prints one table and what its words mean.
Exit 1 when a file is missing or a replay diverged from its check."""

import json
import os
import sys

COLUMNS = ('what', 'mode', 'pairs/s', 'p50 ns', 'p99 ns', 'kernel calls',
           'invalidations', 'checked')


def load(folder, name, bad):
    path = os.path.join(folder, name)
    try:
        with open(path, encoding='utf-8') as f:
            return json.load(f)
    except (OSError, ValueError) as e:
        bad.append(f'{path}: {e}')
        return None


def number(value):
    """1234567.8 -> 1 234 568; None -> -."""
    if value is None:
        return '-'
    if isinstance(value, float) and abs(value) < 100:
        return f'{value:.1f}'
    return f'{round(value):,}'.replace(',', ' ')


def replay_rows(doc, mode, bad):
    for f in doc['files']:
        name = os.path.basename(f['file'])
        wrong = f['divergence']
        if wrong:
            bad.append(f'{name}, {mode}: {wrong} steps went wrong')
        ns = f['ns_per_pair']
        yield (f'replay {name.split(".")[0]}', mode, number(f['pairs_per_s']),
               number(ns['p50']), number(ns['p99']),
               number(f.get('kernel_calls')), number(f.get('invalidations')),
               f'{f["maps"] + f["unmaps"]} events, {wrong} wrong')


def bench_rows(doc):
    """Counters are of the whole run: each stands in the row that caused it."""
    count = doc.get('counters', {})
    for r in doc['results']:
        ns = r['ns']
        impl = r.get('impl', 'sluice')
        ours = impl == 'sluice'
        calls = inval = None
        if ours and r['name'] in ('map', 'unmap'):
            calls = count.get(f'kernel_{r["name"]}s')
        if ours and r['name'] == 'unmap':
            inval = count.get('invalidations')
        yield (f'bench {r["name"]}{"" if ours else f" ({impl})"}', r['mode'],
               number(r['ops_per_s']), number(ns['p50']), number(ns['p99']),
               number(calls), number(inval), '-')


def show(rows):
    width = [max(len(r[i]) for r in rows) for i in range(len(COLUMNS))]
    for n, row in enumerate(rows):
        # Words to the left, numbers to the right.
        cells = [c.ljust(w) if i < 2 or i == len(row) - 1 else c.rjust(w)
                 for i, (c, w) in enumerate(zip(row, width))]
        print('  '.join(cells).rstrip())
        if n == 0:
            print('  '.join('-' * w for w in width))


def main():
    folder = sys.argv[1]
    bad = []
    rows = [COLUMNS]
    for mode in ('strict', 'lazy'):
        doc = load(folder, f'replay-{mode}.json', bad)
        if doc:
            rows += replay_rows(doc, mode, bad)
    doc = load(folder, 'bench.json', bad)
    if doc:
        rows += bench_rows(doc)
    print()
    show(rows)
    print('''
replay   DMA traces recorded from a real kernel, run through the engine; each
         step is compared with a simple model of what must be mapped.
bench    one operation over and over; naive: the same job done with a mutex, a
         tree and a hash table; bare: a table that readers use without any
         protection; glib, rte_hash, rculfhash: with tables of these packages.
ticket   from the unmap until the memory is out of reach; others go on meanwhile.
pairs/s  one map and one unmap (bench rows: operations of that name) a second.
p50 p99  half, and 99 of 100, took at most this long.
kernel calls   made for mapping; the software backend needs none.
invalidations  records other lanes had to read before memory was free again.
strict   an unmap is complete when nothing can reach the memory any more;
lazy     at once, and the device may reach it a bounded time longer.''')
    for b in bad:
        print('FAILED', b)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
