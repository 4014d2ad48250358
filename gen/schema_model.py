"""Reads and checks the schema: definitions become objects whose references are resolved."""
import json
import re

NAME = re.compile(r'^[A-Za-z][A-Za-z0-9_-]*$')
TYPE_NAME = re.compile(r'^[A-Z][A-Za-z0-9]*$')
SIZE = re.compile(r'^[0-9]+(\.[0-9]+)?[bBkKmMgGtTpPeE]?$')
KEYWORDS = set('''auto bool break case char const continue default do double else enum extern float for goto if inline
int long register restrict return short signed sizeof static struct switch typedef typeof union unsigned void volatile
while linux unix errno true false asm'''.split())

# name: (C type, Type object, JSON kind, list's C name)
BUILTIN = {
    'null': ('uint8_t', 'type_null', 'NULL', None),
    'bool': ('bool', 'type_bool', 'BOOL', 'BoolList'),
    'int': ('int64_t', 'type_int64', 'INT', 'Int64List'),
    'size': ('uint64_t', 'type_size', 'INT', 'SizeList'),
    'size-mib': ('uint64_t', 'type_size_mib', 'INT', None),
    'number': ('double', 'type_number', 'DOUBLE', 'NumberList'),
    'string': ('char *', 'type_string', 'STRING', 'StringList'),
    'any': ('Json *', 'type_any', None, 'AnyList'),
}
for bits in (8, 16, 32, 64):
    BUILTIN[f'int{bits}'] = (f'int{bits}_t', f'type_int{bits}', 'INT', f'Int{bits}List')
    BUILTIN[f'uint{bits}'] = (f'uint{bits}_t', f'type_uint{bits}', 'INT', f'Uint{bits}List')


class SchemaError(Exception):
    """What is wrong with the schema, and where."""


def upper_snake(name):
    """RunState -> RUN_STATE, QMPCapability -> QMP_CAPABILITY, guest-reset -> GUEST_RESET"""
    name = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    name = re.sub(r'([A-Z]+)([A-Z][a-z])', r'\1_\2', name)
    return re.sub(r'[^A-Za-z0-9]', '_', name).upper()


def camel(name):
    """query-version -> QueryVersion, DEVICE_DELETED -> DeviceDeleted"""
    return ''.join(word[:1].upper() + word[1:].lower() if word.isupper() else word[:1].upper() + word[1:]
                   for word in re.split(r'[-_ ]', name))


def c_name(name):
    name = re.sub(r'[^A-Za-z0-9]', '_', name)
    return name + '_' if name in KEYWORDS else name


class Builtin:
    kind = 'builtin'

    def __init__(self, name):
        self.name = name
        self.c_type, self.symbol, self.json, self.list_name = BUILTIN[name]
        self.module = None
        if self.json == 'INT':
            bits = int(self.c_type.lstrip('uint').removesuffix('_t'))
            self.signed = self.c_type.startswith('int')
            self.range = (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)


class List:
    kind = 'list'
    json = 'ARRAY'

    def __init__(self, element):
        self.element = element
        self.list_name = None
        self.c_type = element.list_name if element.kind == 'builtin' else f'{element.name}List'
        self.name = self.c_type
        self.symbol = f'{self.c_type}_type'
        self.module = element.module


class Member:
    """Of a struct, a union's common part, a command's arguments or an event's data."""

    def __init__(self, owner, raw):
        self.owner, self.raw = owner, raw
        self.name = raw.get('name')
        owner.require(isinstance(self.name, str) and NAME.match(self.name), f'bad member name {self.name!r}')
        owner.check_keys(raw, {'name', 'type', 'doc'},
                         {'optional', 'default', 'minimum', 'maximum', 'features', 'hmp'}, f"member '{self.name}'")
        self.doc = raw['doc']
        self.optional = raw.get('optional', False)
        self.features = raw.get('features', [])
        self.c_name = c_name(self.name)
        self.type = None
        self.default = None

    def resolve(self, schema):
        self.type = schema.lookup(self.owner, self.raw['type'])
        self.range = self.type.range if self.type.kind == 'builtin' and self.type.json == 'INT' else None
        self.bounded = bool({'minimum', 'maximum'} & set(self.raw))
        if self.bounded:
            self.take_bounds()
        if 'default' in self.raw:
            self.owner.require(self.optional, f"member '{self.name}' has a default but is not optional")
            self.default = self.default_text(self.raw['default'])

    def take_bounds(self):
        def require(condition, what):
            self.owner.require(condition, f"member '{self.name}' has {what}")
        require(self.range, 'bounds but is no integer')
        low, high = self.raw.get('minimum', self.range[0]), self.raw.get('maximum', self.range[1])
        require(isinstance(low, int) and isinstance(high, int) and self.range[0] <= low and high <= self.range[1],
                f'bounds that {self.type.name} does not hold')
        require(low <= high, 'bounds of which the least is more than the most')
        require(high >= 0, 'a most that is negative, which Type cannot say')
        self.range = (low, high)

    def default_text(self, value):
        ok, text = True, str(value)
        if self.type.kind == 'enum':
            ok = value in [v.name for v in self.type.values]
        elif self.type.kind != 'builtin' or self.type.name in ('null', 'any'):
            ok = False
        elif self.type.name == 'bool':
            ok, text = isinstance(value, bool), 'on' if value else 'off'
        elif self.type.name in ('size', 'size-mib'):
            ok = isinstance(value, int) and value >= 0 or isinstance(value, str) and SIZE.match(value)
        elif self.type.json == 'INT':
            ok = type(value) is int and self.range[0] <= value <= self.range[1]
        elif self.type.name == 'number':
            ok = isinstance(value, (int, float)) and not isinstance(value, bool)
        else:
            ok = isinstance(value, str)
        self.owner.require(ok, f"member '{self.name}': the default {value!r} is no {self.type.name}")
        return text

    @property
    def by_pointer(self):
        return self.optional and self.type.kind in ('struct', 'union', 'alternate')

    @property
    def has_flag(self):
        if not self.optional:
            return False
        return self.type.kind == 'enum' or self.type.kind == 'builtin' and self.type.name not in ('string', 'any')


class Definition:
    required, allowed = {'doc'}, {'features'}

    def __init__(self, schema, module, raw):
        self.module, self.raw = module, raw
        self.name = raw[self.kind]
        self.require(isinstance(self.name, str) and self.pattern.match(self.name), f'bad name {self.name!r}')
        self.check_keys(raw, self.required | {self.kind}, self.allowed | {'features'}, None)
        self.doc = raw['doc']
        self.features = raw.get('features', [])
        self.init(schema)

    pattern = TYPE_NAME

    def init(self, schema):
        pass

    def require(self, condition, message):
        if not condition:
            raise SchemaError(f'{self.module.path}: {self.kind} {self.name}: {message}')

    def check_keys(self, raw, required, allowed, where):
        where = f'{where}: ' if where else ''
        for key in raw:
            self.require(key in required | allowed, f'{where}unknown key {key!r}')
        for key in sorted(required):
            self.require(key in raw, f'{where}{key!r} is missing')
        doc = raw.get('doc')
        self.require(doc is None or isinstance(doc, str) and doc.strip(), f'{where}the doc is empty')

    def members_of(self, raw):
        self.require(isinstance(raw, list), 'members must be a list')
        return [Member(self, member) for member in raw]

    def check_unique(self, members):
        seen = {}
        for member in members:
            for name in {member.c_name} | ({f'has_{member.c_name}'} if member.has_flag else set()):
                self.require(name not in seen, f"member '{member.name}' is there twice")
                seen[name] = member


class Value:
    def __init__(self, owner, raw):
        raw = {'name': raw} if isinstance(raw, str) else raw
        owner.require(isinstance(raw, dict) and isinstance(raw.get('name'), str) and raw['name'],
                      f'bad value {raw!r}')
        owner.require(set(raw) <= {'name', 'doc'}, f'value {raw["name"]!r} has unknown keys')
        self.name, self.doc = raw['name'], raw.get('doc')
        self.c_name = f'{owner.prefix}_{upper_snake(self.name)}'


class Enum(Definition):
    kind, json = 'enum', 'STRING'
    required, allowed = {'doc', 'values'}, {'prefix'}

    def init(self, schema):
        self.prefix = self.raw.get('prefix', upper_snake(self.name))
        self.require(isinstance(self.raw['values'], list) and self.raw['values'], 'values must be a list')
        self.values = [Value(self, value) for value in self.raw['values']]
        names = [value.c_name for value in self.values] + [f'{self.prefix}_COUNT']
        self.require(len(set(names)) == len(names), 'a value is there twice')
        self.c_type, self.symbol = self.name, f'{self.name}_type'

    def resolve(self, schema):
        pass

    def by_value(self):
        return []


class Struct(Definition):
    kind, json = 'struct', 'OBJECT'
    required, allowed = {'doc', 'members'}, {'base', 'implied-key'}
    resolved = False

    def init(self, schema):
        self.own_members = self.members_of(self.raw['members'])
        self.c_type, self.symbol = self.name, f'{self.name}_type'
        self.base = None

    def resolve(self, schema):
        if self.resolved:
            return
        self.require(self.resolved is not None, 'is its own base')
        self.resolved = None
        self.members = []
        if 'base' in self.raw:
            self.base = schema.lookup(self, self.raw['base'])
            self.require(self.base.kind == 'struct', 'the base is no struct')
            self.base.resolve(schema)
            self.members = list(self.base.members)
        for member in self.own_members:
            member.resolve(schema)
        self.members += self.own_members
        self.check_unique(self.members)
        self.implied_key = self.raw.get('implied-key')
        self.require(self.implied_key in [None] + [m.name for m in self.members], 'the implied key is no member')
        self.resolved = True

    def by_value(self):
        return [member.type for member in self.members if not member.by_pointer]


class Union(Struct):
    kind = 'union'
    required, allowed = {'doc', 'members', 'tag', 'branches'}, {'base', 'implied-key'}

    def resolve(self, schema):
        if self.resolved:
            return
        super().resolve(schema)
        tags = [member for member in self.members if member.name == self.raw['tag']]
        self.require(tags and tags[0].type.kind == 'enum', 'the tag must be a member that is an enum')
        self.tag = tags[0]
        self.require(not self.tag.optional or self.tag.default, 'an optional tag needs a default')
        values = {value.name: value for value in self.tag.type.values}
        self.branches = []
        for name, type_name in self.raw['branches'].items():
            self.require(name in values, f'branch {name!r} is no value of the tag')
            type_ = schema.lookup(self, type_name)
            self.require(type_.kind in ('struct', 'union'), f'branch {name!r} is no struct')
            type_.resolve(schema)
            common = {m.name for m in self.members} & {m.name for m in type_.members}
            self.require(not common, f'branch {name!r} has common members again: {", ".join(sorted(common))}')
            self.branches.append((values[name], type_))

    def by_value(self):
        return super().by_value() + [type_ for _, type_ in self.branches]


class Alternate(Definition):
    kind, json = 'alternate', None
    required, allowed = {'doc', 'branches'}, set()

    def init(self, schema):
        self.c_type, self.symbol = self.name, f'{self.name}_type'

    def resolve(self, schema):
        self.branches = [(name, schema.lookup(self, type_)) for name, type_ in self.raw['branches'].items()]
        self.require(len(self.branches) > 1, 'an alternate needs two branches')
        kinds = ['INT' if type_.json == 'DOUBLE' else type_.json for _, type_ in self.branches]
        self.require(None not in kinds, "neither 'any' nor another alternate can be a branch")
        self.require(len(set(kinds)) == len(kinds), 'two branches are of the same JSON kind')

    def by_value(self):
        return [type_ for _, type_ in self.branches if type_.kind not in ('struct', 'union')]


class WithMembers(Definition):
    """What has its members inline or names a type that has them."""
    pattern = NAME
    members_key = None

    def resolve(self, schema):
        raw = self.raw.get(self.members_key)
        self.arguments = None
        if isinstance(raw, str):
            self.arguments = schema.lookup(self, raw)
            self.require(self.arguments.kind in ('struct', 'union'), f'{raw} is no struct')
        elif raw:
            name = camel(self.name) + self.suffix
            definition = {'struct': name, 'doc': self.type_doc(), 'members': raw}
            self.arguments = schema.add(Struct(schema, self.module, definition))
            self.arguments.resolve(schema)


class Command(WithMembers):
    kind, members_key, suffix = 'command', 'arguments', 'Arguments'
    allowed = {'arguments', 'returns', 'flags', 'hmp'}
    flags = {'allow-oob': 'COMMAND_ALLOW_OOB', 'allow-preconfig': 'COMMAND_ALLOW_PRECONFIG', 'open': 'COMMAND_OPEN'}

    def type_doc(self):
        return f'Arguments of {self.name}.'

    def resolve(self, schema):
        super().resolve(schema)
        self.returns = schema.lookup(self, self.raw['returns']) if 'returns' in self.raw else None
        self.c_name = 'qmp_' + c_name(self.name.replace('-', '_'))
        for flag in self.raw.get('flags', []):
            self.require(flag in self.flags, f'unknown flag {flag!r}')
        self.open = 'open' in self.raw.get('flags', [])
        self.require(not self.open or self.arguments, "an open command needs arguments")
        if 'hmp' in self.raw:
            raw = dict(self.raw['hmp'])
            raw['hmp'] = raw.pop('name', self.name)
            schema.hmp.append(Hmp(schema, self.module, raw, self))


class Hmp(WithMembers):
    """An HMP command: on its own, or the HMP part of a command."""
    kind, members_key, suffix = 'hmp', 'arguments', 'HmpArguments'
    pattern = re.compile(r'^(info )?[a-z][a-z0-9_-]*$')
    allowed = {'arguments', 'alias', 'syntax', 'parameters', 'own-text'}
    kinds = {'rest': 'HMP_REST', 'word': 'HMP_WORD', 'expression': 'HMP_EXPRESSION', 'format': 'HMP_FORMAT'}

    def __init__(self, schema, module, raw, command=None):
        self.command = command
        super().__init__(schema, module, raw)

    def type_doc(self):
        return f"Arguments of the monitor's {self.name}."

    def resolve(self, schema):
        super().resolve(schema)
        if self.command and self.arguments is None:
            self.arguments = self.command.arguments
        self.info = self.name.startswith('info ')
        self.short = self.name[5:] if self.info else self.name
        self.alias, self.syntax = self.raw.get('alias'), self.raw.get('syntax', '')
        self.own_text = self.command is None or self.raw.get('own-text', False)
        self.require(self.own_text or self.arguments is self.command.arguments, 'other arguments than the command has')
        self.require(self.own_text or not self.command.open, 'an open command needs own-text')
        self.c_name = 'hmp_' + c_name(self.name)
        names = [m.name for m in self.arguments.members] if self.arguments else []
        wanted = self.raw.get('parameters', names)
        self.require(set(wanted) <= set(names), 'parameters names what is no argument')
        self.parameters = [self.parameter(names.index(name)) for name in wanted]
        self.require(bool(self.syntax) == bool(self.parameters), 'syntax must be there exactly if there are parameters')

    def parameter(self, index):
        """(index of the member, HmpParameterKind, letter of the flag)"""
        member = self.arguments.members[index]
        how = member.raw.get('hmp')
        scalar = member.type.kind == 'enum' or member.type.kind == 'builtin'
        self.require(scalar, f"'{member.name}' cannot be a parameter of a monitor's line")
        if how and how.startswith('-'):
            self.require(len(how) == 2 and member.type.name == 'bool', f"'{member.name}': a flag is a bool and -x")
            return index, 'HMP_FLAG', how[1]
        self.require(how is None or how in self.kinds, f"'{member.name}': unknown hmp kind {how!r}")
        if how is None:
            how = 'expression' if member.type.kind == 'builtin' and member.type.json == 'INT' else 'word'
        return index, self.kinds[how], None


class Event(WithMembers):
    kind, members_key, suffix = 'event', 'data', 'Event'
    pattern = re.compile(r'^[A-Z][A-Z0-9_]*$')
    allowed = {'data'}

    def type_doc(self):
        return f'Data of the event {self.name}.'


class Option(Definition):
    kind = 'option'
    pattern = re.compile(r'^-[A-Za-z0-9][A-Za-z0-9_-]*$')
    required, allowed = {'doc', 'section'}, {'type', 'alias', 'argument', 'flags', 'id', 'group'}
    flags = {'open': 'OPTION_OPEN', 'repeatable': 'OPTION_REPEATABLE', 'merge': 'OPTION_MERGE'}

    def resolve(self, schema):
        self.type = schema.lookup(self, self.raw['type']) if 'type' in self.raw else None
        self.short = self.name[1:]
        self.alias = self.raw.get('alias', '')[1:] or None
        self.argument = self.raw.get('argument')
        self.group = self.raw.get('group', self.short)
        self.require(bool(self.type) == bool(self.argument), 'type and argument come together')
        self.id = 'OPTION_' + self.raw.get('id', upper_snake(self.short))
        for flag in self.raw.get('flags', []):
            self.require(flag in self.flags, f'unknown flag {flag!r}')


class Module:
    """A file of the schema."""

    def __init__(self, path):
        self.path = path
        self.name = re.sub(r'.*/', '', path).removesuffix('.json')
        self.definitions = []
        self.types = []
        self.lists = set()
        self.needs = set()


KINDS = {cls.kind: cls for cls in (Command, Hmp, Event, Option, Enum, Union, Struct, Alternate)}


def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise SchemaError(f'{key!r} is given twice')
    return dict(pairs)


class Schema:
    def __init__(self, paths):
        self.types, self.commands, self.hmp, self.events, self.options = {}, [], [], [], []
        self.builtins = {name: Builtin(name) for name in BUILTIN}
        self.lists = {}
        self.modules = [Module(path) for path in paths]
        for module in self.modules:
            self.load(module)
        self.resolve()
        self.check_names()
        self.order_types()

    def load(self, module):
        try:
            with open(module.path, encoding='utf-8') as file:
                definitions = json.load(file, object_pairs_hook=no_duplicates)
        except (ValueError, SchemaError) as error:
            raise SchemaError(f'{module.path}: {error}') from None
        if not isinstance(definitions, list):
            raise SchemaError(f'{module.path}: a list of definitions is expected')
        for raw in definitions:
            kinds = [kind for kind in KINDS if isinstance(raw, dict) and kind in raw]
            if not kinds:
                raise SchemaError(f'{module.path}: a definition of no known kind: {str(raw)[:80]}')
            self.add(KINDS[kinds[0]](self, module, raw))

    def add(self, definition):
        where = {'command': self.commands, 'hmp': self.hmp, 'event': self.events, 'option': self.options}
        if definition.kind in where:
            where[definition.kind].append(definition)
        else:
            definition.require(definition.name not in self.types, 'is there already')
            self.types[definition.name] = definition
            definition.module.types.append(definition)
        return definition

    def lookup(self, user, spelling):
        """The type by its spelling; [X] or ["X"] is a list of X. Notes which header the user needs."""
        element = spelling[0] if isinstance(spelling, list) and len(spelling) == 1 else None
        if isinstance(spelling, str) and spelling.startswith('[') and spelling.endswith(']'):
            element = spelling[1:-1]
        if element is not None:
            inner = self.lookup(user, element)
            user.require(inner.kind != 'list' and (inner.kind != 'builtin' or inner.list_name),
                         f'there are no lists of {inner.name}')
            if inner.name not in self.lists:
                self.lists[inner.name] = List(inner)
                if inner.module:
                    inner.module.lists.add(inner.name)
            return self.lists[inner.name]
        user.require(isinstance(spelling, str), f'bad type {spelling!r}')
        found = self.builtins.get(spelling) or self.types.get(spelling)
        user.require(found, f'there is no type {spelling!r}')
        if found.module and found.module is not user.module:
            user.module.needs.add(found.module)
        return found

    def resolve(self):
        for definition in list(self.types.values()) + self.commands + self.events + self.options:
            definition.resolve(self)
        for definition in self.hmp:
            definition.resolve(self)

    def check_names(self):
        for what in (self.commands, self.events, self.options, self.hmp):
            names = [name for definition in what for name in self.names_of(definition)]
            for definition in what:
                for name in self.names_of(definition):
                    definition.require(names.count(name) == 1, f'{name} is there already')
        for what, key in ((self.commands, 'c_name'), (self.hmp, 'c_name'), (self.options, 'id')):
            names = [getattr(d, key) for d in what]
            for definition in what:
                name = getattr(definition, key)
                definition.require(names.count(name) == 1, f'{name} is there twice')
        self.commands.sort(key=lambda c: c.name)
        self.events.sort(key=lambda e: e.name)
        self.hmp.sort(key=lambda h: (h.info, h.short))

    @staticmethod
    def names_of(definition):
        alias = definition.raw.get('alias')
        if alias and definition.kind == 'hmp' and definition.info:
            alias = f'info {alias}'
        return [definition.name] + ([alias] if alias else [])

    def order_types(self):
        """Within a module, what a type holds by value comes before it; modules likewise."""
        for module in self.modules:
            module.types = self.ordered(module.types, lambda t: [x for x in t.by_value() if x.module is module])
        def refuse(module):
            raise SchemaError(f'{module.path}: this file and one that it needs need each other')
        self.modules = self.ordered(self.modules, lambda m: sorted(m.needs, key=lambda x: x.name), refuse)

    @staticmethod
    def ordered(items, needs, refuse=None):
        done, active, result = set(), set(), []

        def visit(item):
            if item in done or item.__class__ in (List, Builtin):
                return
            if item in active:
                if refuse:
                    refuse(item)
                item.require(False, 'holds itself by value')
            active.add(item)
            for other in needs(item):
                visit(other)
            done.add(item)
            result.append(item)

        for item in items:
            visit(item)
        return result
