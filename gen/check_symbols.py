#!/usr/bin/env python3
"""Checks the symbols of the built objects: names of guests, mutable globals, constructors.

    check_symbols.py BUILD SOURCE_ROOT [--objdump OBJDUMP]

reads BUILD/compile_commands.json for the objects made from what lies under SOURCE_ROOT (and what the build generates
for it). Three rules:

- every external symbol that an object from SOURCE_ROOT/guest/ISA defines begins with ISA;
- no object has a variable that can be written. Tables that are const but for their relocations are fine. EXCEPTIONS
  lists the rest, each with its reason;
- no object has a constructor or destructor.
"""
import argparse
import json
import os
import re
import subprocess
import sys

# 'path under src/:symbol' (without a compiler's .NUMBER): why it has to be so
EXCEPTIONS = {
    'cpu/code_debugger.c:__jit_debug_descriptor': 'gdb finds what it is told by this name alone',
    'cpu/code_debugger.c:descriptor_busy': 'of the same: who is telling it something',
    'user/task.c:current_task': 'a signal handler finds the thread it interrupted by nothing else',
}

# .data.rel.ro is written by the dynamic linker alone.
WRITABLE = ('.data', '.bss', '.tdata', '.tbss', '.sdata', '.sbss', '.ldata', '.lbss', '*COM*')
CONSTRUCTORS = ('.init_array', '.fini_array', '.preinit_array', '.ctors', '.dtors')

FILE = re.compile(r'^(.*):\s+file format ')
# value, seven flags (scope, weak, constructor, warning, indirect, debugging, kind), section, size, name
SYMBOL = re.compile(r'^[0-9a-f]+ (.{7}) (\S+)\t[0-9a-f]+ (?:\.(?:hidden|internal|protected) )?(\S+)$')
SECTION = re.compile(r'^\s*\d+ (\S+)\s+([0-9a-f]+) ')


def objects_of(build, source_root):
    """Pairs of the path under src/ and the object's file, for what belongs to src/."""
    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as file:
        commands = json.load(file)
    roots = [os.path.realpath(source_root), os.path.realpath(os.path.join(build, os.path.basename(source_root)))]
    found = []
    for command in commands:
        source = os.path.realpath(os.path.join(command['directory'], command['file']))
        for root in roots:
            if source.startswith(root + os.sep):
                path = os.path.relpath(source, root)
                found.append((path, os.path.join(command['directory'], command['output'])))
    return [pair for pair in found if os.path.exists(pair[1])]


def run_objdump(objdump, option, objects, pattern):
    """For each object file the lines of objdump's output that match."""
    result = subprocess.run([objdump, option, '--wide', *objects], capture_output=True, text=True, check=True)
    matches, current = {name: [] for name in objects}, None
    for line in result.stdout.splitlines():
        file, match = FILE.match(line), pattern.match(line)
        if file:
            current = matches[file.group(1)]
        elif match:
            current.append(match.groups())
    return matches


def symbols_of(objdump, objects):
    """For each object file the symbols that it defines: name, section, whether it is external."""
    symbols = {}
    for file, rows in run_objdump(objdump, '--syms', objects, SYMBOL).items():
        symbols[file] = [(name, section, flags[0] in 'gu!' or flags[1] == 'w') for flags, section, name in rows
                         if section not in ('*UND*', '*ABS*') and flags[5] != 'd' and flags[6] != 'f']
    return symbols


def in_section(section, names):
    return any(section == name or section.startswith(name + '.') for name in names)


def plain_name(name):
    """Without the number that a compiler appends to a variable inside a function."""
    return re.sub(r'\.\d+$', '', name)


def check_object(path, symbols, used):
    parts = path.split(os.sep)
    isa = parts[1] if parts[0] == 'guest' and len(parts) > 2 else None
    for name, section, external in symbols:
        if isa and external and not name.startswith(isa):
            yield f'{path}: {name} is external and does not begin with {isa}'
        if in_section(section, WRITABLE) and not in_section(section, ['.data.rel.ro']):
            key = f'{path}:{plain_name(name)}'
            used.add(key)
            if key not in EXCEPTIONS:
                yield f'{path}: {name} is a variable that can be written ({section}); let it hang off a machine'


def check_constructors(objdump, pairs):
    sections = run_objdump(objdump, '--section-headers', [file for _, file in pairs], SECTION)
    for path, file in pairs:
        for name, size in sections[file]:
            if in_section(name, CONSTRUCTORS) and int(size, 16):
                yield f'{path}: {name} is not empty: there are no constructors'


def read_arguments(wanted=lambda path: True):
    """The command line, and the pairs of objects_of whose path is wanted; it ends the program where there are none."""
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('source_root')
    parser.add_argument('--objdump', default='objdump')
    arguments = parser.parse_args()
    pairs = [pair for pair in objects_of(arguments.build, arguments.source_root) if wanted(pair[0])]
    if not pairs:
        sys.exit(f'no objects of {arguments.source_root} in {arguments.build}')
    return arguments.objdump, pairs


def report(problems, pairs):
    """Ends the program with an error if there are problems."""
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(f'{len(problems)} places against the rules')
    print(f'{len(pairs)} objects keep to the rules')


def main():
    objdump, pairs = read_arguments()
    symbols = symbols_of(objdump, [file for _, file in pairs])
    problems, used = [], set()
    for path, file in pairs:
        problems += check_object(path, symbols[file], used)
    problems += check_constructors(objdump, pairs)
    built = {path for path, _ in pairs}
    problems += [f'the exception {key} is not needed any more' for key in EXCEPTIONS
                 if key not in used and key.split(':')[0] in built]
    report(sorted(set(problems)), pairs)


if __name__ == '__main__':
    main()
