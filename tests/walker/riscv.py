#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The walker modes of the RISC-V IOMMU: QEMU's riscv-iommu-sys told by its
registers, device directory and queues to walk our tables as first stage,
second stage, or both (RISC-V IOMMU 1.0; privileged architecture, 12.3 to 12.5
and 18.5). Knows the IOMMU; the DMAs and what they must do are common.py's.

What QEMU 11.1 cannot tell: it caches 4 KiB of a leaf at a time, by 56 bits of
the address, and nothing that leads to its own address; it marks no leaf
accessed or dirty.

    riscv.py MODE SLUICE"""

import struct

import common
import sluicept
from plan import Plan
from qtest import QemuError, ecam_pci, qemu11
from testdev import Edu, TestDev

BASE, ECAM = 0x3010000, 0x30000000
BAR_TESTDEV, BAR_EDU = 0x40000000, 0x40100000
PSCID, GSCID = 0x5a, 0x3c
DEVICES, COMMANDS, FAULTS, STORE = (n * 0x1000 for n in range(4))

# Registers (IOMMU 5).
DDTP, CQB, CQT, CQCSR = 0x10, 0x18, 0x24, 0x48
FQB, FQT, FQCSR = 0x28, 0x34, 0x4c
ONE_LEVEL, OFF = 2, 0           # of the device directory
ENABLE, ON = 1, 1 << 16
ENTRIES_256 = 7

# Commands (IOMMU 3.1): opcode in 6:0, function in 9:7.
VMA, GVMA, FENCE, DIRECTORY = 1, 1 | 1 << 7, 2, 3
AV, PSCV, GV = 1 << 10, 1 << 32, 1 << 33

ROOT_ALIGN = 16 << 10
NAPOT_LG2 = 16
DIRTY = 1 << 7
# Causes of faults (IOMMU 3.2).
READ_PAGE, WRITE_PAGE, READ_GUEST, WRITE_GUEST = 13, 15, 21, 23


class Riscv(sluicept.Format):
    """12.3.1: V, R, W, X in bits 0 to 3, the page number from bit 10 on. A
    leaf has one of R, W and X. N (Svnapot), bit 63: one of 16 equal words
    that make a leaf of 64 KiB."""
    address_mask = (1 << 44) - 1 << 10

    def __init__(self, name):
        self.name = name

    def is_link(self, level, word):
        return not word & 0xe

    def address(self, word):
        return (word & self.address_mask) << 2

    def relocated(self, level, word, base):
        return word + (base >> 2)

    def leaf_lg2(self, level, word):
        return NAPOT_LG2 if word >> 63 else super().leaf_lg2(level, word)


class Table(sluicept.Table):
    """One that is asked by the addresses of a plan."""

    def __init__(self, table, address):
        vars(self).update(vars(table))
        self.address = address

    def leaf(self, iova):
        return super().leaf(self.address(iova))


class Walker(common.Walker):
    """Tables that are given addresses as the device sends them, and whose
    roots are aligned to 16 KiB as the second stage wants."""

    def plans(self):
        """QEMU does not cache what leads an address to itself, so that it
        would never be stale: a plan without such."""
        mode = self.mode
        while True:
            plan = self.plan_of(mode)
            if all(mode.device_iova(s.iova) != s.oa
                   for kind in plan.kinds.values() for s in kind):
                return plan

    def plan_of(self, mode):
        return Plan(self.rng, mode.bits, mode.leaves, mode.prots,
                    mode.targets(), mode.avoid, mode.seam)

    def made(self, plan, more=()):
        """The first table of the mode. more: lines after those of the plan,
        which are (command, IOVA, the rest)."""
        mode = self.mode
        lines = [*(line.split(' ', 2) for line in plan.lines), *more]
        script = '\n'.join(
            f'{what} {mode.device_iova(int(iova, 16)):#x} {rest}'
            for what, iova, rest in lines)
        table = Table(sluicept.build(self.tool, mode.fmt, mode.width, script,
                                     mode.options), mode.table_address)
        self.whole(table)
        for lg2, n in table.leaves.items():
            self.leaves[lg2] = self.leaves.get(lg2, 0) + \
                (n >> 4 if lg2 == NAPOT_LG2 else n)
        return table

    def whole(self, table):
        """QEMU reads one word of a 64 KiB leaf; hardware may read any."""
        for (at, index), word in table.words.items():
            if not word >> 63:
                continue
            first = index & -16
            self.check(table.levels[at] == 0 and word >> 10 & 0xf == 8,
                       f'the N bit of {word:#x} is none of Svnapot')
            self.check(all((table.words.get((at, n), 0) ^ word) & ~DIRTY == 0
                           for n in (first, first + 15)),
                       f'the words of the leaf of {word:#x} at {at:#x} are '
                       f'not equal')

    def build(self):
        self.plan = self.plans()
        self.table = self.made(self.plan, self.mode.marks(self.rng, self.plan))

    def place(self):
        super().place()
        if self.root % ROOT_ALIGN:
            self.place()

    def expect(self, dma, seen):
        self.mode.asked = dma[0]
        super().expect(dma, seen)


class FirstStage(common.Mode):
    """Single-stage translation, addresses with a sign."""
    fmt = Riscv('riscv')
    options = ('--signed',)
    prots = ('r', 'rw')
    leaves = (4 << 10, 64 << 10, 2 << 20, 1 << 30)
    ram = [(0x80000000, 8 << 30)]
    invalidations = ('page', 'space', 'all')
    why = {'hole': (READ_PAGE, WRITE_PAGE), 'prot': (READ_PAGE, WRITE_PAGE),
           'beyond': (READ_PAGE, WRITE_PAGE)}
    args = ['-M', 'virt,iommu-sys=on,aia=aplic-imsic', '-bios', 'none',
            '-device', 'iommu-testdev,addr=5',
            '-device', Edu.ARG + ',addr=6']
    tc = 1                      # V

    def binary(self):
        return qemu11('riscv64')

    def start(self, q):
        self.q = q
        pci = ecam_pci(q, ECAM)
        dev, edu = pci.find(*TestDev.ID), pci.find(*Edu.ID)
        self.devfns = [dev.devfn, edu.devfn]
        self.testdev = TestDev(q, dev.enable(BAR_TESTDEV))
        self.edu = Edu(q, edu.enable(BAR_EDU))

    # Addresses. QEMU's cache compares 56 bits of them: wider tables are used
    # where no two addresses agree in those, at both ends.

    @property
    def bits(self):
        return min(self.width, 56)

    @property
    def seam(self):
        return 1 << self.bits - 1

    def device_iova(self, iova):
        if iova & self.seam:
            iova |= -1 << self.bits & (1 << 64) - 1
        return iova

    def table_address(self, iova):
        return self.device_iova(iova) & (1 << self.width) - 1

    def beyond(self, rng):
        while True:
            at = rng.getrandbits(64) & ~3
            if at >> self.width - 1 not in (0, (1 << 65 - self.width) - 1):
                return at

    def marks(self, rng, plan):
        """What the script says beside the plan."""
        return ()

    # The IOMMU.

    def queue(self, base, csr, at, lg2):
        """Makes a queue of 2 << lg2 entries, empty and on."""
        q = self.q
        q.writel(BASE + csr, 0)
        q.writeq(BASE + base, self.control + at >> 2 | lg2)
        q.writel(BASE + csr, ENABLE)
        if not q.readl(BASE + csr) & ON:
            raise QemuError(f'RISC-V: the queue at {csr:#x} is not on')

    def attach(self, root, table):
        self.q.writeq(BASE + DDTP, OFF)
        for devfn in self.devfns:
            # Extended format (IOMMU 2.1): 64 bytes each.
            self.q.ram.write(self.control + DEVICES + devfn * 64,
                             struct.pack('<8Q', self.tc,
                                         *self.context(root), 0, 0, 0, 0))
        self.queue(CQB, CQCSR, COMMANDS, ENTRIES_256)
        self.queue(FQB, FQCSR, FAULTS, 0)
        self.tail = 0
        self.q.writeq(BASE + DDTP, self.control + DEVICES >> 2 | ONE_LEVEL)
        self.flush()

    def mode_of(self, width):
        """8 to 10: Sv39, Sv48, Sv57, and the same with x4."""
        return (width - 39) // 9 + 8 << 60

    def context(self, root):
        """iohgatp, ta, fsc."""
        return 0, PSCID << 12, root >> 12 | self.mode_of(self.width)

    def submit(self, *commands):
        """Queues the commands and a fence, and waits."""
        fence = (FENCE | AV | 0x51ce << 32, self.control + STORE >> 2)
        self.q.ram.writeq(self.control + STORE, 0)
        for command in (*commands, fence):
            self.q.ram.write(self.control + COMMANDS + self.tail * 16,
                             struct.pack('<2Q', *command))
            self.tail = (self.tail + 1) % 256
        self.q.writel(BASE + CQT, self.tail)
        if self.q.ram.readq(self.control + STORE) != 0x51ce:
            raise QemuError(f'RISC-V: the command queue stopped, cqcsr '
                            f'{self.q.readl(BASE + CQCSR):#x}')

    def flush(self):
        self.submit((DIRECTORY, 0), (VMA, 0), (GVMA, 0))

    def page(self):
        """The page of the last DMA: QEMU caches large leaves in pieces of 4
        KiB and drops but the piece that is named."""
        return self.asked >> 12 << 10

    def invalidate(self, how, iova, size):
        self.submit({
            'page': (VMA | AV | PSCV | PSCID << 12, self.page()),
            'space': (VMA | PSCV | PSCID << 12, 0),
            'all': (VMA, 0)}[how])

    def after(self, b):
        record = self.control + FAULTS
        seen = [b.readl(BASE + FQT), b.readl(BASE + FQCSR), b.readq(record),
                b.readq(record + 16), b.readq(record + 24)]
        # Off and on again: empty.
        b.writel(BASE + FQCSR, 0)
        b.writel(BASE + FQCSR, ENABLE)
        return seen

    def fault(self, seen):
        tail, csr, header, iova, gpa = seen
        if tail == 0:
            return None
        if csr != ENABLE | ON or header >> 40 not in self.devfns:
            raise AssertionError(f'IOVA {self.asked:#x}: fqcsr {csr:#x}, '
                                 f'record {header:#x}')
        cause = header & 0xfff
        self.gpa = gpa
        return iova, cause in (WRITE_PAGE, WRITE_GUEST), cause


class Sv39(FirstStage):
    name, width = 'riscv-sv39', 39


class Sv48(FirstStage):
    name, width = 'riscv-sv48', 48


class Sv57(FirstStage):
    name, width = 'riscv-sv57', 57


class NoContig(Sv39):
    """Without Svnapot."""
    name = 'riscv-no-contig'
    leaves = (4 << 10, 2 << 20, 1 << 30)
    options = ('--signed', '--no-contig')


class SecondStage(FirstStage):
    """Second stage alone; addresses have no sign."""
    fmt = Riscv('riscv_g')
    options = ()
    why = {'hole': (READ_GUEST, WRITE_GUEST),
           'prot': (READ_GUEST, WRITE_GUEST),
           'beyond': (READ_GUEST, WRITE_GUEST)}

    @property
    def seam(self):
        return 0 if self.width < 56 else super().seam

    def device_iova(self, iova):
        return super().device_iova(iova) & (1 << self.width) - 1

    def beyond(self, rng):
        return rng.randrange(1, 1 << 64 - self.width) << self.width | \
            rng.getrandbits(self.width) & ~3

    def context(self, root):
        return (root >> 12 | GSCID << 44 | self.mode_of(self.width - 2), 0,
                0)

    def invalidate(self, how, iova, size):
        self.submit({
            'page': (GVMA | AV | GV | GSCID << 44, self.page()),
            'space': (GVMA | GV | GSCID << 44, 0),
            'all': (GVMA, 0)}[how])


class Clean:
    """The walker has no duty to mark leaves (QEMU 11.1 has not AMO_HWAD, and
    refuses SADE and GADE): it faults on a write to a leaf that the tool has
    left clean, and lets it pass where the tool marked the leaf."""

    def marks(self, rng, plan):
        out = []
        for seg in plan.segments:
            if 'w' not in seg.prot:
                continue
            seg.prot = 'r'
            if not seg.cut or rng.random() < .3:
                continue
            # Each of the 16 words of a 64 KiB leaf says it for itself.
            step = 4096 if seg.cut == 1 << NAPOT_LG2 else seg.cut
            out += [('touch', f'{at:#x}', '') for at in
                    range(seg.iova, seg.end, step)]
            if rng.random() < .3:
                out.append(('dirty', f'{seg.iova:#x}', f'{seg.size} clear'))
            else:
                seg.prot = 'rw'
        return out


class Sv48Clean(Clean, Sv48):
    name, options = 'riscv-sv48-dirty', ('--signed', '--dirty')


class Sv39x4(SecondStage):
    name, width = 'riscv-sv39x4', 41


class Sv48x4(SecondStage):
    name, width = 'riscv-sv48x4', 50


class Sv48x4Clean(Clean, Sv48x4):
    name, options = 'riscv-sv48x4-dirty', ('--dirty',)


class Sv57x4(SecondStage):
    name, width = 'riscv-sv57x4', 59


MODES = {m.name: m for m in (Sv39, Sv48, Sv57, NoContig, Sv48Clean, Sv39x4,
                             Sv48x4, Sv57x4, Sv48x4Clean)}

if __name__ == '__main__':
    common.Walker = Walker      # what run() makes
    common.run(MODES)
