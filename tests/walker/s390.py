#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""s390 tables of somebody else: a stock Debian kernel's, written for the zPCI
functions of a virtual machine and found in its memory, beside ours. Knows what
a translation table of Linux looks like in memory (to find it and to list its
words), and what a virtqueue and an NVMe queue hold.

What is checked, for each table: (a) the decoder that was written from the
specification (s390_decode) finds no breach; (b) `sluice pt --load --raw` takes
it where it lies, and each address leads where the decoder says, or nowhere;
(c) `sluice pt` explains each word as what it is; (d) the same mappings made by
our map have the same words, bit for bit. For each device that QEMU's own walk
of these tables served: (e) exactly one table leads to what QEMU says of its
queues, and (f) Ethernet frames that QEMU's virtio-net puts at bus addresses
lie, byte for byte, where our walk of the kernel's table says.

    s390.py RELEASE SLUICE S390_DECODE"""

import os
import re
import struct
import subprocess
import sys
import time

from qtest import main
from s390_guest import FUNCTIONS, READS, Guest, fetched_kernel

LEVELS, SLOTS, PAGE = 3, (256, 2048, 2048), 4096
SPAN_LG2 = 12, 20, 31           # of a word at each level
ORIGIN = ~0x7ff, ~0x7ff, ~0xfff     # of levels 1 and 2: the table below
INVALID, PAGE_INVALID, PROTECTED = 0x20, 0x400, 0x200
THIRD = 0x7                     # TT of a region-third table, TL of a full one
WINDOW = 1 << 32                # QEMU's zPCI: the first bus address
FRAMES = 96


def check(ok, what):
    if not ok:
        raise AssertionError(what)


class Words:
    """The table whose root lies at an address of the guest's memory: (level,
    index, table, word) as in a dump, links as offsets."""

    def __init__(self, ram, root):
        self.ram, self.root = ram, root
        self.all, self.leaves = [], {}
        tables, end = [(root, 0, 0)], 8 * SLOTS[2]
        for level in 2, 1, 0:
            below = []
            for table, offset, iova in tables:
                for index, word in enumerate(self.slots(table, level)):
                    at = iova + (index << SPAN_LG2[level])
                    if level and not word & INVALID:
                        below.append((word & ORIGIN[level], end, at))
                        word = word & ~ORIGIN[level] | end
                        end += 8 * SLOTS[level - 1]
                    elif not level and not word & PAGE_INVALID:
                        self.leaves[at] = (
                            word & -PAGE, 'r' if word & PROTECTED else 'rw')
                    self.all.append((level, index, offset, word))
            tables = below

    def slots(self, table, level):
        nr = SLOTS[level]
        return struct.unpack(f'>{nr}Q', self.ram.read(table, 8 * nr))

    def valid(self):
        return [w for w in self.all
                if not w[3] & (INVALID if w[0] else PAGE_INVALID)]


def is_root(ram, at, size):
    """A region-third table as the kernel fills it: invalid, or a link."""
    words = struct.unpack('>2048Q', ram.read(at, 16384))
    links = [w for w in words if w != INVALID]
    return links and all(w & 0xfff == THIRD and (w & -PAGE) + 16384 <= size
                         for w in links)


def find_roots(ram, size):
    first = struct.Struct('>Q').unpack
    for at in range(0, size, 16384):
        (word,) = first(ram.read(at, 8))
        if (word == INVALID or word & 0xfff == THIRD) and \
                is_root(ram, at, size):
            yield at


class Table:
    """One of the kernel's tables, checked; at(iova) is where our walk of it
    leads."""

    def __init__(self, test, root):
        self.test, self.words = test, Words(test.guest.ram, root)
        self.root = root
        self.decoded()
        self.walked()
        self.explained()
        self.rebuilt()

    def tool(self, script, *options):
        run = subprocess.run(
            [self.test.tool, 'pt', '--format', 's390', '--bits', '42',
             *options], input=script, capture_output=True, text=True)
        check(run.returncode in (0, 1), f'sluice pt: exit {run.returncode}: '
              f'{run.stderr}')
        return run

    def loaded(self, script):
        return self.tool(script, '--load', self.test.guest.ram.path, '--raw',
                         '--base', '0', '--root', hex(self.root))

    def decoded(self):
        """(a)"""
        run = subprocess.run(
            [self.test.decode, str(LEVELS)], capture_output=True, text=True,
            input=''.join(f'{level} {index} {table:#x} {word:#x}\n'
                          for level, index, table, word in self.words.all))
        check(run.returncode == 0, f'table at {self.root:#x}: {run.stderr}')
        leaves = {}
        for line in run.stdout.splitlines():
            va, pa, size, prot = line.split()
            check(int(size, 16) == PAGE, f'a leaf of {size} bytes')
            leaves[int(va, 16)] = int(pa, 16), prot
        check(leaves == self.words.leaves, f'table at {self.root:#x}: the '
              f'decoder sees other leaves')

    def walk(self, addresses):
        """{address: (where it leads, prot)} by our walk; those that lead
        nowhere are missing."""
        run = self.loaded(''.join(f'walk {iova:#x}\n' for iova in addresses))
        out = {}
        for line in run.stdout.splitlines():
            _, iova, oa, prot, *_ = line.split()
            out[int(iova, 16)] = int(oa, 16), prot
        check(len(out) + run.stderr.count('ENOENT') == len(set(addresses)),
              f'sluice pt: {run.stderr}')
        return out

    def walked(self):
        """(b) Every leaf, and the neighbours of each."""
        leaves = self.words.leaves
        ask = sorted({at for iova in leaves
                      for at in (iova - PAGE, iova, iova + PAGE)} |
                     {WINDOW, 0, (1 << 42) - PAGE})
        check(self.walk(ask) == leaves, f'table at {self.root:#x}: our walk '
              f'leads elsewhere')

    def explained(self):
        """(c)"""
        words = sorted({(level, word) for level, _, _, word in
                        self.words.all})
        run = self.loaded(''.join(f'explain {level} {word:#x}\n'
                                  for level, word in words))
        lines = run.stdout.splitlines()
        check(len(lines) == len(words) and not run.stderr,
              f'explain: {run.stderr}')
        for (level, word), line in zip(words, lines):
            if word & (INVALID if level else PAGE_INVALID):
                want = 'empty'
            elif level:
                want = f'link to the table at {word & ORIGIN[level]:#x}'
            else:
                prot = 'r,' if word & PROTECTED else 'rw,'
                want = f'leaf of 0x1000 bytes at {word & -PAGE:#x}, {prot}'
            check(f': {want} ' in line + ' ' or f': {want}:' in line,
                  f'{line}: not {want}')

    def rebuilt(self):
        """(d) Tables of the kernel's that map nothing are left out."""
        leaves = self.words.leaves
        if not leaves:
            return
        run = self.tool(''.join(f'map {iova:#x} {oa:#x} 0x1000 {prot}\n'
                                for iova, (oa, prot) in leaves.items()) +
                        'dump\n')
        check(run.returncode == 0, f'sluice pt: {run.stderr}')
        ours = [tuple(int(x, 0) for x in line.split())
                for line in run.stdout.splitlines()]
        check(by_path(ours) == by_path(self.words.valid()),
              f'table at {self.root:#x}: our words for these mappings are '
              f'others')

    def at(self, iova, size):
        """The memory at a bus address, or None."""
        pages = range(iova & -PAGE, iova + size, PAGE)
        lead = self.walk(pages)
        if len(lead) != len(pages):
            return None
        data = b''.join(self.test.guest.ram.read(lead[p][0], PAGE)
                        for p in pages)
        return data[iova % PAGE:][:size]


def by_path(words):
    """{(level, address that the word serves): word} of all words on the way
    to a leaf, without the places of tables."""
    where, base = {}, {0: 0}
    for level, index, table, word in sorted(words, key=lambda w: (-w[0],
                                                                   w[2:])):
        at = base[table] + (index << SPAN_LG2[level])
        if level:
            base[word & ORIGIN[level]] = at
            word &= ~ORIGIN[level]
        where[level, at] = word
    needed = {(level, at >> SPAN_LG2[level] << SPAN_LG2[level])
              for lowest, at in where if lowest == 0 for level in (1, 2)}
    return {key: word for key, word in where.items()
            if key[0] == 0 or key in needed}


class Queue:
    """A split virtqueue (virtio 1.2, 2.7) as QEMU describes it."""

    def __init__(self, path, number, status):
        self.path, self.number, self.status = path, number, status
        self.size = status['vring-num']
        self.desc, self.avail, self.used = (
            status['vring-' + part] for part in ('desc', 'avail', 'used'))

    def fits(self, table):
        """Whether the table leads to this queue's rings."""
        desc = table.at(self.desc, 16 * self.size)
        avail = table.at(self.avail, 4 + 2 * self.size)
        used = table.at(self.used, 4 + 8 * self.size)
        if None in (desc, avail, used):
            return False
        return struct.unpack_from('<H', used, 2)[0] == \
            self.status['used-idx'] and \
            struct.unpack_from('<H', avail, 2)[0] >= \
            self.status['last-avail-idx']

    def descriptor(self, table, number):
        return struct.unpack('<QIHH', table.at(self.desc + 16 * number, 16))

    def elements(self, table, monitor):
        """Compares what QEMU reads of the next requests, through its own walk,
        with what lies where ours leads; how many there were."""
        avail = table.at(self.avail, 4 + 2 * self.size)
        first = self.status['last-avail-idx']
        last = struct.unpack_from('<H', avail, 2)[0]
        for n in range(first, last):
            theirs = monitor('x-query-virtio-queue-element', path=self.path,
                             queue=self.number, index=n % self.size)
            (head,) = struct.unpack_from('<H', avail, 4 + n % self.size * 2)
            addr, length, _, _ = self.descriptor(table, head)
            check(theirs and theirs['descs'][0]['addr'] == addr and
                  theirs['descs'][0]['len'] == length,
                  f'{self.path} queue {self.number} element {n}: QEMU reads '
                  f'{theirs}, we {addr:#x} {length}')
        return last - first


class Test:
    def __init__(self, release, tool, decode):
        self.release, self.tool, self.decode = release, tool, decode

    def run(self):
        begin = time.monotonic()
        with Guest(fetched_kernel(self.release)) as self.guest:
            ram = self.guest.ram
            roots = list(find_roots(ram, ram.size))
            check(len(roots) >= len(FUNCTIONS), f'{len(FUNCTIONS)} functions '
                  f'have {len(roots)} tables')
            self.tables = [Table(self, root) for root in roots]
            elements = self.virtqueues()
            completions = self.nvme()
            bytes_ = self.frames()
            leaves = sum(len(t.words.leaves) for t in self.tables)
            prots = {p for t in self.tables
                     for _, p in t.words.leaves.values()}
            print(f's390: Linux {self.guest.kernel}: {len(roots)} tables, '
                  f'{leaves} leaves ({" ".join(sorted(prots))}), '
                  f'{elements} elements, {completions} completions, '
                  f'{FRAMES} frames, {bytes_} bytes, '
                  f'{time.monotonic() - begin:.1f} s')

    def only(self, what, fits):
        """The one table that fits."""
        found = [t for t in self.tables if fits(t)]
        check(len(found) == 1, f'{what}: {len(found)} tables lead to what '
              f'QEMU says of it')
        return found[0]

    def seen(self, iova):
        check(f'{iova >> 12:x}' in self.accessed, f'QEMU never used {iova:#x}')

    def virtqueues(self):
        """(e)"""
        self.accessed = set(re.findall('iommu trans addr 0x([0-9a-f]+)'
                                       '[0-9a-f]{3}', self.guest.log()))
        monitor, elements, owners = self.guest.monitor, 0, {}
        devices = monitor('x-query-virtio')
        check(len(devices) == 3, f'three virtio functions, not {devices}')
        for device in devices:
            queues = []
            for number in range(3):
                status = monitor('x-query-virtio-queue-status',
                                 path=device['path'], queue=number)
                if status and status['vring-desc']:
                    queues.append(Queue(device['path'], number, status))
            check(queues, f'{device["name"]} has no queue')
            table = self.only(device['name'], lambda t: all(
                queue.fits(t) for queue in queues))
            for queue in queues:
                self.seen(queue.avail)
                if queue.status['used-idx']:
                    self.seen(queue.used)
                elements += queue.elements(table, monitor)
            owners[device['name']] = table, queues
        self.net = owners['virtio-net']
        check(len({t.root for t, _ in owners.values()}) == 3,
              'two functions share a table')
        return elements

    def nvme(self):
        """(e) NVMe 1.4, 4.6: entries of 16 bytes; phase tag, identifier of
        the submission queue."""
        log = self.guest.log()
        (cq,) = re.findall(r'create_cq .* addr=0x([0-9a-f]+), cqid=1,', log)
        (sq,) = re.findall(r'create_sq .* addr=0x([0-9a-f]+), sqid=1,', log)

        def done(table):
            data = table.at(int(cq, 16), 16 * READS)
            if data is None or table.at(int(sq, 16), 64) is None:
                return 0
            entries = list(struct.iter_unpack('<IIHHHH', data))
            return sum(e[3] == 1 and e[5] == 1 for e in entries)
        table = self.only('nvme', done)
        self.seen(int(cq, 16))
        self.seen(int(sq, 16))
        check(table is not self.net[0], 'two functions share a table')
        return done(table)

    def frames(self):
        """(f) The kernel drops frames of a type nobody knows (IEEE 802: local
        experimental 1) and leaves their bytes in memory."""
        table, queues = self.net
        queue, guest = queues[0], self.guest
        avail = table.at(queue.avail, 4 + 2 * queue.size)
        first = queue.status['last-avail-idx']
        heads = [struct.unpack_from('<H', avail,
                                    4 + (first + n) % queue.size * 2)[0]
                 for n in range(FRAMES)]
        places = [queue.descriptor(table, head)[:2] for head in heads]
        pages = sorted({page for iova, size in places for page in
                        range(iova & -PAGE, iova + size, PAGE)})
        lead = table.walk(pages)
        check(len(lead) == len(pages) and
              all('w' in prot for _, prot in lead.values()),
              'a posted buffer is not mapped for writing')
        frames = [b'\xff' * 6 + b'\x02sluic' + b'\x88\xb5' +
                  os.urandom(46 + n * 11) for n in range(FRAMES)]
        guest.monitor('cont')
        for frame in frames:
            guest.send(frame)
        self.arrived(queue, first + FRAMES)
        guest.monitor('stop')
        for n, (frame, (iova, _)) in enumerate(zip(frames, places)):
            # Behind the header of 12 bytes (virtio 1.2, 5.1.6).
            have = self.gather(lead, iova + 12, len(frame))
            check(have == frame, f'frame {n} at bus address {iova:#x} is not '
                  f'where our walk leads')
        return sum(map(len, frames))

    def arrived(self, queue, index):
        end = time.monotonic() + 60
        while True:
            status = self.guest.monitor('x-query-virtio-queue-status',
                                        path=queue.path, queue=0)
            if status['used-idx'] >= index & 0xffff:
                break
            check(time.monotonic() < end, f'{status["used-idx"]} of {index} '
                  f'frames arrived')
            time.sleep(0.05)

    def gather(self, lead, iova, size):
        out = b''
        while len(out) < size:
            at = iova + len(out)
            some = min(size - len(out), PAGE - at % PAGE)
            out += self.guest.ram.read(lead[at & -PAGE][0] + at % PAGE, some)
        return out


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(f'usage: {sys.argv[0]} RELEASE SLUICE S390_DECODE')
    main(Test(*sys.argv[1:]).run)
