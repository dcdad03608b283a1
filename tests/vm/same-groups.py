#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whether two files of `sluice groups --json` hold the same partition.

    same-groups.py KERNEL COMPUTED"""

import json
import sys


def groups(path):
    with open(path, encoding='utf-8') as f:
        doc = json.load(f)
    return ({frozenset(g['devices']) for g in doc['groups']},
            set(doc['ungrouped']))


def main():
    kernel, computed = groups(sys.argv[1]), groups(sys.argv[2])
    if kernel != computed:
        for name, one, other in (('only the kernel', kernel, computed),
                                 ('only computed', computed, kernel)):
            for g in one[0] - other[0]:
                print(f'{name}: {sorted(g)}')
            print(f'{name}: in no group {sorted(one[1] - other[1])}')
        sys.exit(1)
    if not kernel[0]:
        sys.exit('no groups at all')
    print(f'{len(kernel[0])} groups, the same')


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
