#!/usr/bin/env python3
"""Checks that every member of a device's struct is a register, in a table of saved state, or a property.

    coverage.py TEST_HW_REGISTERS ARCHIVE SOURCE...

The test program says which bytes are; the archive's debugging information says which members there are, so
that padding is told from what was forgotten. Without debugging information the test is skipped.
"""
import re
import subprocess
import sys

SKIPPED = 77
CLASS = re.compile(r'^const \w*Class \w+_class = \{(.*?)^\};', re.M | re.S)
CLASS_NAME = re.compile(r'\.name = "([^"]+)"')
CLASS_STRUCT = re.compile(r'\.size = sizeof\((\w+)\)')
ENTRY = re.compile(r'^ <(\w+)><(\w+)>: Abbrev Number: \w+ \((\w+)\)')
ATTRIBUTE = re.compile(r'^ +<\w+> +(DW_AT_\w+) *: (.*)')


def read_entries(archive):
    """Lists of entries, one for each compilation unit: offset -> entry with its children."""
    units, stack, unit = [], [], {}
    output = subprocess.run(['readelf', '--debug-dump=info', archive], capture_output=True, text=True, check=True)
    for line in output.stdout.splitlines():
        if match := ENTRY.match(line):
            depth, offset, tag = int(match.group(1), 16), int(match.group(2), 16), match.group(3)
            entry = {'tag': tag, 'children': []}
            if depth == 0:
                unit = {}
                units.append(unit)
            del stack[depth:]
            if stack:
                stack[-1]['children'].append(entry)
            stack.append(entry)
            unit[offset] = entry
        elif stack and (match := ATTRIBUTE.match(line)):
            stack[-1][match.group(1)] = match.group(2).split('): ')[-1].strip()
    return units


def reference(unit, entry):
    return unit.get(int(entry['DW_AT_type'].strip('<>'), 16)) if 'DW_AT_type' in entry else None


def size_of(unit, entry):
    while entry is not None and 'DW_AT_byte_size' not in entry and entry['tag'] != 'DW_TAG_array_type':
        entry = reference(unit, entry)
    if entry is None:
        return 0
    if entry['tag'] != 'DW_TAG_array_type':
        return int(entry['DW_AT_byte_size'], 0)
    count = 1
    for bound in entry['children']:
        count *= int(bound.get('DW_AT_upper_bound', '-1'), 0) + 1
    return count * size_of(unit, reference(unit, entry))


def members(unit, entry, offset, name):
    """Names and bytes of all that is not a struct: members of members too. An array is one."""
    while entry['tag'] in ('DW_TAG_typedef', 'DW_TAG_const_type', 'DW_TAG_volatile_type', 'DW_TAG_atomic_type'):
        entry = reference(unit, entry)
    if entry['tag'] != 'DW_TAG_structure_type':
        yield name, offset, size_of(unit, entry)
        return
    for child in entry['children']:
        if child['tag'] == 'DW_TAG_member':
            place = offset + int(child.get('DW_AT_data_member_location', '0'), 0)
            yield from members(unit, reference(unit, child), place, f"{name}.{child.get('DW_AT_name', '')}")


def find_struct(units, name):
    for unit in units:
        for entry in unit.values():
            if entry['tag'] == 'DW_TAG_typedef' and entry.get('DW_AT_name') == name:
                struct = reference(unit, entry)
                if struct is not None and struct['children']:
                    return unit, struct
    return None, None


def read_structs(sources):
    """Class name -> name of its struct, where it has one of its own."""
    structs = {}
    for source in sources:
        with open(source, encoding='utf-8') as file:
            for body in CLASS.findall(file.read()):
                name, struct = CLASS_NAME.search(body), CLASS_STRUCT.search(body)
                if name and struct:
                    structs[name.group(1)] = struct.group(1)
    return structs


def read_coverage(program):
    """Names of a class and its ancestors -> a digit for each byte of its struct: 1 where a table has it."""
    output = subprocess.run([program, '--coverage'], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in output.splitlines())


def main():
    program, archive, sources = sys.argv[1], sys.argv[2], sys.argv[3:]
    units = read_entries(archive)
    structs, forgotten, checked = read_structs(sources), [], 0
    for names, covered in sorted(read_coverage(program).items()):
        own = next((structs[name] for name in names.split(',') if name in structs), None)
        unit, struct = find_struct(units, own) if own else (None, None)
        if struct is None:
            continue
        for member, offset, size in members(unit, struct, 0, own):
            checked += 1
            if '0' in covered[offset:offset + size]:
                forgotten.append(f"{names.split(',', 1)[0]}: {member} is in no table")
    if not checked:
        print('no debugging information')
        return SKIPPED
    print('\n'.join(forgotten) if forgotten else f'{checked} members are covered')
    return 1 if forgotten else 0


if __name__ == '__main__':
    sys.exit(main())
