#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""No bare operator on an _Atomic object: `x++`, `x = 1` or a plain read of one
is a sequentially consistent operation that nobody wrote down. clang has a
warning for exactly that; each C file of the build is checked with its own
flags. Skips (77) without clang."""

import concurrent.futures
import json
import os
import shlex
import shutil
import subprocess
import sys

KEEP = ('-D', '-I', '-U', '-std=', '-isystem', '-include', '-f')
DROP = ('-fsanitize', '-fno-omit', '-flto', '-ffat', '-fprofile')


def command(entry):
    """The syntax-only clang command for one entry of compile_commands.json."""
    argv = shlex.split(entry['command'])
    out = ['clang', '-fsyntax-only', '-Wno-everything',
           '-Werror=atomic-implicit-seq-cst']
    i = 1
    while i < len(argv):
        arg = argv[i]
        if arg in ('-isystem', '-include'):
            out += argv[i:i + 2]
            i += 1
        elif arg.startswith(KEEP) and not arg.startswith(DROP):
            out.append(arg)
        elif arg.startswith('-m') and arg != '-mcx16':
            out.append(arg)
        i += 1
    return out + [entry['file']]


def run(entry):
    r = subprocess.run(command(entry), cwd=entry['directory'],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, check=False)
    return r.returncode, r.stdout


def self_check(directory):
    """The warning exists and fires: else this test could not fail."""
    r = subprocess.run(
        ['clang', '-fsyntax-only', '-Werror=atomic-implicit-seq-cst', '-x',
         'c', '-'], input='_Atomic int a; void f(void); void f(void) { a++; }',
        cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False)
    return r.returncode != 0 and 'implicit' in r.stdout


def main():
    if not shutil.which('clang'):
        print('skipped: clang is missing (scripts/setup installs it)')
        return 77
    builddir = sys.argv[1]
    if not self_check(builddir):
        print('skipped: this clang has no -Watomic-implicit-seq-cst')
        return 77
    with open(os.path.join(builddir, 'compile_commands.json'),
              encoding='utf-8') as f:
        entries = [e for e in json.load(f) if e['file'].endswith('.c')]
    entries = list({os.path.realpath(os.path.join(e['directory'], e['file'])):
                    e for e in entries}.values())
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for code, out in pool.map(run, entries):
            if code:
                bad += 1
                print(out)
    print(f'implicit: {len(entries)} files, {bad} to mend')
    return 1 if bad or not entries else 0


if __name__ == '__main__':
    sys.exit(main())
