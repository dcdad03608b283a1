# SPDX-License-Identifier: BSD-3-Clause
"""One walker mode from start to end: random tables made by our tool, put into
guest memory, and DMAs through QEMU's IOMMU, each of which must land where the
plan says, or fault as it says. Knows the devices and the plan; what an IOMMU
is told and how it reports faults is the mode's (class Mode). No answer comes
from a table: tables are only copied, and searched for the word to clear.

What is checked: (a) a DMA that may pass changes (or reads) exactly the bytes
the plan names, and memory as a whole holds nothing else at the end of each
table; (b) a DMA to a hole, beyond the address width or against a permission
changes nothing and leaves a fault record with its address and direction;
(c) a leaf that was cleared in memory still translates, and faults after the
invalidation that names it.

SLUICE_WALKER_DMAS is the number of DMAs of (a) and (b) (10000);
SLUICE_WALKER_SEED the seed (else a random one, which is printed)."""

import os
import random
import sys
import time

import sluicept
from plan import Plan
from qtest import Qemu, main
from testdev import Edu, TestDev

MIB = 1 << 20
TABLES = 6          # tables per mode
BATCH = 128         # DMAs between two looks at memory
PAGE = 4096
SLOT = 64           # of edu's buffer, for one DMA


class Mode:
    """What a walker mode must say. The attributes:
    name; fmt (sluicept.Format); bits (table width); leaves, prots (plan.Plan);
    ram (regions of guest memory); avoid (IOVAs that are no memory); seam (an
    address beyond which the device's addresses go on elsewhere, or 0);
    binary() the QEMU; args the machine and devices; accel and files as Qemu
    takes them;
    why: {'hole' | 'prot' | 'beyond': reasons that may be recorded};
    accessed, dirty: the bits that the walker sets in leaves, or 0 (they lie
    in a leaf's low byte)."""
    options = ()
    avoid = ()
    seam = 0
    accel = 'qtest'
    files = ()
    accessed = dirty = 0
    cleared = 0                 # a word that maps nothing
    invalidations = ('page',)

    def start(self, q):
        """Registers and devices: sets self.testdev and self.edu (or None).
        Structures in memory belong into attach()."""
        raise NotImplementedError

    def attach(self, root, table):
        """Memory was cleared and a table lies at root: writes what points to
        it below self.control + 16 MiB and drops everything cached."""
        raise NotImplementedError

    def after(self, b):
        """Adds the commands that read and clear the fault record."""
        raise NotImplementedError

    def fault(self, seen):
        """None, or (iova, write, reason) of what after() read. write may be
        None where the record does not say."""
        raise NotImplementedError

    def flush(self):
        """Drops every cached translation."""
        raise NotImplementedError

    def invalidate(self, how, iova, size):
        """how: one of invalidations; a leaf of that size at iova is gone."""
        raise NotImplementedError

    def device_iova(self, iova):
        """What the device sends for an address of the plan."""
        return iova

    def beyond(self, rng):
        """A device address that is beyond the width."""
        return rng.randrange(1, 1 << min(8, 64 - self.bits)) << self.bits | \
            rng.getrandbits(self.bits) & ~3

    @property
    def control(self):
        return self.ram[0][0] + 16 * MIB

    def targets(self):
        """Memory that may be mapped: all but the first 256 MiB."""
        (base, size), *rest = self.ram
        return [(base + 256 * MIB, size - 256 * MIB), *rest]


class Walker:
    def __init__(self, mode, tool, seed):
        self.mode, self.tool = mode, tool
        self.rng = random.Random(seed)
        self.dmas = self.faults = self.stale = self.reads = 0
        self.number = 0
        self.leaves = {}

    def check(self, ok, what):
        if not ok:
            raise AssertionError(what)

    # The devices, seen alike: lists of DMAs, each with what it must do.

    def expect(self, dma, seen):
        """Compares a fault record with what the DMA must do: dma has iova,
        size, write and why (None: it passes)."""
        iova, size, write, why = dma
        fault = self.mode.fault(seen)
        self.dmas += 1
        self.reads += not write
        if why is None:
            self.check(fault is None, f'IOVA {iova:#x} is mapped: '
                       f'fault {fault}')
            self.mark(iova, size, write)
            return
        self.check(fault is not None, f'IOVA {iova:#x} ({why}): no fault')
        at, direction, reason = fault
        self.check(at >> 12 == iova >> 12, f'IOVA {iova:#x} ({why}): the '
                   f'fault names {at:#x}')
        self.check(direction in (None, write), f'IOVA {iova:#x} ({why}): '
                   f'the fault names the other direction')
        self.check(reason in self.mode.why[why], f'IOVA {iova:#x} ({why}): '
                   f'reason {reason:#x}')
        self.faults += 1

    def mark(self, iova, size, write):
        """Which leaves the walker may mark dirty, and which it must: QEMU
        11.1 forgets to when the leaf has Accessed set."""
        iova &= (1 << self.mode.bits) - 1
        for end in (iova, iova + size - 1) if self.mode.dirty else ():
            at, _ = self.table.leaf(end)
            if write:
                self.may_dirty.add(at)
                if self.unaccessed and at not in self.used:
                    self.must_dirty.add(at)
            self.used.add(at)

    def write_testdev(self, dmas):
        """dmas: (iova, oa or None, size, why)."""
        out = self.mode.testdev.run(
            [(iova, oa or 0, size) for iova, oa, size, _ in dmas],
            self.mode.after)
        for (iova, _, size, why), (result, seen) in zip(dmas, out):
            self.expect((iova, size, True, why), seen)
            want = TestDev.DMA_ERROR if why else TestDev.OK
            self.check(result == want, f'IOVA {iova:#x}: the device saw '
                       f'{result:#x}, not {want:#x}')
        return [TestDev.bytes(d[2]) for d in dmas]

    def write_edu(self, dmas):
        """As write_testdev; the bytes come from what load() loaded."""
        data = self.loaded
        places = [self.rng.randrange(Edu.SIZE - d[2] + 1) for d in dmas]
        out = self.mode.edu.run(
            [(d[0], d[2], at, True) for d, at in zip(dmas, places)],
            self.mode.after)
        for (iova, _, size, why), seen in zip(dmas, out):
            self.expect((iova, size, True, why), seen)
        return [data[at:at + d[2]] for d, at in zip(dmas, places)]

    def page(self, way):
        """(device IOVA, OA) of a whole page that may be used that way."""
        while True:
            iova, oa, _, _ = self.plan.hit(self.rng, way, 1)
            iova, oa = iova & -PAGE, oa & -PAGE
            if self.plan.allowed(iova, PAGE):
                return self.mode.device_iova(iova), oa

    def load(self):
        """Random bytes into edu's buffer, by a read through the IOMMU."""
        iova, oa = self.page('r')
        self.loaded = self.rng.randbytes(Edu.SIZE)
        self.ram.write(oa, self.loaded)
        (seen,) = self.mode.edu.run([(iova, Edu.SIZE, 0, False)],
                                    self.mode.after)
        self.expect((iova, Edu.SIZE, False, None), seen)
        self.ram.write(oa, bytes(PAGE))

    def unload(self):
        """edu's buffer, by a write through the IOMMU."""
        self.mode.flush()
        iova, oa = self.page('w')
        (seen,) = self.mode.edu.run([(iova, Edu.SIZE, 0, True)],
                                    self.mode.after)
        self.expect((iova, Edu.SIZE, True, None), seen)
        data = self.ram.read(oa, PAGE)
        self.ram.write(oa, bytes(PAGE))
        return data

    # Batches.

    def draw(self, count, way):
        """Random DMAs: (device IOVA, oa or None, size, why or None)."""
        out = []
        for _ in range(count):
            pick = self.rng.random()
            if pick < .75:
                iova, oa, size, _ = self.plan.hit(self.rng, way, SLOT)
                out.append((self.mode.device_iova(iova), oa, size, None))
            elif pick < .95:
                iova, why = self.plan.miss(self.rng, way)
                out.append((self.mode.device_iova(iova), None, 4, why))
            else:
                out.append((self.mode.beyond(self.rng), None, 4, 'beyond'))
        return out

    # QEMU records no fault when it is a cached translation that lacks the
    # permission, and marks no leaf dirty that a read had cached: before the
    # direction changes, everything cached goes.

    def writes(self, count, device):
        if device == self.write_edu:
            self.load()
        self.mode.flush()
        dmas = self.draw(count, 'w')
        data = device(dmas)
        self.landed([(oa, d) for (_, oa, _, why), d in zip(dmas, data)
                     if not why])

    def landed(self, writes):
        """The pages written to hold these bytes and else nothing; clears
        them for the next batch."""
        pages = {}
        for oa, data in writes:
            for i, byte in enumerate(data):
                page = pages.setdefault((oa + i) & -PAGE, bytearray(PAGE))
                page[(oa + i) % PAGE] = byte
        for at, want in pages.items():
            have = self.ram.read(at, PAGE)
            if have != want:
                off = next(i for i in range(PAGE) if have[i] != want[i])
                self.check(False, f'memory at {at + off:#x}: '
                           f'{have[off:off + 8].hex()}, not '
                           f'{want[off:off + 8].hex()}')
            self.ram.write(at, bytes(PAGE))

    def read_edu(self, count):
        self.mode.flush()
        dmas = self.draw(count, 'r')
        # First all of the memory, then what lies there: targets may overlap.
        for _, oa, size, why in dmas:
            if not why:
                self.ram.write(oa, self.rng.randbytes(size))
        want = [self.ram.read(oa, size) if not why else None
                for _, oa, size, why in dmas]
        out = self.mode.edu.run(
            [(iova, size, i * SLOT, False)
             for i, (iova, _, size, _) in enumerate(dmas)], self.mode.after)
        for (iova, _, size, why), seen in zip(dmas, out):
            self.expect((iova, size, False, why), seen)
        for _, oa, size, why in dmas:
            if not why:
                self.ram.write(oa, bytes(size))
        have = self.unload()
        for i, (iova, oa, size, why) in enumerate(dmas):
            self.check(why or have[i * SLOT:i * SLOT + size] == want[i],
                       f'read of IOVA {iova:#x} is not what lies at '
                       f'{oa or 0:#x}')

    # Missing invalidations.

    def one(self, iova, oa, why):
        """One write that passes or faults; its memory is checked."""
        device = self.write_testdev if self.mode.testdev else self.write_edu
        data = device([(iova, oa, 4, why)])
        self.landed([(oa, b'' if why else data[0])])

    def stale_leaf(self):
        iova, oa, _, _ = self.plan.hit(self.rng, 'w', 1)
        iova, oa = iova & ~3, oa & ~3
        at, word = self.table.leaf(iova)
        size = 1 << self.table.fmt.leaf_lg2(self.table.level(at), word)
        dev = self.mode.device_iova(iova)
        self.one(dev, oa, None)
        word = self.ram.readq(self.root + at)
        self.ram.writeq(self.root + at, self.mode.cleared)
        self.one(dev, oa, None)
        how = self.rng.choice(self.mode.invalidations)
        self.mode.invalidate(how, dev & -size, size)
        self.one(dev, oa, 'hole')
        self.ram.writeq(self.root + at, word)
        self.one(dev, oa, None)
        self.stale += 1

    # A table, a mode.

    def build(self):
        """Plans a table and makes it."""
        mode = self.mode
        self.plan = Plan(self.rng, mode.bits, mode.leaves, mode.prots,
                         mode.targets(), mode.avoid, mode.seam)
        self.table = sluicept.build(self.tool, mode.fmt, mode.bits,
                                    self.plan.script, mode.options)
        for lg2, n in self.table.leaves.items():
            self.leaves[lg2] = self.leaves.get(lg2, 0) + n

    def place(self):
        """Puts it anywhere in its part of memory, and into use."""
        self.ram.clear()
        self.used, self.may_dirty, self.must_dirty = set(), set(), set()
        room = 224 * MIB - self.table.size
        self.root = self.mode.control + 16 * MIB + \
            self.rng.randrange(room // PAGE) * PAGE
        self.image = self.table.image(self.root)
        self.number += 1
        self.unaccessed = self.mode.accessed and self.number % 2
        if self.unaccessed:
            # Our tables have it set: see what the walker does without.
            self.image = bytearray(self.image)
            for at, _ in self.table.leaf_words():
                self.image[at] &= ~self.mode.accessed
        self.ram.write(self.root, self.image)
        self.mode.attach(self.root, self.table)

    def one_table(self, dmas):
        mode = self.mode
        self.build()
        self.place()
        end = self.dmas + dmas
        while self.dmas < end:
            count = min(BATCH, end - self.dmas)
            if mode.testdev:
                self.writes(count, self.write_testdev)
            few = min(Edu.SIZE // SLOT, -(-count // 8) if mode.testdev
                      else -(-count // 2))
            if mode.edu:
                self.writes(few, self.write_edu)
                self.read_edu(few)
        if not mode.testdev:
            self.load()
        for _ in range(max(4, dmas // 50)):
            self.stale_leaf()
        self.whole_memory()

    def whole_memory(self):
        """Nothing was written anywhere but where it was meant, the tables
        among it: the walker marks the leaves of writes, where it does."""
        table = {}
        for gpa, data in self.ram.written():
            at = gpa - self.root
            if 0 <= at < len(self.image):
                table[at] = data
            else:
                self.check(0 <= gpa - self.mode.control < 16 * MIB,
                           f'something wrote to memory at {gpa:#x}')
        have = bytearray().join(table.get(at, bytes(PAGE)) for at in
                                range(0, len(self.image), PAGE))
        for at, _ in self.table.leaf_words() if self.mode.dirty else ():
            dirty = have[at] & self.mode.dirty
            self.check(dirty or at not in self.must_dirty,
                       f'the leaf at {at:#x} was written through: not dirty')
            self.check(not dirty or at in self.may_dirty,
                       f'no write passed the leaf at {at:#x}: it is dirty')
            have[at] &= ~(self.mode.accessed | self.mode.dirty)
            have[at] |= self.image[at] & self.mode.accessed
        if have != self.image:
            at = next(i for i in range(len(have))
                      if have[i] != self.image[i]) & -8
            self.check(False, f'the word at {at:#x} of the table is '
                       f'{have[at:at + 8].hex()}, not '
                       f'{self.image[at:at + 8].hex()}')

    def run(self):
        count = int(os.environ.get('SLUICE_WALKER_DMAS', '10000'))
        begin = time.monotonic()
        with Qemu(self.mode.binary(), self.mode.args, self.mode.ram,
                  self.mode.accel, self.mode.files) as q:
            self.ram = q.ram
            self.mode.start(q)
            try:
                for n in range(TABLES):
                    self.one_table((count - self.dmas) // (TABLES - n))
            except AssertionError as e:
                raise AssertionError(f'{e}\nQEMU said: {q.errors()}') from e
        for leaf in self.mode.leaves:
            self.check(leaf.bit_length() - 1 in self.leaves,
                       f'no table had a leaf of {leaf:#x} bytes')
        sizes = ' '.join(f'{1 << lg2 - 10}K:{n}'
                         for lg2, n in sorted(self.leaves.items()))
        print(f'{self.mode.name}: {self.dmas} DMAs ({self.reads} reads), '
              f'{self.faults} faults, {self.stale} stale checks, '
              f'leaves {sizes}, {time.monotonic() - begin:.1f} s')


def run(modes):
    """The program: MODE TOOL. modes: {name: class}."""
    if len(sys.argv) != 3 or sys.argv[1] not in modes:
        sys.exit(f'usage: {sys.argv[0]} MODE SLUICE, MODE one of: '
                 f'{" ".join(modes)}')
    seed = int(os.environ.get('SLUICE_WALKER_SEED') or
               random.SystemRandom().getrandbits(32))
    print(f'seed {seed}')
    sys.stdout.flush()
    main(Walker(modes[sys.argv[1]](), sys.argv[2], seed).run)
