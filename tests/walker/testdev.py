# SPDX-License-Identifier: BSD-3-Clause
"""The two devices of QEMU that do DMA when a register says so. iommu-testdev
(QEMU 11) writes a pattern to an IOVA and reads it back from a guest physical
address; edu copies between an IOVA and a buffer of its own, either way. Knows
nothing of IOMMUs or page tables.

    testdev = TestDev(q, q35_pci(q).find(*TestDev.ID).enable(0xc0000000))
    for passed, seen in testdev.run([(iova, gpa, 8), …], after):
    edu = Edu(q, q35_pci(q).find(*Edu.ID).enable(0xc0100000))
    for seen in edu.run([(iova, 8, 0, True), …], after):

after(batch) adds what is to be read once a DMA is done (an IOMMU's fault
record) and returns the places; seen are the values."""

import time

from qtest import QemuError


class TestDev:
    ID = 0x1b36, 0x0005
    OK = 0
    DMA_ERROR = 0xdead0002
    MISMATCH = 0xdead0004
    PATTERN = bytes.fromhex('78563412')

    def __init__(self, q, bar, attrs=0):
        """attrs: 0xa (non-secure, valid) on Arm, else 0."""
        self.q = q
        self.bar = bar
        q.writel(bar + 0x18, attrs)

    def dma(self, b, iova, gpa, size):
        """Adds one DMA to a batch; the place of its result. The result says
        OK too when the pattern was there before: clear it first."""
        for reg, value in ((0x04, iova & 0xffffffff), (0x08, iova >> 32),
                           (0x0c, size), (0x1c, gpa & 0xffffffff),
                           (0x20, gpa >> 32), (0x14, 1)):
            b.writel(self.bar + reg, value)
        b.readl(self.bar)
        return b.readl(self.bar + 0x10)

    def run(self, dmas, after):
        """(result, seen) of each (iova, gpa, size)."""
        b = self.q.batch()
        places = [(self.dma(b, *dma), after(b)) for dma in dmas]
        answers = b.run()
        return [(answers[r], [answers[p] for p in seen])
                for r, seen in places]

    @classmethod
    def bytes(cls, size):
        """What a DMA of that size writes."""
        return (cls.PATTERN * (size // 4 + 1))[:size]


class Edu:
    """A DMA takes 100 ms of virtual time. With -accel qtest that clock is the
    test's (stepped): any number of DMAs fit in one batch. With -accel tcg it
    must run as fast as it can while no CPU does, which -icount with sleep=off
    and a halted CPU give, and each DMA is one round trip."""
    ID = 0x1234, 0x11e8
    ARG = 'edu,dma_mask=0xffffffffffffffff'
    SIZE = 4032                 # QEMU 7.2 aborts at the 4096th byte
    BUFFER = 0x40000
    STEP = 100_000_001

    def __init__(self, q, bar, stepped=True):
        self.q = q
        self.bar = bar
        self.stepped = stepped

    def start(self, b, iova, size, at, write):
        buf = self.BUFFER + at
        b.writeq(self.bar + 0x80, buf if write else iova)
        b.writeq(self.bar + 0x88, iova if write else buf)
        b.writeq(self.bar + 0x90, size)
        b.writeq(self.bar + 0x98, 3 if write else 1)

    def run(self, dmas, after):
        """seen of each (iova, size, at, write): write copies from the buffer
        at that offset to memory, else from memory to the buffer."""
        out = []
        b = self.q.batch()
        places = []
        for dma in dmas:
            self.start(b, *dma)
            if self.stepped:
                b.clock_step(self.STEP)
                places.append(after(b))
                continue
            b.run()
            self.wait()
            seen = after(b)
            answers = b.run()
            out.append([answers[p] for p in seen])
        if self.stepped:
            answers = b.run()
            out = [[answers[p] for p in seen] for seen in places]
        return out

    def wait(self):
        end = time.monotonic() + 10
        while self.q.readq(self.bar + 0x98) & 1:
            if time.monotonic() > end:
                raise QemuError('edu: a DMA did not end within 10 s')
