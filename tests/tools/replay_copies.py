#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`sluice replay --deal copies` as scripts see it: who plays how much, that
ratios are of rates, what it refuses. Needs the tool and the folder of traces;
times are compared with what the same JSON says only."""

import json
import os
import shlex
import subprocess
import sys
import unittest

TOOL = [*shlex.split(os.environ.get('MESON_EXE_WRAPPER', '')),
        os.path.abspath(sys.argv.pop(1))]
DATA = os.environ['TEST_DATA']
TRACES = [os.path.join(DATA, n) for n in sorted(os.listdir(DATA))
          if n.endswith('.trace.gz')]
CPUS = len(os.sched_getaffinity(0))
WIDE = (b'  dd-158     [001] d.h1.     6.351896: map: IOMMU: '
        b'iova=0x1fffffffffff000 - 0x200000000000000 '
        b'paddr=0xffffffffff000 size=4096\n')


def replay(*args, stdin=b''):
    return subprocess.run([*TOOL, 'replay', '--deal', 'copies', *args],
                          input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=100, check=False)


class Copies(unittest.TestCase):
    def files(self, *args):
        p = replay(*args, '--json', '-', *TRACES)
        self.assertEqual(p.returncode, 0, p.stderr)
        out = json.loads(p.stdout)
        self.assertEqual(out['config']['deal'], 'copies')
        self.assertEqual(out['config']['copies'], 1)
        self.assertEqual(len(out['files']), len(TRACES))
        for f in out['files']:
            self.assertEqual(f['divergence'], 0)
        return out['files']

    def near(self, a, b):
        self.assertGreater(a, 0)
        self.assertAlmostEqual(a / b, 1, places=3)

    def played(self, player, lanes, actions, passes):
        """A copy on each lane, and rates that follow from what is told."""
        self.assertEqual(player['lanes'], lanes)
        self.assertEqual(player['actions'], lanes * actions)
        self.assertEqual(player['passes'], passes)
        for rate, time in (('pairs_per_s', 'pass_ns'),
                           ('best_pairs_per_s', 'best_pass_ns')):
            self.near(player[rate],
                      player['actions'] / 2 / player[time] * 1e9)

    @unittest.skipIf(CPUS < 2, 'one processor: no second lane')
    def test_lanes(self):
        for options in ([], ['--mode', 'lazy'], ['--order', 'chain'],
                        ['--translate', '1'], ['--copies', '1']):
            for f in self.files('--lanes', '2', '--repeat', '2', *options):
                with self.subTest(options=options, file=f['file']):
                    one, two = f['by_lanes']
                    actions = one['actions']
                    # These traces have no event that is several or none.
                    self.assertEqual(actions, f['events'])
                    self.played(one, 1, actions, 16)
                    self.played(two, 2, actions, 16)
                    self.played(f['apart'], 2, actions, 16)
                    s = f['scaling']
                    self.assertEqual(s['actions'], 2 * actions)
                    self.assertEqual(s['fullest_lane'], actions)
                    self.near(s['best'], two['best_pairs_per_s'] /
                              one['best_pairs_per_s'])

    @unittest.skipIf(CPUS < 2, 'one processor: no second lane')
    def test_ratios_are_of_rates(self):
        """Of one turn, so that medians are what it took."""
        for f in self.files('--lanes', '2', '--repeat', '1', '--against',
                            'naive'):
            one, two = f['by_lanes']
            self.near(f['scaling']['median'],
                      two['pairs_per_s'] / one['pairs_per_s'])
            self.near(f['scaling']['median_apart'],
                      f['apart']['pairs_per_s'] / one['pairs_per_s'])
            for mine, way in zip((one, two), f['against']):
                self.played(way, mine['lanes'], one['actions'], 8)
                self.near(way['ratio'],
                          mine['pairs_per_s'] / way['pairs_per_s'])

    def test_one_lane(self):
        for f in self.files('--repeat', '1'):
            self.assertNotIn('scaling', f)
            self.played(f, 1, f['events'], 8)

    @unittest.skipIf(CPUS < 2, 'one processor: no second lane')
    def test_table(self):
        p = replay('--lanes', '2', '--repeat', '1', TRACES[0])
        self.assertEqual(p.returncode, 0, p.stderr)
        for words in (b'2 lanes', b'1 turn of 8 passes', b'whole trace',
                      b'rate of 2 such lanes'):
            self.assertIn(words, p.stdout)
        self.assertNotIn(b'fullest lane', p.stdout)

    def test_copies_as_well(self):
        for options in (['--copies', '4'], ['--copies', '2', '--lanes', '1']):
            p = replay(*options, TRACES[0])
            self.assertEqual(p.returncode, 2)
            self.assertEqual(p.stdout, b'')
            self.assertIn(b'leave --copies out', p.stderr)

    @unittest.skipIf(CPUS < 2, 'one processor: no second lane')
    def test_no_room(self):
        p = replay('--lanes', '2', '-', stdin=WIDE)
        self.assertEqual(p.returncode, 1)
        self.assertIn(b'take fewer --lanes', p.stderr)
        p = replay('-', stdin=WIDE)
        self.assertEqual(p.returncode, 0, p.stderr)


if __name__ == '__main__':
    unittest.main()
