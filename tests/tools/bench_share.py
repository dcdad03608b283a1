#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`sluice bench --mode share` as scripts see it: its JSON, its table, what it
refuses. Needs the tool; times are only compared where they differ by much."""

import json
import os
import shlex
import subprocess
import sys
import unittest

TOOL = [*shlex.split(os.environ.get('MESON_EXE_WRAPPER', '')),
        os.path.abspath(sys.argv.pop(1))]


def share(*args):
    return subprocess.run([*TOOL, 'bench', '--mode', 'share', *args],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120, check=False)


class Share(unittest.TestCase):
    def test_json(self):
        p = share('-s', '1', '--json', '-')
        self.assertEqual(p.returncode, 0, p.stderr)
        doc = json.loads(p.stdout)
        self.assertEqual(doc['schema'], 'sluice-share/1')
        self.assertEqual([(c['groups'], c['domains']) for c in doc['cases']],
                         [(1, 1), (2, 1), (2, 2), (4, 1), (4, 4), (8, 1),
                          (8, 8)])
        for case in doc['cases']:
            for what in 'map', 'pair', 'burst_map', 'burst_pair':
                t = case[what]
                self.assertGreater(t['rounds'], 0)
                self.assertGreaterEqual(t['p50'], t['min'])
            # No kernel has a part in it.
            self.assertGreater(case['calls']['buffers'], 0)
            self.assertEqual(case['calls']['maps'], 0)
        # Eight maps are dearer than one; half of what is expected is enough.
        one, each = doc['cases'][-2:]
        self.assertGreater(each['map']['min'], 4 * one['map']['min'])

    def test_table(self):
        p = share('-s', '1')
        self.assertEqual(p.returncode, 0, p.stderr)
        lines = p.stdout.decode().splitlines()
        self.assertEqual(len(lines), 9)
        self.assertIn('one for all', lines[-2])
        self.assertIn('one each', lines[-1])

    def test_refusals(self):
        for args in (['--device', '00:03.0'], ['--backend', 'type1'],
                     ['--matrix'],
                     ['--backend', 'type1', '--device', ',']):
            with self.subTest(args=args):
                p = share(*args)
                self.assertEqual(p.returncode, 2, p.stderr)
                self.assertEqual(p.stdout, b'')
                self.assertTrue(p.stderr)


if __name__ == '__main__':
    unittest.main()
