"""The pages of docs/servers are held against the binaries that they are about.

A page has the sections of `SECTIONS`, in this order. Its tools, arguments, allowed values, flags, variables and IAM
actions are those of its binary: none is missing, none is made up. Under each tool stands at least one pair of JSON
blocks, a call and its result: the call is made in the world, and the result must be what is shown. `"…"` stands for
whatever was left out: a value, the rest of an array or of a text, or, as a key, further fields. A line
`<!-- world: NAME -->` before a call names another scenario. The client configurations of README.md are parsed, and
each server they name is started as they say and asked for its tools.
"""

import asyncio
import contextlib
import itertools
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.request

import stack
from configurations import configurations, session_of
from markup import CODE, blocks, commands, rows, sections

check = stack.Checks("pages")
PAGES = stack.ROOT / "docs" / "servers"
SECTIONS = ["Start it", "Tools", "Errors", "IAM", "Configuration", "Limits", "What it does not do"]
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
VARIABLE = re.compile(r"\bMIDWATCH_[A-Z_]+\b")
# Bytes that the tools of all servers together put before a model, and that a client gets of them.
FOR_A_MODEL, LISTED = 20_000, 90_000
ACTION = re.compile(r"\b(?:logs|cloudtrail|cloudwatch|ecs|codedeploy|bedrock|states|iam|sts):[A-Z]\w+")


def say(*command):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=True, timeout=30
    ).stdout


# --- what a page says of its tools -------------------------------------------------------------------------------


def arguments(schema):
    """Each argument, those within an object as `object.field`: whether it is needed, and its allowed values."""
    found = {}

    def resolve(part):
        while True:
            if "$ref" in part:
                part = schema["$defs"][part["$ref"].rsplit("/", 1)[-1]]
            elif "anyOf" in part:
                part = next(p for p in part["anyOf"] if p.get("type") != "null")
            else:
                return part

    def walk(part, prefix, needed):
        for name, value in part.get("properties", {}).items():
            value = resolve(value)
            values = [one["const"] for one in value.get("oneOf", []) if "const" in one] + value.get("enum", [])
            is_needed = needed and name in part.get("required", [])
            found[prefix + name] = (is_needed, values)
            walk(value, f"{prefix}{name}.", is_needed)

    walk(schema, "", True)
    return found


def tools_of(page, text, listed):
    named = [CODE.match(row[0])[1] for row in rows(text.split("\n### ", 1)[0]) if CODE.match(row[0])]
    check(sorted(named) == sorted(listed), f"{page}: its table names {sorted(named)}, there are {sorted(listed)}")
    own = sections(text, "###")
    check(list(own) == named, f"{page}: the tools under `## Tools` are {list(own)}, in its table {named}")
    for name in set(own) & set(listed):
        there, said = arguments(listed[name]["inputSchema"]), {}
        for row in rows(own[name]):
            if len(row) == 3 and CODE.fullmatch(row[0]):
                said[row[0].strip("`")] = row
        check(set(said) == set(there), f"{page} {name}: arguments {sorted(said)}, there are {sorted(there)}")
        for argument in set(said) & set(there):
            needed, values = there[argument]
            where = f"{page} {name} {argument}"
            check((said[argument][2] == "required") is needed, f"{where}: is {'' if needed else 'not '}required")
            missing = [value for value in values if f"`{value}`" not in said[argument][1]]
            check(not missing, f"{where}: does not say that it may be {missing}")
    return own


def values(page, text, listed):
    """Each word of a fixed set that a result may hold is said somewhere."""

    def words(part):
        if isinstance(part, dict):
            yield from [part["const"]] if isinstance(part.get("const"), str) else []
            yield from (word for word in part.get("enum", []) if isinstance(word, str))
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                yield from words(inner)

    for name, tool in listed.items():
        unsaid = sorted(word for word in set(words(tool["outputSchema"])) if not re.search(f'[`"]{word}[`"]', text))
        check(not unsaid, f"{page} {name}: may answer {unsaid}, of which the page says nothing")


def sizes(tools):
    """What the tools of all servers cost before one is called."""

    def size(fields=None):
        seen = [{key: tool[key] for key in fields or tool if key in tool} for tool in tools]
        return len(json.dumps(seen, separators=(",", ":"), ensure_ascii=False).encode())

    before, listed = size(["name", "description", "inputSchema"]), size()
    print(f"  {len(tools)} tools put {before} bytes before a model; a client gets {listed}")
    check(before < FOR_A_MODEL, f"the tools put {before} bytes before a model, {FOR_A_MODEL} are too many")
    check(listed < LISTED, f"a client gets {listed} bytes of tools, {LISTED} are too many")


# --- examples ----------------------------------------------------------------------------------------------------


def differs(shown, real, path="result"):
    """Where the result is not as it is shown; nothing where it is."""
    if shown == "…":
        return None
    if isinstance(shown, dict) and isinstance(real, dict):
        keys = [key for key in shown if key != "…"]
        for key in keys:
            if key not in real:
                return f"{path}.{key} does not exist"
            if why := differs(shown[key], real[key], f"{path}.{key}"):
                return why
        left_out = set(real) - set(keys)
        return f"{path}: {sorted(left_out)} left out without a word" if left_out and "…" not in shown else None
    if isinstance(shown, list) and isinstance(real, list):
        whole = shown[-1:] != ["…"]
        kept = shown if whole else shown[:-1]
        if len(kept) > len(real) or whole and len(kept) != len(real):
            return f"{path}: {len(kept)} shown, {len(real)} there"
        each = (differs(one, other, f"{path}[{n}]") for n, (one, other) in enumerate(zip(kept, real)))
        return next(filter(None, each), None)
    if isinstance(shown, str) and isinstance(real, str) and "…" in shown:
        pattern = ".*".join(re.escape(piece) for piece in shown.split("…"))
        return None if re.fullmatch(pattern, real, re.S) else f"{path}: {shown!r} shown, {real!r} there"
    return None if shown == real else f"{path}: {shown!r} shown, {real!r} there"


async def examples(page, tools):
    """Every call that a page shows, and the result that stands below it; by world."""
    worlds = {}
    for name, text in tools.items():
        found = [(before, body) for language, before, body in blocks(text) if language == "json"]
        check(found and len(found) % 2 == 0, f"{page} {name}: calls and results come in pairs: {len(found)} blocks")
        for (before, call), (_, result) in zip(found[::2], found[1::2]):
            try:
                call, result = json.loads(call), json.loads(result)
            except ValueError as error:
                check(False, f"{page} {name}: an example is no JSON: {error}")
                continue
            check(call.get("name") == name, f"{page} {name}: the example calls {call.get('name')}")
            named = re.fullmatch(r"<!-- world: (\S+) -->", before)
            worlds.setdefault(named[1] if named else stack.SCENARIO.name, []).append((call, result))
    for scenario, calls in worlds.items():
        with stack.world(stack.SCENARIO.parent / scenario) as world:
            command, *rest = stack.server_command(page, world.catalog, world.runbooks)
            async with session_of(command, rest, stack.aws_env(world.endpoint)) as session:
                for call, shown in calls:
                    answer = await session.call_tool(call["name"], call["arguments"])
                    why = differs(shown, answer.structured_content)
                    check(not why, f"{page} {call['name']} in {scenario}: {why}")
            check(world.stop()["mutations"] == [], f"{page}: an example changed something in {scenario}")


# --- flags, variables, permissions -------------------------------------------------------------------------------


def help_of(words, server):
    """The help of what a command line calls; nothing where it is not ours."""
    if words[0].startswith("--"):
        words = [f"midwatch-{server}"] if server else [""]
    program = stack.BIN / words[0]
    if not words[0].startswith("midwatch") or not program.exists():
        return None
    verbs = list(itertools.takewhile(lambda word: re.fullmatch(r"[a-z][a-z-]*", word), words[1:]))
    for length in range(len(verbs), -1, -1):
        with contextlib.suppress(subprocess.CalledProcessError):
            return say(program, *verbs[:length], "--help")
    return None


def flags(page, text, server=None):
    for words in commands(text):
        known = help_of(words, server)
        if known is not None:
            unknown = [flag for flag in FLAG.findall(" ".join(words)) if not re.search(rf"{flag}(?![\w-])", known)]
            check(not unknown, f"{page}: `{' '.join(words)[:80]}`: there is no {unknown}")


def settings(page, text, common, shared):
    """Each setting of its own stands in a page's Configuration, those of all servers in the index's."""
    helped = say(stack.BIN / f"midwatch-{page}", "--help")
    own = set(FLAG.findall(helped)) - common
    said = set(FLAG.findall(text["Configuration"]))
    check(own <= said, f"{page}: its Configuration lacks {sorted(own - said)}")
    check(said <= own | common, f"{page}: its Configuration names {sorted(said - own - common)}, which it has not")
    check(common <= set(FLAG.findall(shared)), f"index: lacks {sorted(common - set(FLAG.findall(shared)))}")
    program = (stack.BIN / f"midwatch-{page}").read_bytes()
    for variable in set(VARIABLE.findall("\n".join(text.values()))):
        check(variable.encode() in program, f"{page}: {variable} is no variable of it")


def permissions(page, text):
    granted = set()
    for statement in json.loads(say(stack.BIN / f"midwatch-{page}", "--iam-policy"))["Statement"]:
        actions = statement["Action"]
        granted |= {actions} if isinstance(actions, str) else set(actions)
    said = set(ACTION.findall(text))
    check(granted <= said, f"{page}: its IAM lacks {sorted(granted - said)}")
    check(said - {"sts:AssumeRole"} <= granted, f"{page}: its IAM names {sorted(said - granted)}, not in --iam-policy")


def messages(page, text):
    """The errors that a page explains are errors of its server: their fixed parts stand in the program."""
    program = (stack.BIN / f"midwatch-{page}").read_bytes()
    for row in rows(text):
        parts = re.split(r"`[^`]*`|…|\(.*?\)|\b\d[\w.]*(?: \d+\w)*", row[0])
        fixed = [part.strip(" :,.") for part in parts if len(part.strip(" :,.")) > 7]
        missing = [part for part in fixed if part.encode() not in program]
        check(not missing, f"{page}: no error of it says {missing}: {row[0][:80]}")


def is_json(text):
    with contextlib.suppress(ValueError):
        json.loads(text)
        return True
    return False


def files(catalogs, runbooks):
    """The catalog and the runbook that are shown are read without a complaint."""
    with tempfile.TemporaryDirectory() as work:
        catalog, runbook = pathlib.Path(work, "catalog.toml"), pathlib.Path(work, "runbook.md")
        catalog.write_text("\n".join(body for language, _, body in blocks(catalogs) if language == "toml"))
        runbook.write_text("\n".join(body for _, _, body in blocks(runbooks)))
        lists, lints = ["midwatch-metrics", "--catalog", catalog, "--list-tools"], ["midwatch", "runbook", "lint", runbook]
        for command in (lists, lints):
            ran = subprocess.run([stack.BIN / command[0], *command[1:]], capture_output=True, text=True, timeout=30)
            said = ran.stdout[-600:] + ran.stderr[-600:]
            good = ran.returncode == 0 and (command is lists or "0 errors, 0 warnings" in said)
            check(good, f"{command[0]} complains about what is shown: {said}")


def configuration(text):
    """A server starts with the configuration that is shown, as it says."""
    shown = next(body for language, _, body in blocks(text) if language == "toml")
    port = stack.free_port()
    with tempfile.TemporaryDirectory() as work:
        pathlib.Path(work, "catalog.toml").write_text("")
        file = pathlib.Path(work, "server.toml")
        file.write_text(re.sub(r'"127\.0\.0\.1:\d+"', f'"127.0.0.1:{port}"', shown))
        command = [stack.BIN / "midwatch-metrics", "--config", file]
        with stack.process(command, stack.aws_env("http://127.0.0.1:9"), pathlib.Path(work, "log")) as child:
            answered = False
            while not answered and child.poll() is None:
                with contextlib.suppress(OSError):
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                        answered = answer.read().strip() == b"ok"
        said = pathlib.Path(work, "log").read_text()[-400:]
        check(answered, f"the configuration that is shown starts no server: {said}")


def own_patterns(text):
    """The logs server takes the file that is shown, and says what is wrong with one that is not."""
    shown = next(body for language, _, body in blocks(text) if language == "toml")
    with tempfile.TemporaryDirectory() as work:
        file = pathlib.Path(work, "server.toml")
        command = [stack.BIN / "midwatch-logs", "--config", file, "--list-tools"]
        for content, is_good in [(shown, True), (shown + "\nwrong = 'C-('\n", False)]:
            file.write_text(content)
            ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
            good = ran.returncode == 0 if is_good else ran.returncode != 0 and "`wrong` is no regular expression" in ran.stderr
            check(good, f"logs: what is to be redacted: {ran.stdout[-200:]}{ran.stderr[-400:]}")


async def short_text(text):
    """The text that is shown is what the server says beside its structure."""
    shown = next(body for language, _, body in blocks(text) if language == "text")
    found = [body for language, _, body in blocks((PAGES / "logs.md").read_text()) if language == "json"]
    call = next(call for call in map(json.loads, found) if call.get("name") == "log_query")
    with stack.world() as world:
        command, *rest = stack.server_command("logs", world.catalog, world.runbooks)
        async with session_of(command, rest, stack.aws_env(world.endpoint)) as session:
            answer = await session.call_tool(call["name"], call["arguments"])
    why = differs(shown.strip(), answer.content[0].text.strip(), "text")
    check(not why, f"index: {why}")


async def main():
    servers = sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "README")
    check(servers == sorted(stack.SERVERS), f"there are pages for {servers}, servers are {sorted(stack.SERVERS)}")
    index = (PAGES / "README.md").read_text()
    shared = sections(index, "##")
    helps = [set(FLAG.findall(say(stack.BIN / f"midwatch-{server}", "--help"))) for server in servers]
    common = set.intersection(*helps)
    flags("index", index)
    unknown = set(FLAG.findall(shared["Configuration"])) - common
    check(not unknown, f"index: its Configuration names {sorted(unknown)}, which not all servers have")
    tools = []
    for server in servers:
        check(f"({server}.md)" in index, f"index: no link to {server}.md")
        text = (PAGES / f"{server}.md").read_text()
        parts = sections(text, "##")
        there = [name for name in parts if name in SECTIONS]
        if not check(there == SECTIONS, f"{server}: sections are {there}, wanted {SECTIONS}"):
            continue
        listed = {tool["name"]: tool for tool in json.loads(say(stack.BIN / f"midwatch-{server}", "--list-tools"))}
        tools.extend(listed.values())
        own = tools_of(server, parts["Tools"], listed)
        flags(server, text, server)
        values(server, text + shared["What they share"], listed)
        settings(server, parts, common, shared["Configuration"])
        permissions(server, parts["IAM"])
        messages(server, parts["Errors"])
        await examples(server, own)
        for language, _, body in blocks(text):
            if language == "json":
                check(is_json(body), f"{server}: a block is no JSON: {body[:80]}")
    sizes(tools)
    files(shared["The catalog"], sections((PAGES / "runbooks.md").read_text(), "##")["A runbook"])
    configuration(shared["Configuration"])
    own_patterns(sections((PAGES / "logs.md").read_text(), "##")["Configuration"])
    await short_text(shared["What they share"])
    await configurations(check, shared, servers)


asyncio.run(main())
check.end()
