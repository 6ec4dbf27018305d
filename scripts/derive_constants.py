#!/usr/bin/env python3
"""Derives the constants of the kernels anew, to fifty digits, and compares them with those in the sources.

    python3 -m venv constants && constants/bin/pip install mpmath numpy
    constants/bin/python scripts/derive_constants.py

Ends with 1 where a source has another number. What is derived, file by file:

src/kernel/exp.rs
  ln 2   is split into a high part of at most 14 significant bits, so that its product with an
         integer below 1024 is exact in f32, and the rest, rounded to f32.
  e^r    on |r| <= ln(2)/2 is 1 + r + c2 r^2 + ... + c6 r^6 with the least largest relative error
         (Lawson's iteratively reweighted least squares). The coefficients are rounded to f32 one
         after the other, from c2 on, and those that follow are fitted again around each rounding.
  limits up to which differences are exact, and beyond which terms are normal numbers and negligible.
src/kernel/math.rs
  ln 2   is split into a high part of 32 bits, and the rest, rounded to f64.
  e^x    and ln x are Taylor series: the degree leaves less than f64 shows.
src/kernel/map.rs
  tanh   next to 0 is x - x^3/3 up to where the next term shows, or the difference has lost as much.
"""
import math
import re
import sys
from pathlib import Path

import mpmath
import numpy as np
from mpmath import mpf

mpmath.mp.dps = 50
SOURCES = Path(__file__).resolve().parent.parent / "src"
DEGREE = 6
F32_SMALLEST = mpf(2) ** -126


class Source:
    """The constants of a file: `const NAME: TYPE = EXPRESSION;`, evaluated as Rust does."""

    def __init__(self, path):
        self.path = path
        text = re.sub(r"//.*", "", (SOURCES / path).read_text())
        self.definitions = dict(re.findall(r"\bconst (\w+): [^=]*? = (.*?);", text, re.DOTALL))
        self.text = text

    def value(self, name, number):
        """A constant as numbers of a type: an array where the source has one."""
        names = {
            "core::f32::consts::LOG2_E": repr(float(np.float32(1 / mpmath.ln(2)))),
            "LOG2_E": repr(float(1 / mpmath.ln(2))),
        }
        return self.evaluated(names.get(self.definitions[name], self.definitions[name]), number)

    def evaluated(self, expression, number):
        expression = re.sub(r"(?<=\d)_(?=\d)", "", expression)
        expression = expression.replace("f32::from_bits(2 << 23)", "FROM_BITS")
        expression = re.sub(r"\bas f32\b", "", expression)
        literal = r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?"
        expression = re.sub(literal, lambda match: f"number({match.group()!r})", expression)
        scope = {"number": number, "FROM_BITS": np.array(2 << 23, np.uint32).view(np.float32)[()]}
        for name in set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", expression)) - set(scope):
            scope[name] = self.value(name, number)
        return eval(expression, scope)


def integer(text):
    """Also of what is written as a float."""
    return int(float(text))


failures = []


def check(what, derived, found):
    """Compares what is derived with what a source has: equal numbers of one type."""
    same = np.array_equal(np.atleast_1d(derived), np.atleast_1d(found))
    print(f"{what} = {np.array2string(np.asarray(derived), floatmode='unique')}" + ("" if same else f", BUT THE SOURCE HAS {found}"))
    if not same:
        failures.append(what)


def claim(what, holds):
    """Notes what a comment in the sources says."""
    print(f"{'' if holds else 'FALSE: '}{what}")
    if not holds:
        failures.append(what)


def minimax(target, powers, grid):
    """Coefficients of sum c_p r^p with the least largest |error| / e^r over the grid."""
    scale = np.abs(grid).max()
    basis = np.stack([(grid / scale) ** p / np.exp(grid) for p in powers], axis=1)
    wanted = target / np.exp(grid)
    weight = np.full(len(grid), 1 / len(grid))
    for _ in range(2000):
        root = np.sqrt(weight)[:, None]
        c, *_ = np.linalg.lstsq(basis * root, wanted * root[:, 0], rcond=None)
        error = np.abs(basis @ c - wanted)
        weight *= error
        weight /= weight.sum()
    return [ck / scale**p for ck, p in zip(c, powers)]


def split(value, bits, number):
    """A high part of so many bits behind the point, and the rest."""
    high = mpmath.floor(value * 2**bits) / 2**bits
    return number(float(high)), number(mpmath.nstr(value - high, 40))


def exponential():
    source, ln2 = Source("kernel/exp.rs"), mpmath.ln(2)
    high, low = split(ln2, 14, np.float32)
    check("LN_2_HIGH", high, source.value("LN_2_HIGH", np.float32))
    check("LN_2_LOW", low, source.value("LN_2_LOW", np.float32))
    check("LOG2_E", np.float32(mpmath.nstr(1 / ln2, 40)), source.value("LOG2_E", np.float32))

    half = float(ln2) / 2 * 1.0001  # a little more than the reduction can leave
    grid = half * np.cos(np.pi * (np.arange(2001) + 0.5) / 2001)
    # e^r - 1 - r without cancellation.
    rest = sum(grid**k / math.factorial(k) for k in range(2, 20))
    coefficients = []
    for power in range(2, DEGREE + 1):
        c = np.float32(minimax(rest, list(range(power, DEGREE + 1)), grid)[0])
        rest = rest - float(c) * grid**power
        coefficients.append(c)
    check("C", np.array(coefficients), source.value("C", np.float32))
    powers = [mpf(1), mpf(1)] + [mpf(float(c)) for c in coefficients]
    worst = max(abs(mpmath.polyval(powers[::-1], mpf(r)) / mpmath.exp(r) - 1) for r in grid)
    claim(f"relative error of e^r: {mpmath.nstr(worst, 3)} <= 3.2e-9", worst <= mpf("3.25e-9"))

    pivot_free = source.value("PIVOT_FREE", integer)
    headroom, span = source.value("HEADROOM", integer), source.value("SPAN", integer)
    check("ROUNDER", np.float32(1.5 * 2**23), source.value("ROUNDER", np.float32))
    check("BIAS", 127, source.value("BIAS", integer))
    check("NEGLIGIBLE", np.float32(1.5 * 2.0**-125), source.value("NEGLIGIBLE", np.float32))
    claim(f"x >= {pivot_free} is within a factor of two of what is {span} ln 2 away", 2 * span * ln2 <= pivot_free)
    reference = int(mpmath.nint(pivot_free / ln2))
    largest = reference + span + 1
    claim(f"n from a reference of {reference} reaches {largest} <= 571", largest <= 571)
    claim("n LN_2_HIGH is exact", largest * int(float(high) * 2**14) < 2**24)
    claim("the largest term, and 512 of it, are finite", 2 ** (headroom + 0.51 + 9) < 2**127)
    floor = headroom - span
    claim(f"terms at the floor are above 2^{floor}, normal", floor >= -126)
    claim("and, at 2^(1/4) times that, negligible", 2 ** (floor + 0.26) <= 1.5 * 2**-125)
    claim("what is negligible flushes in every result", mpf(2) ** -span < F32_SMALLEST)


def double():
    source, ln2 = Source("kernel/math.rs"), mpmath.ln(2)
    high, low = split(ln2, 32, np.float64)
    check("LN_2_HIGH in f64", high, source.value("LN_2_HIGH", np.float64))
    check("LN_2_LOW in f64", low, source.value("LN_2_LOW", np.float64))
    claim("an exponent of 11 bits times LN_2_HIGH is exact", 32 + 11 <= 53)
    check("ROUNDER in f64", 1.5 * 2**52, source.value("ROUNDER", float))
    check("INTEGER", 2.0**52, source.value("INTEGER", float))
    check("TWO_TO_54", 2.0**54, source.value("TWO_TO_54", float))

    taylor = source.value("TAYLOR", np.float64)
    check("TAYLOR", np.array([1 / np.float64(math.factorial(k + 2)) for k in range(len(taylor))]), taylor)
    half = ln2 / 2
    left = half ** (len(taylor) + 2) / math.factorial(len(taylor) + 2) * mpmath.exp(half)
    claim(f"the series of e^x leaves {mpmath.nstr(left, 3)} <= 2e-17", left <= mpf("2e-17"))
    first = [mpf(1), mpf(1)] + [1 / mpf(math.factorial(k + 2)) for k in range(8)]
    near = max(abs(mpmath.polyval(first[::-1], x) / mpmath.exp(x) - 1) for x in (mpf("-0.36"), mpf("0.36")))
    claim(f"its first eight terms leave {mpmath.nstr(near, 3)} <= 2^-36 up to 0.36", near <= mpf(2) ** -36)

    body = re.search(r"fn ln_of.*?polynomial\(\s*(\[.*?\]),", source.text, re.DOTALL).group(1)
    series = source.evaluated(body, np.float64)
    check("the series of artanh", np.array([2 / np.float64(2 * k + 3) for k in range(len(series))]), series)
    s = (mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)
    claim(f"s reaches {mpmath.nstr(s, 4)} < 0.172", s < mpf("0.172"))
    left = 2 * s ** (2 * len(series) + 3) / (2 * len(series) + 3) / (1 - s**2)
    whole = mpmath.ln(2) / 2
    claim(f"it leaves {mpmath.nstr(left / whole, 3)} < 2^-55 of the logarithm", left / whole < mpf(2) ** -55)


def tangent():
    small = Source("kernel/map.rs").value("SMALL", float)
    check("SMALL", 2.0**-12, small)
    left = 2 * mpf(small) ** 4 / 15
    claim(f"x - x^3/3 leaves {mpmath.nstr(left, 3)} < 2^-38 of tanh", left < mpf(2) ** -38)
    claim("1 - e^(-2x) has lost 11 bits of 53", small * 2 >= 2.0**-11)


exponential()
double()
tangent()
print(f"{len(failures)} differ" if failures else "all as in the sources")
sys.exit(bool(failures))
