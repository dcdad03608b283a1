#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Atomics by name: util/atomics.h is the only file that spells C11 atomics, so
that each use states its order. What may include nothing but the public headers, or
nothing of the tree at all, spells the _explicit forms instead. Bare operators on _Atomic
objects are found by clang (implicit.py), which knows types; this file reads
text."""

import re
import sys

import tree

HOME = 'util/atomics.h'
OUTSIDE = ('bench/', 'tools/', 'examples/', 'vmm/', 'yardstick/')

CALL = re.compile(r'\b(atomic_(?!u?int|u?long|bool|size_t|flag\b|ptrdiff|'
                  r'u?intptr|u?char|u?short|u?llong)\w+|__atomic_\w+|'
                  r'__sync_\w+|memory_order_\w+)')
HEADER = re.compile(r'#\s*include\s*<stdatomic\.h>')
EXPLICIT = re.compile(r'atomic_\w+_explicit$|memory_order_|atomic_init$|'
                      r'atomic_(thread|signal)_fence$')


def allowed(rel, word):
    if rel == HOME:
        return True
    return (rel.startswith(OUTSIDE) and bool(EXPLICIT.match(word)) and
            word != 'memory_order_consume')


def check(root):
    problems = []
    for rel in tree.files(root):
        if not rel.endswith(('.c', '.h')):
            continue
        src = tree.text(root, rel)
        if src is None:
            continue
        src = tree.uncomment(src, literals=False)
        for nr, line in enumerate(src.split('\n'), 1):
            for m in CALL.finditer(line):
                if not allowed(rel, m.group(1)):
                    problems.append((f'{rel}:{nr}',
                                     f'{m.group(1)}: use the helpers of '
                                     f'{HOME}, which name the order'))
            if (HEADER.search(line) and rel != HOME and
                    not rel.startswith(OUTSIDE)):
                problems.append((f'{rel}:{nr}', f'include "{HOME[:4]}/util.h" '
                                                'instead'))
    return problems


if __name__ == '__main__':
    sys.exit(tree.main('atomics', check))
