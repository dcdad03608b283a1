#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Adds up Meson test logs: `summary.py NAME=LOG.json ...`. Names what failed
and what was skipped and why, with the end of what a failed test printed, then
prints exactly one line "N passed, N failed, N skipped". LOG may be the word "broken": that build did not compile, which
counts as one failure. Exit 1 when anything failed or nothing passed."""

import json
import os
import sys

PASSED = ('OK', 'EXPECTEDFAIL')
SKIPPED = ('SKIP', 'IGNORED')
LAST_LINES = 20  # of a failed test's output


def reason(test):
    """The line in which a skipped test says why: one with the word, else the
    first."""
    lines = [line.strip() for key in ('stdout', 'stderr')
             for line in (test.get(key) or '').splitlines() if line.strip()]
    for line in lines:
        if 'skip' in line.lower() or '77' in line:
            return line
    return lines[-1] if lines else 'gives no reason'


def ending(test):
    """The last lines that a test printed, each indented."""
    lines = [line.rstrip() for key in ('stdout', 'stderr')
             for line in (test.get(key) or '').splitlines() if line.strip()]
    return ''.join(f'\n    {line}' for line in lines[-LAST_LINES:])


def read(build, log):
    """[(test name, result, text)] of one build."""
    if log == 'broken':
        return [(f'{build}: the build', 'FAIL', 'does not compile')]
    if not os.path.exists(log):
        return [(f'{build}: the tests', 'FAIL', 'none ran')]
    rows = []
    with open(log, encoding='utf-8') as f:
        for line in f:
            test = json.loads(line)
            name = test['name'].split(' / ', 1)[-1]
            result = test['result']
            text = reason(test) if result in SKIPPED else (
                f'{result.lower()} after {test["duration"]:.1f} s, '
                f'exit {test["returncode"]}{ending(test)}')
            rows.append((f'{build}: {name}', result, text))
    return rows or [(f'{build}: the tests', 'FAIL', 'none ran')]


def main():
    rows = []
    for arg in sys.argv[1:]:
        rows += read(*arg.split('=', 1))
    failed = [r for r in rows if r[1] not in PASSED + SKIPPED]
    skipped = [r for r in rows if r[1] in SKIPPED]
    passed = len(rows) - len(failed) - len(skipped)
    for title, some in (('skipped', skipped), ('FAILED', failed)):
        for name, _, text in some:
            print(f'{title}  {name}: {text}')
    print(f'{passed} passed, {len(failed)} failed, {len(skipped)} skipped')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
