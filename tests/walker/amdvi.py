#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The walker modes of AMD-Vi: QEMU's amd-iommu told by its registers, device
table and command buffer to walk our v1 (host) tables (AMD I/O virtualization
technology specification, 48882). Knows the IOMMU; the DMAs and what they must
do are common.py's.

What QEMU 11.1 cannot tell: its IO_PAGE_FAULT events have no address and do not
say whether the entry was present; INVALIDATE_IOMMU_PAGES drops the whole
domain, whatever pages it names; it caches 4 KiB of a leaf at a time.

    amdvi.py MODE SLUICE"""

import struct

import common
import sluicept
from qtest import QemuError, pc_ram, q35_pci, qemu11
from testdev import Edu, TestDev

BASE = 0xfed80000
BAR_TESTDEV, BAR_EDU = 0xc0000000, 0xc0100000
DOMAIN = 0x5a
# The device table has an entry for each of the 65536 device numbers.
DEVICES, COMMANDS, EVENTS, STORE = 0, 0x200000, 0x201000, 0x202000
DEVICES_LENGTH = 0x1ff          # in 4 KiB, minus one
LENGTH_256 = 8 << 56            # of the command buffer and the event log

# Registers and bits of the control register (3.4).
DEVICE_BASE, COMMAND_BASE, EVENT_BASE, CONTROL = 0x00, 0x08, 0x10, 0x18
COMMAND_HEAD, COMMAND_TAIL, EVENT_TAIL = 0x2000, 0x2008, 0x2018
ENABLE, EVENT_LOG, COMMAND_BUFFER = 1 << 0, 1 << 2, 1 << 12

# Commands (2.4) and events (2.5), in bits 63:60 of the first quadword.
WAIT, DEVICE_ENTRY, PAGES, ALL = 1 << 60, 2 << 60, 3 << 60, 8 << 60
IO_PAGE_FAULT = 2


class Amdv1(sluicept.Format):
    """2.2.3: next level 0 or 7 in bits 11:9 ends the walk. 7 says that the
    size lies in the address: the lowest zero of bits 12 and up is half of
    it."""
    name = 'amdv1'

    def next_level(self, word):
        return word >> 9 & 7

    def is_link(self, level, word):
        return self.next_level(word) in range(1, 7)

    def leaf_lg2(self, level, word):
        if self.next_level(word) == 0:
            return super().leaf_lg2(level, word)
        half = ~(word & self.address_mask) >> 12 << 12
        return (half & -half).bit_length()


class Walker(common.Walker):
    """Knows that a leaf of next level 7 fills as many slots as it covers, and
    that the walk begins as high as the table's addresses need."""

    def run(self):
        self.tops = set()
        super().run()
        self.check(self.mode.levels in self.tops, f'no table had '
                   f'{self.mode.levels} levels, but {self.tops}')

    def build(self):
        before = dict(self.leaves)
        super().build()
        self.mode.plan = self.plan
        self.tops.add(self.table.top + 1)
        for lg2, slots in self.table.leaves.items():
            self.leaves[lg2] = before.get(lg2, 0) + (slots >> self.spare(lg2))
        for (at, index), word in self.table.words.items():
            level = self.table.levels[at]
            if not self.table.fmt.is_link(level, word):
                self.whole(at, index, word, level)

    def spare(self, lg2):
        """log2 of the slots that a leaf of that size fills."""
        return (lg2 - 12) % 9

    def whole(self, at, index, word, level):
        """QEMU reads one slot of a leaf; hardware may read any."""
        lg2 = self.table.fmt.leaf_lg2(level, word)
        first = index >> self.spare(lg2) << self.spare(lg2)
        self.check((lg2 - 12) // 9 == level, f'a leaf of 2^{lg2} bytes in a '
                   f'table of level {level}')
        for n in (first, first + (1 << self.spare(lg2)) - 1):
            self.check(self.table.words.get((at, n)) == word,
                       f'slot {n} of the table at {at:#x} is not as slot '
                       f'{index} of its leaf')

    def expect(self, dma, seen):
        self.mode.asked = dma[0]
        super().expect(dma, seen)


class Amdvi(common.Mode):
    """Tables of any number of levels, leaves of every power of two."""
    fmt = Amdv1()
    prots = ('r', 'w', 'rw')
    leaves = tuple(4096 << n for n in range(21))
    ram = pc_ram(8 << 30)
    avoid = ((0xfee00000, 0xfef00000),)         # interrupts (2.1)
    invalidations = ('page', 'domain', 'all')
    why = {'hole': (IO_PAGE_FAULT,), 'prot': (IO_PAGE_FAULT,),
           'beyond': (IO_PAGE_FAULT,)}
    args = ['-M', 'q35', '-device', 'amd-iommu,dma-remap=on',
            '-device', 'iommu-testdev,addr=5',
            '-device', Edu.ARG + ',addr=6']

    @property
    def levels(self):
        """Three to begin with; each level has 9 bits."""
        return max(3, -(-(self.bits - 12) // 9))

    def binary(self):
        return qemu11('x86_64')

    def start(self, q):
        self.q = q
        pci = q35_pci(q)
        dev, edu = pci.find(*TestDev.ID), pci.find(*Edu.ID)
        self.devfns = [dev.devfn, edu.devfn]
        self.testdev = TestDev(q, dev.enable(BAR_TESTDEV))
        self.edu = Edu(q, edu.enable(BAR_EDU))

    def attach(self, root, table):
        q = self.q
        q.writeq(BASE + CONTROL, 0)
        for devfn in self.devfns:
            # V, TV, mode, root, IR, IW; domain (2.2.2.1).
            entry = (3 | (table.top + 1) << 9 | root | 3 << 61, DOMAIN, 0, 0)
            q.ram.write(self.control + DEVICES + devfn * 32,
                        struct.pack('<4Q', *entry))
        q.writeq(BASE + DEVICE_BASE, self.control + DEVICES | DEVICES_LENGTH)
        q.writeq(BASE + COMMAND_BASE, self.control + COMMANDS | LENGTH_256)
        self.tail = 0
        q.writeq(BASE + COMMAND_HEAD, 0)
        q.writeq(BASE + COMMAND_TAIL, 0)
        q.writeq(BASE + EVENT_BASE, self.control + EVENTS | LENGTH_256)
        q.writeq(BASE + CONTROL, ENABLE | EVENT_LOG | COMMAND_BUFFER)
        self.flush()

    def submit(self, *commands):
        """Queues the commands and a wait (2.4.1), and waits."""
        wait = (WAIT | self.control + STORE | 1, 0x51ce)
        self.q.ram.writeq(self.control + STORE, 0)
        for command in (*commands, wait):
            self.q.ram.write(self.control + COMMANDS + self.tail,
                             struct.pack('<2Q', *command))
            self.tail = (self.tail + 16) % 4096
        self.q.writeq(BASE + COMMAND_TAIL, self.tail)
        if self.q.ram.readq(self.control + STORE) != 0x51ce:
            raise QemuError('AMD-Vi: the command buffer stopped')

    def flush(self):
        self.submit(*((DEVICE_ENTRY | devfn, 0) for devfn in self.devfns),
                    (ALL, 0))

    def invalidate(self, how, iova, size):
        # 2.4.3: S in bit 0; the size is written as in a leaf of next level 7.
        page = iova if size == 4096 else iova | (size >> 1) - 4096 | 1
        self.submit({
            'page': (PAGES | DOMAIN << 32, page),
            'domain': (PAGES | DOMAIN << 32, (1 << 63) - 4096 | 3),
            'all': (ALL, 0)}[how])

    def after(self, b):
        # Writing the base empties the log: the next event is its first.
        seen = [b.readq(BASE + EVENT_TAIL), b.readq(self.control + EVENTS),
                b.readq(self.control + EVENTS + 8)]
        b.writeq(BASE + EVENT_BASE, self.control + EVENTS | LENGTH_256)
        return seen

    def fault(self, seen):
        tail, event, address = seen
        if tail == 0:
            return None
        if tail != 16 or event & 0xffff not in self.devfns:
            raise AssertionError(f'IOVA {self.asked:#x}: AMD-Vi has events up '
                                 f'to {tail:#x}, the first is {event:#x}')
        # 2.5.3. QEMU 11.1 writes 0 for the address and, in place of RW (bit
        # 53), the missing permission (1 read, 2 write) to bits 49:48.
        write = {1: False, 2: True}.get(event >> 48 & 3)
        return address or self.asked, write, event >> 60

    def beyond(self, rng):
        if self.bits < 64:
            return super().beyond(rng)
        # All of 64 bits are inside: a hole.
        while True:
            at = rng.getrandbits(64) & ~3
            if self.plan.find(at) is None and self.plan.allowed(at, 4):
                return at


class Level3(Amdvi):
    name, bits = 'amd-v1-3level', 39


class Level4(Amdvi):
    name, bits = 'amd-v1-4level', 48


class Level5(Amdvi):
    name, bits = 'amd-v1-5level', 57


class Level6(Amdvi):
    name, bits = 'amd-v1-6level', 64


class NoContig(Amdvi):
    """Only the leaf sizes of the levels."""
    name, bits = 'amd-v1-no-contig', 48
    leaves = (4 << 10, 2 << 20, 1 << 30)
    options = ('--no-contig',)


MODES = {m.name: m for m in (Level3, Level4, Level5, Level6, NoContig)}

if __name__ == '__main__':
    common.Walker = Walker      # what run() makes
    common.run(MODES)
