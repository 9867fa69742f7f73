# SPDX-License-Identifier: Apache-2.0
"""The lines of test/bench/run, and how each figure grows with the zone."""

ROW = "{:34} {:>24} {:>30} {:>7}   {}"
figures = {}  # name -> {count: (number, text)}


def say(text):
    print(text, flush=True)


def line(count, what, ours, base="", ratio=None, goal="", number=None):
    """`number`: what grows, when it is not the ratio's."""
    say(ROW.format(what, ours, base, "" if ratio is None else f"{ratio:.2f}", goal))
    figures.setdefault(what, {})[count] = (number, ours)


def growth():
    counts = sorted({c for of in figures.values() for c in of})
    if len(counts) < 2:
        return
    say("\nhow each figure grows")
    say(f"{'':34}" + "".join(f"{c:>24}" for c in counts) + f"{'last / first':>14}")
    for what, of in figures.items():
        numbers = [of[c][0] for c in counts if c in of and of[c][0]]
        grown = f"{numbers[-1] / numbers[0]:.2f}" if len(numbers) > 1 else ""
        say(f"{what:34}" + "".join(f"{of[c][1] if c in of else '-':>24}" for c in counts) + f"{grown:>14}")


def rate(v):
    return f"{v / 1000:.0f}k/s" if v >= 10000 else f"{v / 1000:.1f}k/s"


def quantiles(times, less=0.0):
    """"p50 .. max .." of milliseconds."""
    times = sorted(times)
    return f"p50 {times[len(times) // 2] - less:.1f} max {times[-1] - less:.1f} ms"
