#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""client.py SOCKET ENGINE: calls the CRI socket ENGINE for whoever connects to SOCKET, until it is killed.

A request is one line, an answer is one line and the end of the connection:

  CALL JSON             a call of CRI v1, as `RunPodSandbox {"config": ...}`: `ok JSON` or `error CODE TEXT`
  stream URL JSON       talks to the engine's streaming server at the URL that Exec or Attach gave, by websocket; JSON is
                        a list of steps, each {"in": TEXT}, {"expect": TEXT} on standard output or error, {"size": [W, H]} or
                        {"leave": true}; then to the end of the stream: `ok {"stdout", "stderr", "status"}`

Resident because grpc takes long to load, seconds in an emulated guest."""

import base64
import json
import os
import socket
import struct
import sys
import urllib.parse

import grpc

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import schema  # noqa: E402

LIMIT = 60


def call(channel, name, args):
    service = 'ImageService' if 'Image' in name else 'RuntimeService'
    method = channel.unary_unary('/runtime.v1.%s/%s' % (service, name), request_serializer=None, response_deserializer=None)
    data = method(schema.encode(name + 'Request', args), timeout=LIMIT, wait_for_ready=True)
    return schema.decode(name + 'Response', data)


class WebSocket:
    """The remote command protocol: the first byte of a message is the channel."""
    STDIN, STDOUT, STDERR, STATUS, SIZE = range(5)

    def __init__(self, url):
        u = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((u.hostname, u.port), LIMIT)
        self.data = b''
        self.output = {n: b'' for n in range(5)}
        self.open = True
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(('GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
                             'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n'
                             'Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n' % (u.path, u.netloc, key)).encode())
        while b'\r\n\r\n' not in self.data:
            self.more()
        head, self.data = self.data.split(b'\r\n\r\n', 1)
        if b' 101 ' not in head.split(b'\r\n')[0]:
            raise OSError('no websocket: %r' % head)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError('the streaming server closed the connection')
        self.data += data

    def take(self, size):
        while len(self.data) < size:
            self.more()
        data, self.data = self.data[:size], self.data[size:]
        return data

    def send(self, opcode, payload):
        size = bytes([128 | len(payload)]) if len(payload) < 126 else struct.pack('>BH', 128 | 126, len(payload))
        mask = os.urandom(4)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self.socket.sendall(bytes([128 | opcode]) + size + mask + masked)

    def write(self, channel, data):
        self.send(2, bytes([channel]) + data)

    def read(self):
        """One frame."""
        first, size = self.take(2)
        if size == 126:
            size, = struct.unpack('>H', self.take(2))
        elif size == 127:
            size, = struct.unpack('>Q', self.take(8))
        payload = self.take(size)
        opcode = first & 15
        if opcode == 8:
            self.open = False
        elif opcode == 9:
            self.send(10, payload)
        elif opcode in (0, 1, 2) and payload:
            self.output[payload[0]] += payload[1:]

    def expect(self, text):
        while text.encode() not in self.output[self.STDOUT] + self.output[self.STDERR]:
            self.read()


def stream(url, steps):
    ws = WebSocket(url)
    for step in steps:
        if 'in' in step:
            ws.write(ws.STDIN, step['in'].encode())
        elif 'size' in step:
            ws.write(ws.SIZE, json.dumps({'Width': step['size'][0], 'Height': step['size'][1]}).encode())
        elif 'expect' in step:
            ws.expect(step['expect'])
        elif 'leave' in step:
            ws.open = False
    try:
        while ws.open:
            ws.read()
    except EOFError:
        pass
    ws.socket.close()
    return {'stdout': ws.output[1].decode(), 'stderr': ws.output[2].decode(),
            'status': json.loads(ws.output[3] or b'null')}


def answer(channel, line):
    name, _, args = line.strip().partition(' ')
    try:
        if name == 'stream':
            url, _, steps = args.partition(' ')
            result = stream(url, json.loads(steps))
        else:
            result = call(channel, name, json.loads(args or '{}'))
        return 'ok ' + json.dumps(result)
    except grpc.RpcError as e:
        return 'error %s %s' % (e.code().name, ' '.join(e.details().split()))
    except (OSError, EOFError, ValueError, KeyError) as e:
        return 'error CLIENT %s: %s' % (type(e).__name__, e)


def main():
    here, engine = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(here)
    listener.listen()
    channel = grpc.insecure_channel('unix:' + engine)
    while True:
        peer, _ = listener.accept()
        with peer, peer.makefile('rw') as f:
            try:
                line = f.readline()
                if line:
                    f.write(answer(channel, line) + '\n')
            except BrokenPipeError:
                pass


main()
