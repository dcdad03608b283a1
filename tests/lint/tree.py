# SPDX-License-Identifier: BSD-3-Clause
"""What the lint tests share: which files the tree has and how C text reads
without its comments. Knows no rule; needs no git, so that a tree owned by
another user, an export or a fixture works alike."""

import os
import re
import sys

C_EXT = ('.c', '.h', '.cc')


def files(root):
    """Paths below root, relative, sorted; build folders and caches left out."""
    found = []
    for here, dirs, names in os.walk(root):
        dirs[:] = sorted(d for d in dirs if not skipped(here, d))
        for name in sorted(names):
            path = os.path.join(here, name)
            if os.path.isfile(path) and not os.path.islink(path):
                found.append(os.path.relpath(path, root))
    return found


def skipped(here, name):
    if name in ('.git', '.cache', '__pycache__', 'subprojects'):
        return True
    return os.path.isdir(os.path.join(here, name, 'meson-private'))


def text(root, rel):
    """The file's text, or None for a binary one."""
    with open(os.path.join(root, rel), 'rb') as f:
        data = f.read()
    if b'\0' in data:
        return None
    try:
        return data.decode('utf-8')
    except UnicodeDecodeError:
        return None


# A string or character literal is matched first, so that a comment mark inside
# one is not taken for a comment.
TOKEN = re.compile(
    r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.S)


def uncomment(src, literals=True):
    """C text with comments blanked, line numbers kept. literals=False blanks
    the inside of string literals too (include lines then lose their name)."""
    def blank(m):
        tok = m.group(0)
        if tok[0] == '/':
            return '\n' * tok.count('\n') or ' '
        return tok if literals else tok[0] + tok[-1]
    return TOKEN.sub(blank, src)


def report(name, problems):
    """Prints what was found; the exit code of a lint test."""
    for where, what in problems:
        print(f'{where}: {what}')
    if problems:
        print(f'{name}: {len(problems)} to mend')
        return 1
    print(f'{name}: clean')
    return 0


def main(name, check):
    if len(sys.argv) != 2:
        print(f'usage: {os.path.basename(sys.argv[0])} ROOT', file=sys.stderr)
        return 2
    return report(name, check(sys.argv[1]))
