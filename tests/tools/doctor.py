#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`sluice doctor` on machines made of files: what it finds, what it says to
type, its exit status and its JSON.

    doctor.py SLUICE"""

import json
import os
import shlex
import subprocess
import sys
import tempfile

TOOL = [*shlex.split(os.environ.get('MESON_EXE_WRAPPER', '')), sys.argv[1]]
BDF = '0000:01:00.0'


def write(root, path, text=''):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, 'w', encoding='utf-8') as f:
        f.write(text)


def link(root, path, target):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    os.symlink(target, full)


def healthy(root):
    device = f'sys/devices/pci0000:00/{BDF}'
    write(root, f'{device}/class', '0x010802\n')
    write(root, f'{device}/vendor', '0x1b36\n')
    write(root, f'{device}/device', '0x0010\n')
    link(root, f'{device}/driver', '../../../bus/pci/drivers/vfio-pci')
    link(root, f'{device}/subsystem', '../../../bus/pci')
    link(root, f'{device}/iommu_group', '../../../kernel/iommu_groups/3')
    link(root, f'sys/bus/pci/devices/{BDF}',
         f'../../../devices/pci0000:00/{BDF}')
    link(root, f'sys/kernel/iommu_groups/3/devices/{BDF}',
         f'../../../../devices/pci0000:00/{BDF}')
    write(root, 'sys/kernel/iommu_groups/3/type', 'DMA\n')
    write(root, 'sys/kernel/iommu_groups/3/reserved_regions')
    write(root, 'sys/module/vfio_iommu_type1/parameters/dma_entry_limit',
          '65535\n')
    write(root, 'dev/vfio/vfio')
    write(root, 'proc/self/status', 'Name:\tx\nCapEff:\t0000000000004000\n')
    write(root, 'proc/meminfo',
          'HugePages_Total:      64\nHugePages_Free:       60\n')
    write(root, 'proc/cpuinfo', 'vendor_id : GenuineIntel\n')


def doctor(root, *args, status=0):
    r = subprocess.run([*TOOL, 'doctor', '--root', root, '--json', '-', *args],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       check=False)
    assert r.returncode == status, (r.returncode, r.stdout, r.stderr)
    doc = json.loads(r.stdout)
    assert doc['schema'] == 'sluice-doctor/1'
    return {f['check']: f for f in doc['findings']}


def expect(found, check, state, *words):
    f = found[check]
    assert f['state'] == state, f
    for word in words:
        assert word in f['text'] + f['fix'], (word, f)


def main():
    with tempfile.TemporaryDirectory() as root:
        healthy(root)
        found = doctor(root, '--device', BDF)
        expect(found, 'iommu', 'ok', '1 groups')
        expect(found, 'vfio', 'ok', '65535 mappings')
        expect(found, 'groups', 'ok', 'group 3')
        expect(found, 'memlock', 'ok', 'CAP_IPC_LOCK')
        expect(found, 'hugepages', 'ok', '60 of 64')
        assert found['io_uring']['state'] in ('ok', 'note')
        expect(doctor(root), 'groups', 'ok', '1 groups can be opened')
        expect(doctor(root, '--device', '0000:02:00.0', status=1), 'groups',
               'broken', '--explain 0000:02:00.0')
        driver = os.path.join(root, f'sys/devices/pci0000:00/{BDF}/driver')
        os.remove(driver)
        expect(doctor(root, '--device', BDF, status=1), 'groups', 'broken',
               'no member of group 3 has a VFIO driver')
        expect(doctor(root), 'groups', 'note', '1 would be')
        os.symlink('../../../bus/pci/drivers/nvme', driver)
        expect(doctor(root, '--device', BDF, status=1), 'groups', 'broken',
               'a kernel driver holds')
        os.remove(os.path.join(root, 'dev/vfio/vfio'))
        write(root, 'proc/meminfo', 'HugePages_Free:        0\n')
        write(root, 'sys/kernel/mm/transparent_hugepage/enabled',
              'always madvise [never]\n')
        found = doctor(root, status=1)
        expect(found, 'vfio', 'broken', 'modprobe vfio-pci')
        expect(found, 'hugepages', 'note', 'nr_hugepages', 'echo madvise')
        # Without the right to lock, this process's own limit decides.
        write(root, 'proc/self/status', 'CapEff:\t0000000000000000\n')
        r = subprocess.run(['sh', '-c', 'ulimit -l 64 && exec "$@"', 'sh',
                            *TOOL, 'doctor', '--root', root],
                           stdout=subprocess.PIPE, check=False)
        text = r.stdout.decode()
        assert r.returncode == 1 and 'may pin 64 KiB' in text, text
        assert 'ulimit -l unlimited' in text
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, 'sys'))
        write(root, 'proc/cpuinfo', 'vendor_id : GenuineIntel\n')
        found = doctor(root, status=1)
        expect(found, 'iommu', 'broken', 'intel_iommu=on')
    for args in (['--nonsense'], ['--json'], ['--device', '']):
        r = subprocess.run([*TOOL, 'doctor', *args], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, check=False)
        assert r.returncode == 2 and r.stderr and not r.stdout, args
    print('doctor: ok')


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
