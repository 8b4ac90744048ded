"""Everything around the daemon: the world, the desk and the remediation server as processes of their
own, a webhook that people are told by, and the daemon itself, which is killed."""

import datetime
import hashlib
import http.server
import json
import mmap
import os
import pathlib
import re
import resource
import secrets
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
import time
import tomllib
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MIDWATCH_BIN", ROOT / "target" / "debug"))
TOKEN = secrets.token_hex(32)


def expect(holds, what):
    if not holds:
        raise SystemExit(f"NOT SO: {what}")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def seconds(text):
    """`90s`, `5m`, `2h`, as scenarios have them."""
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)


class People:
    """A webhook: what people were told, with the key of each notice."""

    def __init__(self):
        self.told = []
        people = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                people.told.append((self.headers.get("midwatch-notice"), body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/told"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keys(self, kind=None):
        return {key for key, body in list(self.told) if kind in (None, body["kind"])}


class Time:
    """The time of a house, which runs ahead of real time while nobody in it computes: a quarter of an hour of
    waiting takes seconds, and a slow machine changes nothing. What is told to the processes is in preload.c."""

    # Seconds between two looks, and by how much time leaps while all is still.
    EVERY, LEAP = 0.01, 0.5
    # More processor time than this in that while is work, in seconds.
    STILL = 0.003

    def __init__(self, home):
        library, told = home / "preload.so", home / "told"
        source = pathlib.Path(__file__).with_name("preload.c")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        told.write_bytes(bytes(32))
        with open(told, "r+b") as file:
            self.told = mmap.mmap(file.fileno(), 32)
        self.env = {"LD_PRELOAD": str(library), "PRELOADED": str(told)}
        self.ahead = 0.0
        # Seconds that the wall clock is off.
        self.step = 0
        self.ended = threading.Event()

    def tell(self, place, number):
        struct.pack_into("q", self.told, 8 * place, number)

    def leap(self, seconds):
        """The wall clock is off by so much from now on."""
        self.step = seconds
        self.tell(0, seconds)

    def now(self):
        return time.time() + self.ahead + self.step

    def kill_at(self, commits, before_the_next=False):
        """The next daemon that is started dies at so many commits of its journal; 0: it does not."""
        self.tell(3, int(before_the_next))
        self.tell(2, commits)

    def run(self, children):
        """Lets time leap while none of these computes."""
        def used(child):
            try:
                return time.clock_gettime((~child.pid << 3) | 2)  # the kernel's name for a process's CPU clock
            except OSError:
                return 0.0

        def leaping():
            before = {}
            while not self.ended.wait(self.EVERY):
                now = {child.pid: used(child) for child in list(children) if child.poll() is None}
                work = sum(spent - before.get(pid, 0) for pid, spent in now.items())
                if work < self.STILL and before.keys() == now.keys() and not any(map(wants_to_run, now)):
                    self.ahead += self.LEAP
                    self.tell(1, int(self.ahead * 1e9))
                before = now

        threading.Thread(target=leaping, daemon=True).start()


class House:
    def __init__(self, home, scenario=None, extra="", fast=False, model="playbook", raw_alarm_after="30m"):
        self.home = pathlib.Path(home)
        self.time = Time(self.home)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "AWS_ACCESS_KEY_ID": "AKIDLOCAL",
                    "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": "/dev/null",
                    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "NO_COLOR": "1",
                    "MIDWATCH_DESK_DIR": str(self.home / "desk"),
                    # An endpoint that is not there: whatever is not started is not reached.
                    "AWS_ENDPOINT_URL": "http://127.0.0.1:9", **self.time.env}
        self.store = self.home / "incidents.db"
        self.people = People()
        self.children = []
        self.daemon = None
        self.kills = 0
        text = ""
        if scenario:
            self.world(scenario)
            text = self.gate()
        private(self.home / "webhook.secret", secrets.token_hex(32))
        (self.home / "midwatch.toml").write_text(f"""store = "incidents.db"
model = "{model}"
{text and 'catalog = "catalog.toml"'}
{text and f'runbooks = "{self.hello["runbooks"]}"'}
[http]
listen = "127.0.0.1:0"
[work]
at_once = 1
grace = "1s"
[[caller]]
name = "test"
sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"
may = ["alarms", "incidents"]
[notify]
raw_alarm_after = "{raw_alarm_after}"
[notify.channel.hook]
kind = "webhook"
url = "{self.people.url}"
secret = {{ file = "{self.home / 'webhook.secret'}" }}
[[notify.route]]
name = "all"
steps = [{{ channel = "hook" }}]
{text}
{extra}
""")
        if fast:
            self.time.run(self.children)

    def spawn(self, name, arguments, env=None, stdout=subprocess.PIPE):
        # Not a file of the child's: its disk may be full.
        child = subprocess.Popen(arguments, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                                 stdout=stdout, stderr=subprocess.PIPE, text=True,
                                 # Writing beyond a limit is an error and no signal: see `full_disk`.
                                 restore_signals=False)
        self.children.append(child)
        threading.Thread(target=copy, args=(child.stderr, self.home / f"{name}.log"), daemon=True).start()
        return child

    def first_line(self, child, name):
        line = child.stdout.readline()
        if not line:
            raise SystemExit(f"{name} did not start:\n{(self.home / f'{name}.log').read_text()[-3000:]}")
        return line

    def world(self, scenario):
        place = self.home / "scenario"
        shutil.copytree(ROOT / "compose" / "scenarios" / scenario, place)
        text = (place / "scenario.toml").read_text()
        # The world begins when the alarm is delivered.
        late = seconds(tomllib.loads(text).get("delivered_after", "0s"))
        begun = datetime.datetime.fromtimestamp(self.time.now() - late, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        (place / "scenario.toml").write_text(re.sub(r"(?m)^time = .*$", f"time = {begun}", text, count=1))
        self.sim = self.spawn("sim", [BIN / "midwatch-sim", "serve", place, "--real-time", "--catalog",
                                      self.home / "catalog.toml"])
        self.hello = json.loads(self.first_line(self.sim, "sim"))
        catalog = (self.home / "catalog.toml").read_text()
        (self.home / "catalog.toml").write_text(re.sub(r"(?m)^role_arn = .*\n", "", catalog))
        self.env["AWS_ENDPOINT_URL"] = self.hello["endpoint"]

    def mutations(self):
        """Ends the world; what was changed in it."""
        self.sim.send_signal(signal.SIGINT)
        return json.loads(self.sim.stdout.read())["mutations"]

    def midwatch(self, *arguments, env=None, check=True):
        done = subprocess.run([BIN / "midwatch", *map(str, arguments)], env={**self.env, **(env or {})},
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=self.home)
        if check and done.returncode != 0:
            raise SystemExit(f"midwatch {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
        return done.stdout

    def gate(self):
        self.midwatch("keys", "create")
        self.approver = self.midwatch("approvers", "add", "first-on-call", "--role", "oncall", "--role", "owner").strip()
        self.second = self.midwatch("approvers", "add", "second-on-call", "--role", "oncall", "--role", "owner").strip()
        asker = self.midwatch("approvers", "add", "midwatch", "--kind", "asker").strip()
        server = self.midwatch("approvers", "add", "midwatch-remediation", "--kind", "server").strip()
        callers = ""
        tokens = {}
        for name, kind in (("midwatch", "supervisor"), ("desk", "desk")):
            tokens[name] = secrets.token_hex(32)
            digest = hashlib.sha256(tokens[name].encode()).hexdigest()
            callers += f'[[caller]]\nname = "{name}"\nkind = "{kind}"\ntoken_sha256 = "{digest}"\n'
        private(self.home / "callers.toml", callers)
        private(self.home / "desk.token", asker)
        private(self.home / "remediation.token", tokens["midwatch"])
        desk, remediation = free_port(), free_port()
        self.desk = f"http://127.0.0.1:{desk}"
        runbooks, catalog = self.hello["runbooks"], self.home / "catalog.toml"
        self.spawn("remediation", [BIN / "midwatch-remediation", "--http", f"127.0.0.1:{remediation}",
                                   "--callers", self.home / "callers.toml", "--desk", self.desk,
                                   "--keys", self.home / "desk/keys/public-keys.toml", "--spend",
                                   self.home / "spent.db", "--catalog", catalog, "--runbooks", runbooks],
                   {"MIDWATCH_DESK_TOKEN": server}, subprocess.DEVNULL)
        self.until(lambda: answers(remediation), "the remediation server", 30)
        self.spawn("desk", [BIN / "midwatch", "desk", "--listen", f"127.0.0.1:{desk}", "--remediation",
                            f"http://127.0.0.1:{remediation}/mcp", "--catalog", catalog, "--runbooks", runbooks],
                   {"MIDWATCH_REMEDIATION_TOKEN": tokens["desk"]}, subprocess.DEVNULL)
        self.until(lambda: answers(desk), "the desk", 30)
        return f"""[desk]
url = "{self.desk}"
token_file = "desk.token"
[remediation]
url = "http://127.0.0.1:{remediation}/mcp"
token_file = "remediation.token"
"""

    # ---- The daemon ----

    def start(self, env=None, may_die=False):
        """Starts it; says whether it takes alarms, or died before that."""
        self.daemon = self.spawn("serve", [BIN / "midwatch", "serve", "--config", self.home / "midwatch.toml"],
                                 {"JOURNAL_LOG": str(self.home / "incidents.db-wal"), **(env or {})})
        line = self.daemon.stdout.readline()
        if not line and not (may_die and self.daemon.wait() == -signal.SIGKILL):
            self.first_line(self.daemon, "serve")
        self.url = line.split()[-1] if line else None
        return bool(line)

    def kill(self, torn=False):
        """SIGKILL; `torn` leaves half a record at the end of each store's log, as a power cut may."""
        self.daemon.kill()
        self.daemon.wait()
        self.kills += 1
        for wal in self.home.glob("incidents*.db-wal") if torn else []:
            with open(wal, "ab") as end:
                end.write(secrets.token_bytes(24 + 1500))

    def full_disk(self, is_full):
        """From now on every write to a file fails, or none does. Sockets are no files."""
        _, hard = resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_FSIZE, (0 if is_full else hard, hard))

    def call(self, path, body=None):
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        asked = urllib.request.Request(self.url + path, data=data, headers={"authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def alarm(self, name, state="firing", **more):
        at = datetime.datetime.fromtimestamp(self.time.now(), datetime.timezone.utc)
        at = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"name": name, "state": state, "at": at, **more}

    def bring(self, alarm):
        status, said = self.call("/v1/alarms", alarm)
        return status, (json.loads(said)["alarms"][0] if status == 202 else said)

    # ---- What there is to see ----

    def entries(self, incident):
        """Kinds of an incident's journal, read beside the daemon."""
        if not self.store.exists():
            return []
        connection = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=10)
        try:
            rows = connection.execute("SELECT kind, body FROM entries WHERE incident = ? ORDER BY seq", (incident,))
            return [(kind, json.loads(body)) for kind, body in rows]
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    def kinds(self, incident):
        return [kind for kind, _ in self.entries(incident)]

    def finished(self, incident):
        """The daemon knows it has ended, and everybody was told."""
        connection = sqlite3.connect(f"file:{self.home / 'incidents.inbox.db'}?mode=ro", uri=True, timeout=10)
        try:
            sql = "SELECT count(*) FROM intake WHERE incident = ? AND kind = 'finished'"
            return connection.execute(sql, (incident,)).fetchone()[0] == 1
        finally:
            connection.close()

    def whole(self, incident):
        """What is shown of an incident. The journal of one that was killed often is one incident's, once."""
        kinds = self.kinds(incident)
        for once in ("opened", "reported"):
            expect(kinds.count(once) == 1, f"`{once}` stands once in the journal: {kinds.count(once)}")
        expect(kinds.count("intended") <= 1, "one intent to act at most")
        steps = [body["step"] for kind, body in self.entries(incident) if kind == "step_done"]
        expect(len(steps) == len(set(steps)), f"no step was done twice: {steps}")
        keys = self.home / "desk/keys/public-keys.toml"
        shown = json.loads(self.midwatch("incidents", "show", incident, "--format", "json", "--store", self.store,
                                         *(["--keys", keys] if keys.exists() else [])))
        expect(shown["chain"] == "verified", "the chain holds")
        return shown

    def until(self, holds, what, seconds):
        end = time.time() + seconds
        while time.time() < end:
            found = holds()
            if found:
                return found
            time.sleep(0.1)
        log = self.home / "serve.log"
        raise SystemExit(f"not within {seconds} s: {what}\n{log.read_text()[-4000:] if log.exists() else ''}")

    def close(self):
        self.time.ended.set()
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()


def wants_to_run(pid):
    """Whether a thread of it waits for a processor or a disk: on a busy machine that is no idleness."""
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] in "RD":
                return True
        except (OSError, IndexError):
            pass  # it has ended
    return False


def copy(stream, path):
    with open(path, "a") as log:
        for line in stream:
            log.write(line)
            log.flush()


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
            return True
    except OSError:
        return False
