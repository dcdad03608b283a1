#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Judges the JSON of `sluice bench --mode share --backend type1`.

usage: share.py FILE

In one domain a buffer is one MAP and at most one UNMAP, whatever the number of
groups, and a burst of neighbours one MAP; with a domain for each group, one in
each. Prints the least cost of a map against one group's; with SLUICE_BARS set,
more than 1.1 times is a failure.
"""
import json
import os
import sys

BAR = 1.1


def judge(doc):
    depth = doc['depth']
    for case in doc['cases']:
        what = f"{case['groups']} groups in {case['domains']} domains"
        single, burst = case['calls'], case['burst_calls']
        if not single['buffers'] or not burst['buffers']:
            yield f'{what}: nothing was measured'
        if single['maps'] != single['buffers'] * case['domains']:
            yield f"{what}: {single['maps']} MAP for {single['buffers']}"
        if single['unmaps'] > single['buffers'] * case['domains']:
            yield f"{what}: {single['unmaps']} UNMAP for {single['buffers']}"
        if burst['maps'] * depth != burst['buffers'] * case['domains']:
            yield f"{what}: {burst['maps']} MAP for {burst['buffers']}, bursts"


def main(path):
    with open(path, encoding='utf-8') as f:
        doc = json.load(f)
    bad = list(judge(doc))
    if {c['groups'] for c in doc['cases']} != {1, 2, 4, 8}:
        bad.append('not all of 1, 2, 4 and 8 groups were measured')
    slow = []
    for case in doc['cases']:
        if case['domains'] != 1:
            continue
        for what in 'map', 'burst_map':
            ratio = case[what]['ratio']
            print(f"{case['groups']} groups, {what:9} {ratio:5.2f} of one "
                  f'group, at most {BAR}')
            if ratio > BAR:
                slow.append(what)
    for line in bad:
        print(line)
    return 1 if bad or (slow and os.environ.get('SLUICE_BARS')) else 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
