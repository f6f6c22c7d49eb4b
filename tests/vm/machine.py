# SPDX-License-Identifier: LGPL-2.1-or-later
"""A test guest: QEMU's command line, its monitor, the "ready" state that runs resume, and the agent inside (guest/agent).

A resumed guest is private: its disk is thrown away and its memory is a private mapping of the saved file, so that any number
can run at once.  What is saved depends on the devices, so a guest with other devices boots; kernel arguments, memory and
processors have states of their own, made when first asked for."""
import ctypes
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get('VZRUN_VM_CACHE') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'vzrun-vm')
# Debian 12 is the guest of cgroup v1: every controller there, and the cgroup2 tree beside them, as systemd's hybrid mode has it.
SUITE_ARGS = {
    'trixie': '',
    'bookworm': 'systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0',
}
BOOT_LIMIT = 180
RECENT = 3600
PR_SET_PDEATHSIG = 1


class GuestError(Exception):
    """The guest could not be brought to where a command runs, or died under it."""


class TimeLimit(GuestError):
    pass


BUILDERS = set()


def image(name):
    """The directory of a guest or of qemu, which is made when it is not there."""
    # A group of its own: who is told to end while it is built ends all of it.
    build = subprocess.Popen([os.path.join(HERE, 'build'), name], stdout=subprocess.PIPE, text=True, start_new_session=True)
    BUILDERS.add(build)
    try:
        out = build.communicate()[0]
    except BaseException:
        end_builders()
        build.wait()
        raise
    finally:
        BUILDERS.discard(build)
    if build.returncode:
        raise GuestError(f'no image of {name}')
    return out.strip()


def end_builders():
    for build in list(BUILDERS):
        if build.returncode is None:
            os.killpg(build.pid, signal.SIGTERM)


def lock(path, kind=fcntl.LOCK_EX):
    """A lock that is held until the descriptor is closed."""
    fd = os.open(path, os.O_RDONLY | os.O_CREAT if kind == fcntl.LOCK_EX else os.O_RDONLY, 0o644)
    fcntl.flock(fd, kind)
    return fd


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Monitor:
    """QEMU's control socket."""

    def __init__(self, path, process):
        self.socket = connect(path, process)
        self.file = self.socket.makefile('rw')
        self.file.readline()
        self('qmp_capabilities')

    def __call__(self, command, **arguments):
        try:
            self.file.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
            self.file.flush()
            while True:
                answer = json.loads(self.file.readline() or '{"error": "qemu has gone"}')
                if 'error' in answer:
                    raise GuestError(f'qemu: {command}: {answer["error"]}')
                if 'return' in answer:
                    return answer['return']
        except OSError as e:
            raise GuestError(f'qemu: {command}: {e}') from e

    def migrated(self):
        limit = time.monotonic() + BOOT_LIMIT
        while (state := self('query-migrate').get('status')) != 'completed':
            if state == 'failed' or time.monotonic() > limit:
                raise GuestError(f'qemu: saving the state: {state}')
            time.sleep(.05)


def connect(path, process):
    s = socket.socket(socket.AF_UNIX)
    while True:
        try:
            s.connect(path)
            return s
        except OSError:
            if process.poll() is not None:
                raise GuestError('qemu ended') from None
            time.sleep(.005)


def accelerator(qemu, img):
    """kvm where it really runs a guest (asked once per boot of the host), else emulation."""
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return 'tcg'
    with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as f:
        boot = f.read().strip()
    answer = os.path.join(CACHE, 'accelerator')
    held = lock(os.path.join(CACHE, 'accelerator.lock'))
    try:
        if os.path.exists(answer):
            with open(answer, encoding='ascii') as f:
                known = f.read().split()
            if known[:1] == [boot]:
                return known[1]
        kind = 'kvm' if kvm_runs(qemu, img) else 'tcg'
        with open(answer + '.new', 'w', encoding='ascii') as f:
            f.write(f'{boot} {kind}\n')
        os.rename(answer + '.new', answer)
        return kind
    finally:
        os.close(held)


def kvm_runs(qemu, img):
    command = firmware(qemu) + [
        '-nodefaults', '-display', 'none', '-no-reboot', '-M', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '512M',
        '-kernel', f'{img}/vmlinux', '-initrd', f'{img}/initrd', '-append', 'console=ttyS0 quiet panic=-1 vzrun.probe',
        '-serial', 'stdio']
    try:
        seen = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10,
                              check=False, preexec_fn=die_with_parent)
        return b'guest is alive' in seen.stdout
    except subprocess.TimeoutExpired:
        return False


def firmware(qemu):
    share = f'{qemu}/root/usr/share'
    return [f'{qemu}/qemu-system-x86_64', '-L', f'{share}/qemu', '-L', f'{share}/seabios']


class Guest:
    """One guest.  `with Guest(...) as g: g.start(); status = g.run(script, sink, limit)`."""

    def __init__(self, suite, share, append='', mem='2G', smp=2, disks=(), extra='', net='none', iommu='', verbose=False):
        self.suite, self.share, self.mem, self.smp = suite, os.path.abspath(share), mem, smp
        self.append = ' '.join(f'{SUITE_ARGS[suite]} {append}'.split())
        self.disks, self.extra, self.net, self.iommu, self.verbose = list(disks), shlex.split(extra), net, iommu, verbose
        self.began = time.monotonic()
        self.process = self.port = None
        self.ready = self.stopped = False
        self.work = tempfile.mkdtemp(prefix='vzrun-vm.')
        os.mkdir(f'{self.work}/job')
        self.held = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def say(self, text):
        if self.verbose:
            os.write(2, f'[{time.monotonic() - self.began:.2f}] {text}\n'.encode())

    def kill(self):
        """Ends QEMU, from any thread; the guest's own thread hears it and cleans up by stop()."""
        self.stopped = True
        if self.process:
            self.process.kill()

    def stop(self):
        self.kill()
        if self.process:
            self.process.wait()
        for fd in self.held:
            os.close(fd)
        self.held = []
        shutil.rmtree(self.work, ignore_errors=True)

    # ---- starting ----

    @property
    def plain(self):
        """Only guests without further devices have a saved state."""
        return not (self.disks or self.extra or self.iommu or self.net != 'none')

    def open(self):
        self.qemu, self.image = image('qemu'), image(self.suite)
        for d in (self.qemu, self.image):
            self.held.append(lock(d, fcntl.LOCK_SH))
        self.accel = accelerator(self.qemu, self.image)

    def start(self, boot=False):
        """Resumes the saved state, or boots."""
        self.open()
        if boot or not self.plain:
            self.launch(self.command(f'{self.image}/root.ext4', 'raw'))
            self.await_line('READY', BOOT_LIMIT)
            self.talk('settle')
            self.await_line('SETTLED', BOOT_LIMIT)
            self.say('booted')
        else:
            self.resume(self.saved())
        self.ready = True

    def saved(self):
        """The directory of the saved state for these arguments."""
        with open(os.path.abspath(__file__), 'rb') as f:
            recipe = hashlib.sha256(f.read()).hexdigest()[:12]
        key = hashlib.sha256('\0'.join([self.append, self.mem, str(self.smp), self.accel]).encode()).hexdigest()[:12]
        state = f'{self.image}/ready-{recipe}-{key}'
        if not os.path.exists(state):
            held = lock(f'{self.image}/{key}.lock')
            try:
                if not os.path.exists(state):
                    self.save(state)
            finally:
                os.close(held)
        os.utime(state)
        self.held.append(lock(state, fcntl.LOCK_SH))
        return state

    def save(self, state):
        """Boots a guest with these arguments and keeps its memory, devices and disk."""
        t0 = time.monotonic()
        new = tempfile.mkdtemp(prefix='new.', dir=self.image)
        try:
            subprocess.run([f'{self.qemu}/qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', f'{self.image}/root.ext4',
                            f'{new}/disk'], check=True)
            self.launch(self.command(f'{new}/disk', 'qcow2', memory=f'{new}/memory', keep=True))
            self.await_line('READY', BOOT_LIMIT)
            self.talk('settle')
            self.await_line('SETTLED', BOOT_LIMIT)
            monitor = Monitor(f'{self.work}/monitor', self.process)
            monitor('stop')
            self.ignore_shared(monitor)
            monitor('migrate', uri=f'exec:cat >{shlex.quote(new)}/devices')
            monitor.migrated()
            monitor('quit')
            self.process.wait()
            self.process = None
            self.port.close()
            os.chmod(new, 0o755)
            os.rename(new, state)
            self.drop_old_states(state)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        os.write(2, f'tests/vm: {self.suite} booted and saved in {time.monotonic() - t0:.0f} s\n'.encode())

    def drop_old_states(self, state):
        recipe = os.path.basename(state).split('-')[1]
        for name in os.listdir(self.image):
            path = f'{self.image}/{name}'
            if not name.startswith(('ready-', 'new.')) or name.startswith(f'ready-{recipe}-') or \
                    time.time() - os.stat(path).st_mtime < RECENT:
                continue
            try:
                fd = os.open(path, os.O_RDONLY)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
                os.close(fd)
            except OSError:
                pass

    @staticmethod
    def ignore_shared(monitor):
        monitor('migrate-set-capabilities', capabilities=[{'capability': 'x-ignore-shared', 'state': True}])

    def resume(self, state):
        self.launch(self.command(f'{state}/disk', 'qcow2', memory=f'{state}/memory') + ['-incoming', 'defer'])
        monitor = Monitor(f'{self.work}/monitor', self.process)
        self.ignore_shared(monitor)
        monitor('migrate-incoming', uri=f'exec:cat {shlex.quote(state)}/devices')
        while (status := monitor('query-status')['status']) == 'inmigrate':
            time.sleep(.005)
        if status != 'running':
            monitor('cont')
        self.say('resumed')

    def launch(self, command):
        if self.stopped:
            raise GuestError('stopped')
        # Whatever QEMU puts into temporary files, the throw-away disk for one, goes with this guest.
        env = dict(os.environ, TMPDIR=self.work)
        with open(f'{self.work}/errors', 'wb') as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=env,
                                            preexec_fn=die_with_parent)
        self.port = connect(f'{self.work}/agent', self.process)

    def command(self, disk, fmt, memory=None, keep=False):
        """QEMU's command line.  memory: the file that is the guest's memory, written to only with keep."""
        w, machine, memory_args = self.work, 'q35', []
        if memory:
            machine += ',memory-backend=ram'
            memory_args = ['-object', f'memory-backend-file,id=ram,size={self.mem},mem-path={memory},share={"on" if keep else "off"}']
        if self.iommu == 'intel':
            machine += ',kernel-irqchip=split'
        # One thread for all processors: with more, emulated processors spend their time waiting for each other.
        accel = ['-accel', 'kvm', '-cpu', 'host'] if self.accel == 'kvm' else ['-accel', 'tcg,thread=single', '-cpu', 'max']
        command = firmware(self.qemu) + ['-nodefaults', '-display', 'none', '-no-reboot', '-M', machine] + accel + memory_args
        command += ['-smp', str(self.smp), '-m', self.mem, '-qmp', f'unix:{w}/monitor,server=on,wait=off']
        command += ['-kernel', f'{self.image}/vmlinux', '-initrd', f'{self.image}/initrd', '-append',
                    'console=hvc0 root=/dev/vda quiet mitigations=off audit=0 panic=-1 systemd.show_status=0 ' + self.append]
        command += ['-device', 'virtio-serial-pci', '-chardev', f'file,id=console,path={w}/console',
                    '-device', 'virtconsole,chardev=console', '-chardev', f'socket,id=agent,path={w}/agent,server=on,wait=off',
                    '-device', 'virtserialport,chardev=agent,name=vzrun', '-device', 'virtio-rng-pci']
        command += ['-drive', f'file={disk},format={fmt},if=none,id=root,cache=unsafe,snapshot={"off" if keep else "on"}',
                    '-device', 'virtio-blk-pci,drive=root']
        command += ['-fsdev', f'local,id=share,path={self.share},security_model=passthrough,multidevs=remap',
                    '-device', 'virtio-9p-pci,fsdev=share,mount_tag=share',
                    '-fsdev', f'local,id=job,path={w}/job,security_model=passthrough',
                    '-device', 'virtio-9p-pci,fsdev=job,mount_tag=job']
        command += {'': [], 'intel': ['-device', 'intel-iommu,intremap=on,caching-mode=on'], 'amd': ['-device', 'amd-iommu']}[self.iommu]
        if self.net != 'none':
            # A network of its own: nothing outside is reached by it.
            command += ['-nic', f'user,model=virtio-net-pci,restrict={"off" if self.net == "user" else "on"}']
        for i, d in enumerate(self.disks):
            command += ['-drive', f'file={d},format=raw,if=none,id=disk{i},cache=unsafe',
                        '-device', f'virtio-blk-pci,drive=disk{i},serial=disk{i}']
        return command + self.extra

    # ---- the agent ----

    def talk(self, line):
        self.port.sendall(line.encode() + b'\n')

    def receive(self, limit):
        left = limit - time.monotonic()
        if left <= 0:
            raise TimeLimit('time limit')
        self.port.settimeout(left)
        try:
            data = self.port.recv(65536)
        except socket.timeout:
            raise TimeLimit('time limit') from None
        except OSError:
            data = b''
        if not data:
            raise GuestError('the guest died')
        return data

    def await_line(self, word, seconds):
        limit, seen = time.monotonic() + seconds, b''
        while word.encode() + b'\n' not in seen.replace(b'\r', b''):
            seen += self.receive(limit)

    def run(self, script, sink, seconds):
        """Runs a bash script in /share; its output goes to sink(bytes); the status."""
        limit = time.monotonic() + seconds
        # A new file each time: the guest may have kept pages of the old one.
        with open(f'{self.work}/job/new', 'w', encoding='utf-8') as f:
            f.write(script)
        os.rename(f'{self.work}/job/new', f'{self.work}/job/job')
        token = os.urandom(8).hex()
        self.talk(f'run {token} {time.time():.0f}')
        end, seen = f'\n@@{token}:'.encode(), b''
        while True:
            try:
                seen += self.receive(limit)
            except GuestError:
                sink(seen)
                raise
            at = seen.find(end)
            if at >= 0 and seen.find(b'\n', at + 1) >= 0:
                sink(seen[:at])
                return int(seen[at + len(end):].split(b'\n')[0])
            # What may be the beginning of the end is kept.
            keep = len(seen) if at >= 0 else len(end) + 8
            if len(seen) > keep:
                sink(seen[:-keep])
                seen = seen[-keep:]

    def last_words(self):
        """What the guest and QEMU said, for a report."""
        text = ''
        for name in ('console', 'errors'):
            try:
                with open(f'{self.work}/{name}', encoding='utf-8', errors='replace') as f:
                    text += f.read()[-2000:]
            except OSError:
                pass
        return text
