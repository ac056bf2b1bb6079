#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""small.py OUT.tar - an archive of small images that share layers, for tests of the image API

Prints the id of each: one (three names in two repositories), two, three (on top of one's layers, with a
history), nameless, arm (another architecture). The bytes are the same each time.
"""
import hashlib
import io
import json
import sys
import tarfile


def layer(name, size):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
        i = tarfile.TarInfo(name)
        i.size, i.mtime = size, 1704067200
        t.addfile(i, io.BytesIO(name[:1].encode() * size))
    return out.getvalue()


def sha(data):
    return hashlib.sha256(data).hexdigest()


BASE, A, C, D = layer("base", 100000), layer("a", 5000), layer("c", 7000), layer("d", 300)


def image(day, layers, names, config=None, history=None, arch="amd64", **more):
    created = f"2024-01-0{day}T00:00:00Z"
    doc = {"created": created, "architecture": arch, "os": "linux", "config": config or {},
           "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(x) for x in layers]},
           "history": history or [{"created": created, "created_by": f"layer {i}"} for i in range(len(layers))], **more}
    return json.dumps(doc, separators=(",", ":")).encode(), layers, names


IMAGES = [
    image(2, [BASE, A], ["zz/one:1", "zz/one:2", "reg.example:5000/zz/one:1"],
          {"Labels": {"k": "v", "x": "1"}, "Cmd": ["sh"]}, author="me", comment="note"),
    image(3, [BASE, C], ["zz/two:1"],
          {"Labels": {"k": "w"}, "Entrypoint": ["/base"], "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}},
           "WorkingDir": "/w", "User": "u", "StopSignal": "SIGINT", "OnBuild": ["RUN x"], "Shell": ["/bin/sh", "-c"],
           "ArgsEscaped": True, "Env": ["A=b"], "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1000000000}}),
    image(4, [BASE, A, D], ["zz-three:1"], history=[
        {"created": "2024-01-04T00:00:00Z", "created_by": "one"},
        {"created_by": "empty", "empty_layer": True, "comment": "c", "author": "a"},
        {"created_by": "two"}, {"created_by": "three"}]),
    image(5, [D], None, {"Labels": {"k": "v"}}),
    image(6, [C], ["zz/arm:1"], {"Cmd": ["x"]}, arch="arm64", variant="v8"),
]

with tarfile.open(sys.argv[1], "w", format=tarfile.USTAR_FORMAT) as t:
    done = set()

    def add(name, data):
        if name not in done:
            done.add(name)
            i = tarfile.TarInfo(name)
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))

    for config, layers, names in IMAGES:
        for x in layers:
            add(sha(x) + ".tar", x)
        add(sha(config) + ".json", config)
        print(sha(config))
    add("manifest.json", json.dumps([{"Config": sha(c) + ".json", "RepoTags": n, "Layers": [sha(x) + ".tar" for x in ls]}
                                     for c, ls, n in IMAGES]).encode())
