"""Walks query-qmp-schema: everything it refers to is there, and each query's reply is what the schema says."""
from client import Test, main

INT_RANGE = (-2 ** 63, 2 ** 64 - 1)


class Schema:
    def __init__(self, entries):
        self.entries = {}
        for entry in entries:
            assert entry['name'] not in self.entries, f"{entry['name']} is there twice"
            self.entries[entry['name']] = entry

    def of(self, meta_type):
        return [e for e in self.entries.values() if e['meta-type'] == meta_type]

    def references(self, entry):
        for key in ('arg-type', 'ret-type', 'element-type'):
            if key in entry:
                yield entry[key]
        if entry['meta-type'] in ('object', 'alternate'):
            for member in entry['members']:
                yield member['type']
            for variant in entry.get('variants', []):
                yield variant['type']

    def check(self, name, value, where):
        entry = self.entries[name]
        getattr(self, 'check_' + entry['meta-type'])(entry, value, where)

    def check_builtin(self, entry, value, where):
        kinds = {'string': str, 'number': (int, float), 'int': int, 'boolean': bool, 'null': type(None)}
        kind = entry['json-type']
        if kind == 'value':
            return
        assert isinstance(value, kinds[kind]), f'{where}: {value!r} is no {kind}'
        if kind in ('int', 'number'):
            assert not isinstance(value, bool), f'{where}: {value!r} is no {kind}'
        if kind == 'int':
            assert INT_RANGE[0] <= value <= INT_RANGE[1], where

    def check_enum(self, entry, value, where):
        names = [member['name'] for member in entry['members']]
        assert names == entry['values'], where
        assert value in names, f'{where}: {value!r} is none of {names}'

    def check_array(self, entry, value, where):
        assert isinstance(value, list), f'{where}: {value!r} is no array'
        for i, item in enumerate(value):
            self.check(entry['element-type'], item, f'{where}[{i}]')

    def check_object(self, entry, value, where):
        assert isinstance(value, dict), f'{where}: {value!r} is no object'
        members = {m['name']: m for m in entry['members']}
        if 'tag' in entry:
            case = value[entry['tag']]
            for variant in entry['variants']:
                if variant['case'] == case:
                    members.update({m['name']: m for m in self.entries[variant['type']]['members']})
        for name, member in members.items():
            if name in value:
                self.check(member['type'], value[name], f'{where}.{name}')
            else:
                assert 'default' in member, f'{where}: {name} is missing'
        assert not set(value) - set(members), f'{where}: {set(value) - set(members)} is not in the schema'

    def check_alternate(self, entry, value, where):
        for member in entry['members']:
            try:
                return self.check(member['type'], value, where)
            except AssertionError:
                continue
        raise AssertionError(f'{where}: {value!r} is none of the alternatives')


# Arguments for the queries that cannot do without.
ARGUMENTS = {
    'query-cpu-model-expansion': {'type': 'full', 'model': {'name': 'rv64'}},
    'qom-list': {'path': '/machine'},
    'qom-get': {'path': '/machine', 'property': 'type'},
    'qom-list-properties': {'typename': 'virtio-blk-device'},
    'device-list-properties': {'typename': 'virtio-blk-device'},
    'human-monitor-command': {'command-line': 'info status'},
    'ringbuf-read': {'device': 'ring', 'size': 16},
    'qom-list-types': {'abstract': True},
}


class Walk(Test):
    def machine(self):
        return self.start('-M', 'virt', '-smp', '2', '-bios', 'none', '-nodefaults', '-S', '-chardev',
                          'ringbuf,id=ring', '-device', 'virtio-rng-device,id=rng')

    def test_introspection(self):
        vm = self.machine()
        entries = vm.command('query-qmp-schema')
        schema = Schema(entries)
        for entry in entries:
            for name in schema.references(entry):
                self.assertIn(name, schema.entries, entry)
        for entry in schema.of('object'):
            if 'tag' in entry:
                tag = next(m for m in entry['members'] if m['name'] == entry['tag'])
                values = schema.entries[tag['type']]['values']
                self.assertLessEqual({v['case'] for v in entry['variants']}, set(values))
        schema.check(schema.entries['query-qmp-schema']['ret-type'], entries, 'query-qmp-schema')
        commands = {c['name'] for c in vm.command('query-commands')}
        self.assertEqual(commands, {e['name'] for e in schema.of('command')})

    def test_commands_of_the_issue(self):
        """What management programs ask for is there."""
        wanted = '''qmp_capabilities query-version query-target query-qmp-schema query-commands query-status
            query-machines query-cpu-definitions query-cpus-fast query-kvm query-chardev query-name query-uuid
            query-command-line-options qom-list qom-get qom-set qom-list-types qom-list-properties
            device-list-properties object-add object-del device_add device_del stop cont quit system_reset
            system_powerdown human-monitor-command add-fd getfd closefd remove-fd query-fdsets'''.split()
        schema = Schema(self.machine().command('query-qmp-schema'))
        self.assertFalse(set(wanted) - {e['name'] for e in schema.of('command')})
        events = {e['name'] for e in schema.of('event')}
        self.assertFalse({'SHUTDOWN', 'RESET', 'STOP', 'RESUME', 'POWERDOWN', 'DEVICE_DELETED'} - events)

    def test_replies(self):
        vm = self.machine()
        schema = Schema(vm.command('query-qmp-schema'))
        called = 0
        for command in schema.of('command'):
            name = command['name']
            needs = [m for m in schema.entries[command['arg-type']]['members'] if 'default' not in m]
            if not (name.startswith('query-') or name in ARGUMENTS):
                continue
            self.assertTrue(name in ARGUMENTS or not needs, f'{name} needs arguments')
            reply = vm.command(name, ARGUMENTS.get(name))
            schema.check(command['ret-type'], reply, name)
            called += 1
        self.assertGreater(called, 20)

    def test_arguments(self):
        """Each argument of each command is refused where it is of another kind, and where it is not known."""
        vm = self.machine()
        schema = Schema(vm.command('query-qmp-schema'))
        for command in schema.of('command'):
            if command['name'] in ('quit', 'qmp_capabilities'):
                continue
            for member in schema.entries[command['arg-type']]['members']:
                if schema.entries[member['type']].get('json-type') == 'value':
                    continue
                reply = vm.ask(command['name'], {member['name']: {'neither': []}})
                self.assertIn('error', reply, (command['name'], member['name']))

    def test_events(self):
        vm = self.machine()
        schema = Schema(vm.command('query-qmp-schema'))
        vm.command('cont')
        vm.command('stop')
        vm.command('system_reset')
        vm.command('system_powerdown')
        vm.wait_event('POWERDOWN')
        vm.command('quit')
        events = vm.events + [vm.wait_event('SHUTDOWN')]
        self.assertGreaterEqual(len(events), 3)
        for event in events:
            self.assertEqual(set(event) - {'data'}, {'event', 'timestamp'})
            schema.check(schema.entries[event['event']]['arg-type'], event.get('data', {}), event['event'])

    def test_properties_can_be_read(self):
        """Everything that qom-list shows can be read, but for what is only there to be written."""
        vm = self.machine()
        todo, seen = ['/'], 0
        while todo:
            path = todo.pop()
            for item in vm.command('qom-list', {'path': path}):
                if item['type'].startswith('child<'):
                    todo.append(path.rstrip('/') + '/' + item['name'])
                reply = vm.ask('qom-get', {'path': path, 'property': item['name']})
                self.assertIn('return', reply, (path, item))
                seen += 1
        self.assertGreater(seen, 300)


if __name__ == '__main__':
    main()
