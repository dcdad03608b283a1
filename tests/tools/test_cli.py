#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The command line as scripts see it: exit codes, streams, JSON shapes. Needs
the tool and the folder of traces; knows nothing of how either is made."""

import gzip
import json
import os
import shlex
import subprocess
import sys
import tempfile
import unittest

# In a cross build Meson names the emulator.
TOOL = [*shlex.split(os.environ.get('MESON_EXE_WRAPPER', '')),
        os.path.abspath(sys.argv.pop(1))]
DATA = os.environ['TEST_DATA']
# Empty: all that were built.
AGAINST = [a for a in os.environ.get('TEST_AGAINST', '').split(',') if a]

# File -> maps, unmaps, pages left mapped, as grep and a page counter see them.
TRACES = {
    'mixed-strict.trace.gz': (8725, 6666, 350, 2),
    'net-lazy.trace.gz': (6514, 6256, 349, 1),
    'nvme-lazy.trace.gz': (23042, 1624, 258, 2),
}

CPUS = len(os.sched_getaffinity(0))

HEAD = '  dd-158     [001] d.h1.     6.351896: '
GOOD = HEAD + ('map: IOMMU: iova=0x0000000000001000 - 0x0000000000002000 '
               'paddr=0x0000000002c91000 size=4096\n')
UNMAP = HEAD + ('unmap: IOMMU: iova=0x0000000000001000 - 0x0000000000002000 '
                'size=4096 unmapped_size=4096\n')


def run(*args, stdin=b'', timeout=120):
    return subprocess.run([*TOOL, *args], input=stdin, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)


def replay(*args, stdin=b''):
    """Few passes: the checks are the matter, not the times."""
    return run('replay', '--repeat', '2', *args, stdin=stdin)


def built():
    """The ways that `sluice bench` can measure beside sluice."""
    text = run('bench', '--help').stdout.decode()
    return text.split('Built in: ')[1].split('\n')[0].split(', ')


class Case(unittest.TestCase):
    def usage(self, *args):
        p = run(*args)
        self.assertEqual(p.returncode, 2, args)
        self.assertEqual(p.stdout, b'', args)
        self.assertTrue(p.stderr, args)

    def failed(self, p, *words):
        self.assertEqual(p.returncode, 1, p.stderr)
        for w in words:
            self.assertIn(w, p.stderr.decode())


class Usage(Case):
    def test_wrong(self):
        for args in ([], ['nonsense'], ['--nonsense'],
                     ['replay'], ['replay', '--mode', 'fast', 'x'],
                     ['replay', '--check', 'never', 'x'],
                     ['replay', '--poll', '0', 'x'],
                     ['replay', '--poll', '-1', 'x'],
                     ['replay', '--repeat', 'many', 'x'],
                     ['replay', '--format', 'paper', 'x'],
                     ['replay', '--lanes', '0', 'x'],
                     ['replay', '--lanes', str(CPUS + 1), 'x'],
                     ['replay', '--order', 'none', 'x'],
                     ['replay', '--deal', 'cards', 'x'],
                     ['replay', '--copies', '0', 'x'],
                     ['replay', '--translate', '1001', 'x'],
                     ['replay', '--against', 'time', 'x'],
                     ['replay', '--bogus', 'x'], ['replay', '--json'],
                     ['bench', '-t', '0'], ['bench', '-t', '257'],
                     ['bench', '-s', '301'], ['bench', '-g', '1025'],
                     ['bench', '-d', '3'], ['bench', '-x', '10000001'],
                     ['bench', '-m', 'both'], ['bench', '--mode', 'raw'],
                     ['bench', '--matrix'],
                     ['bench', '--mode', 'bounce', '-m', 'sg'],
                     ['bench', '--mode', 'none'],
                     ['bench', '--backend', 'magic'],
                     ['bench', '--backend', 'type1'],
                     ['bench', '--device', '00:03.0'],
                     ['bench', '--depth', '0'], ['bench', '--batch', '5000'],
                     ['bench', '--working-set', '1'],
                     ['bench', '--format', 'paper'],
                     ['bench', '--mode', 'arena', '-m', 'sg'],
                     ['bench', 'extra']):
            with self.subTest(args=args):
                self.usage(*args)

    def test_bench_says_why(self):
        for args, word in (
                (['-t', '1,,2'], '1,,2'), (['-t', '1,2,'], '1,2,'),
                (['-t', ''], 'threads'), (['-t', '1,1'], 'twice'),
                (['-t', ','.join(str(i) for i in range(1, 18))], '16'),
                (['-t', '99999999999999999'], '256'),
                (['--pin', 'maybe'], 'yes or no'),
                (['--against', 'nobody'], 'built are naive'),
                (['--against', ''], 'built are naive'),
                (['--against', 'naive,'], 'built are naive'),
                (['--against', 'all,naive'], 'go alone'),
                (['--against', 'naive,naive'], 'twice'),
                (['--against', 'naive', '--backend', 'type1', '--device',
                  '00:03.0'], 'soft')):
            with self.subTest(args=args):
                p = run('bench', *args)
                self.assertEqual(p.returncode, 2, p.stderr)
                self.assertEqual(p.stdout, b'')
                self.assertIn(word, p.stderr.decode())
        if len(os.sched_getaffinity(0)) < 256:
            p = run('bench', '-t', '1,256', '--pin', 'yes')
            self.assertEqual(p.returncode, 2)
            self.assertIn('256 threads', p.stderr.decode())
        for way in set(built()) - {'naive'}:
            p = run('bench', '--mode', 'arena', '--against', way)
            self.assertEqual(p.returncode, 2)
            self.assertIn('arenas', p.stderr.decode())

    def test_help_and_version(self):
        for cmd in ([], ['bench'], ['replay'], ['groups'], ['pt']):
            with self.subTest(cmd=cmd):
                p = run(*cmd, '--help')
                self.assertEqual(p.returncode, 0)
                self.assertIn(b'Usage: sluice', p.stdout)
                self.assertEqual(p.stderr, b'')
                p = run(*cmd, '--version')
                self.assertEqual(p.returncode, 0)
                self.assertIn(b'0.', p.stdout)

    def test_full_disk(self):
        if not os.path.exists('/dev/full'):
            self.skipTest('no /dev/full')
        with open('/dev/full', 'wb') as full:
            p = subprocess.run([*TOOL, '--help'], stdout=full,
                               stderr=subprocess.PIPE, check=False)
        self.assertEqual(p.returncode, 1)


class Replay(Case):
    def check(self, f, name):
        maps, unmaps, left, domains = TRACES[name]
        self.assertEqual(f['maps'], maps)
        self.assertEqual(f['unmaps'], unmaps)
        self.assertEqual(f['divergence'], 0)
        self.assertEqual(f['left_mapped_pages'], left)
        self.assertEqual(f['domains'], domains)
        self.assertGreater(f['checks'], maps + unmaps)
        # Every event accounted for.
        self.assertEqual(sum(d['maps'] for d in f['by_domain']), maps)
        self.assertEqual(sum(d['unmaps'] for d in f['by_domain']) +
                         f['unmatched_unmaps'], unmaps)
        self.assertEqual(sum(d['left_mapped_pages']
                             for d in f['by_domain']), left)
        self.assertEqual(f['mapped_pages'],
                         f['unmapped_pages'] + f['left_mapped_pages'])
        self.assertGreater(f['ns_per_pair']['p50'], 0)
        self.assertGreaterEqual(f['ns_per_pair']['p99'],
                                f['ns_per_pair']['p50'])
        self.assertGreater(f['pairs_per_s'], 0)
        self.assertEqual(f['kernel_calls'], 0)

    def test_bundled(self):
        for options in (['--mode', 'strict'], ['--mode', 'lazy'],
                        ['--format', 'vtdss'], ['--check', 'end'],
                        ['--poll', '1']):
            with self.subTest(options=options):
                p = replay(*options, '--json', '-',
                           *(os.path.join(DATA, n) for n in TRACES))
                self.assertEqual(p.returncode, 0, p.stderr)
                self.assertEqual(p.stderr, b'')
                out = json.loads(p.stdout)
                self.assertEqual(out['schema'], 'sluice-replay/1')
                self.assertEqual(len(out['files']), len(TRACES))
                for f, name in zip(out['files'], TRACES):
                    self.assertEqual(os.path.basename(f['file']), name)
                    self.check(f, name)

    def speed(self, f, lanes):
        self.assertEqual(f['lanes'], lanes)
        self.assertGreater(f['ns_per_pair']['p50'], 0)
        self.assertGreater(f['pairs_per_s'], 0)
        self.assertGreaterEqual(f['best_pairs_per_s'], f['pairs_per_s'])

    def bundled(self, *options):
        p = replay(*options, '--json', '-',
                   *(os.path.join(DATA, n) for n in TRACES))
        if p.returncode == 2 and b'this build has' in p.stderr:
            self.skipTest('built without glib')
        self.assertEqual(p.returncode, 0, p.stderr)
        files = json.loads(p.stdout)['files']
        self.assertEqual(len(files), len(TRACES))
        for f, name in zip(files, TRACES):
            self.check(f, name)
        return files

    @unittest.skipIf(CPUS < 2, 'one processor: no second lane')
    def test_lanes(self):
        for options in ([], ['--order', 'chain'], ['--deal', 'chains'],
                        ['--mode', 'lazy'], ['--translate', '2'],
                        ['--copies', '3']):
            with self.subTest(options=options):
                for f in self.bundled('--lanes', '2', *options):
                    self.speed(f, 2)
                    one, two = f['by_lanes']
                    self.speed(one, 1)
                    self.speed(two, 2)
                    self.assertEqual(two['pairs_per_s'], f['pairs_per_s'])
                    s = f['scaling']
                    self.assertGreater(s['median'], 0)
                    self.assertGreater(s['best'], 0)
                    self.assertGreater(s['median_apart'], 0)
                    self.assertGreater(s['best_apart'], 0)
                    self.assertLessEqual(s['largest_chain'],
                                         s['fullest_lane'])
                    # Half each, but for what hangs together.
                    self.assertLess(s['fullest_lane'],
                                    0.51 * s['actions'] + 1)

    @unittest.skipIf(AGAINST and 'glib' not in AGAINST, 'not in this build')
    def test_against(self):
        for f in self.bundled('--against', 'glib', '--translate', '1'):
            self.speed(f, 1)
            way, = f['against']
            self.assertEqual(way['way'], 'glib')
            self.speed(way, 1)
            self.assertGreater(way['ratio'], 0)
            self.assertGreater(way['best_ratio'], 0)

    @unittest.skipIf(AGAINST and 'glib' not in AGAINST, 'not in this build')
    @unittest.skipIf(CPUS < 2, 'one processor: no second lane')
    def test_against_with_lanes(self):
        for f in self.bundled('--against', 'glib', '--lanes', '2'):
            self.assertEqual([w['lanes'] for w in f['against']], [1, 2])

    @unittest.skipIf(CPUS < 2, 'one processor: no second lane')
    def test_lanes_table(self):
        p = replay('--lanes', '2', '--copies', '2', '--against', 'naive',
                   '--translate', '1', os.path.join(DATA, 'net-lazy.trace.gz'))
        self.assertEqual(p.returncode, 0, p.stderr)
        for word in (b'2 lanes', b'2 copies', b'chains', b'naive, 1 lane:',
                     b'naive, 2 lanes:', b'1 translations'):
            self.assertIn(word, p.stdout)

    @unittest.skipIf(CPUS < 2, 'one processor: no second lane')
    def test_one_chain(self):
        """Cannot be dealt, and says so."""
        p = replay('--lanes', '2', '-', stdin=((GOOD + UNMAP) * 100).encode())
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertIn(b'too few chains', p.stdout)

    def test_grep_agrees(self):
        for name, (maps, unmaps, _, _) in TRACES.items():
            with gzip.open(os.path.join(DATA, name), 'rt') as f:
                text = f.read()
            self.assertEqual(text.count(' map: '), maps)
            self.assertEqual(text.count(' unmap: '), unmaps)

    def test_plain_and_stdin(self):
        name = 'net-lazy.trace.gz'
        with open(os.path.join(DATA, name), 'rb') as f:
            packed = f.read()
        for data in (packed, gzip.decompress(packed)):
            p = replay('--json', '-', '-', stdin=data)
            self.assertEqual(p.returncode, 0, p.stderr)
            self.check(json.loads(p.stdout)['files'][0], name)

    def test_table(self):
        p = replay(os.path.join(DATA, 'net-lazy.trace.gz'))
        self.assertEqual(p.returncode, 0)
        self.assertIn(b'net-lazy', p.stdout)
        self.assertIn(b'total', p.stdout)

    def test_unmatched(self):
        p = replay('--json', '-', '-', stdin=(UNMAP + GOOD + UNMAP + UNMAP)
                   .encode())
        self.assertEqual(p.returncode, 0, p.stderr)
        f = json.loads(p.stdout)['files'][0]
        self.assertEqual((f['maps'], f['unmaps'], f['unmatched_unmaps'],
                          f['left_mapped_pages'], f['domains']),
                         (1, 3, 2, 0, 1))

    def test_only_unmaps(self):
        p = replay('--json', '-', '-', stdin=UNMAP.encode())
        self.assertEqual(p.returncode, 0, p.stderr)
        f = json.loads(p.stdout)['files'][0]
        self.assertEqual((f['unmaps'], f['unmatched_unmaps'], f['domains']),
                         (1, 1, 0))

    def test_large_leaf_in_parts(self):
        big = HEAD + 'map: IOMMU: iova=0x0 - 0x40000000 paddr=0x40000000 ' \
                     'size=1073741824\n'
        part = HEAD + 'unmap: IOMMU: iova=0x1000 - 0x2000 size=4096 ' \
                      'unmapped_size=4096\n'
        p = replay('--json', '-', '-', stdin=(big + part).encode())
        self.assertEqual(p.returncode, 0, p.stderr)
        f = json.loads(p.stdout)['files'][0]
        self.assertEqual((f['divergence'], f['left_mapped_pages']),
                         (0, 262143))

    def test_wide_addresses(self):
        wide = HEAD + 'map: IOMMU: iova=0x1fffffffffff000 - ' \
                      '0x200000000000000 paddr=0xffffffffff000 size=4096\n'
        p = replay('-', stdin=wide.encode())
        self.assertEqual(p.returncode, 0, p.stderr)

    def test_garbage(self):
        self.failed(replay('-', stdin=b'hello\nworld\n'), '(stdin):1:')
        self.failed(replay('-', stdin=(GOOD + 'x: y\n').encode()),
                    '(stdin):2:')
        self.failed(replay('-', stdin=b''), '(stdin):0:', 'iommu:map')
        self.failed(replay('-', stdin=b'# only\n# comments\n'), 'iommu:map')
        self.failed(replay('-', stdin=(HEAD + 'map: IOMMU: iova=0xfff\n')
                           .encode() * 100), '(stdin):1:')
        self.failed(replay('/nonexistent'), '/nonexistent')
        self.failed(replay('/'), 'directory')

    def test_truncated_gzip(self):
        with open(os.path.join(DATA, 'mixed-strict.trace.gz'), 'rb') as f:
            data = f.read()
        for cut in (len(data) // 2, len(data) - 4):
            p = replay('--json', '-', '-', stdin=data[:cut])
            self.failed(p, '(stdin):')
            self.assertEqual(json.loads(p.stdout)['files'], [])

    def test_one_bad_among_good(self):
        good = os.path.join(DATA, 'net-lazy.trace.gz')
        with tempfile.NamedTemporaryFile('w') as bad:
            bad.write('nonsense\n')
            bad.flush()
            p = replay('--json', '-', bad.name, good)
        self.failed(p, bad.name + ':1:')
        files = json.loads(p.stdout)['files']
        self.assertEqual([f['file'] for f in files], [good])

    def test_json_file(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, 'out.json')
            p = replay('--json', path, '-', stdin=GOOD.encode())
            self.assertEqual(p.returncode, 0, p.stderr)
            with open(path, encoding='utf-8') as f:
                self.assertEqual(json.load(f)['files'][0]['maps'], 1)
        self.failed(replay('--json', '/nonexistent/x', '-',
                           stdin=GOOD.encode()), '/nonexistent/x')


def bench(*args):
    """A second of it, against all that may be run here."""
    if AGAINST and '--against' not in args:
        args += ('--against', ','.join(AGAINST))
    return run('bench', '-s', '1', *args)


class Bench(Case):
    def check(self, *args):
        p = bench('--json', '-', *args)
        self.assertEqual(p.returncode, 0, p.stderr)
        out = json.loads(p.stdout)
        self.assertEqual(out['schema'], 'sluice-bench/1')
        self.assertEqual(out['counters']['kernel_calls'], 0)
        for key in ('cpu', 'cores', 'kernel', 'compiler', 'commit'):
            self.assertIn(key, out['machine'])
        found = {}
        for r in out['results']:
            found[r['name'], r['impl']] = r
            t = r['ns']
            self.assertLessEqual(t['min'], t['p50'])
            self.assertLessEqual(t['p50'], t['p99'])
            self.assertLessEqual(t['p99'], t['p999'])
            self.assertLessEqual(t['p999'], t['max'])
            self.assertGreater(r['ops_per_s'], 0)
        for name in ('map', 'unmap', 'pair'):
            for impl in ['sluice'] + out['config']['against']:
                self.assertIn((name, impl), found)
        for key in ('l1_load_ns', 'locked_add_ns'):
            self.assertGreater(out['floors'][key], 0)
        self.check_exposure(out)
        return out, found

    def check_exposure(self, out):
        """One for each number of threads, and every unmap is a sample."""
        runs = out['exposure']
        self.assertEqual([e['lanes'] for e in runs],
                         out['config']['threads_list'])
        self.assertEqual(sum(e['samples'] for e in runs),
                         out['counters']['unmaps'])
        for e in runs:
            self.assertEqual(e['mode'], out['config']['mode'])
            for what in ('entries', 'bytes', 'ns'):
                self.assertLessEqual(e[what]['p50'], e[what]['p99'])
                self.assertLessEqual(e[what]['p99'], e[what]['max'])
                self.assertLessEqual(e[what]['max'],
                                     out['counters'][f'exposed_{what}_max'])
                if e['samples']:
                    self.assertGreater(e[what]['p50'], 0)

    def test_strict(self):
        out, found = self.check()
        self.assertIn(('ticket', 'sluice'), found)
        others = AGAINST or built()
        self.assertEqual(set(out['config']['against']), set(others))
        for impl in ['sluice'] + others:
            for name in ('translate', 'translate_batch', 'translate_hit'):
                self.assertIn((name, impl), found)
            self.assertNotIn('efficiency', found['map', impl])
        self.assertEqual(out['counters']['maps'], out['counters']['unmaps'])
        # One lane: nobody else has to be told.
        self.assertEqual(out['counters']['invalidations'], 0)
        # No batch is larger than that, nor a page.
        e, = out['exposure']
        self.assertEqual(e['entries']['max'], 32)
        self.assertEqual(e['bytes']['max'], 32 * 4096)

    def test_lazy_threads(self):
        out, found = self.check('-t', '2', '--mode', 'lazy', '--against',
                                'naive')
        self.assertEqual(out['config']['against'], ['naive'])
        self.assertNotIn(('ticket', 'sluice'), found)
        self.assertEqual(found['map', 'sluice']['lanes'], 2)
        self.assertEqual(out['counters']['maps'], out['counters']['unmaps'])

    def test_scaling(self):
        out, _ = self.check('-t', '2,1', '--against', 'none', '--pin', 'no')
        self.assertEqual(out['config']['threads_list'], [2, 1])
        self.assertEqual(out['config']['threads'], 2)
        self.assertFalse(out['config']['pinned'])
        self.assertEqual({r['impl'] for r in out['results']}, {'sluice'})
        rates = {(r['lanes'], r['name']): r for r in out['results']}
        for name in ('map', 'unmap', 'translate', 'pair'):
            one, two = rates[1, name], rates[2, name]
            self.assertAlmostEqual(one['efficiency'], 1)
            self.assertAlmostEqual(two['efficiency'],
                                   two['ops_per_s'] / 2 / one['ops_per_s'])

    def test_scaling_rows(self):
        p = bench('-t', '1,2', '--against', 'naive')
        self.assertEqual(p.returncode, 0, p.stderr)
        text = p.stdout.decode()
        self.assertIn('threads:1 ', text)
        self.assertIn('threads:2 ', text)
        for impl in ('sluice', 'naive'):
            self.assertRegex(text, fr'(?m)^{impl} +map +[\d.]+ 1\.00 +'
                                   r'[\d.]+ \d+\.\d\d$')
        self.assertIn('\nexposure ', text)
        self.assertIn('floors of this machine', text)

    def test_working_set(self):
        """Far pages cost every lookup more, but one of nothing but hits."""
        for _ in range(5):  # where others keep the machine busy
            near, far = ({r['impl']: r['ns']['p50'] for r in self.check(
                '--working-set', size, '--depth', '32', '--batch', '8',
                '--against', 'naive')[0]['results']
                if r['name'] == 'translate'} for size in ('64K', '64M'))
            if all(far[i] > near[i] for i in ('sluice', 'naive')):
                return
        self.fail((near, far))

    def test_sg_and_arena(self):
        self.check('-m', 'sg', '-g', '8', '--depth', '16')
        out, _ = self.check('--mode', 'arena')
        self.assertEqual(out['config']['against'], ['naive'])
        out, _ = self.check('--mode', 'bounce', '--against', 'none')
        self.assertEqual(out['counters']['unmaps'], 0)  # copies

    def test_kernel_style_lines(self):
        p = bench('-d', '1')
        self.assertEqual(p.returncode, 0, p.stderr)
        lines = p.stdout.decode().split('\n')
        self.assertEqual(lines[0], 'dma mapping benchmark(SINGLE_MODE): '
                         'threads:1 seconds:1 node:-1 dir:TO_DEVICE '
                         'granule:1')
        self.assertRegex(lines[1], r'^average map latency\(us\):[\d.]+ '
                                   r'standard deviation:[\d.]+$')
        self.assertRegex(lines[2], r'^average unmap latency\(us\):')

    def test_report(self):
        with tempfile.TemporaryDirectory() as d:
            p = bench('--report', d)
            self.assertEqual(p.returncode, 0, p.stderr)
            self.assertTrue(os.path.getsize(os.path.join(d, 'latency.dat')))

    def test_no_such_device(self):
        p = run('bench', '--backend', 'type1', '--device', 'ffff:1f:1f.7')
        self.assertEqual(p.returncode, 1)
        self.assertGreater(len(p.stderr), 20)


if __name__ == '__main__':
    sys.exit(unittest.main())
