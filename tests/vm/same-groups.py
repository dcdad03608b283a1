#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whether two files of `sluice groups --json` hold the same partition; several
pairs may be given.

    same-groups.py KERNEL COMPUTED [KERNEL COMPUTED...]"""

import json
import sys


def groups(path):
    with open(path, encoding='utf-8') as f:
        doc = json.load(f)
    return ({frozenset(g['devices']) for g in doc['groups']},
            set(doc['ungrouped']))


def compare(kernel_path, computed_path):
    """The number of groups."""
    kernel, computed = groups(kernel_path), groups(computed_path)
    if kernel != computed:
        print(f'{kernel_path} and {computed_path} differ:')
        for name, one, other in (('only the kernel', kernel, computed),
                                 ('only computed', computed, kernel)):
            for g in one[0] - other[0]:
                print(f'{name}: {sorted(g)}')
            print(f'{name}: in no group {sorted(one[1] - other[1])}')
        sys.exit(1)
    if not kernel[0]:
        sys.exit(f'{kernel_path}: no groups at all')
    return len(kernel[0])


def main():
    sizes = [compare(*sys.argv[i:i + 2]) for i in range(1, len(sys.argv), 2)]
    if len(sizes) == 1:
        print(f'{sizes[0]} groups, the same')
    else:
        print(f'{len(sizes)} times {min(sizes)} to {max(sizes)} groups, '
              'the same')


if __name__ == '__main__':
    if len(sys.argv) < 3 or len(sys.argv) % 2 == 0:
        sys.exit(__doc__)
    main()
