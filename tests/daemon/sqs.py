"""SQS at the wire, as far as the daemon speaks it: visibility, receive counts and a redrive policy,
so that a message which is given back too often ends in the dead-letter queue, as it would at AWS."""

import http.server
import json
import threading
import time


class Queues:
    def __init__(self, redrive_after=5):
        self.redrive_after = redrive_after
        self.messages = {}
        self.redriven = []
        self.reachable = True
        self.lock = threading.Lock()
        self.number = 0
        queues = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
                if not queues.reachable:
                    self.close_connection = True
                    return
                answer = queues.answer(self.headers["x-amz-target"].split(".")[1], body)
                said = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, queue, body, reason=None):
        with self.lock:
            self.number += 1
            message = {"id": f"m{self.number}", "body": body, "reason": reason, "seen": 0, "hidden": 0.0}
            self.messages.setdefault(queue, []).append(message)

    def left(self, queue):
        with self.lock:
            return [dict(message) for message in self.messages.get(queue, [])]

    def answer(self, what, body):
        queue = body["QueueUrl"].rsplit("/", 1)[1]
        if what == "ReceiveMessage":
            end = time.time() + min(body.get("WaitTimeSeconds", 0), 5)
            while True:
                found = self.receive(queue, body)
                if found or time.time() > end:
                    return {"Messages": found}
                time.sleep(0.1)
        with self.lock:
            messages = self.messages.setdefault(queue, [])
            if what == "DeleteMessageBatch":
                gone = {entry["ReceiptHandle"] for entry in body["Entries"]}
                self.messages[queue] = [m for m in messages if m["id"] not in gone]
                return {"Successful": [{"Id": entry["Id"]} for entry in body["Entries"]], "Failed": []}
            if what == "ChangeMessageVisibility":
                for message in messages:
                    if message["id"] == body["ReceiptHandle"]:
                        message["hidden"] = time.time() + body["VisibilityTimeout"]
                return {}
        if what == "SendMessage":
            reason = body.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
            self.put(queue, body["MessageBody"], reason)
            return {"MessageId": "sent"}
        raise ValueError(what)

    def receive(self, queue, body):
        now = time.time()
        with self.lock:
            found = []
            for message in list(self.messages.get(queue, [])):
                if message["hidden"] > now or len(found) == body.get("MaxNumberOfMessages", 1):
                    continue
                message["seen"] += 1
                if message["seen"] > self.redrive_after:
                    self.messages[queue].remove(message)
                    self.redriven.append(message)
                    continue
                message["hidden"] = now + body.get("VisibilityTimeout", 30)
                found.append({"MessageId": message["id"], "ReceiptHandle": message["id"], "Body": message["body"]})
            return found
