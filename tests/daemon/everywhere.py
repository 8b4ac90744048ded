"""A scenario whose daemon is killed at every entry of its journal, in a world that is a process of its own.

SIGKILL comes from within, by preload.c: at exactly so many commits of the journal, as soon as they are on the
disk or when the next one is about to be written. A life that finished no step is followed by one that lasts a
commit longer; after a step the next life is the shortest again. So each commit of each step is killed at.
"""

import json
import random
import sqlite3
import threading
import time
import tomllib

from house import ROOT, House, expect, seconds

SCENARIOS = ROOT / "compose" / "scenarios"
# Models are asked anew by each life that does a step, and every such call counts in full.
PLENTY = "[money.ceilings]\n" + "".join(
    f"{scope}_micro_usd = 1_000_000_000\n" for scope in ("incident", "service_hour", "hour", "day"))
# Whose calls a step pays for.
PAYS = {"route": "router", "remediate": "remediator"}
HOWS = ("heard", "unheard", "acted")


def script(scenario):
    return tomllib.loads((SCENARIOS / scenario / "scenario.toml").read_text())


def plays():
    """Every scenario in every way that says something about it."""
    for scenario in sorted(path.parent.name for path in SCENARIOS.glob("*/scenario.toml")):
        expected = script(scenario)["expected"]
        acts = expected.get("action", "none") != "none" and expected.get("outcome") in ("done", "not_recovered")
        yield from ((scenario, how) for how in HOWS if acts or how != "acted")


class Approver(threading.Thread):
    """Whom the scenario asks."""

    def __init__(self, house, says):
        super().__init__(daemon=True)
        self.house, self.answer, self.reason = house, says.get("answer", "approve"), says.get("reason", "no")
        self.after = seconds(says.get("after", "45s"))
        self.asked, self.answered = {}, set()
        self.start()

    def run(self):
        while self.answer != "silent" and not self.house.time.ended.wait(0.5):
            # Nobody looks before they are told.
            if len(self.house.people.keys("approval")) <= len(self.answered):
                continue
            listed = self.call(self.house.approver, "approvals", "--format", "json")
            if not listed:
                continue
            still_open = [one["shown"]["request"] for one in json.loads(listed)]
            self.answered |= self.asked.keys() - set(still_open)
            for request in still_open:
                if self.house.time.now() >= self.asked.setdefault(request, self.house.time.now()) + self.after:
                    for person in (self.house.approver, self.house.second):
                        if self.answer == "approve":
                            self.call(person, "approve", request, "--yes")
                        else:
                            self.call(person, "decline", request, "--reason", self.reason)

    def call(self, person, *arguments):
        return self.house.midwatch(*arguments, "--desk", self.house.desk, check=False,
                                   env={"MIDWATCH_APPROVER_TOKEN": person})


class Killed:
    """One scenario. `heard`: killed as soon as a commit is on the disk; `unheard`: when the next one is about to be
    written; `acted`: as `heard`, but let alone from the approval to the end of the act, so that what comes after an
    act is killed at too. With a seed lives last longer, at random, and fewer of them are needed."""

    def __init__(self, home, scenario, how, seed=None):
        self.how, self.scenario = how, script(scenario)
        self.chance = None if seed is None else random.Random(f"{seed} {scenario} {how}")
        # So many lives take longer than anybody waits for an outcome.
        self.house = House(home, scenario, extra=PLENTY, fast=True, model="bedrock", raw_alarm_after="24h")
        self.incident = None
        self.places = set()

    def play(self):
        began = time.time()
        try:
            Approver(self.house, self.scenario.get("approver", {}))
            lasts, done = 1, []
            while True:
                finished = self.steps()
                longer = 1 if self.chance is None else 6
                lasts, done = (lasts + longer, done) if finished == done else (1, finished)
                paid = self.last_call()
                if self.live(0 if self.is_acting() else lasts + (self.chance.randrange(10) if self.chance else 0)):
                    break
                self.is_not_paid_again(finished, paid)
                self.places.add(len(self.kinds()))
                expect(time.time() - began < 3600, f"it comes to an end: {self.kinds()[-20:]}")
            return self.judged()
        finally:
            self.house.close()

    def kinds(self):
        return self.house.kinds(self.incident) if self.incident else []

    def steps(self):
        entries = self.house.entries(self.incident) if self.incident else []
        return [body["step"] for kind, body in entries if kind == "step_done"]

    def is_acting(self):
        return self.how == "acted" and "answered" in self.kinds() and "act" not in self.steps()

    def live(self, commits):
        """A life of the daemon, of so many commits, or until the act is done, or until all is over: then it says so."""
        house = self.house
        house.time.kill_at(commits, before_the_next=self.how == "unheard")
        if house.start(may_die=True) and not self.incident:
            try:
                status, said = house.bring(house.hello["alarm"])
                expect(status == 202 and said["decision"] in ("opened", "joined"), f"the alarm is taken: {status} {said}")
                self.incident = said["incident"]
            except OSError:
                pass  # it died of it
        while house.daemon.poll() is None:
            if self.incident and house.finished(self.incident) and house.people.keys("report"):
                return True
            if commits == 0 and not self.is_acting():
                house.daemon.kill()
                house.daemon.wait()
            time.sleep(0.05)
        house.kills += 1
        return False

    # ---- Money ----

    def calls(self, after=0):
        ledger = self.house.home / "incidents.ledger.db"
        if not ledger.exists():
            return []
        connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute("SELECT id, specialist FROM calls WHERE kind = 'model' AND id > ? ORDER BY id",
                                      (after,)).fetchall()
        finally:
            connection.close()

    def last_call(self):
        return max((number for number, _ in self.calls()), default=0)

    def is_not_paid_again(self, finished, before):
        asked = {who for _, who in self.calls(before)}
        again = {step for step in finished if PAYS.get(step, step.removeprefix("investigate ")) in asked}
        expect(not again, f"what is finished is not paid for again: {again}")

    # ---- What came of it ----

    def judged(self):
        house, expected = self.house, self.house.hello["expected"]
        shown = house.whole(self.incident)
        run = next(e for e in shown["entries"] if e["kind"] == "reported")["body"]["run"]
        changed = [change for change in house.mutations() if change["accepted"]]
        in_doubt = any(act["outcome"] == "ambiguous" for act in run["actions"])
        # What is left out is not judged.
        verdicts, causes = expected["verdict"] or [run["verdict"]], expected["causes"] or [run["cause"]]
        expect(run["verdict"] in verdicts, f"the verdict is {run['verdict']}, not {verdicts}")
        expect(any(run["cause"]["kind"] == cause["kind"] and cause["ref"] in (None, run["cause"].get("ref"))
                   for cause in causes), f"the cause is {run['cause']}, not {causes}")
        action = expected["action"]["Tool"] if isinstance(expected["action"], dict) else {}
        expect(bool(run.get("proposal")) == bool(action), f"proposed is {run.get('proposal')}, expected {action}")
        expect(in_doubt or expected["escalated"] in (None, run["escalated"]),
               f"escalated is {run['escalated']}: {run.get('escalation')}")
        expect(len(run["actions"]) <= 1, f"one act at most: {run['actions']}")
        calls = [json.dumps([change["api"], change["input"]]) for change in changed]
        expect(len(calls) == len(set(calls)), f"no call is made twice: {calls}")
        may_change = action.get("outcome") in ("done", "not_recovered")
        expect(may_change or not changed, f"nothing is changed without leave: {calls}")
        expect(not may_change or changed or in_doubt, "the act is done, or in doubt")
        for kind in ("report", "approval") if run.get("proposal") else ("report",):
            expect(house.people.keys(kind), f"people have heard: {kind}")
        # What is told again is told under its key, so that whoever takes it sees one.
        expect(len(house.people.keys("report")) == 1, f"one report: {house.people.keys('report')}")
        expect(not house.people.keys("raw_alarm"), "the alarm was not passed on as if there were no outcome")
        return (f"killed {house.kills} times at {len(self.places)} of {len(shown['entries'])} lengths of its journal; "
                f"{run['verdict']}, {run['cause']['kind']}, {run['outcome']}, changed {[c['api'] for c in changed]}")
