#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the objects of the library want from outside of it. Whatever may make a
system call that can fail goes through the table (util/sys.h), so that a test
can make it fail: only sys.o may import it. All other names must be on the list
below, of functions that make none or none whose failure is an answer. Reads
symbol tables only."""

import glob
import os
import re
import subprocess
import sys

ROOMS = ('util', 'pagetable', 'iotlb', 'groups', 'engine')
TABLE = os.path.join('libsluice_util.a.p', 'sys.c.o')

# No system call at all, or (the heap) one that a test replaces by itself.
PURE = {
    'malloc', 'calloc', 'realloc', 'aligned_alloc', 'free',
    'memchr', 'memcmp', 'memcpy', 'memmove', 'memrchr', 'memset',
    'bcmp', 'strcasecmp', 'strchr', 'strcmp', 'strcspn', 'strerror',
    'strerrorname_np', 'strlen',
    'strncmp', 'strnlen', 'strpbrk', 'strrchr', 'strstr', 'strtol', 'strtoul',
    'strtoull', 'snprintf', 'vsnprintf', 'sscanf', 'bsearch', 'qsort',
    'sigfillset',
    'fdt_check_full', 'fdt_getprop', 'fdt_next_node',
    'fdt_node_check_compatible', 'fdt_parent_offset', 'fdt_path_offset',
    'rte_ring_get_memsize_elem', 'rte_ring_init',
}
# System calls that cannot fail where their arguments are right, or that only
# ask for time.
SURE = {
    'clock_gettime', 'getpid', 'getuid', 'sched_yield',
    'pthread_join', 'pthread_once', 'pthread_self', 'pthread_setname_np',
    'pthread_sigmask',
    'pthread_mutex_init', 'pthread_mutex_destroy', 'pthread_mutex_lock',
    'pthread_mutex_trylock', 'pthread_mutex_unlock',
}
# The compiler's, the C library's and the sanitizers' own.
OWN = re.compile(r'^_')


def nm(obj, which):
    out = subprocess.run(['nm', which, obj], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return {line.split()[-1].split('@')[0] for line in out.splitlines()}


def objects(builddir):
    found = []
    for room in ROOMS:
        found += glob.glob(os.path.join(builddir, room, '**', '*.o'),
                           recursive=True)
    return sorted(found)


def plain(name):
    """open64 is open, __isoc99_sscanf is sscanf, __read_chk is read."""
    name = re.sub(r'^__isoc\d+_', '', name)
    name = re.sub(r'^__(\w+?)(_chk|_2)$', r'\1', name)
    return re.sub(r'64$', '', name)


def strangers(objs):
    """(object, name) of each import that neither the library defines nor the
    lists allow; also what the table's own object imports."""
    own = set()
    for obj in objs:
        own |= nm(obj, '--defined-only')
    bad, wrapped = [], set()
    for obj in objs:
        for name in sorted(nm(obj, '-u') - own):
            short = plain(name)
            if short in PURE | SURE or OWN.match(short):
                continue
            if obj.endswith(TABLE):
                wrapped.add(short)
            else:
                bad.append((os.path.basename(obj), short))
    return bad, wrapped


def main():
    objs = objects(sys.argv[1])
    bad, wrapped = strangers(objs)
    for obj, name in bad:
        print(f'{obj}: {name}: ' + (
            'call it through the table of util/sys.h' if name in wrapped else
            'not known here: a system call belongs into the table of '
            'util/sys.h; a function that makes none, on the list of this file'))
    print(f'imports: {len(objs)} objects, {len(wrapped)} names in the table, '
          f'{len(bad)} problems')
    return 1 if bad or not objs or not wrapped else 0


if __name__ == '__main__':
    sys.exit(main())
