# SPDX-License-Identifier: Apache-2.0
"""dns-upstream.py - a server upstream that does what the first label of a name says

Prints its port (UDP and TCP) and serves 127.0.0.1; each answer is an address whose last byte is argv[1].
"""
import socket
import struct
import sys
import threading


def respond(msg, udp):
    labels, at = [], 12
    while msg[at]:
        labels.append(msg[at + 1:at + 1 + msg[at]].decode())
        at += 1 + msg[at]
    question, first = msg[12:at + 5], labels[0].lower()
    size = struct.unpack(">H", msg[at + 8:at + 10])[0] if msg[11] else 512
    if first == "mute":
        return None
    rcode = {"nx": 3, "servfail": 2, "refused": 5}.get(first, 0)
    count = 0 if rcode else {"large": 200}.get(first, 1)
    truncated = udp and (first == "truncated" or 12 + len(question) + 16 * count > size)
    flags = 0x8180 | rcode | (0x200 if truncated else 0)
    if truncated:
        count = 0
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 77, 4)
    answers = b"".join(record + bytes([9, 9, i % 256, int(sys.argv[1])]) for i in range(count))
    return msg[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0) + question + answers


def tcp(listener):
    while True:
        client, _ = listener.accept()
        with client:
            size = client.recv(2, socket.MSG_WAITALL)
            reply = respond(client.recv(struct.unpack(">H", size)[0], socket.MSG_WAITALL), False) if size else None
            if reply:
                client.sendall(struct.pack(">H", len(reply)) + reply)


listener = socket.create_server(("127.0.0.1", 0))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(listener.getsockname())
threading.Thread(target=tcp, args=(listener,), daemon=True).start()
print(listener.getsockname()[1], flush=True)
while True:
    query, sender = udp.recvfrom(65535)
    answer = respond(query, True)
    if answer:
        udp.sendto(answer, sender)
