#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The walker modes of Intel VT-d: QEMU's intel-iommu told by its registers
and in-memory structures to walk our tables (VT-d 4.1: chapters 6, 9, 11).
Knows the IOMMU; the DMAs and what they must do are common.py's.

    vtd.py MODE SLUICE"""

import struct

import common
import sluicept
from qtest import QemuError, pc_ram, q35_pci, qemu11, system_qemu
from testdev import Edu, TestDev

BASE = 0xfed90000
BAR_TESTDEV, BAR_EDU = 0xc0000000, 0xc0100000
DOMAIN = 0x5a
PASID = 0                       # RID_PASID: requests without a PASID
ROOT, CONTEXT, DIRECTORY, PASIDS, QUEUE, STATUS = (
    n * 0x1000 for n in range(6))

# Registers (11.4).
CAP, ECAP, GCMD, GSTS, RTADDR, FSTS = 0x08, 0x10, 0x18, 0x1c, 0x20, 0x34
IQT, IQA = 0x88, 0x90
TE, SRTP, QIE = 1 << 31, 1 << 30, 1 << 26


class Vtd(common.Mode):
    """Legacy mode, second stage (9.1, 9.3)."""
    fmt = sluicept.FORMATS['vtdss']
    prots = ('r', 'w', 'rw')
    leaves = (4 << 10, 2 << 20, 1 << 30)
    ram = pc_ram(8 << 30)
    avoid = ((0xfee00000, 0xfef00000),)         # interrupts (3.14)
    iommu = 'intel-iommu,aw-bits=48'
    scalable = False
    invalidations = ('page', 'domain', 'global')
    # 7.1.3: the write or read permission is missing; beyond the width.
    why = {'hole': (5, 6), 'prot': (5, 6), 'beyond': (4,)}

    def binary(self):
        return qemu11('x86_64')

    @property
    def args(self):
        return ['-M', 'q35', '-device', self.iommu,
                '-device', 'iommu-testdev,addr=5',
                '-device', Edu.ARG + ',addr=6']

    def start(self, q):
        self.q = q
        pci = q35_pci(q)
        self.devfns = []
        self.testdev = self.start_testdev(q, pci)
        edu = pci.find(*Edu.ID)
        self.devfns.append(edu.devfn)
        self.edu = Edu(q, edu.enable(BAR_EDU), self.accel == 'qtest')
        self.cap = q.readq(BASE + CAP)
        self.ecap = q.readq(BASE + ECAP)
        # FRO and NFR of the capability register: one record is enough.
        self.record = BASE + (self.cap >> 24 & 0x3ff) * 16
        self.tail = 0

    def start_testdev(self, q, pci):
        dev = pci.find(*TestDev.ID)
        self.devfns.append(dev.devfn)
        return TestDev(q, dev.enable(BAR_TESTDEV))

    def command(self, bit):
        """One bit of the global command at a time (11.4.4.1)."""
        now = self.q.readl(BASE + GSTS) & 0x96ffffff
        self.q.writel(BASE + GCMD, now | bit)
        if not self.q.readl(BASE + GSTS) & bit:
            raise QemuError(f'VT-d: GSTS lacks {bit:#x}')

    def attach(self, root, table):
        self.q.writel(BASE + GCMD, 0)
        self.write_structures(root)
        self.q.writeq(BASE + RTADDR, self.control + ROOT |
                      self.scalable << 10)
        self.command(SRTP)
        self.tail = 0
        self.q.writeq(BASE + IQT, 0)
        self.q.writeq(BASE + IQA, self.control + QUEUE | self.scalable << 11)
        self.command(QIE)
        self.flush()
        self.command(TE)

    def entry(self, at, *words):
        for i, word in enumerate(words):
            self.q.ram.writeq(self.control + at + 8 * i, word)

    @property
    def width(self):
        """AW of a context or PASID entry: 1 is 39 bits, 2 48, 3 57."""
        return {39: 1, 48: 2, 57: 3}[self.bits]

    def write_structures(self, root):
        self.entry(ROOT, self.control + CONTEXT | 1, 0)
        for devfn in self.devfns:
            self.entry(CONTEXT + devfn * 16, root | 1,
                       DOMAIN << 8 | self.width)

    def flush(self):
        self.submit((0x1 | 1 << 4, 0), (0x2 | 1 << 4, 0))

    def submit(self, *descriptors):
        """Queues the descriptors and a wait (6.5.2), and waits."""
        size = 32 if self.scalable else 16
        wait = (0x5 | 1 << 5 | 0x51ce << 32, self.control + STATUS)
        self.q.ram.writeq(self.control + STATUS, 0)
        for lo, hi in (*descriptors, wait):
            self.q.ram.write(self.control + QUEUE + self.tail,
                             struct.pack('<4Q', lo, hi, 0, 0)[:size])
            self.tail = (self.tail + size) % 4096
        self.q.writeq(BASE + IQT, self.tail)
        done = self.q.ram.readq(self.control + STATUS) & 0xffffffff
        if done != 0x51ce:
            raise QemuError(f'VT-d: the queue stopped, FSTS '
                            f'{self.q.readl(BASE + FSTS):#x}')

    def invalidate(self, how, iova, size):
        page = iova | (size >> 12).bit_length() - 1
        self.submit({
            'page': (0x2 | 3 << 4 | DOMAIN << 16, page),
            'domain': (0x2 | 2 << 4 | DOMAIN << 16, 0),
            'global': (0x2 | 1 << 4, 0)}[how])

    def after(self, b):
        seen = [b.readq(self.record), b.readq(self.record + 8),
                b.readl(BASE + FSTS)]
        # F of the record and PFO of the status: write one to clear.
        b.writel(self.record + 12, 1 << 31)
        b.writel(BASE + FSTS, 1)
        return seen

    def fault(self, seen):
        lo, hi, fsts = seen
        if fsts & ~0xff02:
            raise AssertionError(f'VT-d: fault status {fsts:#x}')
        if not hi >> 63:
            return None
        if hi & 0xffff not in self.devfns:
            raise AssertionError(f'VT-d: the fault names device '
                                 f'{hi & 0xffff:#x}')
        return lo & -4096, not hi >> 62 & 1, hi >> 32 & 0xff


class Ss3(Vtd):
    name, bits = 'vtd-ss3', 39


class Ss4(Vtd):
    name, bits = 'vtd-ss4', 48


class Scalable(Vtd):
    """Scalable mode (9.1, 9.4 to 9.6), second stage."""
    iommu = 'intel-iommu,aw-bits=48,scalable-mode=on'
    scalable = True
    kind = 2                    # PGTT
    # QEMU records legacy mode's numbers for the second stage here too.
    why = {'hole': (5, 6, 0x85, 0x86), 'prot': (5, 6, 0x85, 0x86),
           'beyond': (4, 0x84)}

    def write_structures(self, root):
        self.entry(ROOT, self.control + CONTEXT | 1,
                   self.control + CONTEXT | 1)
        for devfn in self.devfns:
            self.entry(CONTEXT + devfn % 128 * 32,
                       self.control + DIRECTORY | 1, PASID, 0, 0)
        self.entry(DIRECTORY, self.control + PASIDS | 1)
        self.entry(PASIDS + PASID * 64, *self.pasid_entry(root))

    def pasid_entry(self, root):
        return root | self.kind << 6 | self.width << 2 | 1, DOMAIN, 0

    def flush(self):
        # Context cache, PASID cache (6.5.2.3), IOTLB: all of each.
        self.submit((0x1 | 1 << 4, 0), (0x7 | 3 << 4, 0), (0x2 | 1 << 4, 0))


class ScalableSs3(Scalable):
    name, bits = 'vtd-sm-ss3', 39


class ScalableSs4(Scalable):
    name, bits = 'vtd-sm-ss4', 48


class Fs(Scalable):
    """Scalable mode, first stage."""
    fmt = sluicept.FORMATS['x86_64']
    prots = ('r', 'rw')
    iommu = 'intel-iommu,aw-bits=48,scalable-mode=on,fsts=on'
    kind = 1
    accessed, dirty = 0x20, 0x40

    @property
    def seam(self):
        return 1 << self.bits - 1
    invalidations = ('page', 'pasid', 'domain', 'global')
    why = {'hole': (0x71,), 'prot': (0x85,), 'beyond': (0x80,)}

    def pasid_entry(self, root):
        # FSPM in bits 3:2 of the third word; QEMU bounds addresses by the
        # AW field, which the specification gives to the second stage.
        return (self.kind << 6 | 2 << 2 | 1, DOMAIN,
                root | (self.bits == 57) << 2)

    def device_iova(self, iova):
        """Canonical: the upper half is the top of the 64-bit space."""
        if iova >> self.bits - 1:
            iova |= -1 << self.bits & (1 << 64) - 1
        return iova

    def beyond(self, rng):
        """Not canonical."""
        while True:
            at = rng.getrandbits(64) & ~3
            if at >> self.bits - 1 not in (0, (1 << 65 - self.bits) - 1):
                return at

    def invalidate(self, how, iova, size):
        page = iova | (size >> 12).bit_length() - 1
        who = DOMAIN << 16 | PASID << 32
        self.submit({
            'page': (0x6 | 3 << 4 | who, page),
            'pasid': (0x6 | 2 << 4 | who, 0),
            'domain': (0x2 | 2 << 4 | DOMAIN << 16, 0),
            'global': (0x2 | 1 << 4, 0)}[how])


class Fs4(Fs):
    name, bits = 'vtd-fs4', 48


class System(Vtd):
    """The machine's own QEMU, which may be too old for iommu-testdev and for
    -accel qtest: edu makes every DMA. Its CPU runs nothing but a halt, so
    that virtual time jumps to the end of each DMA."""
    accel = 'tcg'
    # 64 KiB below the reset vector's end: cli; hlt; jmp back to the hlt.
    files = {'halt': (b'\0' * 0xfff0 + b'\xfa\xf4\xeb\xfd').ljust(1 << 16,
                                                               b'\0')}

    def binary(self):
        return system_qemu('x86_64', 'edu,dma_mask', 'intel-iommu,aw-bits')

    @property
    def args(self):
        return ['-M', 'q35', '-bios', '{folder}/halt', '-icount',
                'shift=0,sleep=off', '-device', self.iommu,
                '-device', Edu.ARG + ',addr=6']

    def start_testdev(self, q, pci):
        return None


class SystemSs3(System):
    name, bits = 'vtd-system-ss3', 39


class SystemSs4(System):
    name, bits = 'vtd-system-ss4', 48


class SystemScalable(System, Scalable):
    name, bits = 'vtd-system-sm-ss4', 48
    iommu = 'intel-iommu,aw-bits=48,x-scalable-mode=on'

    def binary(self):
        return system_qemu('x86_64', 'edu,dma_mask',
                           'intel-iommu,x-scalable-mode')


MODES = {m.name: m for m in (Ss3, Ss4, ScalableSs3, ScalableSs4, Fs4,
                             SystemSs3, SystemSs4, SystemScalable)}

if __name__ == '__main__':
    common.run(MODES)
