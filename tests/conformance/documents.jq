# SPDX-License-Identifier: LGPL-2.1-or-later
# The documents of the conformance suite, made from the default bundle's config.json: the input is that document, the
# output one object for each: {name, flags, facts, document, told, expect}.
#
#   flags     what documents.bash does besides: "create" (create and start instead of run), "tty", "join" ...
#   facts     what inside.c is told about the host, besides what is always told
#   told      what inside.c is told instead of the document: a lie, which it must find, in the group `expect`
#
# @B@ is the bundle, @T@ the directory of the run, @N@ that of the namespaces to join, @I@ the container's id, "@INFINITY@" 2^64-1,
# which jq would round.  Everything is deterministic.

def all_caps: ["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE",
	"SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_TIME", "SYS_TTY_CONFIG",
	"MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM",
	"BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"] | map("CAP_" + .);

def base: .process.args = ["inside", "/conformance/document.json", "/conformance/facts.json"];

def doc(name; flags; facts; f): { name: name, flags: flags, facts: facts, document: (base | f) };
def doc(name; flags; f): doc(name; flags; {}; f);
def doc(name; f): doc(name; []; {}; f);
def lie(group; flags; f; g): { name: "a lie is found: \(group)", flags: flags, facts: {}, document: (base | f), told: (base | f | g), expect: group };
def lie(group; g): lie(group; []; .; g);

def args(a): .process.args += a;
def mounted(d; t; s; o): .mounts += [{ destination: d, type: t, source: s, options: o }];
def tmpfs(d; o): mounted(d; "tmpfs"; "tmpfs"; o);
def bound(d; s; o): mounted(d; "bind"; s; (["bind"] + o));
def caps(c): .process.capabilities = c;
def same_caps(l): caps({ bounding: l, effective: l, permitted: l });
def res(r): .linux.resources = r;
def rules(r): .linux.resources.devices = [{ allow: false, access: "rwm" }] + r
	| (.mounts[] | select(.destination == "/dev/shm") | .options) |= (. - ["nodev"])
	| .process.capabilities = { bounding: all_caps, effective: all_caps, permitted: all_caps };
def realtime: res({ cpu: { realtimeRuntime: 1000, realtimePeriod: 1000000 } });
def seccomp(s): .linux.seccomp = ({ defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"] } + s);
def rule(n; a; x): { names: n, action: a } + x;
def arg(i; v; op): { args: [{ index: i, value: v, op: op }] };

def mapped: .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
	| .linux.gidMappings = [{ containerID: 0, hostID: 200000, size: 65536 }];

# The namespaces of a container, without those that are absent what belongs to them goes too.
def namespaces(l):
	.linux.namespaces = (l | map({ type: . }))
	| if l | index("uts") then . else del(.hostname) end
	| if l | index("user") then mapped else . end
	# A user namespace may not make the mqueue filesystem of an ipc namespace that is not its own.
	| if (l | index("user")) and (l | index("ipc") | not) then .mounts |= map(select(.type != "mqueue")) else . end;
def with_user: .linux.namespaces += [{ type: "user" }] | mapped;
def with_time: .linux.namespaces += [{ type: "time" }];
def without(t): .linux.namespaces |= map(select(.type != t)) | if t == "uts" then del(.hostname) else . end;
def joining(t): .linux.namespaces |= map(select(.type != t)) + [{ type: t, path: "@N@/\(t)" }]
	| if t == "uts" then del(.hostname) else . end;

# Each subset of the namespaces besides mount.
def subsets: if length == 0 then [] else .[0] as $x | .[1:] | subsets | (., [$x] + .) end;

# What a filter of allowed calls must have for inside.c, which is static.
def needed: ["access", "arch_prctl", "brk", "clone", "close", "execve", "exit", "exit_group", "faccessat", "faccessat2", "fcntl", "fork",
	"fstat", "fstatfs", "futex", "get_mempolicy", "getcwd", "getdents64", "getgroups", "getpid", "getppid", "getrandom", "getresgid",
	"getresuid", "getrlimit", "gettid", "ioctl", "ioprio_get", "kill", "lseek", "lstat", "mkdir", "mknod", "mknodat", "mmap", "mprotect", "mremap",
	"munmap", "newfstatat", "open", "openat", "personality", "pread64", "prctl", "prlimit64", "read", "readlink", "readlinkat", "rseq",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getattr", "set_robust_list", "set_tid_address", "stat", "statfs", "statx",
	"sched_yield", "tgkill", "umask", "uname", "unlink", "wait4", "write", "writev"];

# Everything at once, for the lies.
def rich:
	args(["one", "two words"]) | .process.env += ["A=b"] | .process.cwd = "/tmp"
	| .process.user = { uid: 0, gid: 0, umask: 63, additionalGids: [5, 6] }
	| .process.oomScoreAdj = 300 | .process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 3 }
	| .process.scheduler = { policy: "SCHED_BATCH", nice: 4 } | .domainname = "example.test"
	| .linux.devices = [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 384, uid: 7, gid: 8 }]
	| .linux.sysctl = { "net.ipv4.ip_forward": "1" } | with_time
	| .linux.timeOffsets = { monotonic: { secs: 1000 }, boottime: { secs: 2000, nanosecs: 5 } }
	| .linux.rootfsPropagation = "private" | .linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0" }
	| tmpfs("/mnt"; ["nosuid", "noexec", "size=1024k", "mode=750"]) | bound("/data"; "source"; ["ro"])
	| .linux.maskedPaths += ["/etc/passwd"] | .linux.readonlyPaths += ["/home"]
	| seccomp({ syscalls: [rule(["getsid"]; "SCMP_ACT_ERRNO"; {}), rule(["times"]; "SCMP_ACT_KILL_PROCESS"; {})] });

def process_documents:
	doc("default"; .),
	doc("default, created and started"; ["create"]; .),
	doc("args: many"; args([range(300) | "word \(.)"])),
	doc("args: empty, blanks, quotes, UTF-8"; args(["", " ", "\"'\\", "\t", "äöü 漢字"])),
	doc("args: program by PATH"; .process.args[0] = "inside" | .process.env = ["PATH=/nowhere:/bin"]),
	doc("args: program below cwd"; .process.args[0] = "./inside" | .process.cwd = "/bin"),
	doc("args: program with a slash, relative"; .process.args[0] = "bin/inside"),
	doc("env: none"; .process.args[0] = "/bin/inside" | .process.env = []),
	doc("env: absent"; .process.args[0] = "/bin/inside" | del(.process.env)),
	doc("env: odd values"; .process.env += ["EMPTY=", "EQUALS=a=b=c", "BLANK= x ", "LINES=a\nb", "lower_1=ü"]),
	doc("env: many"; .process.env += [range(300) | "V\(.)=\(. * 7)"]),
	doc("env: one key twice"; .process.env += ["TWICE=first", "TWICE=second"]),
	doc("cwd: /tmp"; .process.cwd = "/tmp"),
	doc("cwd: of a user"; .process.cwd = "/home/user" | .process.user = { uid: 1000, gid: 1000 }),
	doc("cwd: in a mount"; .process.cwd = "/mnt" | tmpfs("/mnt"; [])),
	doc("user: ids"; .process.user = { uid: 1000, gid: 1001 }),
	doc("user: groups"; .process.user = { uid: 1000, gid: 1000, additionalGids: [1, 5, 50, 4000000000] }),
	doc("user: root with groups"; .process.user = { uid: 0, gid: 0, additionalGids: [10, 20, 30] }),
	doc("user: large ids"; .process.user = { uid: 4000000000, gid: 4000000001 }),
	doc("user: umask 0"; .process.user.umask = 0),
	doc("user: umask 077"; .process.user.umask = 63),
	doc("user: umask 0777 of a user"; .process.user = { uid: 65534, gid: 65534, umask: 511 }),
	doc("capabilities: absent"; del(.process.capabilities)),
	doc("capabilities: empty"; caps({})),
	doc("capabilities: all"; same_caps(all_caps)),
	doc("capabilities: all, privileges may be gained"; same_caps(all_caps) | .process.noNewPrivileges = false),
	doc("capabilities: bounding is larger"; caps({ bounding: all_caps, effective: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"] })),
	doc("capabilities: bounding is larger, privileges may be gained"; .process.noNewPrivileges = false
		| caps({ bounding: ["CAP_CHOWN", "CAP_KILL"], effective: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"] })),
	doc("capabilities: inheritable"; ["CAP_CHOWN", "CAP_NET_RAW"] as $c
		| caps({ bounding: $c, effective: $c, permitted: $c, inheritable: $c })),
	doc("capabilities: ambient of a user"; ["CAP_CHOWN", "CAP_NET_RAW"] as $c | .process.user = { uid: 1000, gid: 1000 }
		| caps({ bounding: $c, effective: $c, permitted: $c, inheritable: $c, ambient: ["CAP_NET_RAW"] })),
	doc("capabilities: of a user without ambient"; .process.user = { uid: 1000, gid: 1000 } | same_caps(all_caps)),
	doc("capabilities: ambient of root"; ["CAP_CHOWN", "CAP_NET_RAW"] as $c
		| caps({ bounding: $c, effective: $c, permitted: $c, inheritable: $c, ambient: $c })),
	doc("capabilities: one that cannot be granted"; same_caps(["CAP_SYS_RESOURCE", "CAP_CHOWN"])),
	doc("no new privileges: off"; .process.noNewPrivileges = false),
	doc("no new privileges: absent"; del(.process.noNewPrivileges)),
	doc("rlimits: none"; del(.process.rlimits)),
	doc("rlimits: all kinds"; .process.rlimits = [
		{ type: "RLIMIT_CPU", soft: 1000, hard: 2000 }, { type: "RLIMIT_FSIZE", soft: 10000000, hard: 20000000 },
		{ type: "RLIMIT_DATA", soft: 100000000, hard: 200000000 }, { type: "RLIMIT_STACK", soft: 4194304, hard: 8388608 },
		{ type: "RLIMIT_CORE", soft: 0, hard: 0 }, { type: "RLIMIT_RSS", soft: 1000000, hard: 2000000 },
		{ type: "RLIMIT_NPROC", soft: 100, hard: 200 }, { type: "RLIMIT_NOFILE", soft: 64, hard: 128 },
		{ type: "RLIMIT_MEMLOCK", soft: 1024, hard: 2048 }, { type: "RLIMIT_AS", soft: 1000000000, hard: 2000000000 },
		{ type: "RLIMIT_LOCKS", soft: 10, hard: 20 }, { type: "RLIMIT_SIGPENDING", soft: 10, hard: 20 },
		{ type: "RLIMIT_MSGQUEUE", soft: 1000, hard: 2000 }, { type: "RLIMIT_NICE", soft: 0, hard: 0 },
		{ type: "RLIMIT_RTPRIO", soft: 0, hard: 0 }, { type: "RLIMIT_RTTIME", soft: 1000000, hard: 2000000 }]),
	doc("rlimits: infinity"; .process.rlimits = [{ type: "RLIMIT_FSIZE", soft: "@INFINITY@", hard: "@INFINITY@" }]),
	doc("rlimits: in a user namespace"; with_user
		| .process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }, { type: "RLIMIT_CORE", soft: 0, hard: 1000 }]),
	doc("oom score: 0"; .process.oomScoreAdj = 0),
	doc("oom score: 1000"; .process.oomScoreAdj = 1000),
	doc("oom score: in a user namespace"; with_user | .process.oomScoreAdj = 77),
	doc("scheduler: other, nice"; .process.scheduler = { policy: "SCHED_OTHER", nice: 7 }),
	doc("scheduler: batch"; .process.scheduler = { policy: "SCHED_BATCH", nice: 19 }),
	doc("scheduler: idle"; .process.scheduler = { policy: "SCHED_IDLE" }),
	doc("scheduler: reset on fork"; .process.scheduler = { policy: "SCHED_OTHER", nice: 3, flags: ["SCHED_FLAG_RESET_ON_FORK"] }),
	doc("scheduler: fifo"; ["realtime"]; realtime | .process.scheduler = { policy: "SCHED_FIFO", priority: 10 }),
	doc("scheduler: round robin"; ["realtime"]; realtime | .process.scheduler = { policy: "SCHED_RR", priority: 5 }),
	doc("io priority: best effort"; .process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 }),
	doc("io priority: idle"; .process.ioPriority = { class: "IOPRIO_CLASS_IDLE", priority: 0 }),
	doc("io priority: realtime"; .process.ioPriority = { class: "IOPRIO_CLASS_RT", priority: 2 }),
	(("MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_PREFERRED") as $m
		| doc("memory policy: \($m)"; .linux.memoryPolicy = { mode: $m, nodes: "0" })),
	doc("memory policy: MPOL_DEFAULT"; .linux.memoryPolicy = { mode: "MPOL_DEFAULT" }),
	doc("memory policy: MPOL_LOCAL"; .linux.memoryPolicy = { mode: "MPOL_LOCAL" }),
	doc("personality: LINUX"; .linux.personality = { domain: "LINUX" }),
	doc("personality: LINUX32"; .linux.personality = { domain: "LINUX32" }),
	doc("terminal"; ["tty"]; .process.terminal = true),
	doc("terminal: of a user"; ["tty"]; .process.terminal = true | .process.user = { uid: 1000, gid: 1000 }),
	doc("terminal: size"; ["tty"]; .process.terminal = true | .process.consoleSize = { height: 31, width: 97 }),
	doc("terminal: in a user namespace"; ["tty"]; .process.terminal = true | with_user),
	doc("terminal: a size without a terminal"; .process.consoleSize = { height: 31, width: 97 }),
	doc("hostname and domainname"; .hostname = "host-1.example" | .domainname = "example.test"),
	doc("hostname: absent"; del(.hostname)),
	doc("hostname: 64 bytes"; .hostname = ("h" * 64));

def mount_documents:
	doc("root: read-only"; .root.readonly = true),
	doc("root: read-only with writable places"; .root.readonly = true | tmpfs("/tmp"; []) | bound("/var"; "source"; [])),
	doc("root: absolute path"; .root.path = "@B@/rootfs"),
	(("private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared") as $p
		| doc("root propagation: \($p)"; .linux.rootfsPropagation = $p)),
	(([], ["nosuid", "nodev", "noexec"], ["ro"], ["ro", "rw"], ["nosuid", "suid", "noexec", "exec", "nodev", "dev"], ["noatime"],
	  ["nodiratime", "relatime"], ["strictatime"], ["noatime", "atime"], ["nodiratime", "diratime"], ["nosymfollow"],
	  ["nosymfollow", "symfollow"], ["sync", "dirsync"], ["mode=1770", "size=512k"], ["mode=0711", "nr_inodes=100", "nosuid"], ["defaults"],
	  ["noatime", "norelatime"], ["strictatime", "nostrictatime"], ["async", "loud", "noiversion", "nolazytime"], ["lazytime"], ["silent", "iversion"],
	  ["tmpcopyup", "mode=755"]) as $o
		| doc("tmpfs: \($o | join(","))"; []; { copied: "/etc/passwd" }; tmpfs("/etc"; $o))),
	(([], ["ro"], ["nosuid", "nodev", "noexec", "ro"], ["noatime"], ["nodiratime", "nosymfollow"], ["private"], ["slave"], ["shared"],
	  ["unbindable"], ["rprivate", "ro"], ["rslave"], ["rshared"], ["runbindable"]) as $o
		| doc("bind: \($o | join(","))"; bound("/data"; "source"; $o))),
	(([], ["ro"], ["rro"], ["rnosuid", "rnodev", "rnoexec"], ["rnoatime"], ["rstrictatime"], ["rnodiratime", "rnosymfollow"], ["rslave", "rro"],
	  ["rprivate"], ["rro", "rrw"], ["rnosuid", "rsuid"], ["rnoexec", "rexec"], ["rnodev", "rdev"], ["rnoatime", "rrelatime"], ["rnosymfollow", "rsymfollow"],
	  ["rnodiratime", "rdiratime"]) as $o
		| doc("rbind: \($o | join(","))"; ["tree"]; mounted("/data"; "none"; "@T@/tree"; (["rbind"] + $o)))),
	doc("bind: a file"; bound("/data/file"; "source/file"; ["ro"])),
	doc("bind: over a file of the image"; bound("/etc/passwd"; "source/file"; [])),
	doc("bind: absolute source"; bound("/data"; "@B@/source"; [])),
	doc("bind: without type"; .mounts += [{ destination: "/data", source: "source", options: ["rbind", "ro"] }]),
	doc("bind: a link is followed"; bound("/data"; "link"; [])),
	doc("destination: relative"; tmpfs("made/here"; ["nosuid"]) | bound("./data"; "source"; [])),
	doc("destination: not clean"; tmpfs("//made/./here//"; ["nosuid"])),
	doc("destination: deep and missing"; tmpfs("/a/b/c/d/e"; ["ro"])),
	doc("order: the inner one after the outer one"; tmpfs("/a"; ["nosuid"]) | tmpfs("/a/b"; ["noexec"]) | bound("/a/b/c"; "source"; ["ro"])),
	doc("order: the inner one first is covered"; tmpfs("/a/b"; ["noexec"]) | tmpfs("/a"; ["nosuid"])),
	doc("order: two on one place"; tmpfs("/a"; ["noexec"]) | bound("/a"; "source"; ["nosuid"])),
	doc("order: many"; reduce range(60) as $i (.; tmpfs("/m/\($i % 7)/\($i)"; [["ro"], ["nosuid"], []][$i % 3]))),
	doc("remount: read-only"; tmpfs("/a"; []) | .mounts += [{ destination: "/a", type: "none", source: "none", options: ["bind", "remount", "ro", "nosuid"] }]),
	doc("proc: read-only"; (.mounts[] | select(.destination == "/proc") | .options) = ["ro", "nosuid"] | del(.linux.readonlyPaths)),
	doc("sysfs: writable"; (.mounts[] | select(.destination == "/sys") | .options) = ["nosuid"]),
	doc("sysfs: absent"; .mounts |= map(select(.destination | startswith("/sys") | not))),
	doc("devpts: mode and group"; (.mounts[] | select(.destination == "/dev/pts") | .options) = ["newinstance", "ptmxmode=0600", "mode=0600", "gid=7"]),
	doc("dev: no tmpfs, the image's directory"; .mounts |= map(select(.destination | startswith("/dev") | not))),
	doc("cgroup: writable"; (.mounts[] | select(.type == "cgroup") | .options) = ["nosuid"]),
	doc("cgroup: without a namespace"; without("cgroup")),
	doc("masked: none"; .linux.maskedPaths = []),
	doc("masked: files and directories of the image"; .linux.maskedPaths += ["/etc/passwd", "/home", "/etc/hosts", "/no/such/path"]),
	doc("masked: below a mount"; tmpfs("/a"; []) | .linux.maskedPaths += ["/a", "/proc/version", "/proc/fs"]),
	doc("read-only paths: none"; .linux.readonlyPaths = []),
	doc("read-only paths: of the image"; .linux.readonlyPaths += ["/etc", "/home/user", "/etc/passwd", "/no/such/path"]),
	doc("read-only paths: a mount with flags"; tmpfs("/a"; ["nosuid", "noexec"]) | .linux.readonlyPaths += ["/a"]);

def device_documents:
	doc("devices: kinds, modes, owners"; .linux.devices = [
		{ path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 384, uid: 3, gid: 4 },
		{ path: "/dev/loop-x", type: "b", major: 7, minor: 3, fileMode: 432 },
		{ path: "/dev/unbuffered", type: "u", major: 10, minor: 229 },
		{ path: "/dev/pipe", type: "p", fileMode: 438, uid: 1000, gid: 1000 }]),
	doc("devices: outside of /dev and deep"; .linux.devices = [
		{ path: "/srv/nodes/null2", type: "c", major: 1, minor: 3 }, { path: "/dev/net/tun", type: "c", major: 10, minor: 200 }]),
	doc("devices: a default one with another owner"; .linux.devices = [{ path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 438, uid: 0, gid: 5 }]),
	doc("devices: setuid bits are kept out of the umask"; .process.user.umask = 63 | .linux.devices = [{ path: "/dev/a", type: "c", major: 1, minor: 5, fileMode: 511 }]),
	doc("devices: many"; .linux.devices = [range(40) | { path: "/dev/many/n\(.)", type: "c", major: 240, minor: . }]),
	doc("devices: in a user namespace"; with_user | .linux.devices = [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11 }]),
	doc("device rules: deny all"; []; { try_devices: true }; rules([])),
	doc("device rules: one allowed"; []; { try_devices: true }; rules([{ allow: true, type: "c", major: 1, minor: 11, access: "rwm" }])),
	doc("device rules: read only"; []; { try_devices: true }; rules([{ allow: true, type: "c", major: 1, minor: 11, access: "r" }])),
	doc("device rules: a later one takes back"; ["v2"]; { try_devices: true }; rules([{ allow: true, type: "c", major: 1, access: "rwm" },
		{ allow: false, type: "c", major: 1, minor: 11, access: "rwm" }])),
	doc("device rules: a kind"; []; { try_devices: true }; rules([{ allow: true, type: "b", access: "rwm" }])),
	doc("device rules: everything"; []; { try_devices: true }; rules([{ allow: true, access: "rwm" }]));

def namespace_documents:
	(["pid", "network", "ipc", "uts", "cgroup", "user", "time"] | subsets) as $l
		| doc("namespaces: mount \($l | join(" "))"; namespaces(["mount"] + $l));

def more_namespace_documents:
	(("network", "ipc", "uts", "pid", "time") as $t | doc("joined: \($t)"; ["join"]; joining($t))),
	# The cgroup mount shows what that namespace shows: not this container's limits.
	doc("joined: cgroup"; ["join"]; { cgroup_mounted: false }; joining("cgroup")),
	doc("joined: network, ipc and uts"; ["join"]; joining("network") | joining("ipc") | joining("uts")),
	doc("joined: network, the rest in a user namespace"; ["join"]; with_user | joining("network")
		| .mounts |= map(select(.destination | startswith("/sys") | not))),
	doc("ids: several ranges"; with_user
		| .linux.uidMappings = [{ containerID: 0, hostID: 300000, size: 1000 }, { containerID: 1000, hostID: 400000, size: 5 }, { containerID: 70000, hostID: 500000, size: 1 }]
		| .linux.gidMappings = [{ containerID: 0, hostID: 300000, size: 2000 }, { containerID: 65534, hostID: 600000, size: 1 }]),
	doc("ids: root is root"; with_user | .linux.uidMappings = [{ containerID: 0, hostID: 0, size: 100000 }] | .linux.gidMappings = .linux.uidMappings),
	doc("ids: a user with groups"; with_user | .process.user = { uid: 1000, gid: 50, additionalGids: [1, 2] }),
	doc("ids: capabilities of a user namespace"; with_user | same_caps(all_caps + ["CAP_SYS_RESOURCE"])),
	doc("ids: tmpfs and devpts with owners"; ["chown"]; with_user | tmpfs("/a"; ["mode=700", "nosuid"])),
	doc("ids: read-only root"; with_user | .root.readonly = true),
	doc("time: offsets"; with_time | .linux.timeOffsets = { monotonic: { secs: 100000, nanosecs: 123456789 }, boottime: { secs: 2000000 } }),
	doc("time: backwards"; with_time | .linux.timeOffsets = { monotonic: { secs: -5 }, boottime: { secs: -5, nanosecs: 1 } }),
	doc("time: none"; with_time),
	doc("time: offsets in a user namespace"; with_user | with_time | .linux.timeOffsets = { monotonic: { secs: 3600 } }),
	doc("sysctl: network"; .linux.sysctl = { "net.ipv4.ip_forward": "1", "net.core.somaxconn": "256", "net.ipv4.ip_local_port_range": "20000 30000" }),
	doc("sysctl: ipc"; .linux.sysctl = { "kernel.shmmni": "1000", "kernel.msgmax": "4096", "kernel.sem": "100 2000 30 40", "fs.mqueue.msg_max": "20" }),
	doc("sysctl: slashes"; .linux.sysctl = { "net/ipv4/conf/lo/forwarding": "1" }),
	doc("sysctl: in a user namespace"; with_user | .linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "80" }),
	doc("cgroup path: as the host names it"; []; { cgroup_path: "/vz-conf-@I@" }; without("cgroup") | .linux.cgroupsPath = "/vz-conf-@I@"),
	doc("cgroup path: in a namespace"; .linux.cgroupsPath = "/vz-conf-@I@");

def cgroup_documents:
	doc("cgroup: no limits"; res({})),
	doc("cgroup: resources absent"; del(.linux.resources)),
	doc("cgroup: memory"; res({ memory: { limit: 134217728, reservation: 67108864 } })),
	doc("cgroup: memory unlimited"; res({ memory: { limit: -1 } }) | .linux.resources = { pids: { limit: 100 } }),
	doc("cgroup: swappiness"; ["v1"]; res({ memory: { limit: 134217728, swappiness: 10 } })),
	doc("cgroup: no OOM killer"; ["v1"]; res({ memory: { limit: 134217728, disableOOMKiller: true } })),
	doc("cgroup: shares"; res({ cpu: { shares: 2048 } })),
	doc("cgroup: quota and period"; res({ cpu: { quota: 40000, period: 80000 } })),
	doc("cgroup: quota without a period"; res({ cpu: { quota: 30000 } })),
	doc("cgroup: burst"; res({ cpu: { quota: 40000, period: 80000, burst: 20000 } })),
	doc("cgroup: idle"; res({ cpu: { idle: 1 } })),
	doc("cgroup: processors and nodes"; res({ cpu: { cpus: "0", mems: "0" } })),
	doc("cgroup: pids"; res({ pids: { limit: 33 } })),
	doc("cgroup: pids unlimited"; res({ pids: { limit: -1 } })),
	doc("cgroup: everything"; res({ memory: { limit: 134217728, reservation: 33554432 }, pids: { limit: 50 },
		cpu: { shares: 300, quota: 50000, period: 100000, cpus: "0-1", mems: "0" } })),
	doc("cgroup: everything without a namespace"; without("cgroup") | res({ memory: { limit: 134217728 }, pids: { limit: 50 }, cpu: { shares: 300 } })),
	doc("cgroup: everything in a user namespace"; with_user | res({ memory: { limit: 134217728 }, pids: { limit: 50 }, cpu: { shares: 300 } })),
	doc("cgroup: unified"; ["hugetlb"]; res({ unified: { "hugetlb.2MB.max": "4194304" } }));

def seccomp_documents:
	doc("seccomp: allow everything"; seccomp({})),
	doc("seccomp: errno"; seccomp({ syscalls: [rule(["getsid", "times"]; "SCMP_ACT_ERRNO"; {})] })),
	doc("seccomp: chosen errno"; seccomp({ syscalls: [rule(["getsid"]; "SCMP_ACT_ERRNO"; { errnoRet: 38 }), rule(["times"]; "SCMP_ACT_ERRNO"; { errnoRet: 22 })] })),
	(("SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_TRACE", "SCMP_ACT_LOG") as $a
		| doc("seccomp: \($a)"; seccomp({ syscalls: [rule(["getpgid", "sched_getscheduler"]; $a; {})] }))),
	(("SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE") as $op
		| doc("seccomp: \($op)"; seccomp({ syscalls: [rule(["umask"]; "SCMP_ACT_ERRNO"; arg(0; 50; $op)), rule(["getpriority"]; "SCMP_ACT_ERRNO"; arg(0; 1; $op))] }))),
	doc("seccomp: masked argument"; seccomp({ syscalls: [rule(["umask"]; "SCMP_ACT_ERRNO"; { args: [{ index: 0, value: 32, valueTwo: 32, op: "SCMP_CMP_MASKED_EQ" }] })] })),
	doc("seccomp: two arguments"; seccomp({ syscalls: [rule(["socket"]; "SCMP_ACT_ERRNO"; { args: [{ index: 0, value: 1, op: "SCMP_CMP_EQ" }, { index: 1, value: 2, op: "SCMP_CMP_EQ" }] })] })),
	doc("seccomp: allowed calls"; seccomp({ defaultAction: "SCMP_ACT_ERRNO", syscalls: [rule(needed; "SCMP_ACT_ALLOW"; {})] })),
	doc("seccomp: allowed calls, default errno"; seccomp({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 95, syscalls: [rule(needed; "SCMP_ACT_ALLOW"; {})] })),
	doc("seccomp: privileges may be gained"; .process.noNewPrivileges = false | seccomp({ syscalls: [rule(["getsid"]; "SCMP_ACT_ERRNO"; {})] })),
	doc("seccomp: of a user"; .process.user = { uid: 1000, gid: 1000 } | seccomp({ syscalls: [rule(["getsid"]; "SCMP_ACT_ERRNO"; {})] })),
	doc("seccomp: of a user, privileges may be gained"; .process.noNewPrivileges = false | .process.user = { uid: 1000, gid: 1000 }
		| seccomp({ syscalls: [rule(["getsid"]; "SCMP_ACT_ERRNO"; {})] })),
	doc("seccomp: in a user namespace"; with_user | seccomp({ syscalls: [rule(["getsid"]; "SCMP_ACT_ERRNO"; {})] })),
	doc("seccomp: flags"; seccomp({ flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"], syscalls: [rule(["getsid"]; "SCMP_ACT_ERRNO"; {})] })),
	doc("seccomp: unknown names are skipped"; seccomp({ syscalls: [rule(["no_such_call", "getsid"]; "SCMP_ACT_ERRNO"; {})] })),
	doc("seccomp: created and started"; ["create"]; seccomp({ syscalls: [rule(["getsid"]; "SCMP_ACT_ERRNO"; {})] }));

def combined_documents:
	doc("everything"; rich),
	doc("everything, created and started"; ["create"]; rich),
	doc("everything in a user namespace"; ["chown"]; rich | with_user | del(.linux.devices) | .process.user.additionalGids = [5]),
	doc("everything of a user"; rich | .process.user = { uid: 1000, gid: 1000, umask: 18, additionalGids: [7] }),
	doc("unknown properties"; .unknown = { a: [1] } | .linux.unknown = true | .process.unknown = "x" | .annotations = { "com.example.key": "value" });

def lies:
	lie("args"; []; rich; .process.args[-1] = "three"),
	lie("env"; []; rich; .process.env[-1] = "A=c"),
	lie("cwd"; []; rich; .process.cwd = "/"),
	lie("terminal"; []; rich; .process.terminal = true),
	lie("user"; []; rich; .process.user.additionalGids = [5]),
	lie("umask"; []; rich; .process.user.umask = 0),
	lie("capabilities"; []; rich; .process.capabilities.bounding -= ["CAP_CHOWN"]),
	lie("rlimits"; []; rich; .process.rlimits[0].soft = 1000),
	lie("no new privileges"; []; rich; .process.noNewPrivileges = false),
	lie("oom"; []; rich; .process.oomScoreAdj = 301),
	lie("scheduler"; []; rich; .process.scheduler.nice = 5),
	lie("ioprio"; []; rich; .process.ioPriority.priority = 4),
	lie("memory policy"; []; rich; .linux.memoryPolicy.mode = "MPOL_INTERLEAVE"),
	lie("personality"; []; rich; .linux.personality.domain = "LINUX32"),
	lie("hostname"; []; rich; .hostname = "other"),
	lie("namespaces"; []; rich; without("ipc")),
	lie("id maps"; []; with_user; .linux.uidMappings[0].hostID = 100001),
	lie("time offsets"; []; rich; .linux.timeOffsets.boottime.nanosecs = 6),
	lie("mount flags"; []; rich; (.mounts[] | select(.destination == "/mnt") | .options) = ["nosuid", "exec", "size=1024k", "mode=750"]),
	lie("mount type"; []; rich; (.mounts[] | select(.destination == "/mnt") | .type) = "ramfs"),
	lie("mount order"; []; rich; tmpfs("/not/there"; [])),
	lie("mount data"; []; rich; (.mounts[] | select(.destination == "/mnt") | .options) = ["nosuid", "noexec", "size=2048k", "mode=750"]),
	lie("mount source"; []; rich; (.mounts[] | select(.destination == "/mnt") | .options) += ["bind"]),
	lie("propagation"; []; rich; .linux.rootfsPropagation = "shared"),
	lie("root"; []; rich; .root.readonly = true),
	lie("masked"; []; rich; .linux.maskedPaths += ["/etc/group"]),
	lie("readonly"; []; rich; .linux.readonlyPaths += ["/var"]),
	lie("devices"; []; rich; .linux.devices[0].minor = 12),
	lie("dev links"; ["image-dev-fd"]; .mounts |= map(select(.destination | startswith("/dev") | not)); .),
	lie("sysctl"; []; rich; .linux.sysctl["net.ipv4.ip_forward"] = "0"),
	lie("cgroup"; []; rich; .linux.resources.pids.limit = 65),
	lie("cgroup path"; []; without("cgroup"); .linux.namespaces += [{ type: "cgroup" }]),
	lie("seccomp"; []; rich; .linux.seccomp.syscalls[0].names = ["geteuid"]),
	(lie("device rules"; []; rules([]); rules([{ allow: true, type: "c", major: 1, minor: 11, access: "r" }])) | .facts = { try_devices: true }),
	lie("fds"; ["extra-fd"]; .; .);

process_documents, mount_documents, device_documents, namespace_documents, more_namespace_documents, cgroup_documents,
seccomp_documents, combined_documents, lies
