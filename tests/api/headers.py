#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each public header compiles alone, and twice in a row, as C99 and as C++11,
with every compiler that is here; the umbrella includes all of them. Sees only
include/, as a user of the installed headers would."""

import os
import re
import shutil
import subprocess
import sys

import decls

WARN = ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion',
        '-Werror', '-fsyntax-only']
COMPILERS = [('gcc', 'c', 'c99'), ('clang', 'c', 'c99'),
             ('gcc', 'c', 'c17'), ('g++', 'c++', 'c++11'),
             ('clang++', 'c++', 'c++11'), ('g++', 'c++', 'c++20')]


def compile_text(compiler, lang, std, include, text):
    r = subprocess.run([compiler, '-x', lang, f'-std={std}', '-I', include] +
                       WARN + ['-'], input=text, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    return r.returncode == 0, r.stdout


def umbrella(folder, names):
    with open(os.path.join(folder, 'sluice.h'), encoding='utf-8') as f:
        has = set(re.findall(r'#include <sluice/(\w+\.h)>', f.read()))
    return [f'sluice.h does not include {n}' for n in names
            if n != 'sluice.h' and n not in has and
            n not in decls.BESIDE]


def main():
    include = os.path.join(sys.argv[1], 'include')
    folder = os.path.join(include, 'sluice')
    names = sorted(n for n in os.listdir(folder) if n.endswith('.h'))
    bad = umbrella(folder, names)
    runs = 0
    for compiler, lang, std in COMPILERS:
        if not shutil.which(compiler):
            print(f'{compiler}: not here')
            continue
        ok, _ = compile_text(compiler, lang, std, include, '#include "no.h"\n')
        if ok:
            bad.append(f'{compiler}: takes anything')
        for name in names:
            line = f'#include <sluice/{name}>\n'
            ok, out = compile_text(compiler, lang, std, include,
                                   line + line + 'int used;\n')
            runs += 1
            if not ok:
                bad.append(f'{name}, {compiler} -std={std}: {out[:400]}')
    for b in bad:
        print(b)
    print(f'headers: {len(names)} headers, {runs} compilations, '
          f'{len(bad)} failures')
    return 1 if bad or not runs or not names else 0


if __name__ == '__main__':
    sys.exit(main())
