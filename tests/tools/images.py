"""What tests of the tools for images share."""
import os
import shutil
import socket
import struct


def find_peers(*names):
    """QEMU's programs by name, where $QEMU_BIN names a folder that has them all: no result hangs on what else is
    installed."""
    folder = os.environ.get('QEMU_BIN')
    found = {name: folder and shutil.which(name, path=folder) for name in names}
    return found if all(found.values()) else None


def serve_on_free_port(start):
    """Starts a server by start(port), which returns how it ended at once; the port. Another program may take a port
    that has just been free."""
    for _ in range(20):
        with socket.socket() as listener:
            listener.bind(('127.0.0.1', 0))
            port = str(listener.getsockname()[1])
        result = start(port)
        if result.returncode == 0:
            return port
        if 'Address already in use' not in result.stderr:
            break
    raise AssertionError(result.stderr)


def read_bitmaps(path):
    """The persistent bitmaps of a qcow2 image: of each name its flags, granularity and bits (a set)."""
    with open(path, 'rb') as file:
        image = file.read()
    cluster = 1 << struct.unpack_from('>I', image, 20)[0]
    size, = struct.unpack_from('>Q', image, 24)
    at, = struct.unpack_from('>I', image, 100)
    result = {}
    while True:
        kind, length = struct.unpack_from('>II', image, at)
        if kind == 0:
            return result
        if kind == 0x23852875:
            break
        at += 8 + (length + 7) // 8 * 8
    count, _, _, place = struct.unpack_from('>IIQQ', image, at + 8)
    for _ in range(count):
        table, entries, flags, _, bits, name_bytes, extra = struct.unpack_from('>QIIBBHI', image, place)
        name = image[place + 24 + extra:place + 24 + extra + name_bytes].decode()
        place += (24 + extra + name_bytes + 7) // 8 * 8
        data = b''
        for entry in struct.unpack_from(f'>{entries}Q', image, table):
            start = entry & ~511
            data += image[start:start + cluster] if start else bytes([0xff if entry & 1 else 0]) * cluster
        number = int.from_bytes(data, 'little')
        bitmap = {i for i in range((size + (1 << bits) - 1) >> bits) if number >> i & 1}
        result[name] = (flags, 1 << bits, bitmap)
    return result
