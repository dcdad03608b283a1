#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whether the walker suite can fail: tables, invalidations and memory are
broken one way at a time, and each time a mode must say what it should. Knows
common.py and one mode; the modes themselves are the tests.

    selftest.py SLUICE"""

import os
import random
import sys

import vtd
from common import Walker
from qtest import main


class Broken(Walker):
    """A walker whose table goes through spoil() between tool and memory."""

    def build(self):
        super().build()
        self.spoil(self.table)

    def spoil(self, table):
        pass

    def each(self, table, level, change):
        """Changes the leaves of a level: change(word)."""
        for (at, index), word in table.words.items():
            if table.levels[at] == level and \
                    not table.fmt.is_link(level, word):
                table.words[at, index] = change(word)


class WrongPage(Broken):
    says = 'memory at', 'the device saw 0xdead0004'

    def spoil(self, table):
        self.each(table, 0, lambda word: word ^ 0x1000)


class WrongLarge(Broken):
    says = 'memory at', 'the device saw 0xdead0004'

    def spoil(self, table):
        self.each(table, 1, lambda word: word ^ 0x200000)


class Writable(Broken):
    """Read-only leaves of 1 GiB let writes pass."""
    says = '(prot): no fault',

    def spoil(self, table):
        self.each(table, 2, lambda word: word | 3)


class Forbidden(Broken):
    says = 'is mapped: fault',

    def spoil(self, table):
        self.each(table, 0, lambda word: word & ~2)


class Leftover(Broken):
    """Every table that has a leaf of 4 KiB has one more at its next hole: as
    if an unmap had been forgotten."""
    says = '(hole): no fault',

    def spoil(self, table):
        for at, level in table.levels.items():
            for index in range(0 if level else 512):
                table.words.setdefault((at, index), 0x20000003)


class Cut(Broken):
    """Links that lead nowhere."""
    says = 'is mapped: fault',

    def spoil(self, table):
        for (at, index), word in list(table.words.items()):
            if table.levels[at] == 1 and table.fmt.is_link(1, word):
                table.words[at, index] = 0


class NoInvalidation(Broken):
    says = '(hole): no fault',

    def stale_leaf(self):
        self.mode.invalidate = lambda *_: None
        super().stale_leaf()


class NoCache(Broken):
    """What should be stale is not: every DMA walks."""
    says = 'is mapped: fault',

    def one(self, iova, oa, why):
        self.mode.flush()
        super().one(iova, oa, why)


class Stray(Broken):
    """Something else writes to memory."""
    says = 'something wrote to memory',

    def stale_leaf(self):
        self.ram.write(sum(self.mode.targets()[0]) - (1 << 20), b'\1')


class TableChanged(Broken):
    """A word of the table changes by itself."""
    says = 'of the table is',

    def stale_leaf(self):
        at = self.root + self.table.size - 8
        self.ram.writeq(at, self.ram.readq(at) | 1 << 60)


class Dirty(Broken):
    mode = vtd.Fs4
    says = 'no write passed the leaf',

    def spoil(self, table):
        self.each(table, 0, lambda word: word | 0x40)


def test():
    os.environ['SLUICE_WALKER_DMAS'] = '1200'
    cases = Broken.__subclasses__()
    failed = []
    for case in cases:
        mode = getattr(case, 'mode', vtd.Ss4)()
        try:
            case(mode, sys.argv[1], random.getrandbits(32)).run()
            got = 'nothing'
        except AssertionError as e:
            got = str(e).split('\n', 1)[0]
        found = any(s in got for s in case.says)
        print(f'{case.__name__}: {"" if found else "NOT "}found: {got}')
        if not found:
            failed.append(case.__name__)
    if failed:
        raise AssertionError(f'not found: {" ".join(failed)}')


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(test)
