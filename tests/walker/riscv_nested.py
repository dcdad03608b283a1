#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The nested walker modes of the RISC-V IOMMU: our first-stage tables lie in a
space of guest physical addresses (GPAs) that our second-stage table maps, and
so does what they map to. Knows how two plans make one; the IOMMU and the
format are riscv.py's.

What QEMU 11.1 cannot tell: it takes the read of a first-stage table for the
access of the DMA, so the second stage must let tables be written; it caches
what both stages made together, which IOTINVAL.GVMA by address never finds, and
which IOTINVAL.VMA drops even where a second-stage leaf is gone.

    riscv_nested.py MODE SLUICE"""

import common
import riscv
import sluicept
from riscv import (AV, GSCID, GV, GVMA, PSCID, PSCV, READ_GUEST, ROOT_ALIGN,
                   VMA, WRITE_GUEST)
from smmuv3_nested import Both, Stage1Plan, Stage2Plan

WINDOW = 64 * common.MIB        # of GPA, for first-stage tables


class Walker(riscv.Walker):
    """Two tables: self.table is the first stage's, at the GPA self.gpa and
    the address self.root + self.skip; table2 begins at self.root."""

    def plan_of(self, mode):
        rng = self.rng
        self.gpa = rng.randrange((1 << mode.bits2) // WINDOW) * WINDOW
        two = Stage2Plan([(self.gpa, WINDOW)], rng, mode.bits2, mode.leaves,
                         mode.prots, mode.targets())
        one = Stage1Plan(two, rng, mode.bits, mode.leaves, mode.prots, (), (),
                         mode.seam)
        return Both(one, two)

    def build(self):
        mode = self.mode
        self.plan = self.plans()
        self.table = self.made(self.plan.one)
        self.check(self.table.size <= WINDOW, f'the first stage has '
                   f'{self.table.size:#x} bytes')
        middle = mode.control + 128 * common.MIB
        self.at = middle + self.rng.randrange(
            (112 * common.MIB - self.table.size) // 4096) * 4096
        script = self.plan.two.script + \
            f'\nmap {self.gpa:#x} {self.at:#x} {self.table.size:#x} rw'
        self.table2 = riscv.Table(
            sluicept.build(self.tool, mode.fmt2, mode.width2, script),
            lambda gpa: gpa)
        self.leaves2.update(self.table2.leaves)

    def run(self):
        self.leaves2 = {}
        super().run()
        missing = {n.bit_length() - 1 for n in self.mode.leaves} - \
            set(self.leaves2)
        self.check(not missing, f'the second stage had no leaf of 2^n bytes: '
                   f'{missing}')

    def place(self):
        self.ram.clear()
        self.root = self.at - self.table2.size & -ROOT_ALIGN
        self.skip = self.at - self.root
        self.image = self.table2.image(self.root).ljust(self.skip, b'\0') + \
            self.table.image(self.gpa)
        self.ram.write(self.root, self.image)
        self.mode.attach_both(self.gpa, self.root)

    def expect(self, dma, seen):
        super().expect(dma, seen)
        iova, _, _, why = dma
        if why in ('hole2', 'prot2'):
            want = self.plan.ipa(iova & (1 << self.mode.bits) - 1) & -4096
            self.check(self.mode.gpa & -4096 == want, f'IOVA {iova:#x} '
                       f'({why}): the fault names GPA {self.mode.gpa:#x}, '
                       f'not {want:#x}')

    def stale_leaf(self):
        iova, oa, _, _ = self.plan.hit(self.rng, 'w', 1)
        iova, oa = iova & ~3, oa & ~3
        if self.rng.random() < .5:
            at = self.root + self.skip + self.table.leaf(iova)[0]
            self.prove(iova, oa, at, self.mode.invalidations,
                       self.mode.invalidate, 'hole')
        else:
            at = self.root + self.table2.leaf(self.plan.ipa(iova))[0]
            self.prove(iova, oa, at, self.mode.invalidations2,
                       self.mode.invalidate2, 'hole2')

    def prove(self, iova, oa, at, hows, invalidate, why):
        """A word that is cleared still leads there, until the command."""
        iova = self.mode.device_iova(iova)
        self.one(iova, oa, None)
        word = self.ram.readq(at)
        self.ram.writeq(at, 0)
        self.one(iova, oa, None)
        invalidate(self.rng.choice(hows), iova, 4096)
        self.one(iova, oa, why)
        self.ram.writeq(at, word)
        self.one(iova, oa, None)
        self.stale += 1


class Nested(riscv.FirstStage):
    """Two-stage translation."""
    fmt2 = riscv.Riscv('riscv_g')
    invalidations2 = ('guest', 'all')
    why = dict(riscv.FirstStage.why, hole2=(READ_GUEST, WRITE_GUEST),
               prot2=(READ_GUEST, WRITE_GUEST))

    @property
    def bits2(self):
        """A first-stage leaf has 56 bits of GPA."""
        return min(self.width2, 56)

    def attach_both(self, gpa, root2):
        self.root2 = root2
        self.attach(gpa, None)

    def context(self, root):
        _, ta, fsc = super().context(root)
        return (self.root2 >> 12 | GSCID << 44 |
                self.mode_of(self.width2 - 2), ta, fsc)

    def invalidate(self, how, iova, size):
        guest = GV | GSCID << 44
        self.submit({
            'page': (VMA | AV | PSCV | PSCID << 12 | guest, self.page()),
            'space': (VMA | PSCV | PSCID << 12 | guest, 0),
            'all': (VMA | guest, 0)}[how])

    def invalidate2(self, how, iova, size):
        self.submit({'guest': (GVMA | GV | GSCID << 44, 0),
                     'all': (GVMA, 0)}[how])


def mode(width, width2):
    return type('Nested', (Nested,), {
        'name': f'riscv-sv{width}-sv{width2 - 2}x4', 'width': width,
        'width2': width2})


MODES = {m.name: m for m in (mode(39, 41), mode(48, 50), mode(57, 59),
                             mode(57, 41), mode(39, 59))}

if __name__ == '__main__':
    common.Walker = Walker      # what run() makes
    common.run(MODES)
