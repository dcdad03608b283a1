#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests of the lint tests: small trees with one fault each must be refused,
the same trees without it must pass. The trees are written to a temporary
folder, so that they are not themselves linted."""

import os
import sys
import tempfile

import atomics
import layering
import text
import tree

SPDX = '/* SPDX-License-Identifier: BSD-3-Clause */\n'

CLEAN = {
    'include/sluice/base.h': '#include <stdint.h>\n',
    'include/sluice/lane.h': '#include <sluice/base.h>\n',
    'util/util.h': '#include "util/bits.h"\n#include <sluice/base.h>\n',
    'util/bits.h': 'int bits;\n',
    'util/atomics.h': '#include <stdatomic.h>\n'
                      '#define ld_rlx(p) atomic_load_explicit((p), '
                      'memory_order_relaxed)\n',
    'pagetable/pt.h': '#include "util/util.h"\n',
    'pagetable/walk.h': 'int w;\n',
    'pagetable/walk.c': '#include "walk.h"\n#include "pagetable/pt.h"\n'
                        '// #include "iotlb/iotlb.h"\n'
                        '/* #include "iotlb/iotlb.h" */\n',
    'iotlb/iotlb.h': '#include "util/util.h"\n#include <sluice/lane.h>\n',
    'iotlb/log.h': 'int l;\n',
    'groups/grp.h': '#include "util/util.h"\n',
    'engine/engine.h': '#include "pagetable/pt.h"\n',
    'engine/backend/soft.c': '#include "engine/engine.h"\n'
                             '#include "groups/grp.h"\n'
                             '#include "iotlb/iotlb.h"\n',
    'tools/main.c': '#include "tools/opt.h"\n#include <sluice/lane.h>\n',
    'tools/opt.h': '#include <stdatomic.h>\n'
                   'static inline int one(_Atomic int *p)\n{\n\treturn '
                   'atomic_load_explicit(p, memory_order_acquire);\n}\n',
    'examples/x/x.c': '#include <sluice/lane.h>\n',
    'bench/b.c': '#include <sluice/lane.h>\n',
    'tests/pagetable/t.c': '#include "pagetable/walk.h"\n'
                           '#include "iotlb/iotlb.h"\n',
}

# (check, file, text that replaces or creates it, word the finding must have)
FAULTS = [
    (layering, 'pagetable/walk.c', '#include "iotlb/iotlb.h"\n', 'reach into'),
    (layering, 'pagetable/walk.c', '#include "groups/grp.h"\n', 'reach into'),
    (layering, 'iotlb/log.c', '#include "pagetable/pt.h"\n', 'reach into'),
    (layering, 'groups/g.c', '#include "engine/engine.h"\n', 'reach into'),
    (layering, 'util/u.c', '#include "iotlb/iotlb.h"\n', 'reach into'),
    (layering, 'util/u.c', '#include <sluice/lane.h>\n', 'nothing of DMA'),
    (layering, 'pagetable/x.c', '#include "util/bits.h"\n', 'only the face'),
    (layering, 'engine/x.c', '#include "iotlb/log.h"\n', 'only the face'),
    (layering, 'engine/x.c', '#include "../iotlb/log.h"\n', 'only the face'),
    (layering, 'engine/x.c', '#include "../iotlb/iotlb.h"\n', 'by path from'),
    (layering, 'engine/x.c', '  #  include <iotlb/log.h>\n', 'not public'),
    (layering, 'engine/x.c', '#include HEADER\n', 'computed'),
    (layering, 'engine/x.c', '#include "nowhere.h"\n', 'no file'),
    (layering, 'engine/x.c', '#include <sluice/no.h>\n', 'does not exist'),
    (layering, 'engine/x.c', '#include "sluice/lane.h"\n', 'included as <'),
    (layering, 'tools/x.c', '#include "util/util.h"\n', 'reach into'),
    (layering, 'examples/x/y.c', '#include "engine/engine.h"\n', 'reach into'),
    (layering, 'examples/x/y.c', '#include "tools/opt.h"\n', 'reach into'),
    (layering, 'bench/x.cc', '#include "pagetable/pt.h"\n', 'reach into'),
    (layering, 'vmm/x.c', '#include "iotlb/iotlb.h"\n', 'reach into'),
    (layering, 'attic/x.c', '#include "util/util.h"\n', 'no room'),
    (layering, 'include/sluice/lane.h', '#include "util/util.h"\n',
     'public header'),
    (text, 'engine/x.c', 'int a;\n', 'SPDX'),
    (text, 'engine/x.c', SPDX + 'int a;\n' * 500, '501 lines'),
    (text, 'engine/x.c', SPDX + '/* TO' + 'DO: b */\n', 'unfinished'),
    (text, 'engine/x.c', SPDX + 'int f(void)\n{\n' + '\t;\n' * 61 + '}\n',
     'function of 61'),
    (text, 'engine/x.c', SPDX + 'int a; \n', 'blanks'),
    (text, 'engine/x.c', SPDX + 'int a;', 'newline'),
    (text, 'README.md', 'see /wo' + 'rk/shared\n', 'one machine'),
    (text, 'scripts/go', '#!/bin/sh\necho\n', 'SPDX'),
    (atomics, 'engine/x.c', 'int x = atomic_load(&y);\n', 'atomic_load'),
    (atomics, 'engine/x.c', '__atomic_fetch_add(&y, 1, 5);\n', '__atomic'),
    (atomics, 'iotlb/x.h', '__sync_synchronize();\n', '__sync'),
    (atomics, 'util/x.c', 'atomic_load_explicit(&y, memory_order_relaxed);\n',
     'atomic_load_explicit'),
    (atomics, 'tools/x.c', 'atomic_fetch_add(&y, 1);\n', 'atomic_fetch_add'),
    (atomics, 'engine/x.c', '#include <stdatomic.h>\n', 'util.h'),
]


def write(root, rel, data):
    path = os.path.join(root, rel)
    os.makedirs(os.path.dirname(path) or root, exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(data)


def fixture(root):
    for rel, data in CLEAN.items():
        write(root, rel, SPDX + data)
    # What a build leaves behind is nobody's source.
    write(root, 'build/meson-private/x', '')
    write(root, 'build/gen.c', '#include "iotlb/log.h"\n')


def main():
    failures = []
    with tempfile.TemporaryDirectory() as root:
        fixture(root)
        for mod in (layering, text, atomics):
            for where, what in mod.check(root):
                failures.append(f'clean tree: {mod.__name__}: {where}: {what}')
    for mod, rel, data, word in FAULTS:
        with tempfile.TemporaryDirectory() as root:
            fixture(root)
            write(root, rel, data)
            found = [what for where, what in mod.check(root)
                     if where.split(':')[0] == rel]
            if not any(word in what for what in found):
                failures.append(f'{mod.__name__} misses {data[:40]!r} in '
                                f'{rel}: {found}')
    with tempfile.TemporaryDirectory() as root:
        for mod in (layering, text):
            if not mod.check(root):
                failures.append(f'{mod.__name__}: an empty folder passes')
    if tree.uncomment('a /* b\n */ "/* c */" // d') != 'a \n "/* c */"  ':
        failures.append('tree.uncomment')
    for f in failures:
        print(f)
    print(f'selftest: {len(FAULTS)} faults planted, {len(failures)} failures')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
