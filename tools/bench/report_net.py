#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""report_net.py RAW FOLDER: the table of run-net, from the lines that it wrote.

Prints it, writes table.tsv and ratios.svg into FOLDER, and fails when something was
slower than with the module in C, or did not run.
"""

import os
import statistics
import sys

import picture
import report

NOISE = 0.05  # that is there in any case
HEADS = ["case", "TCP ms", "C ms", "ours ms", "ours/C", "ours/TCP", "noise %",
         "p99: C", "ours", "packets: C", "ours", "rcvbuf: C", "ours", ""]


class Case:
    def __init__(self):
        self.runs = {}  # who -> dicts of values

    def add(self, who, values):
        self.runs.setdefault(who, []).append(values)

    def typical(self, who, value):
        found = [run[value] for run in self.runs.get(who, []) if value in run]
        return statistics.median(found) if found else None

    def time(self, who):
        """Milliseconds: of all, or of a typical request."""
        request = self.typical(who, "p50")
        if request is not None:
            return request / 1000
        seconds = self.typical(who, "seconds")
        return None if seconds is None else seconds * 1000

    def noise(self):
        """How much the time of the same thing differs: plain TCP does not know the module."""
        value = "p50" if self.typical("tcp", "p50") else "seconds"
        times = [run[value] for run in self.runs.get("tcp", [])]
        return max(NOISE, max(times) / min(times) - 1) if times and min(times) else NOISE


def read(path):
    cases, errors = {}, []
    for line in open(path):
        what, *words = line.rstrip("\n").split("\t")
        if what == "error":
            errors.append(words[0])
        if what != "result":
            continue
        where, kind, _, module, over, text = words
        values = dict(word.split("=", 1) for word in text.split() if "=" in word)
        versions = [over] if over != "tcp" else ["1.2", "1.3"]
        if "error" in values or not values:
            errors.append(f"{where} {kind}, {module} {over}: {text}")
            continue
        for version in versions:
            case = cases.setdefault(f"{where} {kind}, TLS {version}", Case())
            case.add("tcp" if over == "tcp" else module,
                     {name: float(value) for name, value in values.items()})
    return {name: case for name, case in cases.items() if case.runs.keys() > {"tcp"}}, errors


def row(name, case):
    plain, stock, ours = (case.time(who) for who in ("tcp", "stock", "ours"))
    ratio = ours / stock if ours and stock else None
    number = report.number
    p99 = [case.typical(who, "p99") for who in ("stock", "ours")]
    slower = ratio is not None and ratio > 1 + case.noise()
    return [name, number(plain, "{:.2f}"), number(stock, "{:.2f}"), number(ours, "{:.2f}"),
            number(ratio, "{:.2f}"), number(ours / plain if ours and plain else None, "{:.2f}"),
            number(100 * case.noise()), *(number(p and p / 1000, "{:.1f}") for p in p99),
            *(number(case.typical(who, value)) for value in ("segs", "rcvbuf")
              for who in ("stock", "ours")), "slower than C" if slower else ""]


def main():
    raw, folder = sys.argv[1:]
    cases, errors = read(raw)
    lines = [row(name, case) for name, case in cases.items()]
    report.print_table(HEADS, lines)
    with open(os.path.join(folder, "table.tsv"), "w") as table:
        for line in [HEADS] + lines:
            table.write("\t".join(line) + "\n")
    done = [line for line in lines if "-" not in (line[1], line[4])]
    if done:
        ratios = [float(line[4]) for line in done]
        mean = statistics.geometric_mean(ratios)
        print(f"\ngeometric mean of {len(done)} cases: {mean:.2f}; "
              f"best {min(ratios):.2f}, worst {max(ratios):.2f}")
        bars = [(line[0], float(line[4]), float(line[1]) / float(line[2]), line[-1] != "")
                for line in done]
        picture.write(os.path.join(folder, "ratios.svg"), bars, len(done), mean, picture.Words(
            "Time over a network, relative to the C module (less is faster)",
            "Loopback, or a cable of such an MTU; delay in each direction, loss; same boot.",
            "plain TCP", lambda name: name))
    else:
        errors.append("nothing was measured")
    errors += [f"{line[0]}: slower than C" for line in lines if line[-1]]
    for error in errors:
        print("WRONG:", error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
