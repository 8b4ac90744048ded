"""Holds every dependency to deny.toml: its licence, where it comes from, and what is banned.

`cargo deny` does this and more; its advisories need data that cannot be had everywhere, so CI
does not depend on it.
"""

import json
import re
import subprocess
import tomllib

import stack

check = stack.Checks("licences")
rules = tomllib.loads((stack.ROOT / "deny.toml").read_text())
allowed = set(rules["licenses"]["allow"])
excepted = {e["crate"]: set(e["allow"]) for e in rules["licenses"]["exceptions"]}
banned = {e["crate"] for e in rules["bans"]["deny"]}


def permitted(expression, allow):
    """Whether an SPDX expression can be met with these licences."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        result = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            result = both() or result
        return result

    def both():
        result = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            result = one() and result
        return result

    def one():
        token = tokens.pop(0)
        if token == "(":
            result = either()
            tokens.pop(0)
            return result
        if tokens and tokens[0] == "WITH":
            token = f"{token} {tokens.pop(0)} {tokens.pop(0)}"
        return token in allow

    return either()


assert permitted("(MIT OR Apache-2.0) AND Unicode-3.0", {"MIT", "Unicode-3.0"})
assert not permitted("MIT AND GPL-3.0-only", {"MIT"})
assert not permitted("GPL-3.0-only OR AGPL-3.0", {"MIT"})

metadata = json.loads(subprocess.check_output(
    ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"],
    cwd=stack.ROOT,
))
resolved = {node["id"] for node in metadata["resolve"]["nodes"]}
for package in metadata["packages"]:
    if package["id"] not in resolved:
        continue
    name = f"{package['name']} {package['version']}"
    if package["source"] is None:
        check(package["license"] == "Apache-2.0" and package["publish"] == [], f"{name} is ours: Apache-2.0, unpublished")
        continue
    check(package["source"].startswith("registry+"), f"{name} comes from {package['source']}")
    check(package["name"] not in banned, f"{name} is banned")
    licence = package["license"] or ""
    allow = allowed | excepted.get(package["name"], set())
    check(bool(licence) and permitted(licence, allow), f"{name} is under {licence or 'no named licence'}")
check(len(metadata["packages"]) > 100, "the dependencies were read")
check.end()
