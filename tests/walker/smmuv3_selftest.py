#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whether the SMMUv3 modes can fail: what only they know (runs of contiguous
entries, roots of several tables, two stages) is broken one way at a time, and
each time a mode must say what it should. selftest.py has what all share.

    smmuv3_selftest.py SLUICE"""

import os
import random
import sys

import smmuv3
import smmuv3_nested
from qtest import main
from smmuv3 import CONTIGUOUS

MISSED = 'memory at', 'the device saw 0xdead0004', 'read of IOVA'


def spoil(walker, change, table='table', early=False):
    """Puts each leaf of a table through change(table, level, index, word),
    before or after the rules of tables are checked."""
    check = walker.check_table

    def checked(made, start):
        if not early:
            check(made, start)
        for (at, index), word in made.words.items():
            level = made.levels[at]
            if made is getattr(walker, table) and \
                    not made.fmt.is_link(level, word):
                made.words[at, index] = change(made, level, index, word)
        if early:
            check(made, start)

    walker.check_table = checked


def in_run(table, level, index, word):
    """Another page of memory behind all but the first entry of each run."""
    inner = word & CONTIGUOUS and index % table.fmt.entries(level, word)
    return word ^ bool(inner) << table.fmt.granule_lg2


def moved(table, level, index, word):
    """Another page of memory behind what may be written; the context
    descriptor and stage 1's tables may not."""
    return word ^ (word >> 7 & 1) << table.fmt.granule_lg2 \
        if level == 0 else word


def swapped(table, level, index, word):
    """The leaves of the root's second table become those of its first; where
    that has none, they lead to the next page of their size."""
    half = 1 << table.fmt.stride
    if level != table.top or index < half:
        return word
    first = table.words.get((0, index - half))
    if first is None or table.fmt.is_link(level, first):
        return word ^ 1 << table.fmt.granule_lg2 + table.fmt.stride * level
    return first


CASES = []


def case(mode, *says):
    """mode: the name of one."""
    def add(f):
        CASES.append((f, mode, says))
        return f
    return add


@case('smmuv3-s1-4k-48', 'the contiguous entry')
def run_checked(walker):
    spoil(walker, in_run, early=True)


@case('smmuv3-s1-16k-47', *MISSED)
def run_walked(walker):
    spoil(walker, in_run)


@case('smmuv3-s1-64k-48', '(prot): no fault')
def writable(walker):
    spoil(walker, lambda t, level, i, word: word & ~(1 << 7))


@case('smmuv3-s1-4k-39', 'is mapped: fault', '(prot): reason 0x12')
def no_access_flag(walker):
    spoil(walker, lambda t, level, i, word: word & ~(1 << 10))


@case('smmuv3-s2-16k-44', '(prot): no fault')
def readable(walker):
    spoil(walker, lambda t, level, i, word: word | 1 << 6)


@case('smmuv3-s2-4k-40', 'is mapped: fault', '(hole): no fault',
      '(prot): no fault', '(prot): reason', '(hole): reason', *MISSED)
def second_root_table(walker):
    spoil(walker, swapped)


@case('smmuv3-s2-64k-42', '(hole): no fault')
def one_entry_invalidated(walker):
    """Of a whole run, by the first entry's address alone."""
    walker.mode.invalidate = lambda how, iova, size: walker.mode.smmu.submit(
        smmuv3.tlbi(walker.mode.smmu, walker.mode.fmt, 'ipa each', iova,
                    1 << walker.mode.granule))


@case('smmuv3-s1-16k-36', '(hole): no fault')
def another_asid(walker):
    walker.mode.invalidate = lambda how, iova, size: walker.mode.smmu.submit(
        [walker.mode.smmu.tlbi('asid', smmuv3.VMID, smmuv3.ASID ^ 1)])


@case('smmuv3-nested-4k-48-4k-39', *MISSED)
def stage2_target(walker):
    spoil(walker, moved, 'table2')


@case('smmuv3-nested-16k-48-16k-44', '(prot2): no fault')
def stage2_permission(walker):
    spoil(walker, lambda t, level, i, word: word | 3 << 6,
          'table2')


@case('smmuv3-nested-64k-48-16k-42', '(hole2): no fault')
def only_by_ipa(walker):
    """What both stages made together stays."""
    mode = walker.mode
    mode.invalidate2 = lambda how, ipa, size: mode.smmu.submit(
        smmuv3.tlbi(mode.smmu, mode.fmt2, 'ipa range', ipa, size))


@case('smmuv3-nested-4k-39-4k-44', 'names IPA')
def wrong_ipa(walker):
    build = walker.build

    def built():
        build()
        ipa = walker.plan.ipa
        walker.plan.ipa = lambda iova: ipa(iova) ^ 0x1000

    walker.build = built


def said(walker, breaks):
    breaks(walker)
    try:
        walker.run()
    except AssertionError as e:
        return str(e).split('\n', 1)[0]
    return 'nothing'


def test():
    os.environ['SLUICE_WALKER_DMAS'] = '1200'
    modes = {**smmuv3.modes(), **smmuv3_nested.modes()}
    failed = []
    for breaks, name, says in CASES:
        # One run in a hundred has no leaf where it is broken.
        for _ in range(4):
            got = said(modes[name]().walker(sys.argv[1],
                                            random.getrandbits(32)), breaks)
            if got != 'nothing':
                break
        found = any(s in got for s in says)
        print(f'{breaks.__name__}: {"" if found else "NOT "}found: {got}')
        if not found:
            failed.append(breaks.__name__)
    if failed:
        raise AssertionError(f'not found: {" ".join(failed)}')


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(test)
