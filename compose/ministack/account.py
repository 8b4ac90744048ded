"""Runs ministack, and makes in it what an account would have: a rule of EventBridge that brings alarms
to a queue, a topic of SNS that does the same, and the pager, a topic whose messages are kept.

  account.py            runs, until it is ended
  account.py --probe    whether it is well
  account.py --pages    what reached the pager, oldest first
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

PORT = 4566
HERE = f"http://127.0.0.1:{PORT}"
ACCOUNT = os.environ.get("MINISTACK_ACCOUNT_ID", "123456789012")
REGION = "us-east-1"
QUEUES = ["alarms", "alarms-dead", "pages"]
READY = pathlib.Path("/tmp/ready")
PAGES = pathlib.Path("/own/pages.jsonl")


def post(service, body, **headers):
    scope = f"AWS4-HMAC-SHA256 Credential=AKIDLOCAL/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(HERE + "/", body, {"authorization": scope, **headers})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def call(service, target, **given):
    body = json.dumps(given).encode()
    return json.loads(post(service, body, x_amz_target=target, content_type="application/x-amz-json-1.0") or "{}")


def sns(action, **given):
    body = urllib.parse.urlencode({"Action": action, "Version": "2010-03-31", **given}).encode()
    return post("sns", body, content_type="application/x-www-form-urlencoded")


def arn(service, name):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def furnish():
    """Everything may be there already: each of these calls says the same again."""
    for name in QUEUES:
        call("sqs", "AmazonSQS.CreateQueue", QueueName=name)
    # The event of CloudWatch travels inside one of ours: see compose/sim/src/standing/bus.rs.
    kinds = ["CloudWatch Alarm State Change", "CloudWatch Alarm Configuration Change"]
    pattern = json.dumps({"source": ["midwatch.sim"], "detail-type": kinds})
    call("events", "AWSEvents.PutRule", Name="alarms", EventPattern=pattern, State="ENABLED")
    target = {"Id": "queue", "Arn": arn("sqs", "alarms"), "InputPath": "$.detail"}
    call("events", "AWSEvents.PutTargets", Rule="alarms", Targets=[target])
    for topic, queue in [("alarms", "alarms"), ("oncall", "pages")]:
        sns("CreateTopic", Name=topic)
        known = sns("ListSubscriptionsByTopic", TopicArn=arn("sns", topic)).decode()
        if arn("sqs", queue) not in known:
            sns("Subscribe", TopicArn=arn("sns", topic), Protocol="sqs", Endpoint=arn("sqs", queue))


def well():
    with urllib.request.urlopen(HERE + "/_ministack/health", timeout=3) as answer:
        return answer.status == 200


def start(host):
    settings = {
        "BIND_HOST": host,
        "GATEWAY_PORT": str(PORT),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "PERSIST_STATE": "1",
        "STATE_DIR": "/own/state",
        "HOME": "/tmp",
    }
    child = subprocess.Popen(["/opt/ministack/bin/ministack"], env=dict(os.environ, **settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: child.terminate())
    for _ in range(600):
        if child.poll() is not None:
            sys.exit(child.returncode)
        try:
            if well():
                return child
        except OSError:
            time.sleep(0.1)
    sys.exit("ministack did not answer within a minute")


def run():
    READY.unlink(missing_ok=True)
    # An event that comes before its rule is lost, as at AWS. So the account is made where nobody
    # reaches it yet, and kept; then ministack serves what it kept.
    child = start("127.0.0.1")
    furnish()
    child.terminate()
    child.wait(30)
    child = start("0.0.0.0")
    READY.touch()
    print("the account is there: rule, queues and topics", flush=True)
    sys.exit(child.wait())


def pages():
    url = f"{HERE}/{ACCOUNT}/pages"
    while True:
        got = call("sqs", "AmazonSQS.ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not got:
            break
        with PAGES.open("a") as kept:
            for message in got:
                kept.write(json.dumps(json.loads(message["Body"])) + "\n")
        for message in got:
            call("sqs", "AmazonSQS.DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    for line in PAGES.read_text().splitlines() if PAGES.exists() else []:
        page = json.loads(line)
        print(f"{page.get('Timestamp', '')}  {page.get('Subject') or ''}\n{page.get('Message', '')}\n")


if sys.argv[1:] == ["--probe"]:
    sys.exit(0 if READY.exists() and well() else 1)
elif sys.argv[1:] == ["--pages"]:
    pages()
elif not sys.argv[1:]:
    run()
else:
    sys.exit(__doc__)
