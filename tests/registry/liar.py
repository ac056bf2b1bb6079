#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""liar.py - a registry that serves a small image and lies on demand; the repository's name says how.

    liar.py --ready FILE --log FILE [--basic USER:PASSWORD] [--challenge TEXT] [--port N]

Writes "ADDR:PORT ADDR:PORT" (itself; the other host that it redirects to) to FILE once it listens, and a JSON object per
answered request to the log. A repository is a list of words between slashes, e.g. layers-8/size-4000000/hold-3/mine: words that
are not below only tell repositories apart. Every repository has an image of its own, the same each time it is asked.

The image:   layers-N (2) of size-N (64) bytes each that do not compress; plain: layers without gzip; seed-N: those of every
             repository with this N, instead of its own
Manifests:   both (manifests and layers), nonjson, null, empty, deep (brackets), huge (100 MB), schema1, wrongtype, noconfig,
             manifestlie (other bytes than the digest says), diffids and configdigest (that do not fit), sizeless, sizemore,
             negsize, hugesize (of layers), digestpath (a digest that climbs), manifest500, dripmanifest
Layers:      wrongdigest, short, long, endless, drip and driphead (a byte a second), gone (404), denied (403), header (endless), chunked, bomb-N (N GB of zeros in gzip),
             nested-N (the same in gzip once more), notar, e500, e429, flaky-N (503 N times, then fine), retry-N (429 and
             Retry-After N times, then fine), circle and away (redirects), slow-N (bytes a second), hold-K (layer K stops half way
             until GET /_release/REPO), break (the first answer for each layer ends half way), norange, badrange
Everything:  cut-N (no byte after the Nth of all answers together), cutonce-N (the connection breaks there, once)
Tags:        tags (odd ones after "latest"), badtags (one that is none), endlesstags, emptytags (pages without any, for ever)
Search:      v1's, with one result
Pushes:      are checked and forgotten; e500, denied, pushcut (every upload is cut), pushbreak (the first two are cut half way),
             pushhold (every PATCH and PUT waits)
As a proxy for plain HTTP it serves whatever host is asked for ("proxied" in the log).
"""
import argparse
import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import random
import select
import socket
import tarfile
import threading
import time
import urllib.parse

WORDS = """layers size plain seed both nonjson null empty deep huge schema1 wrongtype noconfig manifestlie diffids configdigest sizeless sizemore
negsize hugesize digestpath manifest500 wrongdigest short long endless drip driphead dripmanifest gone denied header chunked bomb nested notar e500 e429 flaky retry circle
away slow hold break norange badrange cut cutonce tags badtags endlesstags emptytags pushcut pushbreak pushhold""".split()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
SEARCH = json.dumps({"num_results": 1, "query": "x", "results": [{"name": "rig/found", "description": "what was looked for", "star_count": 3,
                                                                  "is_official": True, "is_automated": False}]}).encode()


class Cut(Exception):
    pass


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def zeros(gigabytes):
    """Gzip of so many GB of zeros: members of 128 MB, one after the other."""
    return gzip.compress(bytes(128 << 20), 9, mtime=0) * (8 * gigabytes)


class Repo:
    """One repository: its words, its image and what happened to it so far."""

    def __init__(self, name):
        self.name, self.lock, self.count, self.sent, self.released = name, threading.Lock(), {}, 0, threading.Event()
        self.uploads, self.taken = {}, set()
        self.words = {}
        for part in name.split("/"):
            word, _, n = part.partition("-")
            if word in WORDS:
                self.words[word] = int(n) if n else 1
        self.blobs, self.kinds = {}, {}
        self.make()

    def layer(self, i):
        w = self.words
        if "bomb" in w:
            data = zeros(w["bomb"])
            return data, "sha256:" + "0" * 64
        if "nested" in w:
            inner = zeros(w["nested"])
            return gzip.compress(inner, 9, mtime=0), digest(inner)
        content = random.Random(f"{w.get('seed', self.name)} {i}").randbytes(w.get("size", 64))
        if "notar" in w:
            return gzip.compress(content, 1, mtime=0), digest(content)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
            info = tarfile.TarInfo(f"f{i}")
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
        tar = out.getvalue()
        return tar if "plain" in w else gzip.compress(tar, 1, mtime=0), digest(tar)

    def make(self):
        w, layers, diff_ids = self.words, [], []
        kind = "tar" if "plain" in w else "tar+gzip"
        for i in range(w.get("layers", 2)):
            data, diff_id = self.layer(i)
            d = digest(data)
            self.kinds[d] = i
            size = len(data) + ("sizemore" in w) - ("sizeless" in w)
            size = -1 if "negsize" in w else 1 << 62 if "hugesize" in w else size
            layers.append({"mediaType": "application/vnd.oci.image.layer.v1." + kind, "size": size,
                           "digest": "sha256:../../../../../../../../etc/passwd" if "digestpath" in w else d})
            diff_ids.append(digest(b"other") if "diffids" in w else diff_id)
            if "wrongdigest" in w:
                data = data[:-1] + bytes([data[-1] ^ 1])
            if "short" in w:
                data = data[:-9]
            if "long" in w:
                data += bytes(9)
            self.blobs[d] = data
        config = json.dumps({"architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z", "config": {"Cmd": ["sh"]},
                             "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
        c = digest(config)
        self.kinds[c] = "config"
        self.blobs[c] = config.replace(b"amd64", b"arm64") if "configdigest" in w else config
        m = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config),
                                                                  "digest": c}, "layers": layers}
        self.type = MANIFEST
        if "both" in w:
            m["manifests"] = [{"mediaType": MANIFEST, "size": 10, "digest": c, "platform": {"os": "linux", "architecture": "amd64"}}]
        if "noconfig" in w:
            del m["config"]
        if "huge" in w:
            m["annotations"] = {"x": "a" * 100_000_000}
        self.manifest = json.dumps(m).encode()
        for word, text in (("nonjson", b"<html>It works!</html>"), ("null", b"null"), ("empty", b"{}"), ("deep", b"[" * 1_000_000)):
            if word in w:
                self.manifest = text
        if "schema1" in w:
            self.type = "application/vnd.docker.distribution.manifest.v1+prettyjws"
            text = json.dumps({"schemaVersion": 1, "name": self.name, "tag": "latest", "architecture": "amd64",
                               "fsLayers": [{"blobSum": x["digest"]} for x in layers],
                               "history": [{"v1Compatibility": json.dumps({"id": "%064x" % i})} for i in range(len(layers))]}, indent=3)
            # signed as libtrust does it: what is protected names where the text without signatures ends, and how
            protected = {"formatLength": len(text) - 2, "formatTail": b64(b"\n}"), "time": "2024-01-01T00:00:00Z"}
            signature = {"header": {"alg": "ES256"}, "signature": b64(bytes(64)), "protected": b64(json.dumps(protected).encode())}
            self.manifest = (text[:-2] + ",\n" + '   "signatures": ' + json.dumps([signature]) + "\n}").encode()
        if "wrongtype" in w:
            self.type = INDEX

    def times(self, key):
        """How often this was asked before."""
        with self.lock:
            self.count[key] = self.count.get(key, 0) + 1
            return self.count[key] - 1

    def allow(self, n):
        """How many of n bytes may be sent, and whether the connection ends after them."""
        limit = self.words.get("cut", self.words.get("cutonce"))
        with self.lock:
            left = n if limit is None else max(0, limit - self.sent)
            self.sent += min(n, left)
            if n < left or limit is None:
                return n, False
            if "cutonce" in self.words:
                self.words.pop("cutonce")
            return min(n, left), True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    disable_nagle_algorithm = True  # or each body waits for the ACK of its head

    def send(self, data):
        n, cut = self.repo.allow(len(data)) if self.repo else (len(data), False)
        self.connection.sendall(data[:n])
        self.bytes += n
        if cut:
            raise Cut

    def head(self, status, **headers):
        self.status = status
        lines = [f"HTTP/1.1 {status} {self.responses.get(status, ('?',))[0]}", "Docker-Distribution-Api-Version: registry/2.0"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        text = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.due = self.bytes + len(text) + int(headers.get("Content_Length", 0))
        self.send(text)

    def body(self, status, data, **headers):
        self.head(status, Content_Length=len(data), **headers)
        if self.command != "HEAD":
            self.send(data)

    def error(self, status, code, message, **headers):
        self.body(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), Content_Type="application/json", **headers)

    def paced(self, data, rate):
        step = max(1, rate // 20)
        for i in range(0, len(data), step):
            self.send(data[i:i + step])
            time.sleep(step / rate)

    def hold(self, event, flags=socket.MSG_PEEK):
        """Until it is released; a client that leaves ends it. Without flags what it sends is thrown away."""
        self.note(event="holding")
        while not event.wait(0.05):
            if select.select([self.connection], [], [], 0)[0] and not self.connection.recv(65536, flags):
                raise Cut

    def endless(self, chunk):
        while True:
            self.send(chunk)

    def refused(self, w):
        """Answers that are not the layer; True when one was given."""
        digest_, r = self.ref, self.repo
        if "e500" in w:
            self.error(500, "UNKNOWN", "the liar is broken")
        elif "gone" in w:
            self.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        elif "denied" in w:
            self.error(403, "DENIED", "requested access to the resource is denied")
        elif "e429" in w:
            self.error(429, "TOOMANYREQUESTS", "the liar has had enough")
        elif "flaky" in w and r.times(("flaky", digest_)) < w["flaky"]:
            self.error(503, "UNAVAILABLE", "come again")
        elif "retry" in w and r.times(("retry", digest_)) < w["retry"]:
            self.error(429, "TOOMANYREQUESTS", "come again", Retry_After=1)
        elif "circle" in w:
            self.body(307, b"", Location=self.path.split("?")[0] + f"?{random.random()}")
        elif "away" in w and not self.server.away:
            self.body(307, b"", Location=f"http://{self.server.other}/v2/{r.name}/blobs/{digest_}?signed=1")
        elif "header" in w:
            self.send(b"HTTP/1.1 200 OK\r\n")
            self.endless(b"X-Pad: " + b"a" * 8000 + b"\r\n")
        elif "driphead" in w:
            self.paced(b"HTTP/1.1 200 OK\r\nX-Pad: " + b"a" * 10000, 1)
        else:
            return False
        return True

    def layer(self, i, data):
        w, r = self.repo.words, self.repo
        start, span = 0, self.headers.get("Range", "")
        if self.refused(w):
            return
        if "endless" in w:
            self.head(200, Transfer_Encoding="chunked")
            self.send(b"%x\r\n%s\r\n" % (len(data), data))
            self.endless(b"10000\r\n" + bytes(65536) + b"\r\n")
        if "chunked" in w:
            self.head(200, Transfer_Encoding="chunked")
            for at in range(0, len(data), 1000):
                self.send(b"%x\r\n%s\r\n" % (len(data[at:at + 1000]), data[at:at + 1000]))
            return self.send(b"0\r\n\r\n")
        if span.startswith("bytes=") and "norange" not in w:
            start = int(span[6:].split("-")[0])
            if start >= len(data):
                return self.error(416, "UNKNOWN", "range", Content_Range=f"bytes */{len(data)}")
            self.head(206, Content_Length=len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
            start = 0 if "badrange" in w else start
        else:
            self.head(200, Content_Length=len(data), Content_Type="application/octet-stream",
                      **({} if "norange" in w else {"Accept_Ranges": "bytes"}))
        if self.command == "HEAD":
            return
        data = data[start:]
        half = len(data) // 2
        if "drip" in w:
            self.paced(data, 1)
        elif "slow" in w:
            self.paced(data, w["slow"])
        elif w.get("hold") == i and not r.released.is_set():
            self.send(data[:half])
            self.hold(r.released)
            self.send(data[half:])
        elif "break" in w and not r.times(("break", self.ref)):
            self.send(data[:half])
            raise Cut
        else:
            self.send(data)

    def serve_blob(self):
        data = self.repo.blobs.get(self.ref)
        if self.ref in self.repo.taken:
            return self.body(200, b"")
        if data is None:
            return self.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        i = self.kind = self.repo.kinds[self.ref]
        if i == "config":
            return self.body(200, data, Content_Type="application/octet-stream")
        self.layer(i, data)

    def serve_manifest(self):
        r = self.repo
        if "manifest500" in r.words:
            return self.error(500, "UNKNOWN", "the liar is broken")
        m, d = r.manifest, digest(r.manifest)
        if self.ref.startswith("sha256:"):
            if self.ref != d and "manifestlie" not in r.words:
                return self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
            d = self.ref
        if "manifestlie" in r.words:
            m += b" "
        if "dripmanifest" in r.words:
            self.head(200, Content_Type=r.type, Content_Length=len(m))
            return self.paced(m, 1)
        self.body(200, m, Content_Type=r.type, Docker_Content_Digest=d)

    def serve_tags(self):
        w, tags, more = self.repo.words, ["latest"], {}
        if "tags" in w:
            tags = ["latest", "../../x", "a b", "\u00fc", "", "x" * 300, "-dash", "ok.1", "new\nline"]
        if "badtags" in w:
            tags = [7]
        if "emptytags" in w:
            tags, more = [], {"Link": f'</v2/{self.repo.name}/tags/list?n=1000&last=x>; rel="next"'}
        if "endlesstags" in w:
            tags = [f"t{self.repo.times('tags')}-{i}" for i in range(1000)]
            more = {"Link": f'</v2/{self.repo.name}/tags/list?n=1000&last={tags[-1]}>; rel="next"'}
        self.body(200, json.dumps({"name": self.repo.name, "tags": tags}).encode(), Content_Type="application/json", **more)

    def take_push(self):
        w = self.repo.words
        if "e500" in w:
            return self.error(500, "UNKNOWN", "the liar is broken", Connection="close")
        if "denied" in w:
            return self.error(403, "DENIED", "requested access to the resource is denied", Connection="close")
        if "pushcut" in w and self.command in ("PATCH", "PUT"):
            self.rfile.read(10)
            raise Cut
        if "pushhold" in w and self.command in ("PATCH", "PUT"):
            self.hold(self.repo.released, 0)
        if self.what == "manifests":
            data = self.read_body()
            m = json.loads(data)
            lost = [x["digest"] for x in m["layers"] + [m["config"]] if x["digest"] not in self.repo.taken]
            return self.error(400, "MANIFEST_BLOB_UNKNOWN", str(lost)) if lost else self.body(201, b"", Docker_Content_Digest=digest(data))
        self.take_blob()

    def take_blob(self):
        """One request of an upload: POST begins it, PATCH adds, PUT adds and ends it, GET tells where it is."""
        r, query = self.repo, urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if self.command == "POST":
            self.ref = str(r.times("upload"))
        have = r.uploads.setdefault(self.ref, bytearray())
        if self.command in ("PATCH", "PUT"):
            at = self.headers.get("Content-Range", f"{len(have)}-").split("-")[0]
            if int(at) != len(have):
                return self.error(416, "BLOB_UPLOAD_INVALID", f"{len(have)} bytes are here", Range=f"0-{len(have) - 1}", Connection="close")
            if "pushbreak" in r.words and r.times("pushbreak") < 2:
                have += self.rfile.read(int(self.headers.get("Content-Length", 20000)) // 2)
                raise Cut
        if self.command != "GET":
            have += self.read_body()
        where = {"Location": f"/v2/{r.name}/blobs/uploads/{self.ref}?state=1", "Docker_Upload_UUID": self.ref}
        if "digest" not in query:
            return self.body(204 if self.command == "GET" else 202, b"", Range=f"0-{max(0, len(have) - 1)}", **where)
        if query["digest"][0] != digest(have):
            return self.error(400, "DIGEST_INVALID", f"{len(have)} bytes are {digest(have)}")
        r.taken.add(digest(have))
        self.body(201, b"", Docker_Content_Digest=digest(have), **where)

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while n := int(self.rfile.readline(), 16):
            data += self.rfile.read(n)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def note(self, **more):
        line = {"method": self.command, "repo": self.repo.name if self.repo else "", "what": self.what, "ref": self.ref, "kind": self.kind,
                "status": self.status, "sent": self.bytes, "range": self.headers.get("Range"), "auth": "Authorization" in self.headers,
                "away": self.server.away, "whole": self.bytes >= self.due, "proxied": self.path.startswith("http"), **more}
        with LOCK:
            LOG.write(json.dumps(line) + "\n")
            LOG.flush()

    def answer(self):
        path = self.path.split("?")[0]
        if path.startswith("http://"):
            path = "/" + path.split("/", 3)[3]
        if path.startswith("/_release/"):
            repo(path[10:]).released.set()
            return self.body(200, b"")
        want = "Basic " + base64.b64encode((ARGS.basic or "").encode()).decode()
        if ARGS.challenge or (ARGS.basic and not self.server.away and self.headers.get("Authorization") != want):
            return self.error(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=ARGS.challenge or 'Basic realm="liar"')
        if path == "/v1/search":
            return self.body(200, SEARCH, Content_Type="application/json")
        if path.rstrip("/") == "/v2":
            self.what = "ping"
            return self.body(200, b"{}", Content_Type="application/json")
        for what, serve in (("/manifests/", self.serve_manifest), ("/blobs/uploads/", None), ("/blobs/", self.serve_blob), ("/tags/list", self.serve_tags)):
            if what in path and path.startswith("/v2/"):
                name, self.ref = path[4:].rsplit(what, 1)
                self.what, self.repo = what.split("/")[1], repo(name)
                return serve() if serve and self.command in ("GET", "HEAD") else self.take_push()
        self.error(404, "NOT_FOUND", "no such page")

    def handle_any(self):
        self.repo, self.what, self.ref, self.kind, self.status, self.bytes, self.due = None, "", "", None, 0, 0, 0
        try:
            self.answer()
        except (Cut, OSError):
            self.close_connection = True
            self.note(cut=True)
            return
        self.note()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = handle_any

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


def repo(name):
    with LOCK:
        if name not in REPOS:
            REPOS[name] = Repo(name)
        return REPOS[name]


p = argparse.ArgumentParser()
p.add_argument("--ready", required=True)
p.add_argument("--log", required=True)
p.add_argument("--basic")
p.add_argument("--challenge")
p.add_argument("--port", type=int, default=0)
ARGS = p.parse_args()
REPOS, LOCK, LOG = {}, threading.RLock(), open(ARGS.log, "a")
server, away = Server(("127.0.0.1", ARGS.port), Handler), Server(("127.0.0.2", 0), Handler)
server.away, away.away = False, True
server.other = away.other = f"127.0.0.2:{away.server_port}"
threading.Thread(target=away.serve_forever, daemon=True).start()
with open(ARGS.ready + ".new", "w") as f:
    f.write(f"127.0.0.1:{server.server_port} {server.other}\n")
os.rename(ARGS.ready + ".new", ARGS.ready)
server.serve_forever()
