#!/usr/bin/env python3
"""The daemon as a team runs it, and what goes wrong around it: killed at moments that nobody chose, its
disk full for minutes, its queue out of reach for a minute, half a record at the end of its log, the clock stepped.

The world, the desk and the remediation server are processes of their own; the world's own log of what
was changed in it is the oracle. Nothing but the standard library is needed.

  tests/daemon/run.py                 what takes less than four minutes
  tests/daemon/run.py --all           also the whole case study with many kills (about ten minutes)
  tests/daemon/run.py NAME…           only these
  tests/daemon/run.py everywhere      every scenario, killed at every entry of its journal (about an hour);
             [K/N] [SCENARIO…]        only every N-th of them beginning with the K-th, only these scenarios

MIDWATCH_SEED says when it is killed; the moments are printed. MIDWATCH_BIN names another directory of binaries.
"""

import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True

from everywhere import Killed, plays  # noqa: E402
from house import House, expect  # noqa: E402
from sqs import Queues  # noqa: E402

SEED = int(os.environ.get("MIDWATCH_SEED", "1"))


def opened(house, alarm):
    status, said = house.bring(alarm)
    expect(status == 202 and said["decision"] == "opened", f"an incident is opened: {status} {said}")
    return said["incident"]


def ended(house, incident):
    return "reported" in house.kinds(incident)


def case_study(home):
    """SIGKILL, many times: same verdict, one act, everybody told, nothing lost."""
    chance = random.Random(SEED)
    house = House(home, "pool-exhaustion-after-deploy")
    try:
        house.start()
        status, said = house.bring(house.hello["alarm"])
        expect(status == 202 and said["decision"] == "opened", f"the alarm is taken: {status} {said}")
        incident = said["incident"]
        moments = []

        def kill(after):
            time.sleep(after)
            kinds = house.kinds(incident)
            moments.append(f"{len(kinds)}:{kinds[-1] if kinds else 'nothing yet'}")
            house.kill(torn=chance.random() < 0.5)
            house.start()

        # As soon as it has answered; then while it works, until people are asked.
        kill(0)
        while "asked" not in house.kinds(incident):
            if len(moments) < 8:
                kill(chance.uniform(0.3, 6))
            else:
                house.until(lambda: "asked" in house.kinds(incident), "people are asked", 300)
        kill(chance.uniform(0, 2))
        # Who waits for people does not stop the next one: there is one place.
        other = opened(house, house.alarm("another-alarm"))
        house.until(lambda: "stage_began" in house.kinds(other), "the next incident is begun while people are asked", 60)
        request = house.until(lambda: json.loads(house.midwatch(
            "approvals", "--format", "json", "--desk", house.desk,
            env={"MIDWATCH_APPROVER_TOKEN": house.approver})), "the request lies at the desk", 60)
        request = request[0]["shown"]["request"]
        for token in (house.approver, house.second):
            house.midwatch("approve", request, "--yes", "--desk", house.desk,
                           env={"MIDWATCH_APPROVER_TOKEN": token}, check=False)
        # Around the act, as close as can be; then while recovery is watched.
        house.until(lambda: "permitted" in house.kinds(incident), "there is a permit", 120)
        kill(chance.uniform(0, 1.5))
        house.midwatch("incidents", "note", incident, "the pool was too small", "--by", "first-on-call", "--store", house.store)
        for _ in range(3):
            if ended(house, incident):
                break
            kill(chance.uniform(2, 30))
        house.until(lambda: house.finished(incident), "it ends", 1200)
        kill(0)
        time.sleep(3)
        shown = house.whole(incident)
        run = next(e for e in shown["entries"] if e["kind"] == "reported")["body"]["run"]
        print(f"killed {house.kills} times, at {', '.join(moments)}")
        print(f"verdict {run['verdict']}, cause {run['cause']}, outcome {run['outcome']}, seals {shown['seals']}")
        accepted = [m for m in house.mutations() if m["accepted"]]
        expect(run["cause"]["kind"] == "deployment", f"the cause is the deployment: {run['cause']}")
        in_doubt = any(a["outcome"] == "ambiguous" for a in run["actions"])
        expect(run["outcome"] == "resolved" or in_doubt, f"it is resolved, or in doubt: {run['outcome']}")
        calls = [json.dumps([m["api"], m["input"]]) for m in accepted]
        print(f"changed in the world: {', '.join(m['api'] for m in accepted)}")
        expect(len(run["actions"]) == 1 and 1 <= len(accepted) <= 2, "one act, of at most two calls, and no more")
        expect(len(calls) == len(set(calls)), "no call was made twice")
        expect(house.people.keys("approval"), "people were asked")
        expect(house.people.keys("report"), "people have the report")
        expect(any(kind == "remarked" for kind in house.kinds(incident)), "the note is in the journal")
        expect(shown["seals"]["state"] == "verified", f"the desk's seals hold: {shown['seals']}")
        per_key = {}
        for key, body in house.people.told:
            per_key.setdefault((body["incident"], body["kind"]), set()).add(key)
        expect(all(len(keys) == 1 or kind == "approval" for (_, kind), keys in per_key.items()),
               f"what is told again has the same key: {per_key}")
    finally:
        house.close()


def storm_of_kills(home):
    """Killed again and again while alarms come in: what was answered is worked on to its report."""
    chance = random.Random(SEED + 1)
    house = House(home)
    try:
        house.start()
        taken = {}
        stop = threading.Event()

        def send():
            number = 0
            while not stop.is_set():
                number += 1
                alarm = house.alarm(f"alarm-{number}", service=f"nobody-knows-{number}", account="123456789012",
                                    region=f"region-{number}")
                for _ in range(200):
                    try:
                        status, said = house.bring(alarm)
                    except OSError:
                        status, said = 0, None
                    if status == 202:
                        taken[alarm["name"]] = said["incident"]
                        break
                    time.sleep(0.05)
                time.sleep(0.4)

        sender = threading.Thread(target=send)
        sender.start()
        for _ in range(6):
            time.sleep(chance.uniform(0.2, 3))
            house.kill(torn=True)
            house.start()
        stop.set()
        sender.join()
        expect(len(set(taken.values())) == len(taken) > 10, f"each alarm has its incident: {len(taken)}")
        for incident in taken.values():
            house.until(lambda: house.finished(incident), f"{incident} ends", 120)
        for incident in taken.values():
            house.whole(incident)
        told = {key.split("/")[0] for key in house.people.keys("escalation") if key}
        house.until(lambda: set(taken.values()) <= {body["incident"] for _, body in list(house.people.told)},
                    "people hear of each", 60)
        print(f"{len(taken)} alarms, killed {house.kills} times; {len(told)} escalated, all reported once")
    finally:
        house.close()


def store_not_writable(home):
    """For two and a half minutes no file can be written, as on a full disk: not ready, nothing received, people
    told of it and of the alarm that nobody could take; then all goes on, and nothing is lost."""
    queues = Queues()
    house = House(home, extra=f'[[sqs]]\nurl = "{queues.url}/123456789012/alarms"\n'
                  f'dead_letter = "{queues.url}/123456789012/dead"\n')
    try:
        house.start({"AWS_ENDPOINT_URL_SQS": queues.url})
        first = opened(house, house.alarm("at-work"))
        house.until(lambda: "stage_began" in house.kinds(first), "the first incident is at work", 60)
        house.full_disk(True)
        begun = time.time()
        for n in range(3):
            queues.put("alarms", json.dumps(house.alarm(f"queued-{n}", region=f"region-{n}", account="123456789012")))
        meanwhile = house.alarm("meanwhile")
        status, said = house.bring(meanwhile)
        expect(status == 503, f"who brings an alarm keeps it: {status} {said}")
        house.until(lambda: house.call("/ready")[0] == 503, "it is not ready", 60)
        expect(house.call("/live")[0] == 200, "a restart would not mend it")
        expect(not house.people.keys("raw_alarm"), "nobody is woken at once: senders come again")
        told = lambda kind: [body for _, body in list(house.people.told) if body["kind"] == kind]
        house.until(lambda: any(b["incident"].startswith("midwatch-") for b in told("escalation")),
                    "people are told that Midwatch does not work", 200)
        house.until(lambda: any("meanwhile" in json.dumps(b) for b in told("raw_alarm")), "the alarm is passed on", 60)
        time.sleep(max(0, 150 - (time.time() - begun)))
        seen = [message["seen"] for message in queues.left("alarms")]
        expect(len(seen) == 3 and max(seen) <= 2, f"messages are not driven to the redrive queue: {seen}")
        house.full_disk(False)
        house.until(lambda: house.call("/ready")[0] == 200, "it is ready again", 90)
        house.until(lambda: not queues.left("alarms"), "the queue is read", 90)
        expect(not queues.redriven and not queues.left("dead"), "nothing is in a dead-letter queue")
        status, said = house.bring(meanwhile)
        expect(status == 202 and said["decision"] == "opened", f"what was refused is taken: nothing had happened: {said}")
        for incident in (first, said["incident"]):
            house.until(lambda: house.finished(incident), f"{incident} is worked on to its end", 240)
            house.whole(incident)
        house.until(lambda: told("all_clear"), "people hear that it works again", 60)
        print(f"150 s without a disk: messages were received {max(seen)} times at most, and all are taken")
    finally:
        house.close()


def queue_out_of_reach(home):
    """For a minute the queue does not answer: red, and then all of it is read. Poison is buried with its reason."""
    queues = Queues()
    house = House(home, extra=f'[[sqs]]\nurl = "{queues.url}/123456789012/alarms"\n'
                  f'dead_letter = "{queues.url}/123456789012/dead"\n')
    try:
        queues.reachable = False
        house.start({"AWS_ENDPOINT_URL_SQS": queues.url})
        begun = time.time()
        queues.put("alarms", json.dumps(house.alarm("queued")))
        queues.put("alarms", "this is no alarm")
        house.until(lambda: "cannot be read" in house.call("/ready")[1], "it says that the queue cannot be read", 60)
        time.sleep(max(0, 60 - (time.time() - begun)))
        queues.reachable = True
        house.until(lambda: not queues.left("alarms"), "the queue is read", 90)
        house.until(lambda: house.call("/ready")[0] == 200, "it is ready again", 60)
        dead = queues.left("dead")
        expect(len(dead) == 1 and dead[0]["body"] == "this is no alarm" and "JSON" in dead[0]["reason"],
               f"poison is buried with the reason: {dead}")
        print(f"a minute without the queue, then all was read; poison: {dead[0]['reason']}")
    finally:
        house.close()


def clock_stepped(home):
    """The wall clock leaps on by three hours and back by six, with work under way and with none: alarms are taken,
    each ends once and soon, and the daemon is well at every hour. Nothing waits for a time that has gone or come."""
    house = House(home)
    try:
        house.start()
        began = []
        for number, hours in enumerate([3, -3, 0]):
            at_work = opened(house, house.alarm(f"before-{number}", region=f"region-{number}"))
            house.until(lambda: "stage_began" in house.kinds(at_work), "an incident is at work", 60)
            house.time.leap(hours * 3600)
            began += [at_work, opened(house, house.alarm(f"after-{number}", region=f"region-after-{number}"))]
            for incident in began[-2:]:
                house.until(lambda: house.finished(incident), f"{incident} ends, {hours} hours off", 120)
            house.until(lambda: house.call("/ready")[0] == 200, f"it is ready, {hours} hours off", 60)
            expect(house.call("/live")[0] == 200, f"and lives, {hours} hours off")
        house.kill()
        house.start()
        for incident in began:
            house.whole(incident)
        house.until(lambda: set(began) <= {body["incident"] for _, body in list(house.people.told)}, "people hear of each", 60)
        own = [body for _, body in list(house.people.told) if body["incident"].startswith("midwatch-")]
        expect(not own, f"nobody is told that Midwatch does not work: {own}")
        times = [entry["at"] for entry in json.loads(house.midwatch(
            "incidents", "show", began[0], "--format", "json", "--store", house.store))["entries"]]
        expect(any(later < earlier or later[:13] != earlier[:13] for earlier, later in zip(times, times[1:])),
               f"the step was there to be seen: {times}")
        print(f"{len(began)} incidents through steps of +3, -6 and +3 hours; each ended and told once")
    finally:
        house.close()


def killed_in_a_scenario(home):
    """Two scenarios of those that `everywhere` kills at every entry, killed at some of them."""
    chance = random.Random(SEED)
    for how in ("acted", "unheard"):
        scenario, how = chance.choice([play for play in plays() if play[1] == how])
        place = os.path.join(home, how)
        os.mkdir(place)
        print(f"{scenario}, {how}: {Killed(place, scenario, how, SEED).play()}", flush=True)


SHORT = [storm_of_kills, store_not_writable, queue_out_of_reach, clock_stepped, killed_in_a_scenario]


def play(check):
    begun = time.time()
    with tempfile.TemporaryDirectory(prefix="midwatch-") as home:
        try:
            check(home)
        except BaseException:
            log = os.path.join(home, "serve.log")
            print(open(log).read()[-6000:] if os.path.exists(log) else "no log")
            raise
    print(f"== {check.__name__}: ok, {time.time() - begun:.0f} s", flush=True)


def everywhere(arguments):
    """Each in each way, two at a time. What is printed of one is its result."""
    shard = next((argument for argument in arguments if "/" in argument), "1/1")
    number, of = map(int, shard.split("/"))
    only = {argument for argument in arguments if "/" not in argument}
    known = {scenario for scenario, _ in plays()}
    if not 1 <= number <= of or only - known:
        raise SystemExit(f"no shard or scenario: {shard} {' '.join(only - known)}; there are {', '.join(sorted(known))}")
    chosen = [play for play in list(plays())[number - 1::of] if not only or play[0] in only]

    def one(play):
        done = subprocess.run([sys.executable, __file__, "--one", *play], capture_output=True, text=True)
        print(f"{'  ' if done.returncode == 0 else 'X '}{', '.join(play)}: {(done.stdout + done.stderr).strip()}", flush=True)
        return done.returncode == 0

    with concurrent.futures.ThreadPoolExecutor(2) as two:
        held = list(two.map(one, chosen))
    print(f"{sum(held)} of {len(held)} hold", flush=True)
    return None if all(held) and held else "some do not"


def main():
    if sys.argv[1:2] == ["everywhere"]:
        return everywhere(sys.argv[2:])
    if sys.argv[1:2] == ["--one"]:
        with tempfile.TemporaryDirectory(prefix="midwatch-") as home:
            return print(Killed(home, *sys.argv[2:]).play())
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    known = {check.__name__: check for check in [*SHORT, case_study]}
    if not names:
        names = [check.__name__ for check in SHORT] + (["case_study"] if "--all" in sys.argv else [])
    if len(names) == 1:
        return play(known[names[0]])
    # They mostly wait: side by side, each in a process of its own.
    running = [(name, subprocess.Popen([sys.executable, __file__, name])) for name in names]
    failed = [name for name, process in running if process.wait() != 0]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


sys.exit(main())
