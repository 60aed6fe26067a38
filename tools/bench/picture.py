# SPDX-License-Identifier: GPL-2.0
"""The picture of a benchmark: a bar for the ratio of each case."""

import re
from typing import Callable, NamedTuple
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, ROW = 900, 300, 60, 92, 20
VERBS = {"tx": "send", "rx": "receive", "request": "request and answer", "setup": "connect,"}
GOOD, BAD, LINE, TEXT, FLOOR = "#2a7f9e", "#c0392b", "#8a8f98", "#3a3f47", "#f2b134"


def label(name):
    """For "tx/1.2/gcm128/sendfile-16k": "send sendfile 16 KiB, TLS 1.2 gcm128"."""
    verb, version, suite, what = name.split("/")
    what = re.sub(r"(\d+)k\b", r"\1 KiB", what.replace("-", " "))
    what = re.sub(r"(\d+)$", r"\1 B", what)
    return f"{VERBS[verb]} {what}, TLS {version} {suite}"


class Words(NamedTuple):
    """What stands beside the bars."""
    title: str
    subtitle: str
    floor: str
    label: Callable[[str], str]


INSTRUCTIONS = Words(
    "Instructions per operation, relative to the C module (less is faster)",
    "Sender and receiver together, same boot.",
    "plain TCP and bare encryption alone: a TLS layer that costs nothing", label)


def write(path, bars, count, mean, words=INSTRUCTIONS):
    """bars: name, ratio, floor and "it is bad" of cases; mean: of all count cases."""
    scale = (WIDTH - LEFT - RIGHT) / max(1, *(ratio for _, ratio, _, _ in bars))
    height = TOP + ROW * len(bars) + 28
    out = ['<!-- SPDX-License-Identifier: GPL-2.0 -->',
           f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" '
           f'fill="{TEXT}">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']

    def text(x, y, what, more=""):
        out.append(f'<text x="{x:.1f}" y="{y}" {more}>{escape(what)}</text>')

    def bar(x, y, width, tall, color):
        out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{tall}" '
                   f'fill="{color}"/>')

    text(16, 26, words.title, 'font-size="16"')
    text(16, 48, f"{words.subtitle} Geometric mean of {count} cases: {mean:.2f} (dashed).")
    bar(16, 58, 3, 14, FLOOR)
    text(26, 69, words.floor)
    for i, (name, ratio, floor, bad) in enumerate(bars):
        y = TOP + ROW * i
        text(LEFT - 8, y + 14, words.label(name), 'text-anchor="end"')
        bar(LEFT, y + 3, ratio * scale, ROW - 6, BAD if bad else GOOD)
        bar(LEFT + floor * scale - 1.5, y + 3, 3, ROW - 6, FLOOR)
    for value, dash in (1, "none"), (mean, "4 3"):
        x = LEFT + value * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{height - 22}" '
                   f'stroke="{LINE}" stroke-dasharray="{dash}"/>')
    for i, (name, ratio, floor, bad) in enumerate(bars):
        text(LEFT + ratio * scale + 6, TOP + ROW * i + 14, f"{ratio:.2f}",
             'stroke="#ffffff" stroke-width="4" paint-order="stroke"')
    text(LEFT + scale, height - 8, "C module", 'text-anchor="middle"')
    out.append("</svg>")
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")
