#!/usr/bin/env python3
"""Times guest programs beside the same source run natively and, where it is installed, under QEMU.

    compare.py user [--rounds N]      benchmarks/programs/kernels.c as a riscv64 Linux program
    compare.py start                  a static program, from exec to exit, in turns
    compare.py system [--rounds N]    benchmarks/programs/guest-init.c in a riscv64 machine

Prints times and ratios side by side; no time makes it fail, a wrong answer does. QEMU is looked for in $QEMU_BIN (a
folder), then in PATH.
"""
import argparse
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = os.path.join(ROOT, "benchmarks", "programs")
OURS = os.path.join(ROOT, "build-release", "bin")
CROSS = "riscv64-linux-gnu-gcc"
FLAGS = ["-O3", "-static", "-ffp-contract=off", "-w"]
CLASSES = {
    "call and branch": "call_return indirect_call interpreter random_branch sort system_calls",
    "integer and memory": "sieve hash_rounds muldiv pointer_chase allocate page_faults",
    "strings": "string_ops",
    "scalar floating point": "fp_chain fp_nbody fp_mandelbrot fp_convert",
    "vectors": "vector_float vector_int",
}


def qemu(name):
    """QEMU's program of that name, not one of ours; None where there is none."""
    folders = [os.environ["QEMU_BIN"]] if "QEMU_BIN" in os.environ else os.environ["PATH"].split(":")
    for folder in folders:
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and "myna" not in os.path.basename(os.path.realpath(path)):
            return path
    return None


def compile_program(compiler, source, folder, *more):
    target = os.path.join(folder, os.path.basename(source)[:-2] + "-" + compiler)
    subprocess.run([compiler, *FLAGS, os.path.join(PROGRAMS, source), "-o", target, *more, "-lm"], check=True)
    return target


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def ratio(ours, theirs):
    return f"{ours / theirs:7.2f}" if ours and theirs else "      -"


def print_row(name, native, ours, theirs):
    shown = f"{theirs:9.2f}" if theirs else "        -"
    print(f"{name:22} {native:9.2f} {ours:9.2f} {shown} {ratio(ours, native)} {ratio(theirs, native)} "
          f"{ratio(theirs, ours)}")


def print_head(unit):
    print(f"{unit:22} {'native':>9} {'myna':>9} {'QEMU':>9} {'m/nat':>7} {'Q/nat':>7} {'Q/myna':>7}", flush=True)


# Programs.

def run_kernels(command, rounds):
    """name -> (ms, checksum)"""
    output = subprocess.run([*command, str(rounds)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: (float(ms), checksum) for name, ms, checksum in map(str.split, output.splitlines())}


def best_kernels(commands, rounds):
    """The best of each command's `rounds`, run in turns, so that a noisy moment meets all of them."""
    best = [{} for _ in commands]
    for _ in range(rounds):
        for known, command in zip(best, commands):
            for name, (ms, checksum) in run_kernels(command, 1).items():
                known[name] = (min(ms, known.get(name, (math.inf, 0))[0]), checksum)
    return best


def print_kernels(results):
    wrong = 0
    print_head("ms")
    for name, (native, checksum) in results[0].items():
        if any(result[name][1] != checksum for result in results[1:]):
            print(f"{name}: the checksums differ")
            wrong += 1
        print_row(name, native, results[1][name][0], results[2][name][0] if len(results) > 2 else None)
    print_means(results)
    return wrong


def print_translation(guest, folder):
    """What the guest program's code costs to translate."""
    code, program = os.path.join(folder, "code"), os.path.join(ROOT, "build-release", "benchmarks", "bench-translate")
    subprocess.run([CROSS.replace("gcc", "objcopy"), "-O", "binary", "-j", ".text", guest, code], check=True)
    print(flush=True)
    subprocess.run([program, code], check=True)


def user(options):
    theirs = qemu("qemu-riscv64")
    with tempfile.TemporaryDirectory() as folder:
        guest = compile_program(CROSS, "kernels.c", folder)
        commands = [[compile_program("gcc", "kernels.c", folder)], [os.path.join(OURS, "myna-riscv64"), guest]]
        results = best_kernels(commands + ([[theirs, guest]] if theirs else []), options.rounds)
        wrong = print_kernels(results)
        print_translation(guest, folder)
    return wrong


def print_means(results):
    print(f"\n{'geometric mean':22} {'':9} {'':9} {'':9} {'m/nat':>7} {'Q/nat':>7} {'Q/myna':>7}")
    for title, names in [*CLASSES.items(), ("all", " ".join(results[0]))]:
        means = [geometric_mean([result[name][0] / results[0][name][0] for name in names.split()])
                 for result in results]
        ours, theirs = means[1], means[2] if len(means) > 2 else None
        print(f"{title:22} {'':9} {'':9} {'':9} {ours:7.2f} {ratio(theirs, 1)} {ratio(theirs, ours)}")


def run_once(command):
    """ms by the clock, and of processors"""
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]}: exit status {process.returncode}")
    return 1e3 * took, 1e3 * (usage.ru_utime + usage.ru_stime)


def start(options):
    theirs = qemu("qemu-riscv64")
    with tempfile.TemporaryDirectory() as folder:
        guest = compile_program(CROSS, "hello.c", folder)
        commands = [[compile_program("gcc", "hello.c", folder)], [os.path.join(OURS, "myna-riscv64"), guest]]
        commands += [[theirs, guest]] if theirs else []
        turns = [[run_once(command) for command in commands] for _ in range(50)]
    print_head("ms, median of 50")
    for title, part in (("hello, static: clock", 0), ("    processors", 1)):
        medians = [sorted(turn[i][part] for turn in turns)[len(turns) // 2] for i in range(len(commands))]
        print_row(title, *medians, *([] if theirs else [None]))
    return 0


# Machines.

def guest_files():
    folder = subprocess.run([os.path.join(ROOT, "tools", "guest-riscv64")], check=True, stdout=subprocess.PIPE,
                            text=True).stdout.strip()
    return os.path.join(folder, "linux")


def boot(program, kernel, initrd):
    """name -> seconds, of one run of guest-init to power-off; "whole run" is the process's own time."""
    begun = time.monotonic()
    output = subprocess.run([program, "-M", "virt", "-m", "1G", "-nographic", "-no-reboot", "-kernel", kernel,
                             "-initrd",
                             initrd, "-append", "console=ttyS0 panic=-1 quiet"], check=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, timeout=600).stdout.decode(errors="replace")
    took = time.monotonic() - begun
    lines = {"kernel to init": float(re.search(r"BOOT-OK ([0-9.]+)", output)[1])}
    lines.update((name, float(seconds)) for name, seconds in re.findall(r"BENCH (\w+) ([0-9.]+)", output))
    if "BENCH-DONE" not in output:
        raise SystemExit(f"{program}: the guest did not come to its end")
    return {**lines, "whole run": took}


def system(options):
    theirs = qemu("qemu-system-riscv64")
    kernel = guest_files()
    with tempfile.TemporaryDirectory() as folder:
        init = compile_program(CROSS, "guest-init.c", folder)
        initrd = os.path.join(folder, "initrd.gz")
        subprocess.run([os.path.join(ROOT, "tests", "boot", "initrd.py"), initrd, "init=" + init], check=True)
        programs = [os.path.join(OURS, "myna-system-riscv64")] + ([theirs] if theirs else [])
        best = [{} for _ in programs]
        for _ in range(options.rounds):
            for known, program in zip(best, programs):
                for name, seconds in boot(program, kernel, initrd).items():
                    known[name] = min(seconds, known.get(name, math.inf))
    print(f"{'seconds':22} {'myna':>9} {'QEMU':>9} {'Q/myna':>7}")
    for name, seconds in best[0].items():
        other = best[1].get(name) if theirs else None
        print(f"{name:22} {seconds:9.3f} {f'{other:9.3f}' if other else '        -'} {ratio(other, seconds)}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["user", "start", "system"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    program = "myna-system-riscv64" if options.what == "system" else "myna-riscv64"
    if not os.access(os.path.join(OURS, program), os.X_OK):
        raise SystemExit(f"{program} is not built: nothing to measure here")
    for tool in (CROSS, "gcc"):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is needed: tools/setup check installs it")
    return {"user": user, "start": start, "system": system}[options.what](options)


if __name__ == "__main__":
    sys.exit(main())
