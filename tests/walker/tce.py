#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The walker modes of PowerPC TCE tables: the PCI host bridges of POWER9 and
POWER10 (PHB4, PHB5) in QEMU's PowerNV machine, told by their registers to walk
our tables (OpenPOWER PHB4 specification and skiboot's phb4-regs.h: IODA3).
Knows the bridge; the DMAs and what they must do are common.py's.

QEMU 11.1's bridge keeps no translations, so that a cleared entry must fault
at once: that is checked here in place of stale ones. It has no fault record
either, but logs each fault with its address; a read that it refuses, and logs
too, marks the end of a DMA in the log. It takes no notice of address bits
between the reach of the root table and bit 59, which chooses another table:
DMAs that go beyond a window are those that the root table's free slots, the
other, invalid table or the width of PCI addresses must stop.

    tce.py MODE SLUICE"""

import array
import collections
import os
import re
import subprocess
import sys

import common
import sluicept
from qtest import Batch, Pci, PciDevice, QemuError, Skip, number, qemu11
from testdev import Edu, TestDev

MIB, GIB = 1 << 20, 1 << 30

# Where the test puts what. BRIDGE: the registers; WINDOW: addresses that
# become PCI addresses of 32 bits, from M32 on.
XSCOM = 0x603fc00000000         # of chip 0
WINDOW, BRIDGE = 0x6000000000000, 0x600c3c0000000
M32 = 0x80000000
BAR_TESTDEV, BAR_EDU = M32, M32 + MIB
BUS = 1
PES = 5, 0x1fe                  # of the devices' functions

# Per-stack registers of the PCI Express controller, by XSCOM.
MMIO_BAR, MMIO_BAR_MASK, REGISTER_BAR, BAR_EN = 0xe, 0xf, 0x12, 0x14
MMIO_ON, REGISTERS_ON = 1 << 63, 1 << 61

# Registers of the bridge (5.4.1 of the PHB4 specification).
CONFIG_DATA, CONFIG_ADDRESS, RTT_BAR, M32_START = 0x130, 0x140, 0x168, 0x1a0
RTC_INVALIDATE, TCE_KILL, IODA_ADDRESS, IODA_DATA = 0x208, 0x210, 0x220, 0x228
VERSION, ROOT_PORT = 0x800, 0x1000
ON = 1 << 63
KILL_ALL, KILL_PE, KILL_ONE = 1 << 63, 1 << 62, 1 << 61
MBT, TVT = 16, 9                # tables of IODA_ADDRESS
TYPE_M32 = 1 << 62

# What the log says of a fault.
LINK, ENTRY, ADDRESS, INVALID = range(1, 5)
KINDS = (('Invalid indirect TCE', LINK), ('TCE access fault', ENTRY),
         ('xlate on ', ADDRESS), ('invalid TVE', INVALID))
WHERE = re.compile('xlate ([0-9a-f]+):([RW]) TVE=|'
                   'unsupported address 0x([0-9a-f]+)')
MARKER = 'Invalid register access'


def swapped(value, size):
    return int.from_bytes(value.to_bytes(size, 'big'), 'little')


class LittleBatch(Batch):
    """A batch for PCI devices: their registers are little-endian, and qtest
    speaks the machine's byte order."""

    def writel(self, addr, value):
        return super().writel(addr, swapped(value, 4))

    def readl(self, addr):
        place = super().readl(addr)
        self.parse[place] = lambda a: swapped(number(a), 4)
        return place


class Little:
    """A Qemu for PCI devices."""

    def __init__(self, q):
        self.q = q

    def batch(self):
        return LittleBatch(self.q)

    def readl(self, addr):
        return swapped(self.q.readl(addr), 4)

    def writel(self, addr, value):
        self.q.writel(addr, swapped(value, 4))


class Tce(sluicept.Format):
    """Pages of one size, tables of one size, all of them linked by words that
    hold both permissions."""
    name = 'tce'
    address_mask = (1 << 60) - (1 << 12)

    def __init__(self, granule_lg2, stride):
        self.granule_lg2, self.stride = granule_lg2, stride

    def is_link(self, level, word):
        return level > 0


class Walker(common.Walker):
    """Big-endian tables, aligned to their size."""

    def place(self):
        mode, step = self.mode, 8 << self.mode.stride
        self.ram.clear()
        first = -(-(mode.control + 16 * MIB) // step)
        last = (mode.ram[0][0] + 256 * MIB - self.table.size) // step
        self.root = self.rng.randint(first, last) * step
        words = array.array('Q', self.table.image(self.root))
        if sys.byteorder == 'little':
            words.byteswap()
        self.image = words.tobytes()
        self.same_image()
        self.ram.write(self.root, self.image)
        mode.attach(self.root, self.table)

    def same_image(self):
        """The memory image that the tool writes is the same as the one that
        was made of its dump."""
        path = os.path.join(self.mode.q.folder, 'image')
        run = subprocess.run(
            [self.tool, 'pt', '--format', 'tce', '--bits',
             str(self.mode.bits), *self.mode.options], text=True,
            input=f'{self.plan.script}\nimage {self.root:#x} {path}\n',
            capture_output=True)
        self.check(run.returncode == 0, f'sluice pt: {run.stderr}')
        with open(path, 'rb') as f:
            image = f.read()
        have, want = image.rstrip(b'\0'), self.image.rstrip(b'\0')
        self.check(have == want, 'sluice pt: image and dump differ')
        os.unlink(path)

    def expect(self, dma, seen):
        self.mode.asked = dma[0]
        super().expect(dma, seen)

    def stale_leaf(self):
        iova, oa, _, _ = self.plan.hit(self.rng, 'w', 1)
        iova, oa = iova & ~3, oa & ~3
        at, word = self.table.leaf(iova)
        size = 1 << self.mode.granule_lg2
        self.one(iova, oa, None)
        word = self.ram.readq(self.root + at)
        self.ram.writeq(self.root + at, 0)
        self.one(iova, oa, 'hole')
        how = self.rng.choice(self.mode.invalidations)
        self.mode.invalidate(how, iova & -size, size)
        self.one(iova, oa, 'hole')
        self.ram.writeq(self.root + at, word)
        self.one(iova, oa, None)
        self.stale += 1


class Phb(common.Mode):
    prots = ('r', 'w', 'rw')
    invalidations = ('one', 'pe', 'all')
    machine = 'powernv9'
    stack = 0x4010c00 + 0x40    # of PEC 0

    def __init__(self):
        index_bits = self.bits - self.granule_lg2
        self.stride = max(9, -(-index_bits // self.levels))
        self.fmt = Tce(self.granule_lg2, self.stride)
        self.leaves = (1 << self.granule_lg2,)
        self.options = ('--granule', str(1 << self.granule_lg2), '--levels',
                        str(self.levels))
        # Room for some of the largest pages; the file is sparse.
        self.ram = [(0, (64 if self.granule_lg2 > 16 else 8) * GIB)]
        hole = (ENTRY,) if self.levels == 1 else (LINK, ENTRY)
        self.why = {'hole': hole, 'prot': (ENTRY,),
                    'beyond': (ADDRESS, INVALID, *hole)}

    def binary(self):
        path = qemu11('ppc64')
        if not os.path.exists(path):
            raise Skip(f'the cached QEMU has no {os.path.basename(path)}: run '
                       f'scripts/fetch-qemu --update')
        return path

    # No firmware runs.
    files = {'firmware': bytes(4096)}

    @property
    def args(self):
        return ['-M', self.machine, '-bios', '{folder}/firmware',
                '-device', 'pnv-phb,chip-id=0,index=0,id=bridge',
                '-device', 'pnv-phb-root-port,bus=bridge,id=below',
                '-device',
                'iommu-testdev,bus=below,addr=0.0,multifunction=on',
                '-device', Edu.ARG + ',bus=below,addr=0.1',
                '-d', 'guest_errors', '-D', '{folder}/log']

    # The bridge.

    def xscom(self, register, value):
        self.q.writeq(XSCOM + (self.stack + register << 3), value)

    def set(self, register, value):
        self.q.writeq(BRIDGE + register, value)

    def ioda(self, table, index, value):
        self.set(IODA_ADDRESS, table << 48 | index)
        self.set(IODA_DATA, value)

    def start(self, q):
        self.q, little = q, Little(q)
        self.xscom(MMIO_BAR, WINDOW << 8)
        self.xscom(MMIO_BAR_MASK, -4 * GIB << 8 & (1 << 64) - 1)
        self.xscom(REGISTER_BAR, BRIDGE << 8)
        self.xscom(BAR_EN, MMIO_ON | REGISTERS_ON)
        if q.readq(BRIDGE + VERSION) in (0, (1 << 64) - 1):
            raise QemuError('PHB: no registers at the place they were given')
        self.set(M32_START, M32)
        # The second half first: the first one turns the window on.
        self.ioda(MBT, 1, -2 * GIB & (1 << 56) - 1)
        self.ioda(MBT, 0, ON | TYPE_M32 | WINDOW)
        self.bridge_port(little)
        pci = Pci(lambda devfn, reg: self.config(little, devfn, reg),
                  lambda devfn, reg, v: self.config(little, devfn, reg, v))
        testdev, edu = PciDevice(pci, 0), PciDevice(pci, 1)
        for dev, ids in ((testdev, TestDev.ID), (edu, Edu.ID)):
            if pci.read(dev.devfn, 0) != ids[1] << 16 | ids[0]:
                raise QemuError(f'PHB: function {dev.devfn} is '
                                f'{pci.read(dev.devfn, 0):#x}')
        testdev.enable(BAR_TESTDEV)
        edu.enable(BAR_EDU)
        place = WINDOW - M32
        self.testdev = TestDev(little, place + BAR_TESTDEV)
        # edu's registers have the machine's byte order.
        self.edu = Edu(q, place + BAR_EDU)
        self.lines = collections.deque()
        self.log = open(os.path.join(q.folder, 'log'))

    def bridge_port(self, little):
        """Bus numbers and the command register of the root port (PCI-to-PCI
        Bridge Architecture 1.2, 3.2.5): memory and bus mastering on."""
        little.writel(BRIDGE + ROOT_PORT + 0x18, BUS << 16 | BUS << 8)
        little.writel(BRIDGE + ROOT_PORT + 0x04, 0x6)

    def config(self, little, devfn, reg, value=None):
        self.set(CONFIG_ADDRESS, ON | BUS << 52 | devfn << 44 | reg << 32)
        if value is None:
            return little.readl(BRIDGE + CONFIG_DATA)
        return little.writel(BRIDGE + CONFIG_DATA, value)

    def attach(self, root, table):
        # Requester numbers to partitionable endpoints: two bytes each.
        for function, pe in enumerate(PES):
            self.q.ram.write(self.control + (BUS << 8 | function) * 2,
                             pe.to_bytes(2, 'big'))
            # Table sizes and page sizes: their log2, less 11.
            self.ioda(TVT, 2 * pe, root >> 12 << 16 | self.levels - 1 << 13 |
                      self.stride + 3 - 11 << 8 | self.granule_lg2 - 11)
        self.set(RTT_BAR, ON | self.control)
        self.set(RTC_INVALIDATE, ON)
        self.flush()

    def flush(self):
        self.set(TCE_KILL, KILL_ALL)

    def invalidate(self, how, iova, size):
        for pe in PES:
            self.set(TCE_KILL, {'one': KILL_ONE | iova & -4096 | pe,
                                'pe': KILL_PE | pe, 'all': KILL_ALL}[how])

    def beyond(self, rng):
        low = rng.getrandbits(59) & ~3
        free = min(self.granule_lg2 + self.stride * self.levels, 59)
        ways = [1 << 59 | low, 1 << 60 | low,
                rng.randrange(2, 16) << 60 | low]
        if free > self.bits:
            ways.append(rng.randrange(1, 1 << free - self.bits) <<
                        self.bits | low & (1 << self.bits) - 1)
        return rng.choice(ways)

    # Faults.

    def after(self, b):
        return [b.readl(BRIDGE + VERSION)]

    def fault(self, seen):
        if not self.lines:
            self.lines.extend(self.log.readlines())
        kinds, places = set(), set()
        while self.lines:
            line = self.lines.popleft()
            if MARKER in line:
                return self.one_fault(kinds, places)
            kinds.update(kind for text, kind in KINDS if text in line)
            where = WHERE.search(line)
            if where:
                at, way, address = where.groups()
                places.add((int(at or address, 16), way and way == 'W'))
        raise QemuError('PHB: a DMA left no mark in the log')

    def one_fault(self, kinds, places):
        if not kinds and not places:
            return None
        # Two kinds of line have no address.
        at, way = min(places) if places else (self.asked, None)
        return at, way, min(kinds)


def mode(granule, granule_lg2, levels, bits, base=Phb, name='tce'):
    return type(name, (base,), {
        'name': f'{name}-{granule}-{levels}', 'bits': bits,
        'granule_lg2': granule_lg2, 'levels': levels})


class Phb5(Phb):
    machine = 'powernv10'
    stack = 0x3011800 + 0x40


MODES = {m.name: m for m in (
    mode('4k', 12, 1, 31), mode('4k', 12, 2, 40), mode('4k', 12, 3, 40),
    mode('4k', 12, 4, 48), mode('4k', 12, 5, 57), mode('64k', 16, 1, 36),
    mode('64k', 16, 2, 44), mode('64k', 16, 3, 50), mode('64k', 16, 5, 59),
    mode('2m', 21, 1, 40), mode('2m', 21, 4, 59), mode('16m', 24, 1, 42),
    mode('16m', 24, 3, 59), mode('1g', 30, 1, 48), mode('1g', 30, 3, 59),
    mode('4k', 12, 3, 39, Phb5, 'tce-phb5'))}

if __name__ == '__main__':
    common.Walker = Walker      # what run() makes
    common.run(MODES)
