#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The groups that `sluice groups --compute` makes of each captured machine
against those that its kernel made: the same partition and the same devices in
no group. Every reason must name two members, and reasons must connect a group.

    machines.py SLUICE DATA"""

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor

# At hot-add these kernels group a function before they know that it is one of
# several: the same configuration space, other groups than at boot.
ORDER = {'x86-vtd-53-remove-rescan-c-rescanned',
         'x86-vtd-113-hotplug-mf-b-added'}


# Where only the devices' links to their IOMMU tell which it has: the kernel waits
# for drivers, or refused some; powernv: firmware's endpoints.
BY_LINK = re.compile('arm64|ppc64-powernv|x86-virtio|riscv64')


def unpack(archive, to):
    """Links are listed in a file: a git checkout must not need them. Returns
    the tree, and the links of its devices to their IOMMUs."""
    links = []
    with tarfile.open(archive) as tar:
        tar.extractall(to)
    top = os.path.join(to, os.listdir(to)[0])
    with open(os.path.join(top, 'links.txt')) as f:
        for line in f:
            path, target = line.rstrip('\n').split(' -> ')
            path = os.path.join(top, path)
            if os.path.basename(path) == 'iommu':
                links.append(path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not os.path.lexists(path):
                os.symlink(target, path)
    return top, links


def lines(top, name):
    with open(os.path.join(top, name)) as f:
        return f.read().splitlines()


def connected(group):
    """Whether the reasons lead from any member to any other, maybe by way of a
    device that no IOMMU has."""
    seen, left = {group['devices'][0]}, list(group['reasons'])
    while True:
        more = [r for r in left if r['a'] in seen or r['b'] in seen]
        if not more:
            break
        for r in more:
            seen |= {r['a'], r['b']}
            left.remove(r)
    return not left and seen >= set(group['devices'])


def check(sluice, top):
    # A wrapper runs what was built for another processor.
    tool = [*shlex.split(os.environ.get('MESON_EXE_WRAPPER', '')), sluice]
    out = subprocess.run([*tool, 'groups', '--compute', '--json', '--sysfs',
                          top], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    if out.returncode:
        return [out.stderr.decode()]
    got = json.loads(out.stdout)
    wrong = []
    want = {frozenset(line.split(': ', 1)[1].split())
            for line in lines(top, 'expected-groups.txt')}
    have = {frozenset(g['devices']) for g in got['groups']}
    for g in want - have:
        wrong.append(f'the kernel has {sorted(g)}')
    for g in have - want:
        wrong.append(f'computed {sorted(g)}')
    loose = set(lines(top, 'expected-ungrouped.txt')) - {''}
    if loose != set(got['ungrouped']):
        wrong.append(f'in no group {sorted(loose)}, computed '
                     f'{sorted(got["ungrouped"])}')
    for g in got['groups']:
        if not connected(g):
            wrong.append(f'{g["devices"]}: reasons {g["reasons"]}')
    return wrong


def main(sluice, data):
    def one(case):
        with tempfile.TemporaryDirectory() as tmp:
            top, links = unpack(f'{data}/{case}.tar.gz', tmp)
            wrong = check(sluice, top)
            # Also by what firmware's tables say alone.
            if not BY_LINK.match(case) and not wrong:
                for link in links:
                    os.remove(link)
                wrong = check(sluice, top)
        return wrong

    failed, differ = [], set()
    cases = sorted(f[:-len('.tar.gz')] for f in os.listdir(data)
                   if f.endswith('.tar.gz'))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(one, cases)
    for case, wrong in zip(cases, results):
        if wrong and case in ORDER:
            differ.add(case)
        elif wrong:
            failed.append(case)
            print(f'{case}:', *wrong, sep='\n    ')
    print(f'{len(cases)} machines, {len(differ)} known to differ')
    if failed or differ != ORDER:
        sys.exit(f'FAILED: {" ".join(failed)}, differ: {" ".join(differ)}')


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
