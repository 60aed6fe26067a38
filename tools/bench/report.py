#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report.py RAW FOLDER: the table of a benchmark, from the lines that it wrote.

Prints it, writes table.tsv and ratios.svg into FOLDER, and fails when something was
wrong or did not run.
"""

import os
import statistics
import sys

import picture

MEMORY_NOISE = 64  # bytes


def typical(values):
    """The mean of the middle half: without the batches with a timer tick in them."""
    values = sorted(values)
    cut = len(values) // 4
    return statistics.fmean(values[cut:len(values) - cut])


def noise(name):
    """Up to which ratio nothing is to be seen; connections are set up in many ways."""
    return 1.01 if name.startswith("setup/") else 1.003


class Case:
    def __init__(self, name):
        self.name = name
        self.rounds = {}    # who -> what is typical of each round
        self.batches = {}   # who -> all batches
        self.wire = {}      # who -> set of hashes
        self.main = False
        self.calls = None   # suite, size, sealed, opened

    def cost(self, who):
        return typical(self.batches[who]) if who in self.batches else None

    def ratio(self):
        ours, stock = self.cost("ours"), self.cost("stock")
        return ours / stock if ours and stock else None

    def spread(self):
        """How far apart the rounds of one module are, in percent."""
        apart = [max(r) / min(r) - 1 for who, r in self.rounds.items()
                 if who in ("stock", "ours")]
        return 100 * max(apart) if apart else None

    def floor(self, aead):
        """Plain TCP, and what each record costs when nothing but its AEAD is done."""
        suite, size, sealed, opened = self.calls
        plain = self.cost("tcp")
        if plain is None or self.name.startswith("setup/"):
            return plain
        if (suite, size) not in aead:
            return None
        seal, open_ = aead[suite, size]
        return plain + sealed * seal + opened * open_


def read(path):
    cases, aead, memory, errors = {}, {}, {}, []
    module = None
    for line in open(path):
        words = line.rstrip("\n").split("\t")
        what = words[0]
        if what == "aead":
            aead[words[1], int(words[2])] = int(words[3]), int(words[4])
        elif what == "module":
            module = words[1]
        elif what == "case":
            case = cases.setdefault(words[1], Case(words[1]))
            case.main = words[2] == "1"
            case.calls = words[3], *map(int, words[4:])
        elif what == "result":
            who = module if words[2] == "tls" else words[2]
            values = [float(v) for v in words[4:]]
            case = cases[words[1]]
            case.batches.setdefault(who, []).extend(values)
            case.rounds.setdefault(who, []).append(typical(values))
        elif what == "wire":
            cases[words[1]].wire.setdefault(module, set()).add(words[2])
        elif what == "memory":
            who = module if words[2] == "tls" else words[2]
            memory.setdefault((words[1], words[3]), {})[who] = float(words[4]), float(words[5])
        elif what == "error":
            errors.append(f"{words[1]} ({module or words[2]}): {words[3]}")
    return cases, aead, memory, errors


def check_wire(cases, errors):
    for case in cases.values():
        if len(set().union(*case.wire.values())) > 1:
            errors.append(f"{case.name}: the modules do not send the same bytes: "
                          + ", ".join(f"{who} {' '.join(h)}" for who, h in case.wire.items()))


def number(value, form="{:.0f}"):
    return "-" if value is None else form.format(value)


HEADS = ["case", "C", "ours", "ratio", "spread %", "floor", "floor/C", "OpenSSL", ""]


def rows(cases, aead):
    for case in cases.values():
        stock, ours = case.cost("stock"), case.cost("ours")
        # What the kernel is told not to expect, user space cannot be told.
        openssl = cases.get(case.name.replace("-nopad", ""), case).cost("openssl")
        ratio, floor = case.ratio(), case.floor(aead)
        notes = []
        if ratio and ratio > noise(case.name):
            notes.append("slower than C")
        if ours and openssl and ours > openssl:
            notes.append("slower than OpenSSL")
        yield [case.name, number(stock), number(ours), number(ratio, "{:.3f}"),
               number(case.spread(), "{:.2f}"), number(floor),
               number(floor / stock if floor and stock else None, "{:.3f}"),
               number(openssl), ", ".join(notes)]


def print_table(heads, lines):
    widths = [max(len(line[i]) for line in [heads] + lines) for i in range(len(heads))]
    for line in [heads] + lines:
        print("  ".join(cell.ljust(w) if i in (0, len(heads) - 1) else cell.rjust(w)
                        for i, (cell, w) in enumerate(zip(line, widths))).rstrip())


def print_memory(memory):
    """Bytes of an idle socket with both directions, beyond a TCP socket's."""
    lines, slab = [], {}
    for (name, when), who in memory.items():
        line = [name.replace("request/", "memory/").replace("/64", ""), when]
        for module in "stock", "ours":
            for kind, tls, plain in zip(("slab", "other"), who[module], who["tcp"]):
                line.append(number(tls - plain))
                slab[name, when, module, kind] = tls - plain
        ours = slab[name, when, "ours", "slab"]
        notes = []
        if ours > slab[name, when, "stock", "slab"] + MEMORY_NOISE:
            notes.append("more than C")
        if ours > slab[name, "idle", "ours", "slab"] + MEMORY_NOISE:
            notes.append("grows")
        lines.append(line + [", ".join(notes)])
    if lines:
        print("\nBytes per idle socket, beyond plain TCP:")
        print_table(["case", "when", "C slab", "C other", "ours slab", "ours other", ""], lines)


def main():
    raw, folder = sys.argv[1:]
    cases, aead, memory, errors = read(raw)
    check_wire(cases, errors)
    if not aead:
        errors.append("the cost of bare AEAD was not measured")
    lines = list(rows(cases, aead))
    print_table(HEADS, lines)
    with open(os.path.join(folder, "table.tsv"), "w") as table:
        for line in [HEADS] + lines:
            table.write("\t".join(line) + "\n")
    print_memory(memory)

    done = [case for case in cases.values() if case.ratio() and case.floor(aead)]
    if done:
        ratios = [case.ratio() for case in done]
        floors = [case.floor(aead) / case.cost("stock") for case in done]
        mean = statistics.geometric_mean(ratios)
        print(f"\ngeometric mean of {len(done)} cases: {mean:.3f} "
              f"(floor: {statistics.geometric_mean(floors):.3f}); "
              f"best {min(ratios):.3f}, worst {max(ratios):.3f}")
        bars = [(case.name, ratio, floor, ratio > noise(case.name))
                for case, ratio, floor in zip(done, ratios, floors)]
        bars = [bar for bar, case in zip(bars, done) if case.main] or bars
        picture.write(os.path.join(folder, "ratios.svg"), bars, len(done), mean)
    for error in errors:
        print("WRONG:", error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
