#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The walker modes of Arm's SMMUv3: QEMU's SMMU walks our stage 1 and stage 2
tables, alone and one through the other (nested, smmuv3_nested.py). Knows the
formats of DDI 0487 (D8.2, D8.3) from outside and what a DMA must leave behind;
the registers are smmuv3_regs.py's.

What QEMU 11.1 cannot tell: it ignores the contiguous bit (here each run is
held against the rules of DDI 0487, D8.7.1 instead), has no hardware update of
access and dirty state (IDR0.HTTU is 0), takes no attribute from leaves, and
has 44 bits of output address, which bounds stage 2 input as well. Of a stage
2 root of several tables it reads the first one for every address (D8.2.10
wants the one that the upper bits select): there each of the tables becomes
the root of its own, narrower walk, and the upper bits choose among them here.

    smmuv3.py MODE SLUICE"""

import functools
import os
import random
import sys

import common
import sluicept
import smmuv3_regs as regs
from qtest import ecam_pci, main, qemu11
from smmuv3_regs import Smmu
from testdev import Edu, TestDev

ECAM, BAR_TESTDEV, BAR_EDU = 0x3f000000, 0x10000000, 0x10100000
ATTRS = 0xa                     # the device is non-secure
CONTIGUOUS = 1 << 52
ASID, VMID = 0x51ce, 0xa7e
STAGE2 = 0x100                  # in a reason: the record has S2

# Leaves by granule: of each level from the lowest on, and how many adjacent
# entries with the contiguous bit make a run (D8.7.1).
LEVELS = {12: ((12, 16), (21, 16), (30, 16)),
          14: ((14, 128), (25, 32)),
          16: ((16, 32), (29, 32))}


class Lpae(sluicept.Format):
    """VMSAv8-64 descriptors: bits 1:0 are 3 for a table, and for a page in
    the last level; 1 for a block."""

    def __init__(self, stage, granule_lg2):
        self.name = f'arm_lpae_s{stage}'
        self.granule_lg2 = granule_lg2
        self.stride = granule_lg2 - 3
        self.address_mask = (1 << 48) - (1 << granule_lg2)
        self.runs = dict(LEVELS[granule_lg2])   # entries, by lg2 of each

    def is_link(self, level, word):
        return level > 0 and word & 3 == 3

    def entries(self, level, word):
        """How many entries the leaf is made of."""
        lg2 = self.granule_lg2 + self.stride * level
        return self.runs[lg2] if word & CONTIGUOUS else 1

    def leaf_lg2(self, level, word):
        return super().leaf_lg2(level, word) + \
            self.entries(level, word).bit_length() - 1

    def item_lg2(self, leaf_lg2):
        """The size of an entry of a leaf of that size."""
        return max(lg2 for lg2 in self.runs if lg2 <= leaf_lg2)

    def ttl(self, leaf_lg2):
        """The architecture's number of its level, as TLBI hints have it."""
        return 3 - (self.item_lg2(leaf_lg2) - self.granule_lg2) // \
            self.stride

    def sizes(self, bits, start, contiguous):
        """Sizes of leaves, ascending, that there are from that level on and
        of which several fit the width."""
        out = []
        for lg2, n in list(self.runs.items())[:4 - start]:
            out += [1 << lg2, n << lg2] if contiguous else [1 << lg2]
        return [size for size in out if size <= 1 << bits - 4]

    def start(self, stage, bits):
        """The level of the root (0 to 2; 3 has the pages): the lowest one
        where the root is a table or less or, in stage 2, up to 16 tables
        (D8.2.10)."""
        level = 2
        while bits > self.granule_lg2 + self.stride * (4 - level) + \
                (4 if stage == 2 else 0):
            level -= 1
        return level

    def root_bytes(self, bits, start):
        used = bits - self.granule_lg2 - self.stride * (3 - start) + 3
        return 1 << max(used, self.granule_lg2)


class Walker(common.Walker):
    """What a table of this format needs beside: where it may lie, and leaves
    of several entries."""

    def build(self):
        before = dict(self.leaves)
        super().build()
        self.check_table(self.table, self.mode.start_level)
        self.leaves = before
        self.count(self.table)

    def count(self, table):
        """Leaves, not the entries that they are made of."""
        for lg2, n in table.leaves.items():
            self.leaves[lg2] = self.leaves.get(lg2, 0) + \
                (n >> lg2 - table.fmt.item_lg2(lg2))

    def check_table(self, table, start):
        """The root's level, and the rules of the contiguous bit: whole
        aligned runs that translate as one leaf with one permission."""
        self.check(table.top == 3 - start, f'the root is at level '
                   f'{3 - table.top}, not {start}')
        fmt = table.fmt
        for (at, index), word in table.words.items():
            level = table.levels[at]
            if fmt.is_link(level, word) or not word & CONTIGUOUS:
                continue
            size = 1 << fmt.granule_lg2 + fmt.stride * level
            n = fmt.entries(level, word)
            first = table.words.get((at, index & -n), 0)
            self.check(first & fmt.address_mask & n * size - 1 == 0 and
                       word == first + index % n * size,
                       f'the contiguous entry {index} of the table at '
                       f'{at:#x} is {word:#x} in a run that begins with '
                       f'{first:#x}')
            self.check((at, index | n - 1) in table.words,
                       f'the run of entry {index} at {at:#x} is not whole')

    def expect(self, dma, seen):
        """Without CD.R, which is not there, QEMU records no fault of stage 1
        for an address that stage 2 alone cannot take; the device sees it."""
        iova, _, write, why = dma
        if why == 'beyond' and self.mode.silent(iova):
            self.check(self.mode.fault(seen) is None,
                       f'IOVA {iova:#x}: a fault record')
            self.dmas += 1
            self.reads += not write
            return
        super().expect(dma, seen)
        if why:
            self.check(self.mode.event.count == 1, f'IOVA {iova:#x} ({why}): '
                       f'{self.mode.event.count} fault records')

    def place(self):
        self.ram.clear()
        align = self.mode.fmt.root_bytes(self.mode.bits,
                                         self.mode.start_level)
        room = 224 * common.MIB - self.table.size
        self.root = self.mode.control + 16 * common.MIB + \
            self.rng.randrange(room // align) * align
        self.image = self.table.image(self.root)
        self.ram.write(self.root, self.image)
        self.mode.attach(self.root, self.table)

    def stale_leaf(self):
        iova, oa, _, _ = self.plan.hit(self.rng, 'w', 1)
        self.prove(iova & ~3, oa & ~3, self.root, self.table, iova,
                   self.mode.invalidations, self.mode.invalidate, 'hole')

    def prove(self, iova, oa, root, table, address, hows, invalidate, why):
        """That IOVA still translates when the leaf of the table's address is
        cleared, until it is invalidated."""
        at, word = table.leaf(address)
        n = table.fmt.entries(table.level(at), word)
        size = 1 << table.fmt.leaf_lg2(table.level(at), word)
        at = root + (at & -8 * n)
        run = self.ram.read(at, 8 * n)
        dev = self.mode.device_iova(iova)
        self.one(dev, oa, None)
        self.ram.write(at, bytes(8 * n))
        self.one(dev, oa, None)
        invalidate(self.rng.choice(hows),
                   self.mode.device_iova(address) & -size, size)
        self.one(dev, oa, why)
        self.ram.write(at, run)
        self.one(dev, oa, None)
        self.stale += 1


class View:
    """A plan seen through one of the windows of 2^lg2 bytes: only DMAs that
    lie in it."""

    def __init__(self, plan, lg2):
        self.plan, self.lg2, self.number = plan, lg2, 0
        self.allowed = plan.allowed

    def hit(self, rng, way, most=64):
        while True:
            found = self.plan.hit(rng, way, most)
            if found[0] >> self.lg2 == self.number == \
                    found[0] + found[2] - 1 >> self.lg2:
                return found

    def miss(self, rng, way):
        while True:
            found = self.plan.miss(rng, way)
            if found[0] >> self.lg2 == self.number:
                return found


class WindowWalker(Walker):
    """A root of several tables, one at a time: before each batch, and each
    DMA that stands alone, a window is chosen in which such DMAs exist."""

    def build(self):
        super().build()
        self.plan = View(self.plan, self.mode.window_bits)

    def choose(self, way):
        iova, _, _, _ = self.plan.plan.hit(self.rng, way, 1)
        self.plan.number = iova >> self.plan.lg2
        self.mode.open(self.plan.number)

    def page(self, way):
        self.choose(way)
        return super().page(way)

    def draw(self, count, way):
        self.choose(way)
        return super().draw(count, way)

    def stale_leaf(self):
        self.choose('w')
        super().stale_leaf()


def granule_option(lg2):
    return ['--granule', f'{1 << lg2 - 10}k']


def tlbi(smmu, fmt, how, address, size):
    """The commands that drop a leaf. how: the command, and of one by address
    'each': one for each entry of the leaf; 'level': the same with the level
    of the entry; 'range': one for all."""
    op, _, way = how.partition(' ')
    if not way:
        return [smmu.tlbi(op, VMID, ASID)]
    lg2 = size.bit_length() - 1
    granules_lg2 = lg2 - fmt.granule_lg2
    if way == 'range' and granules_lg2:
        num_lg2 = min(granules_lg2, 5)
        return [smmu.tlbi(op, VMID, ASID, address, fmt.granule_lg2,
                          num=(1 << num_lg2) - 1,
                          scale=granules_lg2 - num_lg2)]
    hint = () if way == 'each' else (fmt.granule_lg2, fmt.ttl(lg2))
    return [smmu.tlbi(op, VMID, ASID, at, *hint) for at in
            range(address, address + size, 1 << fmt.item_lg2(lg2))]


class Mode(common.Mode):
    """The machine, and what both stages share."""
    # Up to 48 GiB: two places for a run of 16 GiB.
    ram = [(1 << 30, 47 << 30)]
    args = ['-M', 'virt,iommu=smmuv3,highmem-ecam=off', '-cpu', 'cortex-a57',
            '-device', 'iommu-testdev,addr=5', '-device', Edu.ARG + ',addr=6']
    stage = 0

    def __init__(self, name, granule_lg2, bits, contiguous=True):
        self.name, self.bits, self.granule = name, bits, granule_lg2
        self.fmt = Lpae(self.stage, granule_lg2)
        self.start_level = self.fmt.start(self.stage, bits)
        self.leaves = self.fmt.sizes(bits, self.start_level, contiguous)
        self.options = granule_option(granule_lg2)
        if not contiguous:
            self.options.append('--no-contig')

    def walker(self, tool, seed):
        return Walker(self, tool, seed)

    def silent(self, iova):
        """Whether QEMU records no fault for an address beyond the width."""
        return False

    def binary(self):
        return qemu11('aarch64')

    def start(self, q):
        pci = ecam_pci(q, ECAM)
        testdev, edu = pci.find(*TestDev.ID), pci.find(*Edu.ID)
        self.testdev = TestDev(q, testdev.enable(BAR_TESTDEV), ATTRS)
        self.edu = Edu(q, edu.enable(BAR_EDU))
        self.smmu = Smmu(q, [testdev.devfn, edu.devfn], self.control)
        self.need()

    def after(self, b):
        return self.smmu.after(b)

    def fault(self, seen):
        event = self.smmu.event(seen)
        if event is None:
            return None
        self.event = event
        if event.kind != regs.CLASS_IN:
            raise AssertionError(f'not of the input address: {event}')
        return (event.address, not event.read,
                event.type | event.stage2 * STAGE2)

    def flush(self):
        self.smmu.submit([self.smmu.tlbi('all')])

    def invalidate(self, how, iova, size):
        self.smmu.submit(tlbi(self.smmu, self.fmt, how, iova, size))


class Stage1(Mode):
    """TTB0 of a context descriptor."""
    stage = 1
    prots = ('r', 'rw')
    invalidations = ('va each', 'va level', 'va range', 'vaa each',
                     'vaa range', 'asid', 'vmid1', 'all')
    why = {'hole': (regs.F_TRANSLATION,), 'prot': (regs.F_PERMISSION,),
           'beyond': (regs.F_TRANSLATION,)}

    def need(self):
        self.smmu.need(True, False, [self.granule])

    def attach(self, root, table):
        self.smmu.setup(Smmu.S1, self.smmu.cd(root, self.granule, self.bits,
                                              ASID), stage2=(VMID, 0))

    def beyond(self, rng):
        """Of neither half, or of TTB1's, which is disabled."""
        if rng.random() < .3:
            return -1 << self.bits & (1 << 64) - 1 | \
                rng.getrandbits(self.bits) & ~3
        return super().beyond(rng)


class Stage2(Mode):
    """The input address is an IPA."""
    stage = 2
    prots = ('r', 'w', 'rw')
    invalidations = ('ipa each', 'ipa level', 'ipa range', 'vmid', 'all')
    why = {'hole': (regs.F_TRANSLATION | STAGE2,),
           'prot': (regs.F_PERMISSION | STAGE2,),
           'beyond': (regs.F_TRANSLATION | STAGE2,)}

    def need(self):
        self.smmu.need(False, True, [self.granule])

    def __init__(self, *args):
        super().__init__(*args)
        root = self.fmt.root_bytes(self.bits, self.start_level)
        self.windows = root >> self.granule
        self.window_bits = self.bits - (self.windows.bit_length() - 1)

    def walker(self, tool, seed):
        return (Walker if self.windows == 1 else WindowWalker)(self, tool,
                                                               seed)

    def attach(self, root, table):
        self.root = root
        self.open(0)

    def open(self, number):
        """Makes a table of the root the whole root; the first one is read
        right as it is."""
        self.width = self.window_bits if number else self.bits
        self.smmu.setup(Smmu.S2, stage2=self.smmu.stage2(
            self.root + (number << self.granule), self.granule,
            self.width, self.start_level, VMID))

    def device_iova(self, iova):
        return iova & (1 << self.window_bits) - 1

    def beyond(self, rng):
        oas = self.smmu.oas_bits
        if self.width < oas and rng.random() < .7:
            return rng.randrange(1 << self.width, 1 << oas) & ~3
        return rng.randrange(1 << oas, 1 << 64) & ~3

    def silent(self, iova):
        return iova >> self.smmu.oas_bits != 0

    def fault(self, seen):
        found = super().fault(seen)
        if found and self.event.ipa != self.event.address & -4096:
            raise AssertionError(f'the wrong IPA: {self.event}')
        return found


def modes():
    """{name: a function that makes the mode}."""
    out = {}

    def add(cls, granule_lg2, bits, *more):
        kind = ('s1', 's2')[cls is Stage2]
        name = f'smmuv3-{kind}-{1 << granule_lg2 - 10}k-{bits}'
        name += '-nocontig' if more else ''
        out[name] = functools.partial(cls, name, granule_lg2, bits, *more)

    # Roots of 2 slots (16K, 48) and up, and of whole tables.
    for granule_lg2, widths in ((12, (48, 39, 36, 32)), (14, (48, 47, 40, 36)),
                                (16, (48, 42, 36))):
        for bits in widths:
            add(Stage1, granule_lg2, bits)
    add(Stage1, 12, 48, False)
    # Roots of 4, 16, 1, 2, 16 and 1 tables; 1, 16, 1, 1; 1, 1, 2, 4.
    for granule_lg2, widths in ((12, (32, 34, 39, 40, 43, 44)),
                                (14, (36, 40, 42, 44)),
                                (16, (36, 42, 43, 44))):
        for bits in widths:
            add(Stage2, granule_lg2, bits)
    add(Stage2, 12, 40, False)
    return out


def run(known):
    """The program, with the walker that a mode asks for."""
    if len(sys.argv) != 3 or sys.argv[1] not in known:
        sys.exit(f'usage: {sys.argv[0]} MODE SLUICE, MODE one of: '
                 f'{" ".join(known)}')
    seed = int(os.environ.get('SLUICE_WALKER_SEED') or
               random.SystemRandom().getrandbits(32))
    print(f'seed {seed}')
    sys.stdout.flush()
    mode = known[sys.argv[1]]()
    main(mode.walker(sys.argv[2], seed).run)


if __name__ == '__main__':
    run(modes())
