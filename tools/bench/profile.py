#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""profile.py FOLDER [--tree FUNCTION] ...: prints what counter.c counted."""

import argparse
import bisect
import collections
import os
import re
import subprocess
import sys


class Symbols:
    def __init__(self, path):
        # Rust's names are in an encoding that c++filt knows; crates get a hash.
        with open(path) as file:
            text = subprocess.run(["c++filt"], stdin=file, capture_output=True, text=True,
                                  check=True).stdout
        text = re.sub(r"\[[0-9a-f]{9,16}\]", "", text)
        found = {}
        for line in text.splitlines():
            address, kind, name = line.split(" ", 2)
            if kind in "tTwW" and not name.startswith(("__pfx_", "__cfi_")):
                found[int(address, 16)] = name.replace("\t", " ")
        self.addresses = sorted(found)
        self.names = [found[a] for a in self.addresses]

    def name(self, address):
        if address < 1 << 63:
            return "[user space]"
        i = bisect.bisect_right(self.addresses, address) - 1
        return self.names[i] if i >= 0 else hex(address)


class Sum:
    def __init__(self):
        self.calls = self.instructions = 0

    def add(self, calls, instructions):
        self.calls += calls
        self.instructions += instructions


class Profile:
    def __init__(self, path, symbols, operations):
        self.own = collections.Counter()
        self.below = collections.defaultdict(Sum)
        self.edges = collections.defaultdict(lambda: collections.defaultdict(Sum))
        self.operations = operations
        for line in open(path):
            what, *words = line.split()
            if what == "block":
                self.own[symbols.name(int(words[0], 16))] += int(words[1]) * int(words[2])
                continue
            site, target, ret = (int(w, 16) for w in words[:3])
            caller, last = symbols.name(site), symbols.name(ret)
            callee = symbols.name(target) if target else last
            if "indirect_thunk" in callee:
                callee = last
            self.add(caller, callee, words)
            # It ended in a tail call.
            if last != callee:
                self.add(callee, last, words)

    def add(self, caller, callee, words):
        calls, instructions = int(words[3]), int(words[4])
        self.edges[caller][callee].add(calls, instructions)
        self.below[callee].add(calls, instructions)

    def top(self, count, least):
        print(f"{'own':>9} {'%':>5} {'with calls':>10} {'calls':>8}  function")
        total = self.own.total()
        for name, own in self.own.most_common(count):
            if own / self.operations < least:
                break
            below = self.below.get(name, Sum())
            print(f"{own / self.operations:9.0f} {100 * own / total:5.1f} "
                  f"{below.instructions / self.operations:10.0f} "
                  f"{below.calls / self.operations:8.2f}  {name}")

    def tree(self, name, depth, least, scale=1.0, calls=None, above=()):
        """A function is shown below each caller with its average, scaled."""
        sum_ = self.below.get(name, Sum())
        if calls is None:
            calls = sum_
        print(f"{calls.instructions * scale / self.operations:9.0f} "
              f"{calls.calls * scale / self.operations:8.2f}  {'  ' * len(above)}{name}")
        if len(above) >= depth or name in above or not sum_.calls:
            return
        scale *= calls.calls / sum_.calls
        for callee, edge in sorted(self.edges[name].items(), key=lambda x: -x[1].instructions):
            if edge.instructions * scale / self.operations >= least:
                self.tree(callee, depth, least, scale, edge, above + (name,))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--tree")
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--least", type=float, default=20)
    args = parser.parse_args()

    symbols = Symbols(os.path.join(args.folder, "profile.symbols"))
    number, wrong = 0, False
    for line in open(os.path.join(args.folder, "profile.log")):
        words = line.rstrip("\n").split("\t")
        if words[0] in ("error", "skip"):
            print(" ".join(words))
            wrong = True
        if words[0] != "result":
            continue
        operations = int(words[3]) * (len(words) - 4)
        profile = Profile(os.path.join(args.folder, f"profile.{number}"), symbols, operations)
        number += 1
        total = profile.own.total()
        print(f"\n{words[1]}: {total / operations:.0f} instructions in an operation")
        if args.tree:
            found = [n for n in profile.below if args.tree == n] or \
                    [n for n in profile.below if args.tree in n]
            for name in found:
                profile.tree(name, args.depth, args.least)
        else:
            profile.top(args.top, args.least)
    return 1 if wrong or not number else 0


if __name__ == "__main__":
    sys.exit(main())
