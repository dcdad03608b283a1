#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The nested walker modes of SMMUv3: our stage 1 tables lie in a space of
IPAs that our stage 2 table maps, and so do the addresses that they map to, and
the context descriptor. Knows how two plans make one; the SMMU, the formats and
what a DMA must leave behind are smmuv3.py's.

What QEMU 11.1 cannot tell: it translates the address of a stage 1 table, not
that of each word, so a table must be contiguous behind stage 2 (here all
tables are); and a stage 2 root of several tables it does not read (see
smmuv3.py), so these have one.

    smmuv3_nested.py MODE SLUICE"""

import bisect
import functools

import common
import sluicept
import smmuv3
import smmuv3_regs as regs
from plan import Plan, Segment
from smmuv3 import ASID, STAGE2, VMID, Lpae, Stage1
from smmuv3_regs import Smmu

WINDOW = 64 * common.MIB        # of IPA, for stage 1 tables
ALIGN = 64 << 10                # of everything that is placed: any granule


class Stage2Plan(Plan):
    """A plan with places (IPA, size) where it maps nothing."""

    def __init__(self, kept, *args):
        self.kept = kept
        super().__init__(*args)

    def free(self, iova, size):
        return super().free(iova, size) and all(
            iova + size <= a or a + n <= iova for a, n in self.kept)


class Stage1Plan(Plan):
    """A plan whose targets are IPAs in and around what stage 2 maps."""

    def __init__(self, stage2, *args):
        self.stage2 = stage2
        super().__init__(*args)

    def target(self, size, align, skew=0):
        two = self.stage2
        for _ in range(50):
            seg = self.rng.choice(two.kinds[self.rng.choice(
                list(two.kinds))])
            at = (seg.iova + self.rng.randrange(seg.size) & -align) + skew
            if at + size <= 1 << two.bits:
                return at
        return None


class Both(Plan):
    """Stage 1 through stage 2. Its segments have the permissions that both
    give; holes and bars are where stage 1 leads and stage 2 ends it: (stage
    1's permission, IOVA, size), for bars that of stage 2 behind it."""

    def __init__(self, one, two):
        self.one, self.two = one, two
        self.granule, self.avoid = min(one.granule, two.granule), ()
        self.kinds, self.holes, self.bars = {}, [], []
        for seg in one.segments:
            self.cut(seg)

    def cut(self, seg):
        """A segment of stage 1 into what stage 2 makes of it."""
        two, at = self.two, seg.oa
        while at < seg.oa + seg.size:
            behind = two.find(at)
            iova = seg.iova + at - seg.oa
            n = bisect.bisect_right(two.starts, at)
            end = behind.end if behind else \
                two.starts[n] if n < len(two.starts) else 1 << two.bits
            size = min(end, seg.oa + seg.size) - at
            if not behind:
                if all(at + size <= a or a + n <= at for a, n in two.kept):
                    self.holes.append((seg.prot, '', iova, size))
            else:
                prot = ''.join(p for p in seg.prot if p in behind.prot)
                kind = (seg.kind, behind.kind)
                self.kinds.setdefault(kind, []).append(
                    Segment(iova, size, behind.oa + at - behind.iova, prot,
                            kind))
                self.bars.append((seg.prot, behind.prot, iova, size))
            at += size

    def ipa(self, iova):
        seg = self.one.find(iova)
        return seg.oa + iova - seg.iova

    def miss(self, rng, way):
        if rng.random() < .5:
            return self.one.miss(rng, way)
        why, places = rng.choice((('hole2', self.holes),
                                  ('prot2', self.bars)))
        able = [p for p in places if way in p[0] and way not in p[1]]
        if not able:
            return self.one.miss(rng, way)
        _, _, iova, size = rng.choice(able)
        return self.word(rng, iova, size), why


class Walker(smmuv3.Walker):
    """Two tables: self.table is stage 1's, at the IPA self.ipa and the
    address self.root; table2 lies before it."""

    def expect(self, dma, seen):
        super().expect(dma, seen)
        iova, _, _, why = dma
        if why in ('hole2', 'prot2'):
            have, want = self.mode.event.ipa, self.plan.ipa(iova) & -4096
            self.check(have == want, f'IOVA {iova:#x} ({why}): the fault '
                       f'names IPA {have:#x}, not {want:#x}')

    def build(self):
        mode, rng = self.mode, self.rng
        self.ipa = rng.randrange((1 << mode.bits2) // WINDOW) * WINDOW
        self.cd_ipa = (self.ipa + WINDOW) % (1 << mode.bits2)
        two = Stage2Plan([(self.ipa, WINDOW), (self.cd_ipa, ALIGN)], rng,
                         mode.bits2, mode.leaves2, ('r', 'w', 'rw'),
                         mode.targets())
        one = Stage1Plan(two, rng, mode.bits, mode.leaves, mode.prots, ())
        self.plan = Both(one, two)
        self.table = sluicept.build(self.tool, mode.fmt, mode.bits,
                                    one.script, mode.options)
        size = -(-self.table.size // ALIGN) * ALIGN
        self.check(size <= WINDOW, f'stage 1 has {size:#x} bytes')
        middle = mode.control + 112 * common.MIB
        self.root = middle + rng.randrange((128 * common.MIB - size) //
                                           ALIGN) * ALIGN
        script = two.script + (
            f'\nmap {self.ipa:#x} {self.root:#x} {size:#x} r'
            f'\nmap {self.cd_ipa:#x} {mode.control + regs.CDS:#x} '
            f'{ALIGN:#x} r')
        self.table2 = sluicept.build(self.tool, mode.fmt2, mode.bits2, script,
                                     mode.options2)
        self.check_table(self.table, mode.start_level)
        self.check_table(self.table2, mode.start_level2)
        for table, seen in ((self.table, self.leaves1),
                            (self.table2, self.leaves2)):
            self.count(table)
            seen.update(table.leaves)

    def run(self):
        self.leaves1, self.leaves2 = {}, {}
        super().run()
        for stage, seen, leaves in ((1, self.leaves1, self.mode.leaves),
                                    (2, self.leaves2, self.mode.leaves2)):
            missing = {n.bit_length() - 1 for n in leaves} - set(seen)
            self.check(not missing, f'stage {stage} had no leaf of 2^n '
                       f'bytes: {missing}')

    def place(self):
        self.ram.clear()
        root1 = self.root
        align = max(ALIGN, self.mode.fmt2.root_bytes(
            self.mode.bits2, self.mode.start_level2))
        self.root = root1 - self.table2.size & -align
        self.skip = root1 - self.root
        image = self.table2.image(self.root).ljust(self.skip, b'\0') + \
            self.table.image(self.ipa)
        self.image = image
        self.ram.write(self.root, image)
        self.mode.attach_both(self.ipa, self.cd_ipa, self.root)

    def stale_leaf(self):
        iova, oa, _, _ = self.plan.hit(self.rng, 'w', 1)
        iova, oa = iova & ~3, oa & ~3
        if self.rng.random() < .5:
            self.prove(iova, oa, self.root + self.skip, self.table, iova,
                       self.mode.invalidations, self.mode.invalidate, 'hole')
        else:
            self.prove(iova, oa, self.root, self.table2, self.plan.ipa(iova),
                       self.mode.invalidations2, self.mode.invalidate2,
                       'hole2')


class Nested(Stage1):
    # A leaf that stage 2 cuts up may be cached in pieces: by range, not by one
    # address of it.
    invalidations = ('va range', 'vaa range', 'asid', 'vmid1', 'vmid', 'all')
    invalidations2 = ('ipa each', 'ipa level', 'ipa range', 'vmid', 'all')
    why = dict(Stage1.why, hole2=(regs.F_TRANSLATION | STAGE2,),
               prot2=(regs.F_PERMISSION | STAGE2,))

    def __init__(self, name, granule_lg2, bits, granule2_lg2, bits2):
        super().__init__(name, granule_lg2, bits)
        self.granule2, self.bits2 = granule2_lg2, bits2
        self.fmt2 = Lpae(2, granule2_lg2)
        self.start_level2 = self.fmt2.start(2, bits2)
        self.leaves2 = self.fmt2.sizes(bits2, self.start_level2, True)
        self.options2 = smmuv3.granule_option(granule2_lg2)

    def walker(self, tool, seed):
        return Walker(self, tool, seed)

    def need(self):
        self.smmu.need(True, True, [self.granule, self.granule2])

    def attach_both(self, root1, cd_at, root2):
        self.smmu.setup(
            Smmu.NESTED, self.smmu.cd(root1, self.granule, self.bits, ASID),
            cd_at, self.smmu.stage2(root2, self.granule2, self.bits2,
                                    self.start_level2, VMID))

    def invalidate2(self, how, ipa, size):
        """Of stage 2. By IPA it may leave what both stages made together;
        that goes with stage 1 of the VMID [4.4.3]."""
        self.smmu.submit([*smmuv3.tlbi(self.smmu, self.fmt2, how, ipa, size),
                          self.smmu.tlbi('vmid1', VMID)])


def modes():
    out = {}
    for granule, bits, granule2, bits2 in (
            (12, 48, 12, 39), (12, 39, 12, 44), (12, 48, 16, 42),
            (14, 47, 12, 44), (14, 48, 14, 44), (16, 48, 14, 42),
            (16, 42, 16, 42)):
        name = (f'smmuv3-nested-{1 << granule - 10}k-{bits}-'
                f'{1 << granule2 - 10}k-{bits2}')
        out[name] = functools.partial(Nested, name, granule, bits, granule2,
                                      bits2)
    return out


if __name__ == '__main__':
    smmuv3.run(modes())
