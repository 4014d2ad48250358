"""What tests of the tools for images share."""
import struct


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
