"""Writes the manual of a schema: commands, the monitor's commands, events, options and types, as Markdown."""


def escape(text):
    return text.replace('|', '\\|').replace('\n', ' ')


def sentence(text):
    return text[:1].upper() + text[1:] + ('' if text.endswith(('.', ')')) else '.')


def type_text(type_):
    if type_.kind == 'list':
        return f'list of {type_text(type_.element)}'
    if type_.kind == 'builtin':
        return 'size' if type_.name == 'size-mib' else type_.name
    return f'[{type_.name}](#{type_.name.lower()})'


def member_table(lines, members):
    if not members:
        return
    lines += ['', '| member | type | |', '|---|---|---|']
    for member in members:
        notes = [escape(member.doc)]
        if member.optional:
            notes.append('(optional)' if member.default is None else f'(default: `{member.default}`)')
        if member.bounded:
            notes.append(f'(from {member.range[0]} to {member.range[1]})')
        lines.append(f'| `{member.name}` | {type_text(member.type)} | {" ".join(notes)} |')


def inline(definition):
    """Whether the members stand in the command or event itself."""
    return isinstance(definition.raw.get(definition.members_key), list)


def arguments(lines, definition):
    if definition.arguments is None:
        return
    if inline(definition):
        member_table(lines, definition.arguments.members)
    else:
        lines += ['', f'Arguments: {type_text(definition.arguments)}.']


def option_part(lines, schema):
    sections = dict.fromkeys(option.raw['section'] for option in schema.options)
    for section in sections:
        lines += ['', f'## {section}']
        for option in (o for o in schema.options if o.raw['section'] == section):
            alias = f' (or `-{option.alias}`)' if option.alias else ''
            spelling = f'{option.name} {option.argument}' if option.argument else option.name
            lines += ['', f'### `{spelling}`{alias}', '', sentence(option.doc)]
            if option.type and option.type.kind in ('struct', 'union'):
                member_table(lines, option.type.members)
            if option.type and option.type.kind == 'union':
                lines += [''] + [f'- with `{option.type.tag.name}={value.name}`: also the keys of {type_text(type_)}'
                                 for value, type_ in option.type.branches]


def command_part(lines, schema):
    lines += ['', '# Commands of the monitor protocol (QMP)']
    for command in schema.commands:
        lines += ['', f'### `{command.name}`', '', command.doc]
        arguments(lines, command)
        if command.open:
            lines += ['', 'Further arguments are properties of what the command makes.']
        if command.returns:
            lines += ['', f'Returns: {type_text(command.returns)}.']
    lines += ['', '# Events']
    for event in schema.events:
        lines += ['', f'### `{event.name}`', '', event.doc]
        arguments(lines, event)


def hmp_part(lines, schema):
    lines += ['', '# Commands of the human monitor', '', '| command | |', '|---|---|']
    for hmp in schema.hmp:
        alias = f' (or `{hmp.alias}`)' if hmp.alias else ''
        syntax = f' {escape(hmp.syntax)}' if hmp.syntax else ''
        lines.append(f'| `{hmp.name}{syntax}`{alias} | {escape(hmp.doc)} |')


def type_part(lines, schema):
    lines += ['', '# Types']
    inlined = {d.arguments for d in schema.commands + schema.events + schema.hmp if d.arguments and inline(d)}
    types = sorted((t for m in schema.modules for t in m.types if t not in inlined), key=lambda t: t.name)
    for type_ in types:
        lines += ['', f'### {type_.name}', '', type_.doc]
        if type_.kind == 'enum':
            lines += [''] + [f'- `{value.name}`' + (f': {value.doc}' if value.doc else '') for value in type_.values]
        elif type_.kind == 'alternate':
            lines += [''] + [f'- {type_text(branch)}' for _, branch in type_.branches]
        else:
            member_table(lines, type_.members)
        if type_.kind == 'union':
            lines += [''] + [f'- `{type_.tag.name}` is `{value.name}`: also the members of {type_text(branch)}'
                             for value, branch in type_.branches]


def write(schema, path):
    lines = ['# Options']
    option_part(lines, schema)
    command_part(lines, schema)
    hmp_part(lines, schema)
    type_part(lines, schema)
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines) + '\n')
