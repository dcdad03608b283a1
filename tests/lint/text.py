#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Rules about plain text: licence line, sizes, unfinished marks, paths of the
machine it was written on, tabs and ends of lines. Knows no C beyond the brace
that opens and closes a function in our style."""

import re
import sys

import tree

CODE_EXT = tree.C_EXT + ('.py', '.sh', '.build', '.map', '.ld')
MAX_FILE = 500
MAX_FUNCTION = 60

# Written in pieces, or this file would be its own first finding. pci-st*b is
# a driver of the kernel.
MARKS = re.compile(r'(?<![-\w])(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK|not impl'
                   r'emented|st' r'ub)\b')
MACHINE = re.compile(r'(?<![\w.$}])(/wo' r'rk/|/tmp/ba' r'sh_jobs|/fa' r'rm/|'
                     r'/ro' r'ot/\.|/ho' r'me/\w)')


def is_code(rel, src):
    return (rel.endswith(CODE_EXT) or rel == 'meson_options.txt' or
            ('.' not in rel.rsplit('/', 1)[-1] and src.startswith('#!')))


def spdx(src):
    """In the first three lines: #! and a tool's directive may come before."""
    return any('SPDX-License-Identifier: BSD-3-Clause' in line
               for line in src.split('\n', 3)[:3])


def long_functions(src):
    """(line, length) of each body over the limit, braces not counted."""
    start = None
    for nr, line in enumerate(src.split('\n'), 1):
        if line.startswith('{'):
            start = nr
        elif line.startswith('}') and start is not None:
            if nr - start - 1 > MAX_FUNCTION:
                yield start, nr - start - 1
            start = None


def check(root):
    problems = []
    seen = 0
    for rel in tree.files(root):
        src = tree.text(root, rel)
        if src is None or rel.startswith('tests/data/'):
            continue
        for nr, line in enumerate(src.split('\n'), 1):
            m = MACHINE.search(line)
            if m:
                problems.append((f'{rel}:{nr}',
                                 f'path of one machine: {m.group(0)}'))
        if not is_code(rel, src):
            continue
        seen += 1
        if not spdx(src):
            problems.append((rel, 'no SPDX line at the top'))
        lines = src.split('\n')
        if len(lines) - 1 > MAX_FILE:
            problems.append((rel, f'{len(lines) - 1} lines (at most '
                                  f'{MAX_FILE}): which idea wants its own '
                                  'file?'))
        if not src.endswith('\n'):
            problems.append((rel, 'no newline at the end'))
        for nr, line in enumerate(lines, 1):
            m = MARKS.search(line)
            if m:
                problems.append((f'{rel}:{nr}', f'unfinished: {m.group(0)}'))
            if line.endswith((' ', '\t', '\r')):
                problems.append((f'{rel}:{nr}', 'blanks at the end'))
        if rel.endswith(tree.C_EXT):
            for nr, size in long_functions(src):
                problems.append((f'{rel}:{nr}', f'function of {size} lines '
                                                f'(at most {MAX_FUNCTION})'))
    if not seen:
        problems.append((root, 'no code found: wrong folder?'))
    return problems


if __name__ == '__main__':
    sys.exit(tree.main('text', check))
