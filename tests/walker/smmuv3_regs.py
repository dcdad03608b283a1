# SPDX-License-Identifier: BSD-3-Clause
"""An Arm SMMUv3 driven by its registers, queues and in-memory structures
(SMMU architecture, IHI 0070: chapters 3 to 7; numbers in brackets are its
sections). Knows no table format, no plan and nothing of what a DMA must do.

    smmu = Smmu(q, sids=[0x28, 0x30], place=0x41000000)
    smmu.setup(config=Smmu.S1, cd=smmu.cd(...))     # memory was cleared
    smmu.submit([smmu.tlbi('asid', vmid, asid)])    # commands and a sync
    smmu.after(batch); smmu.event(seen)             # None or an Event"""

import struct

from qtest import QemuError, Skip

BASE = 0x09050000               # of QEMU's machine virt

# Registers [6.1].
IDR0, IDR3, IDR5 = 0x00, 0x0c, 0x14
CR0, CR0ACK, CR1, CR2 = 0x20, 0x24, 0x28, 0x2c
GERROR = 0x60
STRTAB_BASE, STRTAB_BASE_CFG = 0x80, 0x88
CMDQ_BASE, CMDQ_PROD, CMDQ_CONS = 0x90, 0x98, 0x9c
EVENTQ_BASE, EVENTQ_PROD, EVENTQ_CONS = 0xa0, 0x100a8, 0x100ac
SMMUEN, EVENTQEN, CMDQEN = 1 << 0, 1 << 2, 1 << 3
# Inner shareable, write-back: queues and tables.
CR1_WRITE_BACK = 3 << 10 | 1 << 8 | 1 << 6 | 3 << 4 | 1 << 2 | 1
RA = 1 << 62                    # read-allocate, of each base register

# Where the structures lie, from the place that the caller gives.
STREAMS, CDS, COMMANDS, EVENTS = 0x0, 0x10000, 0x20000, 0x40000
STREAMS_LG2, COMMANDS_LG2, EVENTS_LG2 = 8, 8, 12

# Granule fields: of a CD and STE [5.2, 5.4], of a command [4.4].
TG = {12: 0, 14: 2, 16: 1}
CMD_TG = {12: 1, 14: 2, 16: 3}

# Events [7.3].
F_TRANSLATION, F_PERMISSION = 0x10, 0x13
CLASS_IN = 2                    # the input address itself


class Event:
    """One record of the event queue [7.3], the first of count that a DMA
    left."""

    def __init__(self, words, count):
        self.count = count
        self.type = words[0] & 0xff
        self.sid = words[0] >> 32
        self.read = bool(words[1] >> 35 & 1)
        self.stage2 = bool(words[1] >> 39 & 1)
        self.kind = words[1] >> 40 & 3          # CLASS
        self.address = words[2]
        self.ipa = words[3] & (1 << 52) - (1 << 12)

    def __str__(self):
        return (f'event {self.type:#x} stage {1 + self.stage2} class '
                f'{self.kind} address {self.address:#x} IPA {self.ipa:#x}')


class Smmu:
    # Config of a stream table entry [5.2].
    S1, S2, NESTED = 5, 6, 7

    def __init__(self, q, sids, place):
        self.q, self.sids, self.place = q, sids, place
        self.idr0 = q.readl(BASE + IDR0)
        self.idr3 = q.readl(BASE + IDR3)
        self.idr5 = q.readl(BASE + IDR5)
        self.oas = self.idr5 & 7
        self.oas_bits = (32, 36, 40, 42, 44, 48, 52, 56)[self.oas]

    def need(self, stage1, stage2, granules):
        """Skips where this SMMU does not offer these [6.3.1, 6.3.6]."""
        for wanted, bit, what in ((stage1, 1, 'stage 1'),
                                  (stage2, 0, 'stage 2')):
            if wanted and not self.idr0 >> bit & 1:
                raise Skip(f'this SMMU has no {what}: IDR0 {self.idr0:#x}')
        for lg2 in granules:
            if not self.idr5 >> {12: 4, 14: 5, 16: 6}[lg2] & 1:
                raise Skip(f'this SMMU has no granule of {1 << lg2 - 10} '
                           f'KiB: IDR5 {self.idr5:#x}')
        if not self.idr3 >> 10 & 1:
            raise Skip(f'this SMMU has no range invalidation: IDR3 '
                       f'{self.idr3:#x}')

    # Structures in memory.

    def words(self, at, words):
        self.q.ram.write(self.place + at,
                         struct.pack(f'<{len(words)}Q', *words))

    def cd(self, root, granule_lg2, bits, asid):
        """A context descriptor [5.4]: TTB0 only; faults end the transaction
        and are recorded (A, R); MAIR attribute 0 is normal write-back."""
        tcr = (64 - bits | TG[granule_lg2] << 6 | 1 << 8 | 1 << 10 |
               3 << 12 | 1 << 30)               # EPD1
        return [tcr | 1 << 31 | self.oas << 32 | 1 << 41 | 1 << 45 |
                1 << 46 | asid << 48, root, 0, 0xff, 0, 0, 0, 0]

    def stage2(self, root, granule_lg2, bits, start, vmid):
        """The stage 2 words of a stream table entry [5.2]. start: the level
        that the walk begins at."""
        sl0 = (2 if granule_lg2 == 12 else 3) - start
        return [vmid | 64 - bits << 32 | sl0 << 38 | 1 << 40 | 1 << 42 |
                3 << 44 | TG[granule_lg2] << 46 | self.oas << 48 | 1 << 51 |
                1 << 58, root]                  # S2AA64, S2R

    def setup(self, config, cd=None, cd_at=None, stage2=(0, 0)):
        """Writes the structures for all streams, switches the SMMU off and
        on and drops all that it had cached. cd_at: where the stream table
        says that the context descriptor lies, if an IPA."""
        write = self.q.writel
        write(BASE + CR0, 0)
        if cd:
            self.words(CDS, cd)
        context = self.place + CDS if cd_at is None else cd_at
        # S1ContextPtr and the attributes of its reads; SHCFG: incoming.
        entry = [1 | config << 1 | (context if cd else 0),
                 1 << 2 | 1 << 4 | 3 << 6 | 1 << 44, *stage2, 0, 0, 0, 0]
        for sid in self.sids:
            self.words(STREAMS + sid * 64, entry)
        write(BASE + CR1, CR1_WRITE_BACK)
        write(BASE + CR2, 1 << 1)               # RECINVSID
        self.q.writeq(BASE + STRTAB_BASE, RA | self.place + STREAMS)
        write(BASE + STRTAB_BASE_CFG, STREAMS_LG2)
        self.q.writeq(BASE + CMDQ_BASE,
                      RA | self.place + COMMANDS | COMMANDS_LG2)
        self.q.writeq(BASE + EVENTQ_BASE,
                      RA | self.place + EVENTS | EVENTS_LG2)
        for reg in (CMDQ_PROD, CMDQ_CONS, EVENTQ_PROD, EVENTQ_CONS):
            write(BASE + reg, 0)
        self.prod = self.seen = self.freed = 0
        self.enable(CMDQEN)
        self.submit([(0x04, 31), self.tlbi('all')])    # CFGI_ALL
        self.enable(CMDQEN | EVENTQEN)
        self.enable(CMDQEN | EVENTQEN | SMMUEN)

    def enable(self, bits):
        self.q.writel(BASE + CR0, bits)
        if self.q.readl(BASE + CR0ACK) != bits:
            raise QemuError(f'SMMU: CR0ACK is not {bits:#x}')

    # Commands [4]: pairs of words.

    def submit(self, commands):
        """Queues the commands and a CMD_SYNC, and waits."""
        wrap = (2 << COMMANDS_LG2) - 1
        for lo, hi in (*commands, (0x46, 0)):
            at = self.prod & (1 << COMMANDS_LG2) - 1
            self.words(COMMANDS + at * 16, (lo, hi))
            self.prod = self.prod + 1 & wrap
        b = self.q.batch()
        b.writel(BASE + CMDQ_PROD, self.prod)
        cons = b.readl(BASE + CMDQ_CONS)
        gerror = b.readl(BASE + GERROR)
        out = b.run()
        if out[cons] != self.prod or out[gerror]:
            raise QemuError(f'SMMU: the command queue stopped: CONS '
                            f'{out[cons]:#x}, PROD {self.prod:#x}, GERROR '
                            f'{out[gerror]:#x}')

    # TLB invalidations [4.4]: number, and whether they name a VMID, an ASID,
    # an address. vmid1 leaves what stage 2 alone made.
    TLBI = {'all': (0x30, False, False, False),     # TLBI_NSNH_ALL
            'vmid': (0x28, True, False, False),     # TLBI_S12_VMALL
            'vmid1': (0x10, True, False, False),    # TLBI_NH_ALL
            'asid': (0x11, True, True, False),
            'va': (0x12, True, True, True),
            'vaa': (0x13, True, False, True),
            'ipa': (0x2a, True, False, True)}

    def tlbi(self, op, vmid=0, asid=0, address=0, granule_lg2=0, level=0,
             num=0, scale=0):
        """With a granule it takes (num + 1) << scale of them, which has to be
        more than one, or the level of the entry [4.4.1.1]."""
        code, of_vmid, of_asid, of_address = self.TLBI[op]
        lo = code | vmid * of_vmid << 32 | asid * of_asid << 48
        if not of_address:
            return lo, 0
        hi = address | level << 8 | 1               # Leaf
        if granule_lg2:
            lo |= num << 12 | scale << 20
            hi |= CMD_TG[granule_lg2] << 10
        return lo, hi

    # Events.

    def after(self, b):
        return [b.readl(BASE + EVENTQ_PROD)]

    def event(self, seen):
        """The first record that a DMA left, or None. Records stay in memory:
        the queue is longer than a batch."""
        (prod,) = seen
        wrap = (2 << EVENTS_LG2) - 1
        if prod & ~wrap:
            raise AssertionError(f'SMMU: event queue overflow: {prod:#x}')
        count = prod - self.seen & wrap
        at = self.seen & (1 << EVENTS_LG2) - 1
        self.seen = prod
        if prod - self.freed & wrap > 1 << EVENTS_LG2 - 2:
            self.q.writel(BASE + EVENTQ_CONS, prod)
            self.freed = prod
        if not count:
            return None
        data = self.q.ram.read(self.place + EVENTS + at * 32, 32)
        event = Event(struct.unpack('<4Q', data), count)
        if event.sid not in self.sids:
            raise AssertionError(f'SMMU: stream {event.sid:#x}: {event}')
        return event
