#!/usr/bin/env python3
"""The schema's generator refuses bad schemas with a message that says where and why.

    test_schema.py FOLDER-OF-THE-GENERATOR
"""
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, sys.argv.pop(1))
import schema_c  # noqa: E402
import schema_manual  # noqa: E402
from schema_model import Schema, SchemaError, c_name, camel, upper_snake  # noqa: E402

COLOR = {'enum': 'Color', 'doc': 'd', 'values': ['red', 'blue']}
POINT = {'struct': 'Point', 'doc': 'd', 'members': [{'name': 'x', 'type': 'int', 'doc': 'd'}]}


def struct(*members, **more):
    return {'struct': 'S', 'doc': 'd', 'members': [{'doc': 'd', **member} for member in members], **more}


def union(branches, tag='kind', **more):
    members = [{'name': 'kind', 'type': 'Color', 'doc': 'd', **more}]
    return {'union': 'U', 'doc': 'd', 'members': members, 'tag': tag, 'branches': branches}


def hmp(**more):
    return {'hmp': 'do', 'doc': 'd', **more}


# (what the message holds, the definitions)
BAD = [
    ('a list of definitions', {}),
    ('no known kind', [{'stuct': 'X'}]),
    ("unknown key 'membres'", [{'struct': 'X', 'doc': 'd', 'members': [], 'membres': []}]),
    ("'doc' is missing", [{'struct': 'X', 'members': []}]),
    ('the doc is empty', [{'struct': 'X', 'doc': ' ', 'members': []}]),
    ("bad name 'x'", [{'struct': 'x', 'doc': 'd', 'members': []}]),
    ('Point: is there already', [POINT, POINT]),
    ('members must be a list', [{'struct': 'X', 'doc': 'd', 'members': {}}]),
    ("member 'a': 'doc' is missing", [{'struct': 'X', 'doc': 'd', 'members': [{'name': 'a', 'type': 'int'}]}]),
    ("bad member name '1a'", [struct({'name': '1a', 'type': 'int'})]),
    ("member 'a': unknown key 'optinal'", [struct({'name': 'a', 'type': 'int', 'optinal': True})]),
    ("there is no type 'itn'", [struct({'name': 'a', 'type': 'itn'})]),
    ('bad type', [struct({'name': 'a', 'type': ['int', 'int']})]),
    ('there are no lists of', [struct({'name': 'a', 'type': '[[int]]'})]),
    ("member 'a-b' is there twice", [struct({'name': 'a_b', 'type': 'int'}, {'name': 'a-b', 'type': 'int'})]),
    ("member 'has-a' is there twice", [struct({'name': 'a', 'type': 'int', 'optional': True},
                                              {'name': 'has-a', 'type': 'int'})]),
    ("'a' has a default but is not optional", [struct({'name': 'a', 'type': 'int', 'default': 1})]),
    ("the default 'x' is no int", [struct({'name': 'a', 'type': 'int', 'optional': True, 'default': 'x'})]),
    ('the default True is no int', [struct({'name': 'a', 'type': 'int', 'optional': True, 'default': True})]),
    ('the default 9 is no uint8',
     [struct({'name': 'a', 'type': 'uint8', 'optional': True, 'default': 9, 'maximum': 8})]),
    ('the default 256 is no uint8', [struct({'name': 'a', 'type': 'uint8', 'optional': True, 'default': 256})]),
    ('the default -1 is no size', [struct({'name': 'a', 'type': 'size', 'optional': True, 'default': -1})]),
    ("the default '4q' is no size", [struct({'name': 'a', 'type': 'size', 'optional': True, 'default': '4q'})]),
    ("the default 'on' is no bool", [struct({'name': 'a', 'type': 'bool', 'optional': True, 'default': 'on'})]),
    ("the default 'pink' is no Color",
     [COLOR, struct({'name': 'a', 'type': 'Color', 'optional': True, 'default': 'pink'})]),
    ('the default 1 is no any', [struct({'name': 'a', 'type': 'any', 'optional': True, 'default': 1})]),
    ('has bounds but is no integer', [struct({'name': 'a', 'type': 'string', 'minimum': 1})]),
    ('bounds that uint8 does not hold', [struct({'name': 'a', 'type': 'uint8', 'maximum': 256})]),
    ('bounds that uint8 does not hold', [struct({'name': 'a', 'type': 'uint8', 'minimum': -1})]),
    ('the least is more than the most', [struct({'name': 'a', 'type': 'int', 'minimum': 2, 'maximum': 1})]),
    ('a most that is negative', [struct({'name': 'a', 'type': 'int', 'maximum': -1})]),
    ('the implied key is no member', [struct(**{'implied-key': 'a'})]),
    ('the base is no struct', [COLOR, struct(base='Color')]),
    ('is its own base', [struct(base='S')]),
    ("member 'x' is there twice", [POINT, struct({'name': 'x', 'type': 'int'}, base='Point')]),
    ('holds itself by value', [struct({'name': 'a', 'type': 'S'})]),
    ('values must be a list', [{'enum': 'E', 'doc': 'd', 'values': []}]),
    ('a value is there twice', [{'enum': 'E', 'doc': 'd', 'values': ['a-b', 'a_b']}]),
    ('a value is there twice', [{'enum': 'E', 'doc': 'd', 'values': ['count']}]),
    ('the tag must be a member', [COLOR, union({}, tag='king')]),
    ('the tag must be a member', [POINT, {**union({}), 'members': [{'name': 'kind', 'type': 'int', 'doc': 'd'}]}]),
    ('an optional tag needs a default', [COLOR, union({}, optional=True)]),
    ("branch 'pink' is no value", [COLOR, POINT, union({'pink': 'Point'})]),
    ("branch 'red' is no struct", [COLOR, union({'red': 'int'})]),
    ("branch 'red' has common members again: kind",
     [COLOR, struct({'name': 'kind', 'type': 'int'}), union({'red': 'S'})]),
    ('needs two branches', [{'alternate': 'A', 'doc': 'd', 'branches': {'a': 'int'}}]),
    ('of the same JSON kind', [COLOR, {'alternate': 'A', 'doc': 'd', 'branches': {'a': 'string', 'b': 'Color'}}]),
    ('of the same JSON kind', [{'alternate': 'A', 'doc': 'd', 'branches': {'a': 'int', 'b': 'number'}}]),
    ("'any' nor another alternate", [{'alternate': 'A', 'doc': 'd', 'branches': {'a': 'any', 'b': 'int'}}]),
    ('Color is no struct', [COLOR, {'command': 'c', 'doc': 'd', 'arguments': 'Color'}]),
    ("unknown flag 'fast'", [{'command': 'c', 'doc': 'd', 'flags': ['fast']}]),
    ('an open command needs arguments', [{'command': 'c', 'doc': 'd', 'flags': ['open']}]),
    ('is there already', [{'command': 'c', 'doc': 'd'}, {'command': 'c', 'doc': 'd'}]),
    ('do is there already', [hmp(), {'hmp': 'other', 'doc': 'd', 'alias': 'do'}]),
    ('-x is there already', [{'option': '-a', 'alias': '-x', 'doc': 'd', 'section': 's'},
                             {'option': '-b', 'alias': '-x', 'doc': 'd', 'section': 's'}]),
    ('qmp_a_b is there twice', [{'command': 'a-b', 'doc': 'd'}, {'command': 'a_b', 'doc': 'd'}]),
    ("bad name 'stop'", [{'event': 'stop', 'doc': 'd'}]),
    ("bad name 'm'", [{'option': 'm', 'doc': 'd', 'section': 's'}]),
    ('type and argument come together', [{'option': '-m', 'doc': 'd', 'section': 's', 'type': 'int'}]),
    ('OPTION_D is there twice',
     [{'option': '-d', 'doc': 'd', 'section': 's'}, {'option': '-D', 'doc': 'd', 'section': 's'}]),
    ('syntax must be there', [hmp(arguments=[{'name': 'a', 'type': 'int', 'doc': 'd'}])]),
    ('cannot be a parameter', [POINT, hmp(syntax='a', arguments=[{'name': 'a', 'type': 'Point', 'doc': 'd'}])]),
    ('a flag is a bool', [hmp(syntax='a', arguments=[{'name': 'a', 'type': 'int', 'doc': 'd', 'hmp': '-a'}])]),
    ('unknown hmp kind', [hmp(syntax='a', arguments=[{'name': 'a', 'type': 'int', 'doc': 'd', 'hmp': 'all'}])]),
    ('parameters names what is no argument', [hmp(syntax='a', parameters=['a'])]),
]


class SchemaTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def refusal(self, *texts):
        paths = [self.path(f'm{i}.json', text) for i, text in enumerate(texts)]
        with self.assertRaises(SchemaError) as caught:
            Schema(paths)
        self.assertIn('.json', str(caught.exception))
        return str(caught.exception)

    def test_bad(self):
        for message, definitions in BAD:
            with self.subTest(message=message, definitions=definitions):
                self.assertIn(message, self.refusal(json.dumps(definitions)))

    def test_not_json(self):
        self.assertIn('line 1', self.refusal('[{]'))
        self.assertIn("'doc' is given twice", self.refusal('[{"enum": "E", "doc": "a", "doc": "b", "values": ["v"]}]'))

    def test_files_that_need_each_other(self):
        first = [POINT, struct({'name': 'o', 'type': 'Other'})]
        second = [{'struct': 'Other', 'doc': 'd', 'members': [{'name': 'p', 'type': 'Point', 'doc': 'd'}]}]
        self.assertIn('need each other', self.refusal(json.dumps(first), json.dumps(second)))

    def test_names(self):
        self.assertEqual(upper_snake('RunState'), 'RUN_STATE')
        self.assertEqual(upper_snake('QMPCapability'), 'QMP_CAPABILITY')
        self.assertEqual(upper_snake('SysEmuTarget'), 'SYS_EMU_TARGET')
        self.assertEqual(upper_snake('guest-reset'), 'GUEST_RESET')
        self.assertEqual(camel('query-qmp-schema'), 'QueryQmpSchema')
        self.assertEqual(camel('DEVICE_DELETED'), 'DeviceDeleted')
        self.assertEqual(c_name('static'), 'static_')
        self.assertEqual(c_name('cpu-index'), 'cpu_index')

    def test_unchanged_files_are_left_alone(self):
        schema = Schema([self.path('m.json', json.dumps([POINT]))])
        schema_c.write(schema, self.folder, 'test', '')
        header = os.path.join(self.folder, 'm.h')
        os.utime(header, (1, 1))
        schema_c.write(schema, self.folder, 'test', '')
        self.assertEqual(os.stat(header).st_mtime, 1)

    def test_manual(self):
        command = {'command': 'draw', 'doc': 'Draws it.', 'arguments': 'Point', 'returns': '[Color]'}
        option = {'option': '-p', 'doc': 'a point', 'section': 'Points', 'type': 'Point', 'argument': 'x=n'}
        schema = Schema([self.path('m.json', json.dumps([POINT, COLOR, command, option]))])
        manual = os.path.join(self.folder, 'manual.md')
        schema_manual.write(schema, manual)
        with open(manual, encoding='utf-8') as file:
            text = file.read()
        for part in ('### `-p x=n`', '### `draw`', 'Draws it.', 'list of [Color](#color)',
                     '| `x` | int | d |', '- `red`'):
            self.assertIn(part, text)


if __name__ == '__main__':
    unittest.main()
