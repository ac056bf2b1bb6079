#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""push.py - put fixtures into a plain registry without the daemon under test; prints the manifest's digest.

    push.py image [options] ADDR:PORT/REPO[:TAG] ARCHIVE     an archive as tests/images/make.sh makes it, or `-` for no layers
        --add TAR            one more layer (repeatable)
        --compress C[,C...]  gzip (default), zstd or none, layer by layer in turn
        --docker             Docker's media types; OCI's by default
        --platform OS/ARCH[/VARIANT]
        --first N            no more than N of the archive's layers
        --note TEXT          makes the config, and so the digest, another
    push.py index [--docker] ADDR:PORT/REPO[:TAG] DIGEST...  an index of manifests that are there
    push.py raw ADDR:PORT/REPO[:TAG] TYPE FILE               a manifest as it is
Without a TAG the manifest is there by digest only.
"""
import argparse
import hashlib
import http.client
import json
import subprocess
import sys
import tarfile
import urllib.parse

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest."
TYPES = {
    False: {"manifest": OCI + "manifest.v1+json", "index": OCI + "index.v1+json", "config": OCI + "config.v1+json",
            "gzip": OCI + "layer.v1.tar+gzip", "zstd": OCI + "layer.v1.tar+zstd", "none": OCI + "layer.v1.tar"},
    True: {"manifest": DOCKER + "v2+json", "index": DOCKER + "list.v2+json", "config": "application/vnd.docker.container.image.v1+json",
           "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip", "zstd": "application/vnd.docker.image.rootfs.diff.tar.zstd",
           "none": "application/vnd.docker.image.rootfs.diff.tar"},
}
TOOLS = {"gzip": ["gzip", "-6", "-n"], "zstd": ["zstd", "-q", "-3"]}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    def __init__(self, where):
        self.host, rest = where.split("/", 1)
        self.repo, _, self.tag = rest.partition(":")

    def call(self, method, path, body=None, headers={}, good=(200, 201, 202)):
        c = http.client.HTTPConnection(self.host, timeout=120)
        c.request(method, path, body, headers)
        r = c.getresponse()
        data = r.read()
        if r.status not in good:
            sys.exit(f"push.py: {method} {path}: {r.status} {data.decode(errors='replace')}")
        return r, data

    def blob(self, data):
        d = digest(data)
        if self.call("HEAD", f"/v2/{self.repo}/blobs/{d}", good=(200, 404))[0].status == 404:
            where = self.call("POST", f"/v2/{self.repo}/blobs/uploads/")[0].headers["Location"]
            u = urllib.parse.urlsplit(where)
            self.call("PUT", f"{u.path}?{u.query}&digest={d}" if u.query else f"{u.path}?digest={d}", data, {"Content-Type": "application/octet-stream"})
        return d

    def manifest(self, data, media):
        d = digest(data)
        self.call("PUT", f"/v2/{self.repo}/manifests/{self.tag or d}", data, {"Content-Type": media})
        print(d)


def layers_of(archive):
    """The config and the layers' tars of an archive in `docker save`'s form."""
    if archive == "-":
        return {"config": {"Cmd": ["sh"]}}, []
    with tarfile.open(archive) as t:
        m = json.load(t.extractfile("manifest.json"))[0]
        return json.load(t.extractfile(m["Config"])), [t.extractfile(n).read() for n in m["Layers"]]


def push_image(a):
    types, r = TYPES[a.docker], Registry(a.where)
    config, tars = layers_of(a.archive)
    tars = tars[:a.first] + [open(f, "rb").read() for f in a.add]
    config.update(architecture="amd64", os="linux", rootfs={"type": "layers", "diff_ids": [digest(t) for t in tars]},
                  history=[{"created": "2024-01-01T00:00:00Z", "created_by": a.note or "rig"} for _ in tars], created="2024-01-01T00:00:00Z")
    if a.platform:
        config.update(zip(("os", "architecture", "variant"), a.platform.split("/")))
    layers, how = [], a.compress.split(",")
    for i, t in enumerate(tars):
        c = how[i % len(how)]
        data = t if c == "none" else subprocess.run(TOOLS[c], input=t, capture_output=True, check=True).stdout
        layers.append({"mediaType": types[c], "size": len(data), "digest": r.blob(data)})
    text = json.dumps(config).encode()
    r.manifest(json.dumps({"schemaVersion": 2, "mediaType": types["manifest"],
                           "config": {"mediaType": types["config"], "size": len(text), "digest": r.blob(text)}, "layers": layers}, indent=3).encode(),
               types["manifest"])


def push_index(a):
    types, r = TYPES[a.docker], Registry(a.where)
    entries = []
    for d in a.digests:
        got, data = r.call("GET", f"/v2/{r.repo}/manifests/{d}", headers={"Accept": ", ".join((TYPES[False]["manifest"], TYPES[True]["manifest"]))})
        config = json.loads(r.call("GET", f"/v2/{r.repo}/blobs/{json.loads(data)['config']['digest']}")[1])
        entries.append({"mediaType": got.headers["Content-Type"], "size": len(data), "digest": d,
                        "platform": {k: config[k] for k in ("architecture", "os", "variant") if k in config}})
    r.manifest(json.dumps({"schemaVersion": 2, "mediaType": types["index"], "manifests": entries}, indent=3).encode(), types["index"])


def push_raw(a):
    Registry(a.where).manifest(open(a.file, "rb").read(), a.type)


p = argparse.ArgumentParser()
sub = p.add_subparsers(required=True)
s = sub.add_parser("image")
s.add_argument("--add", action="append", default=[])
s.add_argument("--compress", default="gzip")
s.add_argument("--docker", action="store_true")
s.add_argument("--platform")
s.add_argument("--first", type=int)
s.add_argument("--note")
s.add_argument("where")
s.add_argument("archive")
s.set_defaults(do=push_image)
s = sub.add_parser("index")
s.add_argument("--docker", action="store_true")
s.add_argument("where")
s.add_argument("digests", nargs="+")
s.set_defaults(do=push_index)
s = sub.add_parser("raw")
s.add_argument("where")
s.add_argument("type")
s.add_argument("file")
s.set_defaults(do=push_raw)
args = p.parse_args()
args.do(args)
