#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which lines and branches of a room its own tests reach. Builds the room and
its tests once more, unoptimised and counting, runs them, and fails below a
bar. Knows the room by its folder's name and the tests by theirs; what is
unreachable has no business in the room, so nothing is left out.

    coverage.py ROOM SOURCE_ROOT BUILD_FOLDER

Skips (77) without gcovr and gcov."""

import json
import os
import shlex
import shutil
import subprocess
import sys

MIN_LINES = 100.0
MIN_BRANCHES = 95.0
ROUNDS = 5 # of the stress tests, beyond the first
GCOVR = (5, 2)

# Long enough for every operation to meet every state, and threads each other.
ENOUGH = {'SLUICE_PLAY_OPS': '3000', 'SLUICE_PLAY_TABLES': '500',
          'SLUICE_FLUSH_OPS': '3000', 'SLUICE_PT_STRESS_OPS': '1000000'}

# What counts is this room: the rest of the tree is built as small as it goes.
OPTIONS = ['-Dbuildtype=debug', '-Db_coverage=true',
           '-Db_lundef=false', '-Dwerror=false', '-Dbench=disabled',
           '-Dexamples=false']
HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      'plain_inline.h')


def skip(why):
    print(f'skipped: {why}')
    return 77


def gcovr_version():
    """(major, minor), or None."""
    if not shutil.which('gcovr'):
        return None
    out = subprocess.run(['gcovr', '--version'], stdout=subprocess.PIPE,
                         text=True, check=False).stdout
    words = out.split()
    if len(words) < 2 or '.' not in words[1]:
        return None
    return tuple(int(n) for n in words[1].split('.')[:2])


def run(argv, env=None):
    """Quiet when it goes well."""
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        print(done.stdout[-6000:])
        sys.exit(f'coverage: {" ".join(argv[:4])} ... failed')
    return done.stdout


def configure(source, build):
    """Anew when it was made with other options: meson keeps old c_args."""
    env = dict(os.environ, CC='gcc', CXX='g++')
    for name in ('CFLAGS', 'CXXFLAGS', 'CPPFLAGS', 'LDFLAGS'):
        env.pop(name, None)
    args = ['-fprofile-update=atomic', f'-I{os.path.realpath(source)}',
            '-include', HEADER]
    how = [*OPTIONS, f'-Dc_args={shlex.join(args)}']
    stamp = os.path.join(build, 'coverage-options')
    if os.path.exists(stamp):
        with open(stamp, encoding='utf-8') as f:
            if f.read() == ' '.join(how):
                return
    known = os.path.exists(os.path.join(build, 'meson-private'))
    run(['meson', 'setup', *(['--wipe'] if known else []), *how, build,
         source], env)
    with open(stamp, 'w', encoding='utf-8') as f:
        f.write(' '.join(how))


def introspect(build, what):
    return json.loads(run(['meson', 'introspect', build, what]))


def tests_of(build, room):
    """Names of the room's tests, and the files that they are made of."""
    made = {t['id']: t['filename'] for t in introspect(build, '--targets')}
    names = []
    files = set()
    for test in introspect(build, '--tests'):
        suites = {s.split(':')[-1] for s in test['suite']}
        name = test['name']
        if not suites & {'unit', 'stress', 'fuzz'}:
            continue
        if not name.startswith((f'{room}-', f'fuzz-{room}')):
            continue
        names.append(name)
        for target in test['depends']:
            files.update(made.get(target, []))
    return names, sorted(files)


def forget(build):
    """Counts of an earlier run."""
    for here, _, names in os.walk(build):
        for name in names:
            if name.endswith('.gcda'):
                os.remove(os.path.join(here, name))


def play(build, names, more=()):
    """Runs the tests; the names of those that fail. What they reached before
    counts."""
    env = dict(os.environ, **ENOUGH, **dict(more))
    subprocess.run(['meson', 'test', '-C', build, '--no-rebuild',
                    '--timeout-multiplier', '4', '--logbase', 'coverage',
                    *names], env=env, stdout=subprocess.DEVNULL, check=False)
    log = os.path.join(build, 'meson-logs', 'coverage.json')
    with open(log, encoding='utf-8') as f:
        results = [json.loads(line) for line in f]
    if len(results) != len(names):
        sys.exit(f'coverage: {len(results)} of {len(names)} tests ran')
    return [r['name'] for r in results if r['result'] not in ('OK', 'SKIP')]


def measure(source, build, room):
    """Runs gcovr; returns its summary. The reports stay in the folder."""
    out = os.path.join(build, 'report')
    os.makedirs(out, exist_ok=True)
    summary = os.path.join(out, 'summary.json')
    run(['gcovr', '--root', source, '--object-directory', build,
         '--filter', os.path.join(os.path.realpath(source), room) + '/',
         '--exclude-unreachable-branches', '--exclude-throw-branches',
         '--exclude-branches-by-pattern', r'.*\bassert\(.*',
         '--json-summary', summary,
         '--txt', os.path.join(out, 'lines.txt'),
         '--xml', os.path.join(out, 'coverage.xml'),
         '--html-details', os.path.join(out, 'index.html'), build])
    with open(summary, encoding='utf-8') as f:
        return json.load(f), out


def percent(covered, total):
    return 100.0 * covered / total if total else 100.0


def show(summary):
    """A line for each file; returns the two totals."""
    rows = [(f['filename'], f['line_covered'], f['line_total'],
             f['branch_covered'], f['branch_total'])
            for f in summary['files']]
    rows.append(('total', summary['line_covered'], summary['line_total'],
                 summary['branch_covered'], summary['branch_total']))
    width = max(len(r[0]) for r in rows)
    print(f'{"":{width}}  {"lines":>18}  {"branches":>18}')
    for name, lc, lt, bc, bt in rows:
        print(f'{name:{width}}  {lc:5}/{lt:5} {percent(lc, lt):5.1f}%'
              f'  {bc:5}/{bt:5} {percent(bc, bt):5.1f}%')
    return (percent(*rows[-1][1:3]), percent(*rows[-1][3:5]))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    room, source, build = sys.argv[1:]
    version = gcovr_version()
    if version is None or version < GCOVR:
        return skip('gcovr 5.2 or later is missing (Debian: gcovr)')
    for tool in ('gcc', 'gcov', 'meson', 'ninja'):
        if not shutil.which(tool):
            return skip(f'{tool} is missing')
    configure(source, build)
    names, files = tests_of(build, room)
    if not names:
        sys.exit(f'coverage: {room}/ has no tests')
    run(['ninja', '-C', build, *[os.path.relpath(f, build) for f in files]])
    forget(build)
    failed = play(build, names)
    summary, out = measure(source, build, room)
    if not summary['files']:
        sys.exit(f'coverage: nothing of {room}/ was counted')
    # A lost race is a line too, and no run is sure to lose each of them.
    races = [n for n in names if 'stress' in n]
    for seed in range(2, 2 + ROUNDS):
        if failed or not races or percent(
                summary['line_covered'],
                summary['line_total']) >= MIN_LINES:
            break
        failed = play(build, races, {'SLUICE_STRESS_SEED': str(seed)})
        summary, out = measure(source, build, room)
    lines, branches = show(summary)
    print(f'{len(names)} tests; reports in {out}')
    if failed:
        print(f'coverage: tests failed: {" ".join(failed)}')
        return 1
    if lines < MIN_LINES or branches < MIN_BRANCHES:
        print(f'coverage: {room}/ is below {MIN_LINES:.0f} % of lines or '
              f'{MIN_BRANCHES:.0f} % of branches')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
