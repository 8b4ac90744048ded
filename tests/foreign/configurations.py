"""The client configurations that the index of docs/servers shows: parsed, and each server that they name started as
they say, on stdio or over HTTP with the token where the client would put it, and asked for its tools.
"""

import contextlib
import json
import pathlib
import re
import subprocess
import tomllib

import httpx2
import yaml
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

import stack
from markup import blocks, sections

# How each client writes the value of a variable, or of an input, into a header.
PLACEHOLDERS = {
    "Claude Code": r"\$\{(\w+)\}",
    "Cursor": r"\$\{env:(\w+)\}",
    "VS Code": r"\$\{input:([\w-]+)\}",
    "Kiro": r"\$\{(\w+)\}",
    "Goose": r"\$\{(\w+)\}",
    "Any other client": r"\$\{(\w+)\}",
}
READERS = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
TABLES = ("mcpServers", "servers", "mcp_servers", "extensions")


def header(check, client, whole, entry, where):
    """The header that a client would send if its variable were the token."""
    if client == "Codex":
        check(re.fullmatch(r"\w+", entry.get("bearer_token_env_var", "")), f"{where}: names its variable")
        return f"Bearer {stack.TOKEN}"
    written = entry.get("headers", {}).get("Authorization", "")
    found = re.search(PLACEHOLDERS.get(client, "$^"), written)
    if not check(found, f"{where}: the token is a variable of {client}: {written}"):
        return ""
    if client == "VS Code":
        check(found[1] in [one["id"] for one in whole.get("inputs", [])], f"{where}: asks for `{found[1]}`")
    if client == "Goose":
        check(found[1] in entry.get("env_keys", []), f"{where}: `{found[1]}` is in env_keys")
    return written.replace(found[0], stack.TOKEN)


@contextlib.asynccontextmanager
async def session_of(command, arguments, env):
    parameters = StdioServerParameters(command=str(command), args=arguments, env=env)
    async with stdio_client(parameters) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            yield session


async def entry_works(check, client, whole, name, entry, world):
    where = f"index, {client}, {name}"
    env = stack.aws_env(world.endpoint)
    paths = {"/etc/midwatch/catalog.toml": str(world.catalog), "/etc/midwatch/runbooks": str(world.runbooks)}
    if command := entry.get("command", entry.get("cmd")):
        program = stack.BIN / pathlib.Path(command).name
        if not check(program.exists(), f"{where}: there is no `{command}`"):
            return
        arguments = [paths.get(word, word) for word in entry["args"]]
        check(not any(word.startswith("/etc/") for word in arguments), f"{where}: a path that is none: {arguments}")
        known = subprocess.run([program, "--help"], capture_output=True, text=True, check=True, timeout=30).stdout
        unknown = [word for word in entry["args"] if word.startswith("--") and f" {word} " not in known]
        check(not unknown, f"{where}: there is no {unknown}")
        async with session_of(program, arguments, env) as session:
            tools = (await session.list_tools()).tools
    else:
        address = entry.get("url", entry.get("uri", ""))
        server = re.fullmatch(r"midwatch-(\w+)", name)[1]
        page = (stack.ROOT / "docs" / "servers" / f"{server}.md").read_text()
        line = re.search(rf"midwatch-{server} .*--http 127\.0\.0\.1:(\d+)", page)
        expected = [f"http://{host}:{line[1]}/mcp" for host in ("127.0.0.1", "localhost")] if line else []
        check(address in expected, f"{where}: {address} is not where {server}.md starts it: {expected}")
        headers = {"Authorization": header(check, client, whole, entry, where)}
        with stack.http_server(server, world.catalog, env, world.runbooks) as url:
            url = url.replace("127.0.0.1", httpx2.URL(address).host)
            http = httpx2.AsyncClient(headers=headers, timeout=60)
            async with http, streamable_http_client(url, http_client=http) as streams:
                async with ClientSession(streams[0], streams[1]) as session:
                    await session.initialize()
                    tools = (await session.list_tools()).tools
    check(tools, f"{where}: lists its tools")


async def configurations(check, text, servers):
    """Each block of the section `Clients` of the index."""
    clients = sections(text["Clients"], "###")
    check(set(clients) == set(PLACEHOLDERS) | {"Codex"}, f"index: clients are {sorted(clients)}")
    with stack.world() as world:
        for client, part in clients.items():
            ways, named = set(), set()
            for language, _, body in blocks(part):
                try:
                    whole = READERS[language](body)
                except (KeyError, ValueError, yaml.YAMLError) as error:
                    check(False, f"index, {client}: a block that is no {language}: {error}")
                    continue
                entries = next((whole[table] for table in TABLES if table in whole), {})
                check(entries, f"index, {client}: a block without servers")
                for name, entry in entries.items():
                    named.add(name)
                    ways.add("stdio" if "command" in entry or "cmd" in entry else "http")
                    try:
                        await entry_works(check, client, whole, name, entry, world)
                    except (BaseExceptionGroup, RuntimeError, TypeError) as error:
                        check(False, f"index, {client}, {name}: {getattr(error, 'exceptions', error)}")
            check(ways == {"stdio", "http"}, f"index, {client}: shows {sorted(ways)}")
            if client == "Any other client":
                every = {f"midwatch-{server}" for server in servers}
                check(named == every, f"index, {client}: names {sorted(named)}, servers are {sorted(every)}")
