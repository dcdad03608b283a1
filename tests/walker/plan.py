# SPDX-License-Identifier: BSD-3-Clause
"""Random mappings and what they mean: a script for `sluice pt`, and beside it
a plain list of segments that says where each IOVA leads and who may go there.
Knows no table format: the answer to "what must this DMA do" never comes from
a table.

    plan = Plan(rng, bits=48, leaves=[4096, 2 << 20], prots=['r', 'rw'],
                targets=[(0x10000000, 0x40000000)])
    plan.script                     # lines for sluice pt
    iova, oa, size = plan.hit(rng, 'w')
    iova = plan.miss(rng, 'w')      # (iova, why): a hole, or not writable"""

import bisect


class Segment:
    """[iova, iova + size) leads to oa. kind: the leaf size, or how the run
    was laid out; cut: may be unmapped leaf by leaf."""

    def __init__(self, iova, size, oa, prot, kind, cut=0):
        self.iova, self.size, self.oa = iova, size, oa
        self.prot, self.kind, self.cut = prot, kind, cut

    @property
    def end(self):
        return self.iova + self.size

    def part(self, at, size):
        return Segment(self.iova + at, size, self.oa + at, self.prot,
                       self.kind, self.cut)


class Plan:
    """bits: address width of the table. leaves: leaf sizes, ascending.
    prots: of r, w, rw. targets: (address, size) of the memory that may be
    mapped. avoid: (first, end) of IOVAs that no DMA may go to. seam: an
    address that no mapping crosses. maps: how many map commands there are."""

    def __init__(self, rng, bits, leaves, prots, targets, avoid=(), seam=0,
                 maps=80):
        self.rng, self.bits, self.leaves = rng, bits, leaves
        self.granule = leaves[0]
        self.targets, self.avoid, self.seam = targets, avoid, seam
        self.segments = []
        self.starts = []
        self.lines = []
        # Every leaf size with every permission, before chance has its say.
        for leaf in leaves:
            for prot in prots:
                self.map_leaves(leaf, prot)
        while len(self.lines) < maps:
            way = rng.choice((self.map_leaves, self.map_leaves,
                              self.map_mixed, self.map_crooked))
            way(rng.choice(leaves), rng.choice(prots))
        for _ in range(maps // 8):
            self.unmap_whole()
            self.unmap_some()
            self.map_leaves(leaves[0], rng.choice(prots))
        self.kinds = {}
        for s in self.segments:
            self.kinds.setdefault(s.kind, []).append(s)

    @property
    def script(self):
        return '\n'.join(self.lines)

    # What is mapped.

    def find(self, iova):
        at = bisect.bisect_right(self.starts, iova) - 1
        if at >= 0 and iova < self.segments[at].end:
            return self.segments[at]
        return None

    def free(self, iova, size):
        """Whether it may be mapped: a large leaf may hold what no DMA may go
        to, a small one would hold nothing else."""
        if size < 1 << 30 and not self.allowed(iova, size):
            return False
        if iova < self.seam < iova + size:
            return False
        at = bisect.bisect_left(self.starts, iova)
        after = at == len(self.starts) or iova + size <= self.starts[at]
        return after and (at == 0 or self.segments[at - 1].end <= iova)

    def insert(self, seg):
        at = bisect.bisect_left(self.starts, seg.iova)
        self.starts.insert(at, seg.iova)
        self.segments.insert(at, seg)

    def remove(self, seg):
        at = self.starts.index(seg.iova)
        del self.starts[at], self.segments[at]

    # Building.

    def place(self, size, align, skew=0):
        """A free IOVA that is skew above a multiple of align, or None."""
        rng, top = self.rng, 1 << self.bits
        for _ in range(50):
            way = rng.random()
            if way < .3 and self.segments:
                # A neighbour: tables are shared and leaves adjoin.
                at = rng.choice(self.segments).end + \
                    rng.choice((0, 0, 1, 2)) * align
            elif way < .5:
                edge = rng.choice((0, top, 1 << 30, 1 << 32, 1 << 39,
                                   1 << 47, top >> 1)) % (top + 1)
                at = edge - rng.choice((0, size, 2 * size))
            else:
                at = rng.getrandbits(rng.randint(21, self.bits))
            at = (at & -align) + skew
            if 0 <= at and at + size <= top and self.free(at, size):
                return at
        return None

    def target(self, size, align, skew=0):
        """Target memory that is skew above a multiple of align, or None."""
        for _ in range(50):
            base, length = self.rng.choices(
                self.targets, [t[1] for t in self.targets])[0]
            at = base + self.rng.randrange(length) & -align
            if base <= at and at + skew + size <= base + length:
                return at + skew
        return None

    def map(self, iova, size, oa, prot, kind, cut=0):
        if iova is not None and oa is not None:
            self.lines.append(f'map {iova:#x} {oa:#x} {size:#x} {prot}')
            self.insert(Segment(iova, size, oa, prot, kind, cut))

    def map_leaves(self, leaf, prot):
        """One to three leaves of one size: too few for the next size."""
        at = self.leaves.index(leaf)
        above = self.leaves[at + 1] // leaf if leaf != self.leaves[-1] else 4
        size = leaf * self.rng.randint(1, min(3, above - 1))
        oa = self.target(size, leaf)
        if oa is None:
            size = leaf
            oa = self.target(size, leaf)
        self.map(self.place(size, leaf), size, oa, prot, leaf, leaf)

    def map_mixed(self, _, prot):
        """A long run with room for leaves of several sizes."""
        leaf = self.rng.choice([x for x in self.leaves[1:] if x <= 64 << 20]
                               or [16 * self.granule])
        pages = leaf // self.granule
        skew = self.rng.randrange(pages) * self.granule
        size = self.rng.randint(1, 3 * pages) * self.granule
        self.map(self.place(size, leaf, skew), size,
                 self.target(size, leaf, skew), prot, 'mixed')

    def map_crooked(self, _, prot):
        """A long run whose addresses agree in no large leaf."""
        size = self.rng.randint(1, 768) * self.granule
        self.map(self.place(size, self.granule), size,
                 self.target(size, self.granule), prot, 'crooked')

    def unmap_whole(self):
        seg = self.rng.choice(self.segments)
        if seg.size >= 1 << 30 or self.last_of(seg):
            return
        self.lines.append(f'unmap {seg.iova:#x} {seg.size:#x}')
        self.remove(seg)

    def last_of(self, seg):
        """Whether no other segment has its kind and permission."""
        return sum(s.kind == seg.kind and s.prot == seg.prot
                   for s in self.segments) < 2

    def unmap_some(self):
        """A few leaves out of the middle or the ends of a segment."""
        cuttable = [s for s in self.segments if s.cut and s.size > s.cut]
        if not cuttable:
            return
        seg = self.rng.choice(cuttable)
        leaves = seg.size // seg.cut
        first = self.rng.randrange(leaves)
        count = self.rng.randint(1, leaves - first)
        if count == leaves:
            return
        at, size = first * seg.cut, count * seg.cut
        self.lines.append(f'unmap {seg.iova + at:#x} {size:#x}')
        self.remove(seg)
        if at:
            self.insert(seg.part(0, at))
        if at + size < seg.size:
            self.insert(seg.part(at + size, seg.size - at - size))

    # Asking. way: what the DMA does, 'r' or 'w'.

    def allowed(self, iova, size):
        return all(iova + size <= a or b <= iova for a, b in self.avoid)

    def hit(self, rng, way, most=64):
        """(iova, oa, size, kind) of a DMA that must pass. It may cross from
        leaf to leaf, never from segment to segment."""
        while True:
            kind = rng.choice(list(self.kinds))
            seg = rng.choice(self.kinds[kind])
            if way not in seg.prot:
                continue
            size = min(rng.randint(1, most), seg.size)
            room = seg.size - size
            at = rng.choice((0, room, rng.randint(0, room),
                             rng.randint(0, room)))
            if room > self.granule and rng.random() < .2:
                # Across a page's end.
                at = min(room, (at | self.granule - 1) + 1 -
                         rng.randrange(size))
            if self.allowed(seg.iova + at, size):
                return seg.iova + at, seg.oa + at, size, seg.kind

    def miss(self, rng, way):
        """(iova, why) of a 4-byte DMA that must fault: 'hole' or 'prot'."""
        while True:
            seg = rng.choice(self.segments)
            if way not in seg.prot:
                return self.word(rng, seg.iova, seg.size), 'prot'
            pick = rng.random()
            if pick < .4:
                iova = rng.choice((seg.iova - 4, seg.end))
            elif pick < .7:
                # Where the tables of a mapping still lead some way.
                iova = seg.iova ^ 1 << rng.randrange(12, self.bits)
            else:
                iova = rng.getrandbits(rng.randint(13, self.bits)) & ~3
            if 0 <= iova < 1 << self.bits and self.find(iova) is None and \
                    self.allowed(iova, 4):
                return iova, 'hole'

    def word(self, rng, iova, size):
        while True:
            at = iova + rng.randrange(size // 4) * 4
            if self.allowed(at, 4):
                return at
