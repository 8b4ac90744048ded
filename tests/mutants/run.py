#!/usr/bin/env python3
"""Takes every check of the gate out, one by one, and requires the table of attacks to go red.

    tests/mutants/run.py             all of them
    tests/mutants/run.py NAME…       only these

`mutants.toml` lists them: `find` is replaced by `put` in `file`, and `{on}` in `put` becomes a
condition that holds while this mutant is switched on. So all of them are built at once, into a
scratch copy of the workspace, and each is switched on by the environment. First `rows` run, those
that should notice; if they do not, the whole table. A check that another one stands behind says so
(`backed_by`): alone it may survive, with its backing taken out as well it may not.

MIDWATCH_MUTANTS is where the copy and its build are kept (.cache/mutants).
"""

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = Path(os.environ.get("MIDWATCH_MUTANTS", ROOT / ".cache" / "mutants")).resolve()
SWITCH = "MIDWATCH_MUTANT"
# One row may hang where a check is gone.
ROW, TABLE = 120, 900


def condition(name):
    return f'(::std::env::var("{SWITCH}").is_ok_and(|all| all.split(\',\').any(|one| one == "{name}")))'


def copy():
    """The tracked files and the new ones, into the scratch copy; what has not changed keeps its time."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True,
    ).stdout
    names = {name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()}
    texts = {name: (ROOT / name).read_bytes() for name in names}
    return texts


def write(texts):
    for name, text in texts.items():
        path = SCRATCH / "workspace" / name
        if not path.exists() or path.read_bytes() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
    for path in (SCRATCH / "workspace").rglob("*"):
        if path.is_file() and str(path.relative_to(SCRATCH / "workspace")) not in texts:
            path.unlink()


def mutate(texts, mutants):
    wrong = []
    for mutant in mutants:
        text = texts[mutant["file"]].decode()
        if text.count(mutant["find"]) != mutant.get("times", 1):
            wrong.append(f"{mutant['name']}: `find` is there {text.count(mutant['find'])} times in {mutant['file']}")
            continue
        put = mutant["put"].replace("{on}", condition(mutant["name"]))
        texts[mutant["file"]] = text.replace(mutant["find"], put).encode()
    return wrong


def build():
    env = {**os.environ, "CARGO_TARGET_DIR": str(SCRATCH / "target")}
    command = ["cargo", "test", "--locked", "--workspace", "--test", "attacks", "--no-run"]
    built = subprocess.run(command, cwd=SCRATCH / "workspace", env=env, text=True, capture_output=True)
    if built.returncode:
        sys.exit(f"the mutants do not compile:\n{built.stderr[-6000:]}")
    said = [line for line in built.stderr.splitlines() if "Executable" in line]
    return SCRATCH / "workspace" / said[-1].rsplit("(", 1)[1].rstrip(")")


def table(binary, switched, rows):
    """The rows that went red, or None where none did."""
    env = {**os.environ, SWITCH: ",".join(switched), "RUST_BACKTRACE": "0"}
    command = [str(binary), *(["--exact", *rows] if rows else ["--skip", "hostile::", "--skip", "injections::"])]
    try:
        ran = subprocess.run(
            command, cwd=SCRATCH / "workspace" / "tests", env=env, text=True, capture_output=True,
            timeout=ROW * len(rows) if rows else TABLE,
        )
    except subprocess.TimeoutExpired:
        return ["(hangs)"]
    if rows and f"running {len(rows)} test" not in ran.stdout:
        sys.exit(f"there are no such rows: {rows}\n{ran.stdout[-2000:]}")
    red = [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("test ") and line.endswith("FAILED")]
    if ran.returncode and not red:
        return ["(ends without a result)"]
    return red or None


def main():
    listed = tomllib.loads((ROOT / "tests/mutants/mutants.toml").read_text())["mutant"]
    by_name = {mutant["name"]: mutant for mutant in listed}
    chosen = [by_name[name] for name in sys.argv[1:]] or listed
    begun = time.monotonic()
    texts = copy()
    wrong = mutate(texts, listed)
    if wrong:
        sys.exit("mutants that do not apply:\n  " + "\n  ".join(wrong))
    write(texts)
    binary = build()
    print(f"{len(listed)} mutants built in {time.monotonic() - begun:.0f} s", flush=True)
    every = sorted({row for mutant in chosen for row in mutant["rows"]})
    if red := table(binary, [], every):
        sys.exit(f"the table is red with every check in place: {red}")
    survived = []
    for mutant in chosen:
        at = time.monotonic()
        name, backing = mutant["name"], mutant.get("backed_by", [])
        red = table(binary, [name], mutant["rows"])
        how = "killed"
        if red is None and backing:
            how = f"killed with {', '.join(backing)}"
            red = table(binary, [name, *backing], mutant["rows"])
        if red is None:
            red = table(binary, [name, *backing], [])
            how = "killed by another row"
        if red is None:
            how = "SURVIVED"
            survived.append(name)
        spent = time.monotonic() - at
        print(f"{name:34} {how:28} {spent:4.0f} s  {', '.join((red or [])[:2])}", flush=True)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} killed in {time.monotonic() - begun:.0f} s")
    if survived:
        sys.exit("survived: " + ", ".join(survived))


if __name__ == "__main__":
    main()
