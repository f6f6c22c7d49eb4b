#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`criu swrk 3` for tests of what CRIU is asked, and of what it answers where it cannot do it: it does nothing.

What lies beside it says how it is: `version` (4.1.1), `too-new-kernel` (it cannot run here), `dumps` (a dump succeeds), `restores`
(process 1 is one that waits, in the stub's own namespaces; its number is in `restored`).  A request to dump or to restore is added to
`asked`, one JSON object a line, with the stub's cgroup namespace.  The numbers are those of CRIU's own protocol.
"""
import json
import os
import signal
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DUMP, RESTORE, PRE_DUMP, NOTIFY, FEATURES, VERSION = 1, 2, 4, 6, 9, 10
NOTIFIED = 3  # of a request: notify_success
LAST = {DUMP: 'post-dump', PRE_DUMP: 'pre-dump'}
PAIR = {1: 'key', 2: 'val'}
OPTIONS = {
    1: 'images_dir_fd', 2: 'pid', 3: 'leave_running', 4: 'ext_unix_sk', 5: 'tcp_established', 7: 'shell_job', 8: 'file_locks',
    10: 'log_file', 11: ('ps', {1: 'address', 2: 'port'}), 13: 'root', 14: 'parent_img', 15: 'track_mem', 16: 'auto_dedup', 18: 'link_remap',
    23: ('ext_mnt', PAIR), 25: ('cg_root', {1: 'ctrl', 2: 'path'}), 34: 'manage_cgroups_mode', 37: 'external', 38: 'empty_ns',
    44: 'freeze_cgroup', 46: 'tcp_skip_in_flight', 48: 'lazy_pages', 51: 'config_file', 52: 'tcp_close', 53: 'lsm_profile',
    63: 'lsm_mount_context', 64: 'network_lock'}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, int or bytes) of a message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        yield key >> 3, value


def named(data, names):
    found = {}
    for number, value in fields(data):
        name = names.get(number)
        if isinstance(name, tuple):
            found.setdefault(name[0], []).append(named(value, name[1]))
        elif name == 'external':
            found.setdefault(name, []).append(value.decode())
        elif name:
            found[name] = value.decode() if isinstance(value, bytes) else value
    return found


def number(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def message(*pairs):
    out = b''
    for field, value in pairs:
        if isinstance(value, bytes):
            out += number(field << 3 | 2) + number(len(value)) + value
        else:
            out += number(field << 3) + number(value)
    return out


def here(name):
    return os.path.join(HERE, name)


def exists(name):
    return os.path.exists(here(name))


def version():
    with open(here('version'), encoding='ascii') as f:
        major, minor, sublevel = (int(n) for n in f.read().split('.'))
    return message((1, major), (2, minor), (4, sublevel))


def notify(sock, script, pid=0):
    """Whether the other side wants it to go on."""
    sock.send(message((1, NOTIFY), (2, 1), (5, message((1, script.encode()), (2, pid)))))
    return dict(fields(sock.recv(1 << 20)))[NOTIFIED]


def restore(sock):
    pid = os.fork()
    if pid == 0:
        sock.close()
        signal.pause()
    with open(here('restored'), 'w', encoding='ascii') as f:
        print(pid, file=f)
    return notify(sock, 'setup-namespaces', pid) and notify(sock, 'post-restore', pid)


def work(sock, kind, options):
    asked = named(options, OPTIONS)
    with open(here('asked'), 'a', encoding='utf-8') as f:
        print(json.dumps({'what': kind, 'cgroup_ns': os.readlink('/proc/self/ns/cgroup'), **asked}), file=f)
    done = kind == DUMP and exists('dumps')
    if done:
        notify(sock, LAST[kind])
    elif kind == RESTORE and exists('restores'):
        done = restore(sock)
    else:
        with open(os.open(asked['log_file'], os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=5), 'w', encoding='ascii') as f:
            print('(00.000001) Error (stub.c:1): the stub does nothing', file=f)
    sock.send(message((1, kind), (2, int(done))))


def main():
    if sys.argv[1:] != ['swrk', '3']:
        sys.exit(f'criu-stub: {sys.argv}')
    sock = socket.socket(fileno=3)
    while data := sock.recv(1 << 20):
        request = dict(fields(data))
        kind = request[1]
        if kind == VERSION:
            sock.send(message((1, kind), (2, 1), (10, version())))
        elif kind == FEATURES:
            sock.send(message((1, kind), (2, int(not exists('too-new-kernel'))), (8, message((1, 1), (2, 1)))))
        else:
            work(sock, kind, request[2])
            return


main()
