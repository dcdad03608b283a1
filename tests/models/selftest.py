#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What tests/models/check makes of a search: only a whole search without a
finding is a pass, only a finding catches a mutant. `selftest.py CHECK`; needs
no spin."""

import importlib.machinery
import importlib.util
import sys

LOADER = importlib.machinery.SourceFileLoader('check', sys.argv[1])
CHECK = importlib.util.module_from_spec(
    importlib.util.spec_from_loader('check', LOADER))
LOADER.exec_module(CHECK)

CLEAN = 'State-vector 52 byte, depth reached 12, errors: 0\n'
WRONG = ('pan:1: assertion violated (a==b) (at depth 3)\n'
         'Warning: Search not completed\n... errors: 1\n')
STUCK = ('pan:1: invalid end state (at depth 3)\n'
         'Warning: Search not completed\n... errors: 1\n')
BOUND = 'pan:1: assertion violated  !(bound_hit) (at depth 3)\n... errors: 1\n'
MEMORY = 'pan: reached -DMEMLIM bound\nWarning: Search not completed\n' + CLEAN
DEPTH = 'error: max search depth too small\n' + CLEAN
RANGE = 'pan:1: indexing val[28] - size 28 (at depth 9)\n... errors: 1\n'
CRASH = ''

# (output, exit code of pan, passes as a model, passes as a mutant)
CASES = [
    (CLEAN, 0, True, False),
    (WRONG, 0, False, True),
    (STUCK, 0, False, True),
    (BOUND, 0, False, False),
    (MEMORY, 0, False, False),
    (DEPTH, 0, False, False),
    (RANGE, 0, False, False),
    (CRASH, -11, False, False),
    (CLEAN, 1, False, False),
]

BAD = [(out, mutant) for out, rc, *passes in CASES for mutant in (False, True)
       if (CHECK.judge(out, rc, mutant) is None) != passes[mutant]]
for out, mutant in BAD:
    print(f'{"mutant" if mutant else "model"}: judged wrongly: {out!r}')
print(f'{len(CASES)} searches, {len(BAD)} judged wrongly')
sys.exit(1 if BAD else 0)
