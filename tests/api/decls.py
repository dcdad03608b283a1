# SPDX-License-Identifier: BSD-3-Clause
"""Reads the declarations of the public headers: which functions they promise
and whether a comment stands above each. Relies on our formatting; knows no
C grammar."""

import os
import re

START = re.compile(r'^(?:SLUICE_API\b|static inline\b)')
NAME = re.compile(r'\b(sluice_\w+)\s*\(')


def statement(lines, i):
    """The declaration that starts at line i, in one string, and its end."""
    text = ''
    while i < len(lines):
        text += ' ' + lines[i].strip()
        if ';' in lines[i] or lines[i].startswith('{'):
            break
        i += 1
    return text, i


def comment_above(lines, i):
    """The comment that ends on the line before i, '' without one."""
    if i == 0 or not lines[i - 1].rstrip().endswith('*/'):
        return ''
    j = i - 1
    while j > 0 and '/*' not in lines[j]:
        j -= 1
    return '\n'.join(lines[j:i])


def parse(path):
    """(name, inline, line, comment) of each function of a header. A comment
    serves the declarations that follow each other without a blank line."""
    with open(path, encoding='utf-8') as f:
        lines = f.read().split('\n')
    found = []
    i = 0
    comment = ''
    end = -2
    while i < len(lines):
        if not START.match(lines[i]):
            i += 1
            continue
        if end != i - 1:
            comment = comment_above(lines, i)
        text, end = statement(lines, i)
        m = NAME.search(text)
        if m:
            found.append((m.group(1), text.lstrip().startswith('static'),
                          i + 1, comment))
        i = end + 1
    return found


# Headers of libraries beside libsluice; its umbrella leaves them out.
BESIDE = {'dpdk.h': 'sluice-dpdk'}


def public(root, lib='sluice'):
    """name -> (inline, where, comment) over the headers of one library."""
    folder = os.path.join(root, 'include', 'sluice')
    out = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith('.h') and BESIDE.get(name, 'sluice') == lib:
            for fn, inline, line, comment in parse(os.path.join(folder, name)):
                out[fn] = (inline, f'{name}:{line}', comment)
    return out
