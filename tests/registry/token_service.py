#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""token_service.py - a bearer-token service as registries use it: signed JWTs for scopes.

    token_service.py KEY CERT USER:PASSWORD READY

Writes its ADDR:PORT to READY and a line per request to stdout, without the secrets. Anybody may pull repositories below
public/; the user may do anything but push below locked/. A wrong password is refused. `offline_token` gets a refresh
token as well, which POST takes (docs.docker.com/registry/spec/auth). OpenSSL's CLI signs: RS256, the certificate in x5c.
"""
import base64
import http.server
import json
import os
import subprocess
import sys
import time
import urllib.parse

KEY, CERT, USER, READY = sys.argv[1:]
REFRESH = base64.urlsafe_b64encode(os.urandom(24)).decode()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(subject, access):
    der = "".join(open(CERT).read().split("-----")[2].split())
    now = int(time.time())
    claims = {"iss": "rig", "sub": subject, "aud": "rig", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": b64(os.urandom(9)), "access": access}
    text = b64(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [der]}).encode()) + "." + b64(json.dumps(claims).encode())
    signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", KEY], input=text.encode(), capture_output=True, check=True).stdout
    return text + "." + b64(signed)


def granted(user, scopes):
    for scope in scopes:
        kind, rest = scope.split(":", 1)
        name, actions = rest.rsplit(":", 1)
        may = {"pull", "push", "*"} if user else {"pull"} if name.startswith("public/") else set()
        if name.startswith("locked/"):
            may -= {"push", "*"}
        yield {"type": kind, "name": name, "actions": [a for a in actions.split(",") if a in may]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def note(self, how, user, scopes, status):
        print(self.command, how, user or "-", " ".join(scopes), status, flush=True)

    def give(self, how, user, scopes, refresh):
        token = jwt(user, list(granted(user, scopes)))
        self.note(how, user, scopes, 200)
        self.reply(200, {"token": token, "access_token": token, "expires_in": 300, **({"refresh_token": REFRESH} if refresh else {})})

    def refuse(self, how, scopes):
        self.note(how, "", scopes, 401)
        self.reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]})

    def do_GET(self):
        q = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        scopes = [s for v in q.get("scope", []) for s in v.split()]
        auth = self.headers.get("Authorization", "")
        if not auth:
            return self.give("anonymous", "", scopes, False)
        if auth != "Basic " + base64.b64encode(USER.encode()).decode():
            return self.refuse("basic", scopes)
        self.give("basic", USER.split(":")[0], scopes, q.get("offline_token") == ["true"])

    def do_POST(self):
        q = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        scopes = [s for v in q.get("scope", []) for s in v.split()]
        how = q.get("grant_type", ["?"])[0]
        good = q.get("refresh_token") == [REFRESH] if how == "refresh_token" else \
            how == "password" and f"{q['username'][0]}:{q['password'][0]}" == USER
        if not good:
            return self.refuse(how, scopes)
        self.give(how, USER.split(":")[0], scopes, True)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(READY + ".new", "w") as f:
    f.write(f"127.0.0.1:{server.server_port}\n")
os.rename(READY + ".new", READY)
server.serve_forever()
