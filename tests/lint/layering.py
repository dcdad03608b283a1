#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The arrows between the rooms: which folder may include which header. This is
the one place where the layering is written down as code; docs/overview.md
draws the same picture. Reads #include lines only, not what a compiler makes of
them."""

import os
import re
import sys

import tree

FACE = {
    'util': 'util/util.h',
    'pagetable': 'pagetable/pt.h',
    'iotlb': 'iotlb/iotlb.h',
    'groups': 'groups/grp.h',
    'yardstick': 'yardstick/yardstick.h',
}

# A second face: what only those need who link the packages it stands for.
ALSO = {'yardstick/ways.h'}

# room -> rooms whose face it may include. A room may always include its own
# headers and <sluice/...>.
ARROWS = {
    'util': [],
    'pagetable': ['util'],
    'iotlb': ['util'],
    'groups': ['util'],
    'engine': ['util', 'pagetable', 'iotlb', 'groups'],
    'vmm': [],
    'dpdk': [],  # a client of the public calls, and of EAL's
    'bench': ['yardstick'],
    'tools': ['yardstick'],
    'yardstick': [],
    'examples': [],
}

# A program of a room that measures what no public call shows (docs/decisions):
# what it may use on top.
EXPERIMENTS = {'bench/logs/': ['iotlb', 'util']}

PUBLIC = 'include/sluice/'
INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|import|include_next)\b[ \t]*'
                     r'(.*)$', re.M)


def resolve(known, rel, form, name):
    """The file of the tree that an include line means, or None."""
    tries = [os.path.normpath(os.path.join(os.path.dirname(rel), name))
             ] if form == '"' else []
    tries += [os.path.normpath(name), os.path.normpath('include/' + name)]
    for path in tries:
        if path in known:
            return path
    return None


def refusal(room, rel, form, name, target):
    """Why this include is not allowed, or None."""
    if target is None:
        if form == '"':
            return f'"{name}" is no file of the tree (system headers: <...>)'
        if name.startswith('sluice/'):
            return f'<{name}> does not exist'
        return None
    if target.startswith(PUBLIC):
        if form == '"':
            return f'public headers are included as <{target[8:]}>'
        if room == 'util' and target != PUBLIC + 'base.h':
            return f'util/ knows nothing of DMA: only <sluice/base.h>'
        return None
    owner = target.split('/')[0]
    if rel.startswith('include/'):
        return f'a public header may not include {target}'
    if form == '<':
        return f'headers of the tree that are not public: "{name}"'
    if owner == room or room == 'tests':
        return None
    if room not in ARROWS:
        return f'{room}/ is no room of the house (tests/lint/layering.py)'
    more = next((EXPERIMENTS[e] for e in EXPERIMENTS if rel.startswith(e)), [])
    if owner not in ARROWS[room] + more:
        may = ', '.join(ARROWS[room]) or 'no other room'
        return f'{room}/ may not reach into {owner}/ (it may use: {may})'
    face = target if target in ALSO else FACE[owner]
    if target != face:
        return f'only the face of {owner}/ is open: "{face}"'
    if name != face:
        return f'faces are included by path from the root: "{face}"'
    return None


def check(root):
    listing = tree.files(root)
    known = set(listing)
    problems = []
    seen = 0
    for rel in listing:
        if not rel.endswith(tree.C_EXT):
            continue
        src = tree.text(root, rel)
        if src is None:
            problems.append((rel, 'not UTF-8 text'))
            continue
        src = tree.uncomment(src)
        seen += 1
        for m in INCLUDE.finditer(src):
            line = src.count('\n', 0, m.start()) + 1
            arg = re.match(r'([<"])([^>"]+)[>"]', m.group(1))
            if not arg:
                why = f'computed include: {m.group(1)}'
            else:
                form, name = arg.groups()
                why = refusal(rel.split('/')[0], rel, form, name,
                              resolve(known, rel, form, name))
            if why:
                problems.append((f'{rel}:{line}', why))
    if not seen:
        problems.append((root, 'no C file found: wrong folder?'))
    return problems


if __name__ == '__main__':
    sys.exit(tree.main('layering', check))
