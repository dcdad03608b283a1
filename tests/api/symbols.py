#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Four lists that must be one: what libsluice.so exports, what libsluice.a lets
a linker see, what the symbol map names, what the public headers declare; and
each declaration carries a comment. Knows nothing of what the functions do."""

import glob
import os
import re
import subprocess
import sys

import decls


def find_map(root, lib):
    found = [p for p in glob.glob(os.path.join(root, '**', lib + '.map'),
                                  recursive=True)
             if 'meson-private' not in p and '/build' not in p[len(root):]]
    if len(found) != 1:
        raise SystemExit(f'one symbol map expected, found {found}')
    return found[0]


def map_names(path):
    """Names under global:, over all version nodes; wildcards refused."""
    with open(path, encoding='utf-8') as f:
        src = re.sub(r'/\*.*?\*/|#[^\n]*', '', f.read(), flags=re.S)
    names = []
    for body in re.findall(r'\{(.*?)\}', src, re.S):
        part = re.search(r'global:(.*?)(?:local:|$)', body, re.S)
        if part:
            names += [n.strip() for n in part.group(1).split(';') if n.strip()]
    wild = [n for n in names if not re.fullmatch(r'\w+', n)]
    if wild:
        raise SystemExit(f'the map must name each symbol, not {wild}')
    return set(names)


def exported(lib, which):
    out = subprocess.run(['nm', which, '--defined-only', lib], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    names = set()
    for line in out.splitlines():
        word = line.split()
        if len(word) == 3 and word[1] != 'A':  # version nodes
            names.add(word[2].split('@')[0])
    return names


def library(builddir, name):
    # The suite `coverage` builds once more, in a folder of this build's.
    own = os.path.join(builddir, 'coverage')
    found = [p for p in glob.glob(os.path.join(builddir, '**', name),
                                  recursive=True)
             if not p.startswith(own + os.sep)]
    if len(found) != 1:
        raise SystemExit(f'one {name} expected, found {found}')
    return found[0]


def difference(a, a_name, b, b_name):
    for name in sorted(a - b):
        yield f'{name}: in {a_name}, not in {b_name}'
    for name in sorted(b - a):
        yield f'{name}: in {b_name}, not in {a_name}'


def is_built(builddir, name):
    return bool(glob.glob(os.path.join(builddir, '**', name), recursive=True))


def check(root, builddir, lib):
    """(what is declared, problems) of one library."""
    public = decls.public(root, lib)
    declared = {n for n, (inline, _, _) in public.items() if not inline}
    mapped = map_names(find_map(root, lib))
    bad = list(difference(declared, 'the headers', mapped, 'the map'))
    files = [(f'lib{lib}.so', '-D'), (f'lib{lib}.a', '-g')]
    # One beside libsluice is optional, and has no archive.
    if lib != 'sluice':
        files = [f for f in files[:1] if is_built(builddir, f[0])]
        if not files:
            print(f'lib{lib}: not built')
    for name, which in files:
        have = exported(library(builddir, name), which)
        # A sanitizer adds symbols of its own: only ours are compared there.
        if len(sys.argv) > 3 and sys.argv[3] != 'none':
            have = {n for n in have if n.startswith('sluice_')}
        bad += difference(have, name, mapped, 'the map')
    for name, (_, where, comment) in sorted(public.items()):
        if not comment:
            bad.append(f'{where}: {name}() has no comment above it')
    return declared, bad


def main():
    root, builddir = sys.argv[1:3]
    declared, bad = check(root, builddir, 'sluice')
    for lib in sorted(decls.BESIDE.values()):
        more, problems = check(root, builddir, lib)
        declared |= more
        bad += problems
    for b in bad:
        print(b)
    print(f'symbols: {len(declared)} declared, {len(bad)} problems')
    return 1 if bad or not declared else 0


if __name__ == '__main__':
    sys.exit(main())
