#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`sluice groups` from outside: exit codes, the table, the JSON shape, on
captured trees. Knows the command line and no library."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile

# In a cross build Meson names the emulator.
TOOL = [*shlex.split(os.environ.get('MESON_EXE_WRAPPER', '')), sys.argv[1]]
DATA = sys.argv[2]


def unpack(folder, name):
    with tarfile.open(os.path.join(DATA, name + '.tar.gz')) as t:
        t.extractall(folder)
    case = os.path.join(folder, name)
    with open(os.path.join(case, 'links.txt'), encoding='utf-8') as f:
        for line in f.read().splitlines():
            path, target = line.split(' -> ')
            path = os.path.join(case, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(target, path)
    return os.path.join(case, 'sys')


def run(*args, status=0):
    r = subprocess.run([*TOOL, 'groups', *args], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True, check=False)
    assert r.returncode == status, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout, r.stderr


def has(text, *words):
    for word in words:
        assert word in text, (word, text)


def json_of(*args):
    out, _ = run('--json', *args)
    doc = json.loads(out)
    assert doc['schema'] == 'sluice-groups/1'
    return doc


def expected(sys_dir, name):
    path = os.path.join(os.path.dirname(sys_dir), name)
    with open(path, encoding='utf-8') as f:
        return [line for line in f.read().splitlines() if line]


def watch(tmp):
    tree = unpack(os.path.join(tmp, 'w'), 'x86-vtd-13-pci-bridge-root')
    out, _ = run('--sysfs', tree, '--watch', '--for', '0.1')
    has(out, 'watching ', ' groups, ', ' devices\n')
    out, _ = run('--sysfs', tree, '--watch', '--json', '--for=0')
    ready = json.loads(out)
    doc = json_of('--sysfs', tree)
    assert ready == {
        'schema': 'sluice-watch/1', 'event': 'ready',
        'groups': len(doc['groups']),
        'devices': len(doc['ungrouped']) +
        sum(len(g['devices']) for g in doc['groups'])}, ready
    path = os.path.join(tmp, 'watch.json')
    out, _ = run('--sysfs', tree, '--watch', '--json=' + path, '--for', '0')
    assert out == ''
    with open(path, encoding='utf-8') as f:
        assert json.load(f) == ready
    # It ends by a signal, and says nothing about that.
    for sig in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen([*TOOL, 'groups', '--sysfs', tree, '--watch'],
                              stdout=subprocess.PIPE, text=True) as p:
            has(p.stdout.readline(), 'watching ')
            p.send_signal(sig)
            assert p.wait(timeout=30) == 0
    for bad in ('x', '-1', 'inf', '1s', '1e10'):
        _, err = run('--watch', '--for', bad, status=2)
        has(err, '--for ' + bad)
    _, err = run('--watch', '--sysfs', os.path.join(tmp, 'none'), status=1)
    has(err, 'none')
    _, err = run('--watch', '--json=' + tmp, status=1)
    has(err, 'cannot write')
    for args in (['--for', '1'], ['--watch', '--compute'], ['--watch', '--dot'],
                 ['--watch', '--explain', 'a'], ['--watch', '--plan', 'a']):
        _, err = run(*args, status=2)
        has(err, '--watch')


def bridge(tmp):
    tree = unpack(tmp, 'x86-vtd-13-pci-bridge-root')
    out, _ = run('--sysfs', tree)
    has(out, '0000:01:03.0  virtio-pci', 'bridge', 'DMA-FQ', '--explain')
    out, _ = run('--sysfs', tree, '--explain', '01:02.0')
    has(out, 'group 1', 'not viable', '0x00000000fee00000', 'msi',
        '    echo 0000:01:03.0 > /sys/bus/pci/drivers/virtio-pci/unbind\n')
    one = json_of('--sysfs=' + tree, '--explain=0000:01:02.0')['groups']
    assert len(one) == 1
    g = one[0]
    assert g['devices'] == ['0000:00:04.0', '0000:01:01.0', '0000:01:02.0',
                            '0000:01:03.0']
    assert g['viable'] is False and g['id'] == 1
    assert [(r['a'], r['b'], r['rule']) for r in g['reasons']] == [
        (f'0000:01:0{i}.0', '0000:00:04.0', 'bridge-alias')
        for i in (1, 2, 3)]
    # The kernel alone does not tell why.
    assert not any(g['reasons'] for g in json_of('--sysfs', tree)['groups'])
    out, _ = run('--sysfs', tree, '--explain', '01:02.0')
    has(out, "reaches memory as 0000:00:04.0, the bridge's alias",
        'to separate them')
    out, _ = run('--sysfs', tree, '--compute')
    has(out, '0000:01:03.0  virtio-pci')
    out, _ = run('--sysfs', tree, '--dot')
    has(out, 'digraph', 'subgraph cluster_1', 'bridge-alias',
        '"0000:00:04.0" -> "0000:01:02.0"')
    assert [m['blocks'] for m in g['members']] == [False] * 3 + [True]
    assert g['reserved'] == [{'first': '0x00000000fee00000',
                              'last': '0x00000000feefffff', 'type': 'msi'}]
    has(g['explain'], 'virtio-pci/unbind')
    _, err = run('--sysfs', tree, '--explain', '0000:99:00.0', status=1)
    has(err, '0000:99:00.0')
    assert len(json_of('-', '--sysfs', tree)['groups']) == 4


def partition(tmp, name):
    tree = unpack(tmp, name)
    doc = json_of('--sysfs', tree)
    want = {frozenset(line.split(':', 1)[1].split())
            for line in expected(tree, 'expected-groups.txt')}
    assert {frozenset(g['devices']) for g in doc['groups']} == want
    assert doc['ungrouped'] == expected(tree, 'expected-ungrouped.txt')
    for device in doc['ungrouped'][:1]:
        _, err = run('--sysfs', tree, '--explain', device, status=1)
        has(err, device, 'no group')
        run('--sysfs', tree, '--explain', device[5:], status=1)


def differs(tmp):
    """What the kernel did is said, and that the rules would not."""
    tree = unpack(tmp, 'x86-vtd-113-hotplug-mf-b-added')
    out, _ = run('--sysfs', tree, '--explain', '01:00.0')
    has(out, 'another answer than this kernel',
        'computed: 0000:01:00.0 0000:01:00.1')
    tree = unpack(tmp, 'arm64-smmuv3-05-mf-rootports-mixed')
    out, _ = run('--sysfs', tree, '--explain', '01:00.0')
    has(out, 'has ACS, but switched off: SrcValid-', 'switch ACS')
    tree = unpack(tmp, 'x86-virtio-07-nodrivers')
    doc = json_of('--sysfs', tree, '--compute')
    has(doc['ungrouped_reasons']['0000:01:00.0'], 'no driver is bound')
    has(doc['ungrouped_reasons']['0000:00:02.0'], 'is an IOMMU itself')


def plan(tmp):
    tree = unpack(tmp, 'x86-vtd-02-rootports')
    out, _ = run('--sysfs', tree, '--plan', '01:00.0,0000:02:00.0')
    has(out, '1 domain for 2 groups', '0000:02:00.0', '48 address bits')
    out, _ = run('--sysfs', tree, '--plan', '01:00.0,02:00.0', '--json=-')
    doc = json.loads(out)
    assert doc['schema'] == 'sluice-plan/1' and doc['domains'] == 1
    assert [g['domain'] for g in doc['groups']] == [0, 0]
    _, err = run('--sysfs', tree, '--plan', '01:00.0,99:00.0', status=1)
    has(err, '99:00.0')
    run('--sysfs', tree, '--plan', ',', status=2)


def no_iommu(tmp):
    tree = unpack(tmp, 'x86-vtd-47-iommu-off')
    out, err = run('--sysfs', tree)
    assert out == ''
    has(err, 'no IOMMU groups', 'intel_iommu=on')
    assert json_of('--sysfs', tree)['groups'] == []
    run('--sysfs', tree, '--explain', '0000:00:01.0', status=1)


def usage(tmp):
    out, _ = run('--help')
    has(out, '--sysfs', '--explain', '--json')
    has(run('--version')[0], 'sluice')
    for args in (['--nonsense'], ['--sysfs'], ['--explain'], ['--explain='],
                 ['extra'], ['--jsonx'], ['--computed']):
        out, err = run(*args, status=2)
        assert out == '' and err, args
    _, err = run('--sysfs', os.path.join(tmp, 'nowhere'), status=1)
    has(err, 'nowhere')
    target = os.path.join(tmp, 'out.json')
    run('--sysfs', tmp, '--json=' + target)
    with open(target, encoding='utf-8') as f:
        assert json.load(f)['groups'] == []
    run('--sysfs', tmp, '--json=/nonexistent/x', status=1)


def hostile(tmp):
    name = 'a\nb\033[2J\udcff'
    devices = os.path.join(tmp, 'h', 'kernel', 'iommu_groups', '1', 'devices')
    os.makedirs(devices)
    os.symlink('nowhere/' + name, os.path.join(devices, 'x'))
    tree = os.path.join(tmp, 'h')
    assert json_of('--sysfs', tree)['groups'][0]['devices'] == ['a?b?[2J?']
    assert '\033' not in run('--sysfs', tree)[0]


def main():
    with tempfile.TemporaryDirectory() as tmp:
        bridge(tmp)
        for name in ('x86-amdvi-08-mf-endpoints-rp', 's390x-zpci-02-several',
                     'arm64-smmuv3-11-pcie-pci-bridge-rp',
                     'ppc64-powernv9-02-mf'):
            partition(tmp, name)
        no_iommu(tmp)
        differs(tmp)
        plan(tmp)
        watch(tmp)
        hostile(tmp)
        usage(tmp)
    print('groups command line: ok')


if __name__ == '__main__':
    main()
