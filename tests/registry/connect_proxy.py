#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""connect_proxy.py - an HTTP proxy that makes tunnels (CONNECT, RFC 9110 9.3.6) and nothing else.

    connect_proxy.py --ready FILE --log FILE [--user USER:PASSWORD] [--refuse STATUS]

Writes its ADDR:PORT to FILE once it listens, and a JSON object per request to the log: method, target, status, whether
there was a Proxy-Authorization, and when the tunnel has ended "from_server", the bytes that came through. With --user it
answers 407 to whoever is another, with --refuse it answers that to every CONNECT.
"""
import argparse
import base64
import http.server
import json
import os
import select
import socket
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def note(self, status, **more):
        line = {"method": self.command, "target": self.path, "status": status, "auth": "Proxy-Authorization" in self.headers, **more}
        with LOCK:
            LOG.write(json.dumps(line) + "\n")
            LOG.flush()

    def refuse(self, status, **headers):
        self.note(status)
        self.send_response(status)
        for k, v in {"Content-Length": "0", **headers}.items():
            self.send_header(k.replace("_", "-"), v)
        self.end_headers()

    def do_CONNECT(self):
        if ARGS.user and self.headers.get("Proxy-Authorization") != "Basic " + base64.b64encode(ARGS.user.encode()).decode():
            return self.refuse(407, Proxy_Authenticate='Basic realm="proxy"')
        if ARGS.refuse:
            return self.refuse(ARGS.refuse)
        host, _, port = self.path.rpartition(":")
        try:
            server = socket.create_connection((host, int(port)), timeout=10)
        except OSError:
            return self.refuse(502)
        self.note(200)
        self.send_response(200, "Connection established")
        self.end_headers()
        self.note(200, from_server=self.tunnel(server))
        self.close_connection = True

    def tunnel(self, server):
        ends, n = {self.connection: server, server: self.connection}, 0
        try:
            while True:
                for s in select.select(list(ends), [], [])[0]:
                    data = s.recv(65536)
                    if not data:
                        return n
                    ends[s].sendall(data)
                    n += len(data) if s is server else 0
        except OSError:
            return n
        finally:
            server.close()

    def do_GET(self):
        self.refuse(405)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, *_):
        pass


p = argparse.ArgumentParser()
p.add_argument("--ready", required=True)
p.add_argument("--log", required=True)
p.add_argument("--user")
p.add_argument("--refuse", type=int)
ARGS = p.parse_args()
LOCK, LOG = threading.Lock(), open(ARGS.log, "a")
proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
proxy.daemon_threads = True
with open(ARGS.ready + ".new", "w") as f:
    f.write(f"127.0.0.1:{proxy.server_port}\n")
os.rename(ARGS.ready + ".new", ARGS.ready)
proxy.serve_forever()
