#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""clang-format has nothing to change. Debian 12's version 14 is the judge:
other versions break lines differently, so they skip (77), like none at all."""

import os
import re
import shutil
import subprocess
import sys

import tree

VERSION = '14'


def tool():
    for name in (f'clang-format-{VERSION}', 'clang-format'):
        if not shutil.which(name):
            continue
        out = subprocess.run([name, '--version'], stdout=subprocess.PIPE,
                             text=True, check=False).stdout
        if re.search(rf'version {VERSION}\.', out):
            return name
    return None


def main():
    root = os.path.abspath(sys.argv[1])
    name = tool()
    if not name:
        print(f'skipped: clang-format {VERSION} is missing (scripts/setup '
              'installs it)')
        return 77
    paths = [os.path.join(root, f) for f in tree.files(root)
             if f.endswith(tree.C_EXT)]
    r = subprocess.run([name, '--dry-run', '-Werror', '--style=file'] + paths,
                       cwd=root, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    bad = sorted({os.path.relpath(m, root) for m in
                  re.findall(r'^(/[^:\n]+):\d+:\d+: error', r.stdout, re.M)})
    for path in bad:
        print(f'clang-format -i {path}')
    if r.returncode and not bad:
        print(r.stdout)
    print(f'format: {len(paths)} files, {len(bad)} to mend')
    return 1 if r.returncode or not paths else 0


if __name__ == '__main__':
    sys.exit(main())
