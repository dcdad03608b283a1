#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`meson install` into an empty folder, then a program that knows nothing of
this tree is built with `pkg-config --cflags --libs sluice` and run: shared and
static, C and C++. Also: exactly the public headers are installed, and the
version is the same everywhere."""

import glob
import os
import shutil
import subprocess
import sys
import tempfile


def run(argv, env=None):
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, env=env, check=False)
    if r.returncode:
        raise SystemExit(f'{" ".join(argv)}\n{r.stdout}')
    return r.stdout.strip()


def one(pattern, dest):
    found = glob.glob(os.path.join(dest, '**', pattern), recursive=True)
    if len(found) != 1:
        raise SystemExit(f'one {pattern} expected, found {found}')
    return found[0]


def check_headers(root, dest):
    folder = os.path.dirname(one('sluice.h', dest))
    want = sorted(os.listdir(os.path.join(root, 'include', 'sluice')))
    have = sorted(os.listdir(folder))
    if want != have:
        raise SystemExit(f'installed headers {have}\nexpected {want}')


def check_version(root, pc):
    with open(os.path.join(root, 'include', 'sluice', 'base.h'),
              encoding='utf-8') as f:
        parts = [line.split()[2] for line in f
                 if line.startswith('#define SLUICE_VERSION_')]
    if '.'.join(parts) != pc:
        raise SystemExit(f'base.h says {".".join(parts)}, sluice.pc {pc}')


def build_and_run(dest, root, lang, static, extra):
    """One program; pkg-config sees the installed tree through a sysroot."""
    env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=dest,
               PKG_CONFIG_PATH=os.path.dirname(one('sluice.pc', dest)))
    env.pop('LD_LIBRARY_PATH', None)
    libdir = os.path.dirname(one('libsluice.so', dest))
    query = ['pkg-config', '--cflags', '--libs'] + ['--static'] * static
    flags = run(query + ['sluice'], env).split()
    if static:
        # Only the archive is in sight; other libraries stay shared.
        lib = os.path.join(dest, 'static')
        if not os.path.isdir(lib):
            os.makedirs(lib)
            shutil.move(os.path.join(libdir, 'libsluice.a'), lib)
        flags.insert(0, '-L' + lib)
    else:
        env['LD_LIBRARY_PATH'] = libdir
    src = os.path.join(root, 'tests', 'api', 'outoftree', 'prog.c')
    exe = os.path.join(dest, f'prog-{lang}-{"static" if static else "shared"}')
    compiler = (os.environ.get('SLUICE_CC', 'cc') if lang == 'c' else
                os.environ.get('SLUICE_CXX', 'c++'))
    std = '-std=c99' if lang == 'c' else '-std=c++11'
    run([compiler, std, '-Wall', '-Wextra', '-Werror', '-x',
         'c' if lang == 'c' else 'c++', src, '-x', 'none', '-o', exe] +
        extra + flags, env)
    needed = run(['readelf', '-d', exe])
    if ('libsluice.so' in needed) == static:
        raise SystemExit(f'{exe}: linked with the wrong library\n{needed}')
    print(os.path.basename(exe) + ':', run([exe], env))


def main():
    root, builddir, sanitize = sys.argv[1:4]
    extra = [] if sanitize == 'none' else [f'-fsanitize={sanitize}']
    with tempfile.TemporaryDirectory() as dest:
        run(['meson', 'install', '-C', builddir, '--no-rebuild', '--quiet',
             '--destdir', dest])
        check_headers(root, dest)
        env = dict(os.environ,
                   PKG_CONFIG_PATH=os.path.dirname(one('sluice.pc', dest)))
        check_version(root, run(['pkg-config', '--modversion', 'sluice'], env))
        tool = glob.glob(os.path.join(dest, '**', 'bin', 'sluice'),
                         recursive=True)
        one('libsluice.a', dest)
        for static in (False, True):
            for lang in ('c', 'c++'):
                build_and_run(dest, root, lang, static, extra)
        print('tool installed:', bool(tool))
    return 0


if __name__ == '__main__':
    sys.exit(main())
