"""What a kubelet asks of containerd's CRI, by hand: a pod's sandbox, a container in it, a command in that, and their end.

kubelet.py SOCKET NAME: says what the command said. Fields are numbered as in cri-api's runtime/v1/api.proto."""

import sys
import grpc


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def message(*fields):
    """Pairs of number and value: text, bytes of another message, or a count."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def fields(data):
    """The values by number."""
    found, at = {}, 0

    def number():
        nonlocal at
        shift = value = 0
        while True:
            byte = data[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        value = number()
        if key & 7 == 2:
            value, at = data[at : at + value], at + value
        found[key >> 3] = value
    return found


socket, name = sys.argv[1:]
channel = grpc.insecure_channel("unix://" + socket)


def call(method, *request):
    path = "/runtime.v1.RuntimeService/" + method
    raw = lambda data: data
    reply = channel.unary_unary(path, request_serializer=raw, response_deserializer=raw)
    return fields(reply(message(*request), timeout=300, wait_for_ready=True))


CONTAINER, HOST = 1, 2
namespaces = message((1, HOST), (2, CONTAINER))  # so that nothing sets networks up, and pid 1 is its own
metadata = message((1, name), (2, name + "-uid"), (3, "default"))
sandbox_config = message((1, metadata), (8, message((2, message((1, namespaces))))))
sandbox = call("RunPodSandbox", (1, sandbox_config), (2, "hull"))[1]

resources = message((3, 512), (4, 64 << 20), (5, 500))
linux = message((1, resources), (2, message((3, namespaces), (5, message((1, 1000))))))
command = [(3, word) for word in ("sleep", "1000")]
config = message((1, message((1, "one"))), (2, message((1, "docker.io/library/bb:1"))), *command, (15, linux))
container = call("CreateContainer", (1, sandbox), (2, config), (3, sandbox_config))[1]
call("StartContainer", (1, container))

limit = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes 2>/dev/null || cat memory.max"
script = "id -u; cat /proc/1/oom_score_adj; " + limit + "; exit 7"
said = call("ExecSync", (1, container), *[(2, word) for word in ("sh", "-c", script)], (3, 120))
print((said.get(1, b"") + said.get(2, b"")).decode() + str(said.get(3, 0)))

call("StopContainer", (1, container), (2, 1))
call("RemoveContainer", (1, container))
call("StopPodSandbox", (1, sandbox))
call("RemovePodSandbox", (1, sandbox))
