"""A receiver of webhooks that verifies with Python's hmac: webhook.py HOST PORT SECRET LOG.

Each request is a line of LOG. One of sixty events is answered with 503 the first time.
"""
import base64, hashlib, hmac, http.server, json, sys, time

host, port, secret, log = sys.argv[1:]
key = base64.b64decode(secret.removeprefix("whsec_"))
seen = set()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        event, stamp = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        want = base64.b64encode(hmac.new(key, f"{event}.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
        ours = "v1," + want in self.headers["webhook-signature"].split(" ") and abs(time.time() - int(stamp)) < 300
        line = {"id": event, "digest": hashlib.sha256(body).hexdigest(), "ours": ours}
        if ours:
            told = json.loads(body)
            line |= {"type": told["type"], "recipient": told["data"]["recipient"]}
        with open(log, "a") as file:
            file.write(json.dumps(line) + "\n")
        first = event not in seen
        seen.add(event)
        status = 204 if ours else 401
        if first and len(seen) % 60 == 30:
            status = 503
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer((host, int(port)), Receiver).serve_forever()
