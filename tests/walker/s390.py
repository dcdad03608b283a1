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
queues, (f) Ethernet frames that QEMU's virtio-net puts at bus addresses lie, byte
for byte, where our walk of the kernel's table says, and (g) those that it
takes from bus addresses are what lay there.

    s390.py RELEASE SLUICE S390_DECODE"""

import re
import struct
import subprocess
import sys
import time

from qtest import main
from s390_guest import (FUNCTIONS, READS, Guest, fetched_kernel,
                        fragment)

LEVELS, SLOTS, PAGE = 3, (256, 2048, 2048), 4096
SPAN_LG2 = 12, 20, 31           # of a word at each level
ORIGIN = ~0x7ff, ~0x7ff, ~0xfff     # of levels 1 and 2: the table below
INVALID, PAGE_INVALID, PROTECTED = 0x20, 0x400, 0x200
THIRD = 0x7                     # TT of a region-third table, TL of a full one
WINDOW = 1 << 32                # QEMU's zPCI: the first bus address
FRAMES = 96
NEXT, INDIRECT = 1, 4           # flags of a descriptor
HEADER = 12                     # before a frame (virtio 1.2, 5.1.6)


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

    def walk(self, addresses, more=''):
        """{address: (where it leads, prot)} by our walk, without those that
        lead nowhere; and the other lines."""
        run = self.loaded(''.join(f'walk {iova:#x}\n'
                                  for iova in addresses) + more)
        out, others = {}, []
        for line in run.stdout.splitlines():
            first, *words = line.split()
            if first == 'walk':
                out[int(words[0], 16)] = int(words[1], 16), words[2]
            else:
                others.append(line)
        check(len(out) + run.stderr.count('ENOENT') == len(addresses) and
              len(run.stderr.splitlines()) == run.stderr.count('ENOENT'),
              f'sluice pt: {run.stderr}')
        return out, others

    def walked(self):
        """(b) Every leaf, and the neighbours of each; (c)."""
        leaves = self.words.leaves
        ask = {at for iova in leaves
               for at in (iova - PAGE, iova, iova + PAGE)}
        words = sorted({(level, word) for level, _, _, word in
                        self.words.all})
        self.lead, lines = self.walk(
            sorted(ask | {WINDOW, 0, (1 << 42) - PAGE}),
            ''.join(f'explain {level} {word:#x}\n'
                    for level, word in words))
        check(self.lead == leaves, f'table at {self.root:#x}: our walk leads '
              f'elsewhere')
        check(len(lines) == len(words), f'explain: {len(lines)} answers')
        for (level, word), line in zip(words, lines):
            self.explained(level, word, line)

    def explained(self, level, word, line):
        if word & (INVALID if level else PAGE_INVALID):
            want = 'empty: '
        elif level:
            want = f'link to the table at {word & ORIGIN[level]:#x} '
        else:
            prot = 'r,' if word & PROTECTED else 'rw,'
            want = f'leaf of 0x1000 bytes at {word & -PAGE:#x}, {prot}'
        check(line.startswith(f'explain {level} {word:#018x}: {want}'),
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
        if not all(page in self.lead for page in pages):
            return None
        data = b''.join(self.test.guest.ram.read(self.lead[page][0], PAGE)
                        for page in pages)
        return data[iova % PAGE:][:size]

    def again(self, places):
        """Walks once more to these (bus address, size)."""
        self.lead.update(self.walk(sorted(
            {page for iova, size in places for page in
             range(iova & -PAGE, iova + size, PAGE)}))[0])


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

    def chain(self, table, head):
        """(address, size) of each piece of a request (2.7.5, 2.7.7)."""
        out, data, flags, number = [], None, NEXT, head
        while flags & NEXT:
            addr, size, flags, following = struct.unpack(
                '<QIHH', data[16 * number:][:16] if data else
                table.at(self.desc + 16 * number, 16))
            if flags & INDIRECT:
                data, flags, following = table.at(addr, size), NEXT, 0
                check(data, f'no table of descriptors at {addr:#x}')
            else:
                out.append((addr, size))
            number = following
        return out

    def pending(self, table, status):
        """(place in the ring, chain) of the requests that QEMU has not taken
        yet."""
        avail = table.at(self.avail, 4 + 2 * self.size)
        last = struct.unpack_from('<H', avail, 2)[0]
        out = []
        for n in range(status['last-avail-idx'], last):
            (head,) = struct.unpack_from('<H', avail, 4 + n % self.size * 2)
            out.append((n % self.size, self.chain(table, head)))
        return out

    def elements(self, table, monitor):
        """Compares what QEMU reads of the next requests, through its own walk,
        with what lies where ours leads; how many there were."""
        pending = self.pending(table, self.status)
        for index, ours in pending:
            theirs = monitor('x-query-virtio-queue-element', path=self.path,
                             queue=self.number, index=index)
            check(theirs and [(d['addr'], d['len'])
                              for d in theirs['descs']] == ours,
                  f'{self.path} queue {self.number} element {index}: QEMU '
                  f'reads {theirs}, we {ours}')
            for addr, size in ours:
                check(table.at(addr, size), f'nothing at {addr:#x}')
        return len(pending)


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
            leaves = [prot for t in self.tables
                      for _, prot in t.words.leaves.values()]
            self.prots = set(leaves)
            arrived, left = self.received(), self.sent()
            check(self.prots == {'r', 'rw'}, f'all leaves are {self.prots}')
            print(f's390: Linux {self.guest.kernel}: {len(roots)} tables, '
                  f'{len(leaves)} leaves ({leaves.count("r")} read-only), '
                  f'{elements} elements, {completions} completions, '
                  f'{FRAMES} frames in ({arrived} bytes), {left} out, '
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

    def status(self, queue):
        return self.guest.monitor('x-query-virtio-queue-status',
                                  path=queue.path, queue=queue.number)

    def received(self):
        """(f)"""
        (table, (queue, *_)), guest = self.net, self.guest
        places = [chain[0] for _, chain in
                  queue.pending(table, self.status(queue))[:FRAMES]]
        check(all('w' in table.lead[iova & -PAGE][1] for iova, _ in places),
              'a posted buffer is not mapped for writing')
        frames = [fragment(n + 1, 704 + 8 * n) for n in range(FRAMES)]
        end = time.monotonic() + 60
        want = queue.status['used-idx'] + FRAMES
        guest.monitor('cont')
        for frame in frames:
            guest.send(frame)
        while self.status(queue)['used-idx'] < want:
            check(time.monotonic() < end, 'the guest did not take the frames')
            time.sleep(0.05)
        guest.monitor('stop')
        for n, (frame, (iova, _)) in enumerate(zip(frames, places)):
            check(table.at(iova + HEADER, len(frame)) == frame, f'frame {n} '
                  f'at bus address {iova:#x} is not where our walk leads')
        return sum(map(len, frames))

    def sent(self):
        """(g)"""
        (table, (_, queue, *_)), guest = self.net, self.guest
        pending = [chain for _, chain in
                   queue.pending(table, self.status(queue))]
        check(len(pending) > 4, f'{len(pending)} frames wait')
        table.again([place for chain in pending for place in chain])
        frames = [b''.join(table.at(*place) for place in chain)[HEADER:]
                  for chain in pending]
        self.prots.update(table.lead[iova & -PAGE][1]
                          for chain in pending for iova, _ in chain)
        guest.monitor('cont')
        left = list(frames)
        while left:
            frame = guest.receive(30)
            check(frame is not None, f'{len(left)} of {len(frames)} frames '
                  f'that our walk found did not come')
            if frame == left[0]:
                left.pop(0)
        return len(frames)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(f'usage: {sys.argv[0]} RELEASE SLUICE S390_DECODE')
    main(Test(*sys.argv[1:]).run)
