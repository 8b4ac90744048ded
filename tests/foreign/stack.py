"""Starts and stops what the foreign tests stand on: the world, the emulators, the servers.

Every process is ended by its own handle. Ports are free ones, on the loopback only.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MIDWATCH_BIN", ROOT / "target" / "debug"))
SCENARIO = ROOT / "compose" / "scenarios" / "pool-exhaustion-after-deploy"
SERVERS = ["logs", "metrics", "deployments", "runbooks", "workflows", "remediation"]
READERS = ["logs", "metrics", "deployments", "runbooks", "workflows"]
COMPOSITE = ROOT / "compose" / "scenarios" / "composite-alarm"
WORKFLOW = ROOT / "compose" / "scenarios" / "workflow-state-fails-after-deploy"
TOKEN = "foreign-test-token-0123456789abcdef"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def aws_env(endpoint, **more):
    """An environment with nothing of AWS in it but what is given."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MIDWATCH_"))}
    return keep | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_COLOR": "1",
        "MIDWATCH_LOG": "error,rmcp=error",
    } | more


@contextlib.contextmanager
def process(command, env, log):
    with open(log, "wb") as err:
        child = subprocess.Popen(
            [str(c) for c in command], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def wait_for(url, child, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"{child.args[0]} ended with {child.returncode} before it answered")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer within {seconds} s")


class World:
    """A scenario served by midwatch-sim."""

    def __init__(self, hello, catalog, child):
        self.endpoint = hello["endpoint"]
        self.alarm = hello["alarm"]
        self.runbooks = hello["runbooks"]
        self.catalog = catalog
        self._child = child

    def stop(self):
        """What was done to it: `mutations`, and the names of all `operations` that were called."""
        self._child.send_signal(signal.SIGINT)
        rest = self._child.stdout.read()
        self._child.wait(10)
        return json.loads(rest.splitlines()[-1])

    def stop_and_list_mutations(self):
        return self.stop()["mutations"]


@contextlib.contextmanager
def world(scenario=SCENARIO):
    with tempfile.TemporaryDirectory() as work:
        catalog = pathlib.Path(work, "catalog.toml")
        command = [BIN / "midwatch-sim", "serve", scenario, "--catalog", catalog]
        with process(command, dict(os.environ, RUST_LOG="warn"), pathlib.Path(work, "sim.log")) as child:
            line = child.stdout.readline()
            if not line:
                raise SystemExit(pathlib.Path(work, "sim.log").read_text())
            yield World(json.loads(line), catalog, child)


@contextlib.contextmanager
def ministack(**more):
    port = free_port()
    env = aws_env("") | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": "123456789012",
    } | more
    del env["AWS_ENDPOINT_URL"]
    with tempfile.TemporaryDirectory() as work:
        command = [pathlib.Path(os.environ["VIRTUAL_ENV"], "bin", "ministack")]
        with process(command, env, pathlib.Path(work, "log")) as child:
            child.stdout.close()
            wait_for(f"http://127.0.0.1:{port}/_ministack/health", child)
            yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def moto():
    port = free_port()
    with tempfile.TemporaryDirectory() as work:
        command = [pathlib.Path(os.environ["VIRTUAL_ENV"], "bin", "moto_server"), "-H", "127.0.0.1", "-p", port]
        with process(command, dict(os.environ), pathlib.Path(work, "log")) as child:
            child.stdout.close()
            wait_for(f"http://127.0.0.1:{port}/moto-api/data.json", child)
            yield f"http://127.0.0.1:{port}"


def server_command(name, catalog, runbooks=None):
    command = [str(BIN / f"midwatch-{name}"), "--catalog", str(catalog)]
    if name == "runbooks":
        command += ["--runbooks", str(runbooks)] if runbooks else []
    return command


@contextlib.contextmanager
def http_server(name, catalog, env, runbooks=None, token=TOKEN):
    port = free_port()
    command = server_command(name, catalog, runbooks) + ["--http", f"127.0.0.1:{port}"]
    with tempfile.TemporaryDirectory() as work:
        access = {"MIDWATCH_TOKEN": token} if token else {}
        with process(command, env | access, pathlib.Path(work, "log")) as child:
            wait_for(f"http://127.0.0.1:{port}/mcp", child)
            yield f"http://127.0.0.1:{port}/mcp"


class Checks:
    """Counts what was checked, prints what failed, and says so in the exit code."""

    def __init__(self, what):
        self.what, self.done, self.failed = what, 0, []

    def __call__(self, true, message):
        self.done += 1
        if not true:
            self.failed.append(message)
            print(f"  FAILED {message}", flush=True)
        return true

    def end(self):
        print(f"  {self.what}: {self.done - len(self.failed)} of {self.done} checks passed", flush=True)
        raise SystemExit(1 if self.failed or not self.done else 0)
