#!/usr/bin/env python3
"""Derives the constants of the numbers anew, to fifty digits, and compares them with those in the sources.

    python3 -m venv constants && constants/bin/pip install mpmath numpy
    constants/bin/python scripts/derive_constants.py

Ends with 1 where a source has another number. What is derived, file by file:

src/numbers/exp.rs
  ln 2/8 is split into a high part of 14 bits behind the point, 11 of them significant, so that its
         product with the integers that occur is exact in f32, and the rest, rounded to f32.
  e^r    on |r| <= ln(2)/16 is 1 + r + c2 r^2 + c3 r^3 + c4 r^4 with the least largest relative error
         (Remez). The coefficients are rounded to f32 one after the other, from c2 on, and those that
         follow are fitted again around each rounding.
  2^j/8  is taken times the f32 below 2^(1/8) whose eight multiples are nearest to f32: all of them are tried.
  limits up to which differences are exact, terms are normal numbers, and sums of them finite.
src/numbers/ends.rs
  ln     of a ratio within a factor of 1.5 is 2 s + s z p(z) for z = s^2, with the least largest
         relative error.
src/numbers/math.rs
  ln 2   is split into a high part of 32 bits, and the rest, rounded to f64.
  e^x    and ln x are Taylor series: the degree leaves less than f64 shows.
src/numbers/tanh.rs
  e^r    is a Taylor series of fewer terms, which leaves less than an f32 shows of e^r - 1.
  tanh x next to 0 is x (1 + x^2 p(x^2)), with the least largest relative error (Remez).
src/engine/rows/care.rs
  limits of rows that have the common reference.
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
DEGREE = 4
F32_SMALLEST = mpf(2) ** -126


class Source:
    """The constants of a file: `const NAME: TYPE = EXPRESSION;`, evaluated as Rust does."""

    def __init__(self, path):
        self.path = path
        text = re.sub(r"//.*", "", (SOURCES / path).read_text())
        self.definitions = dict(re.findall(r"\bconst (\w+): [^=]*? =\s+(.*?);", text, re.DOTALL))
        self.text = text

    def value(self, name, number):
        """A constant as numbers of a type: an array where the source has one."""
        names = {
            "core::f32::consts::LOG2_E": repr(float(np.float32(1 / mpmath.ln(2)))),
            "8.0 * core::f32::consts::LOG2_E": repr(8 * float(np.float32(1 / mpmath.ln(2)))),
            "LOG2_E": repr(float(1 / mpmath.ln(2))),
        }
        return self.evaluated(names.get(self.definitions[name], self.definitions[name]), number)

    def evaluated(self, expression, number):
        expression = re.sub(r"(?<=\d)_(?=\d)", "", expression)
        expression = expression.replace("f32::from_bits(2 << 23)", "FROM_BITS")
        expression = re.sub(r"\bas f32\b", "", expression)
        literal = r"(?<![\w.])(?:0x[0-9a-f_]+|\d+(?:\.\d+)?(?:e-?\d+)?)"
        expression = re.sub(literal, lambda match: f"number({match.group()!r})", expression)
        scope = {"number": number, "FROM_BITS": np.array(2 << 23, np.uint32).view(np.float32)[()]}
        for name in set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", expression)) - set(scope):
            scope[name] = self.value(name, number)
        return eval(expression, scope)


def integer(text):
    """Also of what is written as a float."""
    return int(text.replace("_", ""), 16) if text.startswith("0x") else int(float(text))


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


def minimax(target, powers, weight, grid):
    """The coefficients of sum c_p x^p with the least largest |error| weight over the grid (Remez), and that error."""
    count = len(powers) + 1
    target, weight = [target(x) for x in grid], [weight(x) for x in grid]
    places = [round((1 - math.cos(math.pi * i / (count - 1))) / 2 * (len(grid) - 1)) for i in range(count)]
    for _ in range(50):
        rows = [[grid[i] ** p for p in powers] + [(-1) ** k / weight[i]] for k, i in enumerate(places)]
        *c, level = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([target[i] for i in places]))
        error = [w * (t - sum(ck * x**p for ck, p in zip(c, powers))) for x, t, w in zip(grid, target, weight)]
        # The largest error of each run of one sign.
        peaks = []
        for i, e in enumerate(error):
            if peaks and (e > 0) == (error[peaks[-1]] > 0):
                peaks[-1] = max(peaks[-1], i, key=lambda i: abs(error[i]))
            else:
                peaks.append(i)
        while len(peaks) > count:
            peaks.remove(min(peaks[0], peaks[-1], key=lambda i: abs(error[i])))
        if peaks == places or len(peaks) < count:
            break
        places = peaks
    return c, max(abs(e) for e in error)


def between(low, high, count):
    """Points between two, more of them next to the ends."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mpmath.cos(mpmath.pi * (i + mpf(1) / 2) / count) for i in range(count)]


def split(value, bits, number, whole=mpmath.floor):
    """A high part of so many bits behind the point, and the rest."""
    high = whole(value * 2**bits) / 2**bits
    return number(float(high)), number(mpmath.nstr(value - high, 40))


def rounded(value, number):
    return number(mpmath.nstr(value, 40))


def exponential():
    source, ln2 = Source("numbers/exp.rs"), mpmath.ln(2)
    high, low = split(ln2 / 8, 14, np.float32, mpmath.nint)
    check("LN_2_8_HIGH", high, source.value("LN_2_8_HIGH", np.float32))
    check("LN_2_8_LOW", low, source.value("LN_2_8_LOW", np.float32))
    log2_e = rounded(8 / ln2, np.float32)
    check("LOG2_E_8", log2_e, source.value("LOG2_E_8", np.float32))
    claim("its significand is odd, so that no product with it is a tie", int(float(log2_e) * 2**20) % 2 == 1)

    exponents = exponential_window(source, int(float(high) * 2**14))

    # What the reduction can leave: the constant is off, and without fused multiply-add the product is rounded.
    largest = 8 * -exponents[0]
    off = largest * abs(mpf(float(log2_e)) * ln2 / 8 - 1) + mpf(2) ** -12
    half = ln2 / 8 * (mpf(1) / 2 + off)
    claim(f"|r| <= {mpmath.nstr(half / (ln2 / 16), 6)} ln(2) / 16", half < ln2 / 16 * mpf("1.001"))
    grid = between(-half, half, 1000)
    coefficients = []
    for power in range(2, DEGREE + 1):
        def rest(r):
            # e^r - 1 - r, less what has its coefficient.
            return mpmath.exp(r) - 1 - r - sum(mpf(float(c)) * r ** (k + 2) for k, c in enumerate(coefficients))

        c, _ = minimax(rest, list(range(power, DEGREE + 1)), lambda r: mpmath.exp(-r), grid)
        coefficients.append(rounded(c[0], np.float32))
    check("C", np.array(coefficients), source.value("C", np.float32))
    powers = [mpf(1), mpf(1)] + [mpf(float(c)) for c in coefficients]
    worst = max(abs(mpmath.polyval(powers[::-1], r) / mpmath.exp(r) - 1) for r in grid)
    claim(f"relative error of e^r: {mpmath.nstr(worst, 3)} <= 1.8e-10", worst <= mpf("1.8e-10"))

    # In f64, whose rounding is far less than what tells one from the next.
    below = np.arange(0x3F800000, np.float32(2.0**0.125).view(np.uint32), dtype=np.uint32).view(np.float32)
    multiples = below.astype(np.float64)[:, None] * np.array([float(mpf(2) ** (mpf(j) / 8)) for j in range(8)])
    lost = np.abs(multiples.astype(np.float32) / multiples - 1).max(axis=1)
    one = mpf(float(below[lost.argmin()]))
    exact = [one * mpf(2) ** (mpf(j) / 8) for j in range(8)]
    table = np.array([rounded(power, np.float32) for power in exact])
    check("POWERS", table.view(np.uint32), np.array(source.value("POWERS", integer), np.uint32))
    missing = max(abs(mpf(float(entry)) / power - 1) for power, entry in zip(exact, table))
    claim(f"the table loses {mpmath.nstr(missing, 2)} <= 4.6e-9", missing <= mpf("4.6e-9"))


def exponential_window(source, high):
    """The lowest and the largest binary exponent of `x - pivot`."""
    ln2 = mpmath.ln(2)
    pivot_free, headroom = source.value("PIVOT_FREE", integer), source.value("HEADROOM", integer)
    top, lowest = source.value("TOP", integer), integer(source.definitions["LOWEST"])
    check("ROUNDER", np.float32(1.5 * 2**23), source.value("ROUNDER", np.float32))
    check("UNIT", np.float32(2.0**-22), source.value("UNIT", np.float32))
    check("NO_DEPTH", np.float32(2), source.value("NO_DEPTH", np.float32))
    check("NEGLIGIBLE", np.float32(1.5 * 2.0**-125), source.value("NEGLIGIBLE", np.float32))
    span = (headroom - lowest) * ln2
    claim(f"x >= {pivot_free} is within a factor of two of what is {mpmath.nstr(span, 6)} below", 2 * span <= pivot_free)
    reference = int(mpmath.nint(pivot_free / ln2))
    claim(f"the n of a reference is {reference} <= 381, its exponent {reference + headroom} <= 445", reference + headroom <= 445)
    exponents = -reference - headroom + lowest, reference + 1
    integers = [8 * exponent for exponent in exponents]
    claim(f"k is from {integers[0]} to {integers[1]}, at most 4600", max(map(abs, integers)) <= 4600)
    claim("LN_2_8_HIGH has 11 bits, and its product with k is exact", high < 2**11 and 4600 * high < 2**24)
    claim("units of NO_DEPTH: 8 exponent + TOP, and k less", 8 * 445 + 4600 + top < 2**22)

    depths, shallow = source.value("DEPTHS", integer), source.value("SHALLOW", integer)
    check("DEPTHS", 2**11 - 1, depths)
    check("SHALLOW", 2**10 - 1, shallow)
    check("TOP", 8 * 127 + 7, top)
    claim("the depth of the lowest term has eleven bits", top - 8 * lowest - 2 <= depths)
    claim("what is deeper and has eleven bits wraps to NaN, or is subnormal", top - depths >= 8 * -128)
    claim("of ten bits a term is at least 2^0", top - shallow == 0)
    least = term_of_one(source) * mpmath.exp(-ln2 / 16)
    claim(f"and with what it has beyond its power {mpmath.nstr(least, 5)}", least > source.value("LEAST_SHALLOW", np.float32))
    one = term_of_one(source)
    part = Source("kernels/rows.rs").value("PART", integer)
    high = source.value("HIGH", integer)
    above = mpmath.exp(high) * mpf(2) ** headroom
    claim(f"a lane of {part} terms of logits up to {high} has a finite sum", part // 16 * one * above < mpf(2) ** 127)
    claim("a sum below 2^115 is of no logit above", mpf(2) ** 115 < one * above)
    claim("63 terms of a largest one of 2^64.51, and the power of two above them, are finite", 63 * one * mpf(2) ** mpf("64.51") < mpf(2) ** 126)
    floor = lowest + mpf(1) / 4
    claim(f"the floor's term, 2^{mpmath.nstr(floor, 6)}, is normal by more than it can be off", floor - mpf(1) / 8 >= -126)
    claim("and negligible", one * 2**floor <= mpf("1.49") * mpf(2) ** -125)
    claim("what is negligible flushes in every result", mpf("1.5") * mpf(2) ** -125 / (one * mpf(2) ** (headroom - mpf("0.51"))) < F32_SMALLEST)
    return exponents


def term_of_one(source):
    """What all terms are multiplied by."""
    return mpf(float(np.array(source.value("POWERS", integer)[0], np.uint32).view(np.float32)))


def tame():
    source, text = Source("numbers/exp.rs"), (SOURCES / "engine/rows/care.rs").read_text()
    lowest = integer(source.definitions["LOWEST"])
    more = mpf(re.search(r"let low = \(bits as f32 \+ ([\d.]+) - HEADROOM\)", text).group(1))
    times, above = map(int, re.search(r"power_of_two\(f64::from\((\d) \* bits \+ (\d+)\)\)", text).groups())
    check("the sum grows by the number of classes twice", 2, times)
    # In orders of two, with `bits` for the number of classes: a term that is not low has `bits + more`, and a row with a sum above
    # `2 bits + above` has one of `bits + above` at least. The logit was rounded to f32, and is at most 64.
    claim("a sum above it has a logit that is not low", mpf(2) ** (above - more) / term_of_one(source) > mpmath.exp(mpf(2) ** -18))
    # Classes cancel: as many terms at the floor as there are, beside one that is not low.
    off = mpf(2) ** (lowest + mpf(1) / 4 - more) / F32_SMALLEST
    claim(f"the smallest normal loss is good to {mpmath.nstr(off, 3)} < 2^-25 of it", off < mpf(2) ** -25)
    claim("a row of 2^32 classes can be of this kind", 32 + more < 116 and 2 * 32 + above < 127)


def ends():
    source = Source("numbers/ends.rs")
    found = source.value("C", np.float64)
    limit = mpf("0.041")
    s = mpf("0.5") / mpf("2.5")
    claim(f"z reaches {mpmath.nstr(s * s, 4)} <= 0.041", s * s <= limit)

    def series(z):
        # artanh(s) / s.
        return mpmath.atanh(mpmath.sqrt(z)) / mpmath.sqrt(z)

    grid = between(mpf(0), limit, 1000)
    c, error = minimax(lambda z: (2 * series(z) - 2) / z, range(len(found)), lambda z: z / (2 * series(z)), grid)
    check("C of the logarithm", np.array([rounded(ck, np.float64) for ck in c]), found)
    claim(f"relative error of the logarithm: {mpmath.nstr(error, 3)} <= 2.6e-11", error <= mpf("2.6e-11"))
    claim("which is less than 2^-35", error < mpf(2) ** -35)


def double():
    source, ln2 = Source("numbers/math.rs"), mpmath.ln(2)
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
    terms = int(Source("numbers/tanh.rs").value("TERMS", int))
    r = mpmath.ln(2) / 2
    left = mpmath.fsum(r**k / mpmath.factorial(k) for k in range(terms + 2, terms + 40))
    claim(f"{terms} terms leave {mpmath.nstr(left / (1 - mpmath.exp(-r)), 3)} < 2^-44 of e^r - 1",
          left / (1 - mpmath.exp(-r)) < mpf(2) ** -44)

    near = mpf(Source("numbers/tanh.rs").value("NEAR", float))
    odd = Source("numbers/tanh.rs").value("ODD", np.float64)

    def ratio(w):
        # tanh x / x.
        return mpmath.tanh(mpmath.sqrt(w)) / mpmath.sqrt(w)

    grid = between(mpf(0), near**2, 400)
    c, _ = minimax(lambda w: (ratio(w) - 1) / w, list(range(len(odd))), lambda w: w / ratio(w), grid)
    check("ODD", np.array([rounded(x, np.float64) for x in c]), odd)
    worst = max(abs((1 + w * mpmath.polyval([mpf(x) for x in odd[::-1]], w)) / ratio(w) - 1) for w in grid)
    claim(f"it leaves 2^{mpmath.nstr(mpmath.log(worst, 2), 3)} of tanh x", worst < mpf(2) ** -39.6)



exponential()
tame()
ends()
double()
tangent()
print(f"{len(failures)} differ" if failures else "all as in the sources")
sys.exit(bool(failures))
