# SPDX-License-Identifier: BSD-3-Clause
"""QEMU driven over its qtest socket: finding it, starting it, the line
protocol, guest memory and PCI configuration. Knows nothing of IOMMUs, page
tables or test devices.

    with Qemu(qemu11('x86_64'), ['-M', 'q35', '-device', 'iommu-testdev'],
              ram=pc_ram(4 << 30)) as q:
        dev = q35_pci(q).find(0x1b36, 0x0005)
        bar = dev.enable(0xc0000000)
        q.writel(bar + 4, 0x1000)           # one command, one answer
        b = q.batch()                       # many commands, one round trip
        b.writel(bar + 0x14, 1)
        at = b.readl(bar + 0x10)
        print(hex(b.run()[at]))
        q.ram.write(0x100000, b'bytes')     # guest memory itself, by address

The guest's memory is a sparse file mapped by QEMU and by this process: q.ram
reads and writes it without QEMU, and says which parts were ever written.
Skip means exit 77, QemuError that QEMU failed; its stderr is in the text."""

import ctypes
import mmap
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FETCH = os.path.join(HERE, '..', '..', 'scripts', 'fetch-qemu')
PR_SET_PDEATHSIG = 1


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


class QemuError(Exception):
    """QEMU did not start, answered with an error or not at all."""


def qemu11(arch):
    """The path of qemu-system-ARCH, 11 or later, from scripts/fetch-qemu."""
    run = subprocess.run([FETCH], stdout=subprocess.PIPE, text=True,
                         stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    if run.returncode == 77:
        raise Skip(run.stderr.strip())
    if run.returncode != 0:
        raise QemuError(f'fetch-qemu: exit {run.returncode}: {run.stderr}')
    return os.path.join(run.stdout.strip(), 'qemu-system-' + arch)


def system_qemu(arch, *devices):
    """The path of the machine's own qemu-system-ARCH, which must know these
    devices: a name, or name,property."""
    path = shutil.which('qemu-system-' + arch)
    if path is None:
        raise Skip(f'qemu-system-{arch} is not installed')
    for device in devices:
        name, _, prop = device.partition(',')
        run = subprocess.run([path, '-M', 'none', '-device', name + ',help'],
                             stdin=subprocess.DEVNULL, text=True,
                             capture_output=True)
        if run.returncode != 0 or f'{prop}=' not in run.stdout:
            raise Skip(f'{path} has no {device}')
    return path


class Ram:
    """Guest memory: regions of (guest address, length), laid one after the
    other into a sparse file."""

    def __init__(self, folder, regions):
        self.regions = []
        self.size = 0
        for base, size in regions:
            self.regions.append((base, self.size, size))
            self.size += size
        self.path = os.path.join(folder, 'ram')
        self.file = open(self.path, 'w+b')
        self.file.truncate(self.size)
        self.map = mmap.mmap(self.file.fileno(), self.size)

    def close(self):
        self.map.close()
        self.file.close()

    def offset(self, gpa, size):
        for base, off, length in self.regions:
            if base <= gpa and gpa + size <= base + length:
                return gpa - base + off
        raise ValueError(f'{gpa:#x}+{size:#x} is not memory')

    def gpa(self, offset):
        for base, off, length in self.regions:
            if off <= offset < off + length:
                return offset - off + base
        raise ValueError(f'{offset:#x} is beyond the memory')

    def read(self, gpa, size):
        off = self.offset(gpa, size)
        return self.map[off:off + size]

    def write(self, gpa, data):
        off = self.offset(gpa, len(data))
        self.map[off:off + len(data)] = data

    def clear(self):
        """All of it becomes zero again, and takes no room. Only while no CPU
        and no device of the guest uses memory."""
        self.file.truncate(0)
        self.file.truncate(self.size)

    def readq(self, gpa):
        return struct.unpack_from('<Q', self.map, self.offset(gpa, 8))[0]

    def writeq(self, gpa, value):
        struct.pack_into('<Q', self.map, self.offset(gpa, 8), value)

    def written(self):
        """(guest address, bytes) of every 4 KiB page that is not zero; pages
        that nobody ever touched are not even looked at."""
        fd, at = self.file.fileno(), 0
        zero = bytes(4096)
        while at < self.size:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA) & ~4095
            except OSError:
                return
            end = os.lseek(fd, at, os.SEEK_HOLE)
            for page in range(at, end, 4096):
                data = self.map[page:page + 4096]
                if data != zero[:len(data)]:
                    yield self.gpa(page), data
            at = end


def memory_folder():
    """Where a file of guest memory costs no disk; None: the usual place. It
    is sparse, but a full file system would end QEMU with SIGBUS."""
    try:
        free = os.statvfs('/dev/shm')
    except OSError:
        return None
    roomy = free.f_bavail * free.f_frsize >= 1 << 30
    return '/dev/shm' if roomy and os.access('/dev/shm', os.W_OK) else None


def pc_ram(size):
    """The regions of q35's memory: what is over 2 GiB lies above 4 GiB."""
    if size < 0xb0000000:
        return [(0, size)]
    return [(0, 2 << 30), (4 << 30, size - (2 << 30))]


class Batch:
    """Commands that are sent together. Each method returns the place of its
    answer in the list that run() returns: an int for reads, bytes for read(),
    None for the rest."""

    def __init__(self, qemu):
        self.qemu = qemu
        self.lines = []
        self.parse = []

    def add(self, line, parse=None):
        self.lines.append(line)
        self.parse.append(parse)
        return len(self.lines) - 1

    def run(self):
        lines, parse = self.lines, self.parse
        self.lines, self.parse = [], []
        answers = self.qemu.exchange(lines)
        return [p(a) if p else None for p, a in zip(parse, answers)]

    def clock_step(self, ns):
        """Virtual time; -accel qtest only."""
        return self.add(f'clock_step {ns}')

    def memset(self, addr, size, byte):
        return self.add(f'memset {addr:#x} {size:#x} {byte:#x}')

    def write(self, addr, data):
        return self.add(f'write {addr:#x} {len(data):#x} 0x{data.hex()}')

    def read(self, addr, size):
        return self.add(f'read {addr:#x} {size:#x}',
                        lambda a: bytes.fromhex(a[2:]))


def number(answer):
    return int(answer, 16)


def _commands():
    """readb … writeq, inb … outl, in Batch and, one at a time, in Qemu."""
    def put(name):
        def method(self, addr, value):
            return self.add(f'{name} {addr:#x} {value:#x}')
        return method

    def get(name):
        def method(self, addr):
            return self.add(f'{name} {addr:#x}', number)
        return method

    def single(name):
        def method(self, *args):
            b = self.batch()
            getattr(b, name)(*args)
            return b.run()[0]
        return method

    for size in 'bwlq':
        setattr(Batch, 'write' + size, put('write' + size))
        setattr(Batch, 'read' + size, get('read' + size))
    for size in 'bwl':
        setattr(Batch, 'out' + size, put('out' + size))
        setattr(Batch, 'in' + size, get('in' + size))
    for name in ('clock_step', 'memset', 'write', 'read', *(
            way + size for way in ('read', 'write') for size in 'bwlq'), *(
            way + size for way in ('in', 'out') for size in 'bwl')):
        setattr(Qemu, name, single(name))


class Qemu:
    """A running QEMU. args: the machine and its devices; ram: the regions of
    its memory (their sum becomes -m). The rest of the command line is added
    here. files: {name: bytes} that args may refer to as {folder}/name.
    timeout: seconds that one answer may take."""

    def __init__(self, binary, args, ram, accel='qtest', files=(),
                 timeout=60):
        self.timeout = timeout
        self.process = self.sock = self.ram = None
        self.folder = tempfile.mkdtemp(prefix='sluice-walker.',
                                       dir=memory_folder())
        try:
            self.ram = Ram(self.folder, ram)
            for name, data in dict(files).items():
                with open(os.path.join(self.folder, name), 'wb') as f:
                    f.write(data)
            self.start(binary, [a.replace('{folder}', self.folder)
                                for a in args], accel)
        except BaseException:
            self.close()
            raise

    def start(self, binary, args, accel):
        path = os.path.join(self.folder, 'qtest')
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            size = self.ram.size
            self.argv = [
                binary, *args, '-accel', accel, '-m', str(size >> 20),
                '-object', f'memory-backend-file,id=ram,size={size},'
                f'mem-path={self.ram.path},share=on',
                '-machine', 'memory-backend=ram', '-nodefaults',
                '-display', 'none', '-no-user-config',
                '-qtest', 'unix:' + path, '-qtest-log', '/dev/null']
            self.stderr = open(os.path.join(self.folder, 'stderr'), 'w+')
            libc = ctypes.CDLL(None)
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=self.stderr,
                stderr=self.stderr, preexec_fn=lambda: libc.prctl(
                    PR_SET_PDEATHSIG, signal.SIGKILL))
            listener.settimeout(0.1)
            end = time.monotonic() + self.timeout
            while self.sock is None:
                try:
                    self.sock = listener.accept()[0]
                except socket.timeout:
                    if self.process.poll() is not None:
                        self.fail(f'exit {self.process.returncode}')
                    if time.monotonic() > end:
                        self.fail(f'not up within {self.timeout} s')
        self.sock.setblocking(False)
        self.input = b''

    def errors(self):
        """What QEMU wrote on stdout and stderr."""
        self.stderr.flush()
        with open(self.stderr.name, errors='replace') as f:
            return f.read()

    def fail(self, what):
        raise QemuError(f'QEMU: {what}\n{" ".join(self.argv)}\n'
                        f'{self.errors()}')

    def close(self):
        if self.sock is not None:
            self.sock.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.stderr.close()
        if self.ram is not None:
            self.ram.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def batch(self):
        return Batch(self)

    def exchange(self, lines):
        """Sends the lines and returns what follows OK in each answer. Sends
        and receives at once: neither side can block the other."""
        out = memoryview(('\n'.join(lines) + '\n').encode() if lines else b'')
        answers = []
        poll = select.poll()
        end = time.monotonic() + self.timeout
        while len(answers) < len(lines):
            poll.register(self.sock, select.POLLIN |
                          (select.POLLOUT if out else 0))
            if not poll.poll(1000) and time.monotonic() > end:
                self.fail(f'no answer within {self.timeout} s to '
                          f'{lines[len(answers)]}')
            try:
                if out:
                    out = out[self.sock.send(out):]
            except BlockingIOError:
                pass
            except OSError as e:
                self.died(e)
            answers += self.receive()
        for line, answer in zip(lines, answers):
            if not answer.startswith('OK'):
                self.fail(f'{line}: {answer}')
        return [answer[3:] for answer in answers]

    def receive(self):
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return []
        except OSError as e:
            self.died(e)
        if not data:
            self.died('closed the socket')
        *whole, self.input = (self.input + data).split(b'\n')
        return [a.decode() for a in whole if not a.startswith(b'IRQ')]

    def died(self, why):
        try:
            why = f'exit {self.process.wait(5)}'
        except subprocess.TimeoutExpired:
            pass
        self.fail(f'gone: {why}')


_commands()


class PciDevice:
    def __init__(self, pci, devfn):
        self.pci = pci
        self.devfn = devfn

    def enable(self, bar):
        """Puts BAR 0 at that address; memory and bus mastering on."""
        self.pci.write(self.devfn, 0x10, bar)
        self.pci.write(self.devfn, 0x04, 0x6)
        return bar


class Pci:
    """Bus 0 through two functions: read(devfn, reg), write(devfn, reg, v)."""

    def __init__(self, read, write):
        self.read = read
        self.write = write

    def find_all(self, vendor, device):
        return [PciDevice(self, devfn) for devfn in range(0, 256, 8)
                if self.read(devfn, 0) == device << 16 | vendor]

    def find(self, vendor, device):
        found = self.find_all(vendor, device)
        if not found:
            raise QemuError(f'no PCI device {vendor:04x}:{device:04x}')
        return found[0]


def q35_pci(q):
    """Configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2)."""
    def read(devfn, reg):
        q.outl(0xcf8, 1 << 31 | devfn << 8 | reg)
        return q.inl(0xcfc)

    def write(devfn, reg, value):
        q.outl(0xcf8, 1 << 31 | devfn << 8 | reg)
        q.outl(0xcfc, value)
    return Pci(read, write)


def ecam_pci(q, base):
    """Memory-mapped configuration (PCI Express 5.0, 7.2.2)."""
    return Pci(lambda devfn, reg: q.readl(base + (devfn << 12) + reg),
               lambda devfn, reg, v: q.writel(base + (devfn << 12) + reg, v))


def main(test):
    """Runs test() as a program of the suite: 0, 1 failed, 77 skipped. When
    meson's patience ends, QEMU and its files go too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('FAILED: terminated'))
    try:
        test()
    except Skip as e:
        print(f'SKIP: {e}', file=sys.stderr)
        sys.exit(77)
    except (QemuError, AssertionError) as e:
        print(f'FAILED: {e}', file=sys.stderr)
        sys.exit(1)
