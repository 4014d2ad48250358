# Processes, threads, event loops and foreign functions of Python.
import asyncio
import ctypes
import hashlib
import multiprocessing
import subprocess
import threading


def square(x):
    return x * x


async def echo():
    process = await asyncio.create_subprocess_exec("echo", "async", stdout=-1)
    print((await process.communicate())[0])

    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]

        async def ask(word):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(word.encode() + b"\n")
            answer = await reader.readline()
            writer.close()
            return answer
        print(await asyncio.gather(*(ask(word) for word in ("one", "two", "three"))))


def foreign():
    libc = ctypes.CDLL("libc.so.6")
    array = (ctypes.c_int * 4)(3, 1, 4, 2)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    libc.qsort(array, 4, 4, compare(lambda a, b: a[0] - b[0]))
    print(list(array), hashlib.sha256(b"x").hexdigest()[:8])


def main():
    print(subprocess.run("echo shell; exit 3", shell=True, capture_output=True))
    try:
        subprocess.run(["/nonexistent"])
    except FileNotFoundError as error:
        print("errno", error.errno)
    found = []
    threads = [threading.Thread(target=lambda i=i: found.append(square(i))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(found))
    for method in "fork", "spawn", "forkserver":
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(5)))
    asyncio.run(echo())
    foreign()


if __name__ == "__main__":
    main()
