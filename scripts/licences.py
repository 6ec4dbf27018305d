#!/usr/bin/env python3
"""Checks licences and sources of all packages in `cargo metadata`, read from standard input, by the lists of a deny.toml.

    cargo metadata --locked --format-version 1 | python3 scripts/licences.py deny.toml

A stand-in for `cargo deny check licenses sources`, where that is not installed: it believes what packages say of themselves.
"""

import json
import re
import sys
import tomllib


def allows(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met by licences that are allowed."""
    tokens = re.findall(r"\(|\)|[^\s()]+(?:\s+WITH\s+[^\s()]+)?", expression.replace("/", " OR "))

    def either() -> bool:
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both() -> bool:
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one() -> bool:
        token = tokens.pop(0)
        if token == "(":
            met = either()
            tokens.pop(0)
            return met
        return token in allowed

    return either()


def main() -> None:
    with open(sys.argv[1], "rb") as file:
        licences = tomllib.load(file)["licenses"]
    exceptions = {entry["crate"]: entry["allow"] for entry in licences.get("exceptions", [])}
    packages = json.load(sys.stdin)["packages"]
    wrong = []
    for package in packages:
        name, source = package["name"], package["source"]
        allowed = {*licences["allow"], *exceptions.get(name, [])}
        if source is None:
            continue  # it is here
        if not source.startswith("registry+https://github.com/rust-lang/crates.io-index"):
            wrong.append(f"{name} comes from {source}")
        if not allows(package["license"] or "none", allowed):
            wrong.append(f"{name} has the licence {package['license']}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(packages)} packages: licences and sources as allowed")


if __name__ == "__main__":
    main()
