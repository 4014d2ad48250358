#!/usr/bin/env python3
"""Makes a decoder out of tables of encodings.

    decode.py HEADER SOURCE FILE.decode...

The files of one guest are read in order as one text. `#` starts a comment; a line ending in a backslash goes on.

    guest riscv                          names: riscv_decode, RiscvInsn, RISCV_ADD
    include guest/riscv/internal.h       what the conditions need
    context const RiscvConfig *config    the decoder's first parameter, of which conditions speak
    length 32                            bits of the encodings that follow: 16 or 32
    condition M = config->m              a name for use in [ ]
    condition rv32 = !rv64               ... or the opposite of another
    field rd:5 x                         an operand of 5 bits; x is what the disassembler calls to print it
    field imm signed i                   its bits are named where it stands: imm[11:0]
    field rd':3 as rd + 8                another way to write rd: 3 bits, 8 is added
    format I = {rd},{rs1},{imm}          operands as assemblers write them; {f:rd} prints rd in kind f
    format AMO = {rd},{rs2},({rs1}) ; suffix {aq}{rl}     ... more text behind the mnemonic
    format CVT = {f:rd},{rs1} ; also rm                   ... operands that the text does not show
    alias mv {rd},{rs1} = addi imm=0     shorter text of an instruction whose operands have these values (or, rs1=rs2,
                                         are equal); the first that fits is shown

An encoding is one line, most significant bit first: literal bits, fields, slices of fields (imm[4:1|11]), fields that
share their bits (rd/rs1), `_5` for five bits that the processor ignores:

    addi    imm[11:0] rs1 000 rd 0010011 : I                          a format
    c.li    010 imm[5] rd imm[4:0] 01    = addi rs1=0 [Zca]           another instruction in a shorter form
    c.unimp 0000000000000000             : undefined                  or: reserved, unpredictable

then, in this order and each optional: conditions that must hold, `[rv64 M]`, with `A|B` and `!A`; values that a field
must not have, `when rd!=0/2 imm!=0`, or a field that it must differ from, `when rd!=rs1`; `within fence`: a special
case of that line's encoding, taken first.

Refused: lines that overlap, a sum of bits that is not the length, an operand that is missing, unused, or given twice.
"""
import re
import sys

DISPOSITIONS = ('undefined', 'reserved', 'unpredictable')


class Field:
    def __init__(self, name, width, signed, kind, target, add):
        self.name, self.width, self.signed, self.kind, self.target, self.add = name, width, signed, kind, target, add
        self.used = False


class Format:
    def __init__(self, name, operands, suffix, also):
        self.name, self.operands, self.suffix = name, operands, suffix
        self.fields = set(also)
        self.used = False


class Alias:
    def __init__(self, where, mnemonic, operands, target, conditions):
        self.where, self.mnemonic, self.operands, self.target, self.conditions = \
            where, mnemonic, operands, target, conditions


class Line:
    def __init__(self, where, mnemonic, length):
        self.where, self.mnemonic, self.length = where, mnemonic, length
        self.mask = self.value = 0
        self.slices = {}     # name as written -> [(high, low, position)], of the field's bits and the encoding's
        self.constants = {}
        self.conditions = []  # lists of alternatives
        self.excluded = {}   # name as written -> set of values
        self.different = []  # pairs of names as written
        self.format = self.target = self.within = None


class Refused(Exception):
    pass


def fail(where, message):
    raise Refused(f'{where}: {message}')


class Decoder:
    def __init__(self):
        self.guest = self.context = None
        self.includes, self.lines, self.aliases = [], [], []
        self.fields, self.formats, self.conditions, self.opposites = {}, {}, {}, {}
        self.length = 32

    # Reading.

    def read(self, path):
        with open(path, encoding='utf-8') as file:
            text = file.read().replace('\\\n', ' ')
        name = path.rsplit('/', 1)[-1]
        for number, line in enumerate(text.split('\n'), 1):
            line = line.split('#')[0].strip()
            if line:
                self.read_line(f'{name}:{number}', line)

    def read_line(self, where, line):
        word, _, rest = line.partition(' ')
        declarations = {'guest': self.read_guest, 'include': self.read_include, 'context': self.read_context,
                        'length': self.read_length, 'condition': self.read_condition, 'field': self.read_field,
                        'format': self.read_format, 'alias': self.read_alias}
        if word in declarations:
            declarations[word](where, rest.strip())
        else:
            self.read_encoding(where, line)

    def read_guest(self, _where, rest):
        self.guest = rest

    def read_include(self, _where, rest):
        self.includes.append(rest)

    def read_context(self, _where, rest):
        self.context = rest

    def read_length(self, where, rest):
        self.length = int(rest)
        if self.length not in (16, 32):
            fail(where, 'a length is 16 or 32')

    def read_condition(self, where, rest):
        match = re.fullmatch(r'(\w+) *= *(.+)', rest) or fail(where, 'condition NAME = EXPRESSION')
        name, expression = match.groups()
        opposite = re.fullmatch(r'!(\w+)', expression)
        if opposite and opposite[1] in self.conditions:
            self.opposites[name] = opposite[1]
        else:
            self.conditions[name] = expression

    def read_field(self, where, rest):
        match = re.fullmatch(r"([a-z]\w*'?)(?::(\d+))?(?: +(signed))?(?: +as +(\w+))?(?: *\+ *(\d+))?(?: +(\w))?", rest)
        if not match:
            fail(where, "field NAME[:BITS] [signed] [as FIELD] [+ NUMBER] [KIND]")
        name, width, signed, target, add, kind = match.groups()
        if name in self.fields or (target and target not in self.fields) or bool(kind) == bool(target):
            fail(where, f'{name}: declared twice, as an unknown field, or without a kind')
        width = int(width) if width else None
        self.fields[name] = Field(name, width, bool(signed), kind, target or name, int(add or 0))

    def read_format(self, where, rest):
        name, _, text = rest.partition('=')
        parts = [part.strip() for part in text.split(';')]
        suffix, also = '', []
        for part in parts[1:]:
            word, _, value = part.partition(' ')
            if word == 'suffix':
                suffix = value
            elif word == 'also':
                also = value.split()
            else:
                fail(where, f'{word}: suffix or also')
        result = Format(name.strip(), parts[0], suffix, also)
        for field in re.findall(r'\{(?:\w:)?(\w+)\}', parts[0] + suffix) + also:
            if field not in self.fields or self.fields[field].target != field:
                fail(where, f'{field} is not a field')
            result.fields.add(field)
        self.formats[result.name] = result

    def read_alias(self, where, rest):
        match = re.fullmatch(r'(\S+)(?: +(\S+))? += +(\S+)((?: +\w+=-?\w+)+)', rest)
        if not match:
            fail(where, 'alias MNEMONIC [OPERANDS] = MNEMONIC FIELD=VALUE...')
        mnemonic, operands, target, conditions = match.groups()
        self.aliases.append(Alias(where, mnemonic, operands or '', target,
                                  [condition.split('=') for condition in conditions.split()]))

    def read_encoding(self, where, text):
        match = re.fullmatch(r"(\S+) +(.+?) +([:=]) +(\w[\w.]*)((?: +\w+=-?\d+)*)(?: +\[([^\]]*)\])?"
                             r"(?: +when +(.+?))?(?: +within +(\S+))?", text)
        if not match:
            fail(where, 'MNEMONIC BITS : FORMAT, or MNEMONIC BITS = MNEMONIC')
        mnemonic, pieces, sign, target, constants, conditions, excluded, within = match.groups()
        line = Line(where, mnemonic, self.length)
        self.read_pieces(line, pieces.split())
        line.constants = {name: int(value) for name, value in (c.split('=') for c in constants.split())}
        line.conditions = [self.read_alternatives(where, word) for word in (conditions or '').split()]
        for item in (excluded or '').split():
            name, _, values = item.partition('!=')
            other = values if values in self.fields else name
            if name not in line.slices or other not in line.slices:
                fail(where, f'{name} or {other} is not in the encoding')
            if other != name:
                line.different.append((name, other))
            else:
                line.excluded[name] = {int(value) for value in values.split('/')}
        line.within = within
        if sign == '=':
            line.target = target
        elif target in self.formats or target in DISPOSITIONS:
            line.format = target
        else:
            fail(where, f'{target} is not a format')
        self.lines.append(line)

    def read_alternatives(self, where, word):
        """A set of (condition, wanted)."""
        result = set()
        for name in word.split('|'):
            wanted = not name.startswith('!')
            name = name.lstrip('!')
            if name in self.opposites:
                name, wanted = self.opposites[name], not wanted
            if name not in self.conditions:
                fail(where, f'{name} is not a condition')
            result.add((name, wanted))
        return result

    def read_pieces(self, line, pieces):
        position = line.length
        for piece in pieces:
            if re.fullmatch('[01]+', piece):
                position -= len(piece)
                line.mask |= ((1 << len(piece)) - 1) << max(position, 0)
                line.value |= int(piece, 2) << max(position, 0)
            elif re.fullmatch(r'_\d+', piece):
                position -= int(piece[1:])
            else:
                position = self.read_slices(line, piece, position)
        if position != 0:
            fail(line.where, f'{line.length - position} bits, not {line.length}')

    def read_slices(self, line, piece, position):
        match = re.fullmatch(r"([\w'/]+)(?:\[([\d:|]+)\])?", piece) or fail(line.where, f'{piece}: no such bits')
        names, slices = match[1].split('/'), match[2]
        for name in names:
            if name not in self.fields:
                fail(line.where, f'{name} is not a field')
            self.fields[name].used = True
            here = position
            if slices:
                ranges = [(int(part.split(':')[0]), int(part.split(':')[-1])) for part in slices.split('|')]
            elif self.fields[name].width:
                ranges = [(self.fields[name].width - 1, 0)]
            else:
                fail(line.where, f'{name}: which of its bits?')
            for high, low in ranges:
                here -= high - low + 1
                for other_high, other_low, _ in line.slices.get(name, []):
                    if high >= other_low and low <= other_high:
                        fail(line.where, f'{name} has a bit twice')
                line.slices.setdefault(name, []).append((high, low, here))
        return here

    # Checking.

    def check(self):
        self.instructions = {}  # mnemonic -> format name, in order
        for line in self.lines:
            if line.format and line.format not in DISPOSITIONS:
                if self.instructions.setdefault(line.mnemonic, line.format) != line.format:
                    fail(line.where, f'{line.mnemonic} has another format already')
        for line in self.lines:
            self.check_operands(line)
        for line in self.lines:
            if line.within and line.within not in {other.mnemonic for other in self.lines}:
                fail(line.where, f'{line.within} is not an instruction')
        for index, line in enumerate(self.lines):
            for other in self.lines[index + 1:]:
                self.check_overlap(line, other)
        for alias in self.aliases:
            self.check_alias(alias)
        unused = [f.name for f in self.fields.values() if not f.used and f.target != f.name]
        unused += [f.name for f in self.formats.values() if not f.used]
        given = {self.fields[name].target for line in self.lines for name in [*line.slices, *line.constants]}
        unused += [f.name for f in self.fields.values() if f.target == f.name and f.name not in given]
        if unused:
            fail('fields and formats', 'never used: ' + ' '.join(unused))

    def check_operands(self, line):
        if line.format in DISPOSITIONS:
            return
        if line.target and line.target not in self.instructions:
            fail(line.where, f'{line.target} is not an instruction')
        wanted = self.formats[self.instructions[line.target or line.mnemonic]]
        wanted.used = True
        given = [self.fields[name].target for name in line.slices] + list(line.constants)
        for name in set(given) | wanted.fields:
            if given.count(name) != 1 or name not in wanted.fields:
                what = 'missing' if name not in given else 'given twice' if name in wanted.fields else 'not used'
                fail(line.where, f'operand {name} is {what}')

    def check_alias(self, alias):
        if alias.target not in self.instructions:
            fail(alias.where, f'{alias.target} is not an instruction')
        fields = self.formats[self.instructions[alias.target]].fields
        used = re.findall(r'\{(?:\w:)?(\w+)\}', alias.operands)
        for name in used + [n for condition in alias.conditions for n in condition if n[0].isalpha()]:
            if name not in fields:
                fail(alias.where, f'{alias.target} has no operand {name}')

    def check_overlap(self, a, b):
        if a.mask & b.mask & (a.value ^ b.value) or self.excludes(a, b) or self.excludes(b, a):
            return
        for mine in a.conditions:
            for other in b.conditions:
                if len(mine) == 1 and len(other) == 1 and {(n, not w) for n, w in mine} == other:
                    return
        for inner, outer in ((a, b), (b, a)):
            if inner.within == outer.mnemonic and outer.mask & ~inner.mask == 0:
                return
        fail(b.where, f'{b.mnemonic} overlaps {a.mnemonic} ({a.where})')

    @staticmethod
    def excludes(a, b):
        """Whether a field of `a` must not have the value that these bits have in all of `b`."""
        for name, values in a.excluded.items():
            field = 0
            for high, low, position in a.slices[name]:
                bits = (1 << (high - low + 1)) - 1
                if b.mask >> position & bits != bits:
                    break
                field |= (b.value >> position & bits) << low
            else:
                if field in values:
                    return True
        return False

    # Writing.

    def identifier(self, name):
        return re.sub(r'\W', '_', name)

    def enumerator(self, name):
        return f'{self.guest}_{self.identifier(name)}'.upper()

    def operands(self):
        return [field for field in self.fields.values() if field.target == field.name]

    def opcode(self, line):
        return self.enumerator(line.format if line.format in DISPOSITIONS else line.target or line.mnemonic)

    def write_header(self, path):
        guest, camel = self.guest, self.guest.capitalize()
        text = ['/* Generated by gen/decode.py. */', '#pragma once', '', '#include "guest/decode.h"',
                *(f'#include "{name}"' for name in self.includes), '',
                '/* X(enumerator, name), for each instruction. */', f'#define {guest.upper()}_INSTRUCTIONS(X) \\']
        text += [f'    X({self.enumerator(name)}, {self.identifier(name)}) \\' for name in self.instructions]
        text += ['', f'typedef enum {camel}Opcode {{']
        text += [f'    {self.enumerator(name)},' for name in [*DISPOSITIONS, *self.instructions]]
        text += [f'    {guest.upper()}_OPCODE_COUNT', f'}} {camel}Opcode;', '',
                 '/* A decoded instruction. Operands that it does not have are not set. */',
                 f'typedef struct {camel}Insn {{', '    uint32_t bits;', f'    uint16_t opcode; /* {camel}Opcode */',
                 '    uint8_t length;  /* in bytes; 0 where no line has such an encoding */']
        text += [f'    int32_t {field.name};' for field in self.operands()]
        text += [f'}} {camel}Insn;', '',
                 f'{camel}Opcode {guest}_decode({self.context}, uint32_t bits, {camel}Insn *insn);',
                 f'extern const DecodeTable {guest}_decode_table;', '']
        write(path, text)

    def write_source(self, path, header):
        guest, camel = self.guest, self.guest.capitalize()
        text = ['/* Generated by gen/decode.py. */', f'#include "{header}"', '', '#include "base/compiler.h"', '']
        self.extractors = {}
        tree = []
        self.write_tree(tree, self.lines, 0, 1)
        for body, name in self.extractors.items():
            text += [f'static inline void {name}(uint32_t bits, {camel}Insn *insn)', '{', *body, '}', '']
        text += [f'static {camel}Opcode decode({self.context}, uint32_t bits, {camel}Insn *insn)', '{', *tree,
                 f'    return {guest.upper()}_UNDEFINED;', '}', '',
                 f'{camel}Opcode {guest}_decode({self.context}, uint32_t bits, {camel}Insn *insn)', '{',
                 '    insn->bits = bits;', '    insn->length = 0;',
                 '    insn->opcode = decode(config, bits, insn);',
                 f'    return ({camel}Opcode)insn->opcode;', '}', '']
        text += self.table_rows()
        write(path, text)

    def write_tree(self, text, lines, known, depth):
        """Switches on the bits that all of `lines` fix and that are not known yet; tests them one by one at the end."""
        indent = '    ' * depth
        common = ~known & 0xffffffff
        for line in lines:
            common &= line.mask
        if len(lines) > 1 and common:
            text.append(f'{indent}switch (bits & {common:#x}) {{')
            for value in sorted({line.value & common for line in lines}):
                text.append(f'{indent}case {value:#x}:')
                self.write_tree(text, [l for l in lines if l.value & common == value], known | common, depth + 1)
                text.append(f'{indent}    break;')
            text.append(f'{indent}}}')
            return
        names = {line.mnemonic for line in lines}
        for line in sorted(lines, key=lambda l: (l.within not in names, -bin(l.mask).count('1'))):
            self.write_leaf(text, line, known, indent)

    def write_leaf(self, text, line, known, indent):
        tests = []
        if line.mask & ~known:
            tests.append(f'(bits & {line.mask & ~known:#x}) == {line.value & ~known:#x}')
        tests += [self.condition_text(alternatives) for alternatives in line.conditions]
        for name, values in line.excluded.items():
            raw = self.field_text(line, name, raw=True)
            tests += [f'({raw}) != {value}' for value in sorted(values)]
        tests += [f'({self.field_text(line, name, raw=True)}) != ({self.field_text(line, other, raw=True)})'
                  for name, other in line.different]
        body = [] if line.format in DISPOSITIONS else [f'    insn->{name} = {value};'
                                                       for name, value in line.constants.items()]
        if line.format not in DISPOSITIONS:
            for name in line.slices:
                body.append(f'    insn->{self.fields[name].target} = {self.field_text(line, name)};')
        body.append(f'    insn->length = {line.length // 8};')
        extractor = self.extractors.setdefault(tuple(body), f'extract_{len(self.extractors)}')
        inner = indent + ('    ' if tests else '')
        if tests:
            text.append(f'{indent}if ({" && ".join(tests)}) {{ /* {line.mnemonic} */')
        text += [f'{inner}{extractor}(bits, insn);', f'{inner}return {self.opcode(line)};']
        if tests:
            text.append(f'{indent}}}')

    def condition_text(self, alternatives):
        texts = [self.conditions[name] if wanted else f'!({self.conditions[name]})'
                 for name, wanted in sorted(alternatives)]
        return texts[0] if len(texts) == 1 else f'({" || ".join(texts)})'

    def field_text(self, line, name, raw=False):
        """The field's value as a C expression of `bits`."""
        field = self.fields[name]
        slices = line.slices[name]
        top = max(high for high, _, _ in slices)
        parts = []
        for high, low, position in slices:
            width = high - low + 1
            if field.signed and high == top and not raw:
                shifted = f'(int32_t)(bits << {32 - position - width}) >> {32 - width}'
                parts.append(f'({shifted}) * {1 << low}' if low else shifted)
            else:
                part = f'(bits >> {position} & {(1 << width) - 1:#x})'
                parts.append(f'(int32_t){part} << {low}' if low else f'(int32_t){part}')
        value = parts[0] if len(parts) == 1 else ' | '.join(f'({part})' for part in parts)
        return f'({value}) + {field.add}' if field.add and not raw else value

    def template(self, text):
        """{rd} becomes % kind letter, operand letter."""
        names = [field.name for field in self.operands()]

        def replace(match):
            kind = match[1] or self.fields[match[2]].kind
            return f'%{kind}{chr(ord("A") + names.index(match[2]))}'
        return re.sub(r'\{(?:(\w):)?(\w+)\}', replace, text)

    def alias_rows(self):
        names = [field.name for field in self.operands()]
        text = ['static const DecodeAlias aliases[] = {']
        for alias in self.aliases:
            if len(alias.conditions) > 3:
                fail(alias.where, 'too many conditions')
            tests = [f"{{ '{chr(ord('A') + names.index(name))}', " +
                     (f"'{chr(ord('A') + names.index(value))}', 0 }}" if value in names else f"0, {value} }}")
                     for name, value in alias.conditions]
            text.append(f'    {{ {self.enumerator(alias.target)}, "{alias.mnemonic}", '
                        f'"{self.template(alias.operands)}", {{ {", ".join(tests)} }} }},')
        return text + ['};', '']

    def table_rows(self):
        guest, camel = self.guest, self.guest.capitalize()
        text = ['static const DecodeInstruction instructions[] = {']
        text += [f'    [{self.enumerator(name)}] = {{ "{name}", "", "" }},' for name in DISPOSITIONS]
        for name, format_name in self.instructions.items():
            form = self.formats[format_name]
            text.append(f'    [{self.enumerator(name)}] = {{ "{name}", "{self.template(form.suffix)}", '
                        f'"{self.template(form.operands)}" }},')
        text += ['};', '', 'static const DecodeRow rows[] = {']
        for line in self.lines:
            conditions = ' '.join('|'.join(('' if w else '!') + n for n, w in sorted(c)) for c in line.conditions)
            text.append(f'    {{ "{line.mnemonic}", "{conditions}", {line.mask:#x}, {line.value:#x}, '
                        f'{self.opcode(line)}, {line.length // 8} }},')
        text += ['};', '', *self.alias_rows(), 'static const uint16_t operand_offsets[] = {']
        text += [f'    offsetof({camel}Insn, {field.name}),' for field in self.operands()]
        text += ['};', '', f'const DecodeTable {guest}_decode_table = {{',
                 '    .rows = rows, .row_count = ARRAY_SIZE(rows),',
                 '    .instructions = instructions, .instruction_count = ARRAY_SIZE(instructions),',
                 '    .aliases = aliases, .alias_count = ARRAY_SIZE(aliases),',
                 '    .operand_offsets = operand_offsets, .operand_count = ARRAY_SIZE(operand_offsets),', '};']
        return text


def write(path, lines):
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '\n')


def main():
    header, source, *files = sys.argv[1:]
    decoder = Decoder()
    try:
        for file in files:
            decoder.read(file)
        decoder.check()
    except Refused as refused:
        sys.exit(f'decode.py: {refused}')
    decoder.write_header(header)
    decoder.write_source(source, re.sub(r'.*?(guest/.*)', r'\1', header))


if __name__ == '__main__':
    main()
