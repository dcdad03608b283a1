# SPDX-License-Identifier: BSD-3-Clause
"""Page tables made by `sluice pt`: runs a script, takes the dump and turns it
into the bytes that guest memory must hold for a hardware walker. What tells a
link from a leaf is written here from each format's specification and shares
nothing with pagetable/. Knows nothing of QEMU or of any IOMMU's registers.

    table = build(tool, FORMATS['vtdss'], 48, 'map 0x1000 0x200000 4K rw')
    ram.write(base, table.image(base))
    where, word = table.leaf(0x1000)    # byte offset of the leaf's word
    table.leaf(0x5000)                  # None: nothing there

A format of its own: subclass Format (see there), pass an instance."""

import json
import struct
import subprocess

BITS_51_12 = (1 << 52) - (1 << 12)


class BuildError(Exception):
    """sluice pt refused the script; its stderr is in the text."""


class Format:
    """Tables of 2^stride words of 8 bytes, leaves of the lowest level
    (number 0) of 2^granule_lg2 bytes. tool_bits: the address width that
    --bits takes, from the one that a device may use."""
    name = ''
    word_bytes = 8
    granule_lg2 = 12
    stride = 9
    address_mask = BITS_51_12

    def is_link(self, level, word):
        """Whether a word that the tool wrote points to a table."""
        raise NotImplementedError

    def address(self, word):
        """Where the table of a link lies: the offset from the root."""
        return word & self.address_mask

    def relocated(self, level, word, base):
        """A link whose table lies at base + the offset that it holds."""
        return (word & ~self.address_mask |
                (word & self.address_mask) + base)

    def index(self, level, top, iova):
        """The index in a table of that level; the top level takes all the
        bits above it (a root may be several tables)."""
        shift = self.granule_lg2 + self.stride * level
        at = iova >> shift
        return at if level == top else at & ((1 << self.stride) - 1)

    def leaf_lg2(self, level, word):
        return self.granule_lg2 + self.stride * level


class Vtdss(Format):
    """VT-d 4.1, 9.8: R and W in bits 0 and 1, page size (leaf) in bit 7 of
    levels 1 and 2."""
    name = 'vtdss'

    def is_link(self, level, word):
        return level > 0 and not word & 1 << 7


class X86(Format):
    """VT-d 4.1, 9.9 = Intel SDM 3A 4.5: P, R/W, U/S in bits 0 to 2, page size
    in bit 7 of levels 1 and 2."""
    name = 'x86_64'

    def is_link(self, level, word):
        return level > 0 and not word & 1 << 7


FORMATS = {f.name: f for f in (Vtdss(), X86())}


class Table:
    def __init__(self, fmt, entries):
        self.fmt = fmt
        self.words = {}
        self.levels = {}
        self.leaves = {}
        for e in entries:
            level, table = e['level'], int(e['table'], 16)
            word = int(e['word'], 16)
            self.words[table, e['index']] = word
            self.levels[table] = level
            if fmt.is_link(level, word):
                # A table that an unmap left empty has no words of its own.
                self.levels[fmt.address(word)] = level - 1
            else:
                lg2 = fmt.leaf_lg2(level, word)
                self.leaves[lg2] = self.leaves.get(lg2, 0) + 1
        self.top = self.levels.get(0, 0)
        each = fmt.word_bytes << fmt.stride
        end = max([t + each for t in self.levels] +
                  [t + (i + 1) * fmt.word_bytes for t, i in self.words],
                  default=0)
        self.size = -(-end // 4096) * 4096 or 4096

    def image(self, base):
        """The table's bytes when its root lies at base."""
        out = bytearray(self.size)
        for (table, index), word in self.words.items():
            level = self.levels[table]
            if self.fmt.is_link(level, word):
                word = self.fmt.relocated(level, word, base)
            struct.pack_into('<Q', out, table + index * self.fmt.word_bytes,
                             word)
        return bytes(out)

    def leaf_words(self):
        """(offset, word) of each leaf."""
        for (table, index), word in self.words.items():
            if not self.fmt.is_link(self.levels[table], word):
                yield table + index * self.fmt.word_bytes, word

    def level(self, offset):
        """The level of the table that holds the word at that offset."""
        return self.levels[max(t for t in self.levels if t <= offset)]

    def leaf(self, iova):
        """(offset of the word, word) of the leaf that maps it, or None."""
        table = 0
        level = self.top
        while True:
            index = self.fmt.index(level, self.top, iova)
            word = self.words.get((table, index))
            if word is None:
                return None
            if not self.fmt.is_link(level, word):
                return table + index * self.fmt.word_bytes, word
            table = self.fmt.address(word)
            level = self.levels[table]


def build(tool, fmt, bits, script, options=()):
    """Runs the script and dumps. options: more arguments of `sluice pt`."""
    run = subprocess.run([tool, 'pt', '--format', fmt.name, '--bits',
                          str(bits), *options],
                         input=script + '\ndump --json\n', text=True,
                         capture_output=True)
    if run.returncode != 0:
        raise BuildError(f'sluice pt: exit {run.returncode}: {run.stderr}')
    dump = json.loads(run.stdout.splitlines()[-1])
    return Table(fmt, dump['entries'])
