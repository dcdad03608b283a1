# SPDX-License-Identifier: BSD-3-Clause
"""A stock Debian s390x kernel in QEMU with virtio and NVMe functions behind
zPCI: the initramfs, the machine, its monitor, and Ethernet frames into it.
Knows nothing of translation tables.

    with Guest(kernel_folder) as g:     # up, its devices in use, and stopped
        g.ram.read(0x100000, 8)
        g.monitor('cont')

The guest's network leads to a socket that nobody reads until receive(): the
last of the frames that the guest sends stay in its queue."""

import gzip
import json
import os
import re
import socket
import struct
import subprocess
import time

from qtest import HERE, Qemu, QemuError, Skip, qemu11

MIB = 1 << 20
FETCH = os.path.join(HERE, '..', '..', 'scripts', 'fetch-s390')
READY = 'sluice: ready'
WANTED = 'virtio_pci', 'virtio_rng', 'virtio_net', 'virtio_blk', 'nvme'
READS = 16                      # of 4 KiB, from each disk of 1 MiB
TRACE = ('s390_pci_iommu_xlate', 'pci_nvme_create_sq', 'pci_nvme_create_cq')
MAC, NEAR, FAR = bytes.fromhex('525400510ce0'), '10.0.0.2', '10.0.0.1'
VIRTIO = 'iommu_platform=on,disable-legacy=on'
FUNCTIONS = (f'virtio-rng-pci,{VIRTIO}',
             f'virtio-net-pci,netdev=net,mac={MAC.hex(":")},romfile=,{VIRTIO}',
             f'virtio-blk-pci,drive=disk0,{VIRTIO}',
             'nvme,drive=disk1,serial=sluice')

INIT = f'''#!/bin/busybox sh
export PATH=/bin
busybox mkdir -p /proc /sys /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
for module in MODULES; do busybox insmod /modules/$module.ko; done
for try in 1 2 3 4 5 6 7 8 9 10; do
	[ -b /dev/vda ] && [ -b /dev/nvme0n1 ] && break
	busybox sleep 1
done
busybox ip link set eth0 up
busybox ip address add {NEAR}/24 broadcast 10.0.0.255 dev eth0
for disk in vda nvme0n1; do
	busybox dd if=/dev/$disk of=/dev/null bs=4k count={READS} 2>&1
done
# A full queue, where a kernel would keep it short.
for limit in /sys/class/net/eth0/queues/tx-*/byte_queue_limits/limit_min; do
	[ -e $limit ] && echo 1000000 >$limit
done
# More fragments than the host's socket takes while nobody reads it.
busybox ping -c 1 -W 1 -s 60000 10.0.0.255 >/dev/null
busybox uname -r
echo '{READY}'
while :; do busybox sleep 1000; done
'''


def fetched_kernel(release):
    """The folder of scripts/fetch-s390."""
    run = subprocess.run([FETCH, release], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True)
    if run.returncode == 77:
        raise Skip(run.stderr.strip())
    if run.returncode != 0:
        raise QemuError(f'fetch-s390: exit {run.returncode}: {run.stderr}')
    return run.stdout.strip()


def read(*path):
    with open(os.path.join(*path), 'rb') as f:
        return f.read()


def in_order(folder):
    """The wanted modules with those that they need before them; what is no
    file is built in."""
    paths = {name[:-3].replace('-', '_'): os.path.join(folder, name)
             for name in os.listdir(folder)}
    order = []

    def add(name):
        if name in order or name not in paths:
            return
        needs = re.search(rb'\0depends=([^\0]*)', read(paths[name]))
        for need in needs.group(1).decode().split(',') if needs else ():
            add(need.replace('-', '_'))
        order.append(name)
    for name in WANTED:
        add(name)
    return [(name, read(paths[name])) for name in order]


def newc(files):
    """A cpio archive (format newc) of (name, mode, bytes)."""
    out = []
    for number, (name, mode, data) in enumerate(
            [*files, ('TRAILER!!!', 0, b'')]):
        name = name.encode() + b'\0'
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name),
                  0)
        head = b'070701' + b''.join(b'%08x' % x for x in fields) + name
        for part in head, data:
            out += [part, bytes(-len(part) % 4)]
    return b''.join(out)


def initramfs(folder):
    modules = in_order(os.path.join(folder, 'modules'))
    init = INIT.replace('MODULES', ' '.join(name for name, _ in modules))
    files = [(name, 0o40755, b'') for name in ('bin', 'modules')]
    files += [('bin/busybox', 0o100755, read(folder, 'busybox')),
              ('init', 0o100755, init.encode())]
    files += [(f'modules/{name}.ko', 0o100644, data)
              for name, data in modules]
    return gzip.compress(newc(files), 1)


def fragment(number, size):
    """An Ethernet frame with the first fragment of an IPv4 datagram (RFC
    791, 3.1) whose rest never comes: the kernel keeps it for 30 seconds,
    and where it is unless it is short (some 450 bytes). size: of its random
    data, a multiple of 8."""
    head = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + size, number, 0x2000,
                       64, 17, 0, socket.inet_aton(FAR),
                       socket.inet_aton(NEAR))
    total = sum(struct.unpack('>10H', head))
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack('>H', ~total & 0xffff) + head[12:]
    return MAC + b'\x02sluic' + b'\x08\x00' + head + os.urandom(size)


class Guest:
    """timeout: seconds that it may take to come up."""

    def __init__(self, folder, timeout=200):
        qemu = qemu11('s390x')
        if not os.path.exists(qemu):
            raise Skip('the cached QEMU has no qemu-system-s390x: run '
                       'scripts/fetch-qemu --update')
        disk = bytes(MIB)
        self.q = Qemu(qemu, self.args(folder), [(0, 256 * MIB)], 'tcg',
                      {'initrd': initramfs(folder), 'disk0': disk,
                       'disk1': disk}, timeout)
        try:
            self.ram = self.q.ram
            self.net = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.net.bind(self.path('host'))
            self.wait(timeout)
            self.qmp = socket.socket(socket.AF_UNIX)
            self.qmp.settimeout(60)
            self.qmp.connect(self.path('qmp'))
            self.file = self.qmp.makefile('rw')
            self.file.readline()
            self.monitor('qmp_capabilities')
            # What the kernel does after the last line of the script.
            time.sleep(0.5)
            self.monitor('stop')
        except BaseException:
            self.q.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.q.close()

    @staticmethod
    def args(folder):
        functions = []
        for n in 0, 1:
            functions += ['-drive', f'if=none,format=raw,id=disk{n},'
                          f'file={{folder}}/disk{n}']
        for n, what in enumerate(FUNCTIONS, 1):
            functions += ['-device', f'zpci,uid={n},fid={n},target=f{n}',
                          '-device', f'{what},id=f{n}']
        return ['-M', 's390-ccw-virtio', '-cpu', 'max', '-smp', '1',
                '-kernel', os.path.join(folder, 'vmlinuz'),
                '-initrd', '{folder}/initrd',
                '-append', 'console=ttysclp0 quiet',
                '-chardev', 'file,id=console,path={folder}/console',
                '-device', 'sclpconsole,chardev=console',
                '-netdev', 'dgram,id=net,local.type=unix,local.path='
                '{folder}/guest,remote.type=unix,remote.path={folder}/host',
                *functions, '-qmp', 'unix:{folder}/qmp,server=on,wait=off',
                '-d', ','.join('trace:' + event for event in TRACE),
                '-D', '{folder}/log']

    def path(self, name):
        return os.path.join(self.q.folder, name)

    def wait(self, timeout):
        end = time.monotonic() + timeout
        while True:
            console = read(self.path('console')).decode(errors='replace')
            if READY in console:
                self.kernel = console.split(READY)[0].split()[-1]
                return
            if self.q.process.poll() is not None:
                self.q.fail(f'exit {self.q.process.returncode}')
            if time.monotonic() > end:
                self.q.fail(f'the kernel is not up:\n{console}')
            time.sleep(0.1)

    def monitor(self, command, **arguments):
        """The answer, or None where QEMU refused."""
        self.file.write(json.dumps({'execute': command,
                                    'arguments': arguments}) + '\n')
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                self.q.died('the monitor is closed')
            answer = json.loads(line)
            if 'return' in answer or 'error' in answer:
                return answer.get('return')

    def log(self):
        """The trace so far."""
        return read(self.path('log')).decode(errors='replace')

    def send(self, frame):
        self.net.sendto(frame, self.path('guest'))

    def receive(self, seconds):
        """A frame, or None when none comes."""
        self.net.settimeout(seconds)
        try:
            return self.net.recv(65536)
        except socket.timeout:
            return None
