#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads generated code. (1) The inlined translation hit has no locked
instruction, no fence, and calls nothing but the miss path. (2) No function of
pagetable/ and iotlb/ makes an indirect call, except the ones listed here: the
public dispatchers, one call each, and those that take a callback. x86-64 and
optimised builds only; skips (77) elsewhere."""

import glob
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOMS = ('pagetable', 'iotlb')
# Calls what its caller passed in, or the plan of a format when a table is
# created: that is its purpose.
CALLBACK = re.compile(r'dump|tour|pt_tell|wake|^plan$')
# One indirect call, through the format's ops table, at object height: only a
# function that other files call may do that, never an instance of a template.
DISPATCH = re.compile(r'^(sluice_)?pt_\w+$')

LOCKED = re.compile(r'^(lock|mfence|sfence|lfence|xchg\s+.*\()')
INDIRECT = re.compile(r'^(notrack )?(call|jmp)q?\s+\*(.*)$')


def functions(obj):
    """name -> [instruction], with relocation targets of calls appended."""
    out = subprocess.run(['objdump', '-dr', '--no-show-raw-insn', obj],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {}
    body = None
    for line in out.splitlines():
        m = re.match(r'^[0-9a-f]+ <(.+)>:$', line)
        if m:
            body = found.setdefault(m.group(1), [])
            continue
        m = re.match(r'^\s*[0-9a-f]+:\s+(.*)$', line)
        if m and body is not None:
            body.append(m.group(1).strip())
    return found


def global_names(obj):
    out = subprocess.run(['nm', '--defined-only', '-g', obj], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return {line.split()[2] for line in out.splitlines()}


def locked(body):
    return [i for i in body if LOCKED.match(i)]


def indirect(body):
    """Indirect calls and tail calls; a jump through a switch table, which adds
    a table entry to its base right before, is neither."""
    found = []
    insns = [i for i in body if not i.startswith('R_X86_64')]
    for n, insn in enumerate(insns):
        m = INDIRECT.match(insn)
        if not m:
            continue
        before = ' '.join(insns[max(0, n - 6):n])
        table = m.group(2) == 'jmp' and (
            re.search(r'movs?lq|movslq', before) or m.group(3).startswith('0x0(,')
            or re.match(r'0x[0-9a-f]+\(,', m.group(3)))
        if not table:
            found.append(insn)
    return found


def relocs(body):
    return [i.split()[1] for i in body
            if i.startswith(('R_X86_64_PLT32', 'R_X86_64_PC32'))]


def hit_path(root, compiler):
    bad = []
    src = os.path.join(root, 'tests', 'api', 'hitpath.c')
    with tempfile.TemporaryDirectory() as tmp:
        obj = os.path.join(tmp, 'hit.o')
        subprocess.run([compiler, '-std=c17', '-O2', '-fPIC', '-c', '-I', root,
                        '-I', os.path.join(root, 'include'), src, '-o', obj],
                       check=True)
        fn = functions(obj)
    body = fn['hit_path']
    if locked(body):
        bad.append(f'hit path: {locked(body)}')
    calls = [r for r in relocs(body) if not r.startswith('sluice_translate_miss')]
    if calls or indirect(body):
        bad.append(f'hit path calls {calls + indirect(body)}')
    if not relocs(body):
        bad.append('hit path: the miss call was not recognised')
    # The reader itself.
    for name, want in (('control_call', indirect), ('control_tail', indirect),
                       ('control_lock', locked)):
        if not want(fn[name]):
            bad.append(f'{name}: not recognised')
    if indirect(fn['control_table']):
        bad.append('control_table: a switch was taken for a call')
    print(f'hit path: {len(body)} lines of code, {compiler}')
    return bad


def rooms(builddir):
    bad = []
    total = 0
    for room in ROOMS:
        for obj in sorted(glob.glob(os.path.join(builddir, room, '**', '*.o'),
                                    recursive=True)):
            faces = global_names(obj)
            for name, body in functions(obj).items():
                total += 1
                # One call may be laid out on two ways through a function.
                calls = set(indirect(body))
                name = re.sub(r'\.(cold|part|isra|constprop).*', '', name)
                most = 1 if name in faces and DISPATCH.match(name) else 0
                if len(calls) > most and not CALLBACK.search(name):
                    bad.append(f'{os.path.relpath(obj, builddir)}: {name}: '
                               f'{calls}')
    print(f'{total} functions of {", ".join(ROOMS)} read')
    if not total:
        bad.append('no object file found')
    return bad


def main():
    root, builddir, compiler, optimised = sys.argv[1:5]
    if platform.machine() != 'x86_64' or optimised != 'yes':
        print('skipped: reads optimised x86-64 code without sanitizers')
        return 77
    if not shutil.which('objdump'):
        print('skipped: objdump is missing (scripts/setup installs it)')
        return 77
    bad = hit_path(root, compiler) + rooms(builddir)
    for b in bad:
        print(b)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
