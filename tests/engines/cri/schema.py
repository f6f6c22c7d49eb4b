# SPDX-License-Identifier: LGPL-2.1-or-later
"""Protocol buffers by a table: dicts to the wire and back, for the part of CRI v1 that the tests use.

A field is NAME=NUMBER:TYPE; TYPE is int, bool, string, bytes, map (of string to string), an enumeration or a message, with
[] in front when it is repeated.  Fields that the table does not name are skipped when read and refused when written."""

ENUMS = {
    'Mode': ('POD', 'CONTAINER', 'NODE', 'TARGET'),
    'Profile': ('RuntimeDefault', 'Unconfined', 'Localhost'),
    'Propagation': ('PRIVATE', 'HOST_TO_CONTAINER', 'BIDIRECTIONAL'),
    'PodState': ('READY', 'NOTREADY'),
    'State': ('CREATED', 'RUNNING', 'EXITED', 'UNKNOWN'),
}

TABLE = '''
VersionRequest                   version=1:string
VersionResponse                  version=1:string runtime_name=2:string runtime_version=3:string runtime_api_version=4:string
StatusRequest                    verbose=1:bool
StatusResponse                   status=1:RuntimeStatus info=2:map runtime_handlers=3:[]RuntimeHandler
RuntimeStatus                    conditions=1:[]RuntimeCondition
RuntimeCondition                 type=1:string status=2:bool reason=3:string message=4:string
RuntimeHandler                   name=1:string features=2:HandlerFeatures
HandlerFeatures                  recursive_read_only_mounts=1:bool user_namespaces=2:bool

RunPodSandboxRequest             config=1:PodConfig runtime_handler=2:string
RunPodSandboxResponse            pod_sandbox_id=1:string
StopPodSandboxRequest            pod_sandbox_id=1:string
StopPodSandboxResponse
RemovePodSandboxRequest          pod_sandbox_id=1:string
RemovePodSandboxResponse
PodSandboxStatusRequest          pod_sandbox_id=1:string verbose=2:bool
PodSandboxStatusResponse         status=1:PodStatus info=2:map
ListPodSandboxRequest
ListPodSandboxResponse           items=1:[]Pod
PodSandboxStatsRequest           pod_sandbox_id=1:string
PodSandboxStatsResponse          stats=1:PodStats
Pod                              id=1:string metadata=2:PodMeta state=3:PodState labels=5:map annotations=6:map runtime_handler=7:string
PodConfig                        metadata=1:PodMeta hostname=2:string log_directory=3:string dns_config=4:Dns
                                 labels=6:map annotations=7:map linux=8:PodLinux
PodMeta                          name=1:string uid=2:string namespace=3:string attempt=4:int
Dns                              servers=1:[]string searches=2:[]string options=3:[]string
PodLinux                         cgroup_parent=1:string security_context=2:PodSecurity sysctls=3:map resources=5:Resources
PodSecurity                      namespace_options=1:Namespaces run_as_user=3:Int readonly_rootfs=4:bool
                                 supplemental_groups=5:[]int privileged=6:bool run_as_group=8:Int seccomp=9:SecurityProfile
                                 apparmor=10:SecurityProfile
PodStatus                        id=1:string metadata=2:PodMeta state=3:PodState created_at=4:int network=5:PodNetwork
                                 labels=7:map annotations=8:map runtime_handler=9:string
PodNetwork                       ip=1:string additional_ips=2:[]PodIp
PodIp                            ip=1:string
PodStats                         linux=2:PodLinuxStats
PodLinuxStats                    cpu=1:Cpu memory=2:Memory process=4:Processes containers=5:[]ContainerStats
Processes                        timestamp=1:int process_count=2:Int

Namespaces                       network=1:Mode pid=2:Mode ipc=3:Mode target_id=4:string userns_options=5:UserNamespace
UserNamespace                    mode=1:Mode uids=2:[]IdMap gids=3:[]IdMap
IdMap                            host_id=1:int container_id=2:int length=3:int
SecurityProfile                  profile_type=1:Profile localhost_ref=2:string
Int                              value=1:int

CreateContainerRequest           pod_sandbox_id=1:string config=2:ContainerConfig sandbox_config=3:PodConfig
CreateContainerResponse          container_id=1:string
StartContainerRequest            container_id=1:string
StartContainerResponse
StopContainerRequest             container_id=1:string timeout=2:int
StopContainerResponse
RemoveContainerRequest           container_id=1:string
RemoveContainerResponse
ListContainersRequest
ListContainersResponse           containers=1:[]Container
ContainerStatusRequest           container_id=1:string verbose=2:bool
ContainerStatusResponse          status=1:ContainerStatus info=2:map
UpdateContainerResourcesRequest  container_id=1:string linux=2:Resources annotations=4:map
UpdateContainerResourcesResponse
ReopenContainerLogRequest        container_id=1:string
ReopenContainerLogResponse
ContainerStatsRequest            container_id=1:string
ContainerStatsResponse           stats=1:ContainerStats
Container                        id=1:string pod_sandbox_id=2:string metadata=3:ContainerMeta state=6:State
ContainerConfig                  metadata=1:ContainerMeta image=2:Image command=3:[]string args=4:[]string working_dir=5:string
                                 envs=6:[]KeyValue mounts=7:[]Mount devices=8:[]Device labels=9:map annotations=10:map
                                 log_path=11:string stdin=12:bool stdin_once=13:bool tty=14:bool linux=15:ContainerLinux
ContainerMeta                    name=1:string attempt=2:int
Image                            image=1:string
KeyValue                         key=1:string value=2:string
Mount                            container_path=1:string host_path=2:string readonly=3:bool propagation=5:Propagation
                                 uidMappings=6:[]IdMap gidMappings=7:[]IdMap recursive_read_only=8:bool
Device                           container_path=1:string host_path=2:string permissions=3:string
ContainerLinux                   resources=1:Resources security_context=2:ContainerSecurity
Resources                        cpu_period=1:int cpu_quota=2:int cpu_shares=3:int memory_limit_in_bytes=4:int
                                 oom_score_adj=5:int cpuset_cpus=6:string cpuset_mems=7:string unified=9:map
                                 memory_swap_limit_in_bytes=10:int
ContainerSecurity                capabilities=1:Capabilities privileged=2:bool namespace_options=3:Namespaces run_as_user=5:Int
                                 run_as_username=6:string readonly_rootfs=7:bool supplemental_groups=8:[]int no_new_privs=11:bool
                                 run_as_group=12:Int masked_paths=13:[]string readonly_paths=14:[]string
                                 seccomp=15:SecurityProfile apparmor=16:SecurityProfile
Capabilities                     add_capabilities=1:[]string drop_capabilities=2:[]string add_ambient_capabilities=3:[]string
ContainerStatus                  id=1:string metadata=2:ContainerMeta state=3:State created_at=4:int started_at=5:int
                                 finished_at=6:int exit_code=7:int reason=10:string message=11:string labels=12:map
                                 annotations=13:map log_path=15:string resources=16:ContainerResources
ContainerResources               linux=1:Resources
ContainerStats                   cpu=2:Cpu memory=3:Memory
Cpu                              timestamp=1:int usage_core_nano_seconds=2:Int
Memory                           timestamp=1:int working_set_bytes=2:Int available_bytes=3:Int usage_bytes=4:Int rss_bytes=5:Int

ExecSyncRequest                  container_id=1:string cmd=2:[]string timeout=3:int
ExecSyncResponse                 stdout=1:bytes stderr=2:bytes exit_code=3:int
ExecRequest                      container_id=1:string cmd=2:[]string tty=3:bool stdin=4:bool stdout=5:bool stderr=6:bool
ExecResponse                     url=1:string
AttachRequest                    container_id=1:string stdin=2:bool tty=3:bool stdout=4:bool stderr=5:bool
AttachResponse                   url=1:string
ImageStatusRequest               image=1:Image
ImageStatusResponse              image=1:ImageInfo
ImageInfo                        id=1:string repo_tags=2:[]string
'''

SCALARS = {'int': 0, 'bool': False, 'string': '', 'bytes': ''}


def read_table(text):
    messages, name = {}, None
    for line in text.splitlines():
        words = line.split()
        if words and not line[0].isspace():
            name = words.pop(0)
            messages[name] = []
        for word in words:
            field, rest = word.split('=')
            number, kind = rest.split(':')
            repeated = kind.startswith('[]')
            messages[name].append((field, int(number), kind[2:] if repeated else kind, repeated))
    for fields in messages.values():
        for _, _, kind, _ in fields:
            assert kind in messages or kind in ENUMS or kind in SCALARS or kind == 'map', kind
    return messages


MESSAGES = read_table(TABLE)


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def get_varint(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        at += 1
        n |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return n, at


def block(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode_one(number, kind, value):
    if kind in ENUMS:
        value = ENUMS[kind].index(value)
    if kind in ENUMS or kind in ('int', 'bool'):
        return varint(number << 3) + varint(int(value))
    if kind == 'map':
        return b''.join(block(number, block(1, k.encode()) + block(2, v.encode())) for k, v in value.items())
    return block(number, value.encode() if kind in SCALARS else encode(kind, value))


def encode(name, value):
    fields = {f[0]: f for f in MESSAGES[name]}
    out = b''
    for key, v in value.items():
        if key not in fields:
            raise ValueError('%s has no field %s' % (name, key))
        _, number, kind, repeated = fields[key]
        for item in v if repeated else [v]:
            out += encode_one(number, kind, item)
    return out


def decode_int(kind, n):
    if kind in ENUMS:
        return ENUMS[kind][n]
    if kind == 'bool':
        return bool(n)
    return n - (1 << 64) if n >> 63 else n


def decode_pair(data):
    pair = {1: '', 2: ''}
    for number, _, raw in wire(data):
        pair[number] = raw.decode()
    return pair[1], pair[2]


def wire(data):
    """The fields of a message: number, wire type, integer or bytes."""
    at = 0
    while at < len(data):
        tag, at = get_varint(data, at)
        if tag & 7 == 0:
            value, at = get_varint(data, at)
        elif tag & 7 in (1, 5):
            size = 8 if tag & 7 == 1 else 4
            value, at = data[at:at + size], at + size
        else:
            size, at = get_varint(data, at)
            value, at = data[at:at + size], at + size
        yield tag >> 3, tag & 7, value


def empty(kind, repeated):
    """What a field that was not sent means; None: a message, which is not there at all."""
    if repeated:
        return []
    if kind == 'map':
        return {}
    return ENUMS[kind][0] if kind in ENUMS else SCALARS.get(kind)


def decode_packed(kind, raw):
    at, values = 0, []
    while at < len(raw):
        n, at = get_varint(raw, at)
        values.append(decode_int(kind, n))
    return values


def decode(name, data):
    fields = {f[1]: f for f in MESSAGES[name]}
    out = {f[0]: empty(f[2], f[3]) for f in MESSAGES[name]}
    for number, form, raw in wire(data):
        if number not in fields:
            continue
        field, _, kind, repeated = fields[number]
        if kind == 'map':
            out[field].update([decode_pair(raw)])
            continue
        if form == 0:
            values = [decode_int(kind, raw)]
        elif kind in SCALARS or kind in ENUMS:
            values = [raw.decode(errors='replace')] if kind in ('string', 'bytes') else decode_packed(kind, raw)
        else:
            values = [decode(kind, raw)]
        if repeated:
            out[field] += values
        else:
            out[field] = values[0]
    return out
