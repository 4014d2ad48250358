"""Conversations in QMP: greeting, negotiation, errors, order, events, several clients, descriptors, bad input."""
import json
import os
import re
import socket
import tempfile
import time

from client import Client, QmpError, Test, main, run

NONE = ('-M', 'none', '-nodefaults', '-display', 'none')


class Conversation(Test):
    def test_greeting(self):
        vm = self.start(*NONE)
        version = vm.greeting['QMP']['version']
        self.assertEqual(version['qemu']['major'], 10)
        self.assertRegex(version['package'], r'^Myna \d+\.\d+\.\d+$')
        self.assertEqual(vm.greeting['QMP']['capabilities'], ['oob'])
        self.assertEqual(vm.command('query-version'), version)

    def test_negotiation(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        self.start(*NONE, '-chardev', f'socket,id=c,fd={theirs.fileno()}', '-mon', 'c,mode=control',
                   pass_fds=[theirs.fileno()])
        client = Client(ours, negotiate=False)
        early = client.ask('query-status')
        self.assertEqual(early['error']['class'], 'CommandNotFound')
        self.assertIn('qmp_capabilities', early['error']['desc'])
        self.assertIn('error', client.ask('qmp_capabilities', {'enable': ['bob']}))
        self.assertEqual(client.ask('qmp_capabilities', id=1), {'return': {}, 'id': 1})
        late = client.ask('qmp_capabilities')
        self.assertEqual(late['error']['class'], 'CommandNotFound')
        self.assertIn('return', client.ask('query-status'))
        client.close()

    def test_out_of_band(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        self.start(*NONE, '-chardev', f'socket,id=c,fd={theirs.fileno()}', '-mon', 'c,mode=control',
                   pass_fds=[theirs.fileno()])
        client = Client(ours, negotiate=False)
        self.assertEqual(client.ask('qmp_capabilities', {'enable': ['oob']}), {'return': {}})
        for request, words in (({'exec-oob': 'query-status'}, 'The command query-status does not support OOB'),
                               ({'exec-oob': 'query-nothing'}, 'The command query-nothing has not been found'),
                               ({'exec-oob': 5}, "'exec-oob' must be a string"),
                               ({'exec-oob': 'stop', 'execute': 'stop'}, "'execute' clashes with 'exec-oob'")):
            client.send(json.dumps(request))
            self.assertIn(words, client.reply()['error']['desc'])
        self.assertIn('return', client.ask('query-status'))
        client.close()

    def test_order_of_events(self):
        """What a command does to the machine is told before its reply."""
        vm = self.start('-M', 'virt', '-bios', 'none', '-display', 'none', '-nodefaults')
        for command, event in (('system_reset', 'RESET'), ('system_powerdown', 'POWERDOWN'), ('stop', 'STOP'),
                               ('cont', 'RESUME'), ('quit', 'SHUTDOWN')):
            vm.events.clear()
            self.assertEqual(vm.command(command), {})
            self.assertEqual([e['event'] for e in vm.events], [event])
        self.assertEqual(vm.wait(), 0)

    def test_unplugging(self):
        """What a running machine's bus lets go is told, and its place and name are free again."""
        vm = self.start('-M', 'virt', '-bios', 'none', '-display', 'none', '-nodefaults', '-device',
                        'virtio-serial-device', '-chardev', 'ringbuf,id=ring')
        for _ in range(3):
            vm.command('device_add', {'driver': 'virtserialport', 'id': 'p', 'chardev': 'ring', 'name': 'org.myna'})
            self.assertIn('dev: virtserialport, id "p"', vm.hmp('info qtree'))
            with self.assertRaisesRegex(QmpError, "Duplicate device ID 'p'"):
                vm.command('device_add', {'driver': 'virtserialport', 'id': 'p'})
            vm.command('device_del', {'id': 'p'})
            self.assertEqual(vm.wait_event('DEVICE_DELETED')['data'], {'device': 'p', 'path': '/machine/peripheral/p'})
            self.assertNotIn('virtserialport', vm.hmp('info qtree'))
        vm.hmp('device_add virtconsole,id=c')
        vm.hmp('device_del c')
        self.assertEqual(vm.wait_event('DEVICE_DELETED')['data']['device'], 'c')
        with self.assertRaisesRegex(QmpError, "Bus 'virtio-mmio-bus.6' does not support hotplugging"):
            vm.command('device_add', {'driver': 'virtio-rng-device'})

    def test_several_in_one_write(self):
        """Each gets one line, in order."""
        text = ''.join(json.dumps({'execute': name, 'id': i})
                       for i, name in enumerate(['qmp_capabilities', 'query-status', 'query-name', 'nonsense',
                                                 'query-kvm']))
        status, output = run(self.program(), *NONE, '-qmp', 'stdio',
                             stdin=self.file_with(text + '{"execute": "quit", "id": 5}'))
        lines = [json.loads(line) for line in output.splitlines()]
        replies = [line for line in lines if 'id' in line]
        self.assertEqual(status, 0)
        self.assertEqual([reply['id'] for reply in replies], list(range(6)))
        self.assertEqual(['error' in reply for reply in replies], [False, False, False, True, False, False])
        self.assertEqual(lines[-2]['event'], 'SHUTDOWN')
        self.assertEqual(len(lines), 8)

    def file_with(self, text):
        file = tempfile.TemporaryFile()
        file.write(text.encode())
        file.seek(0)
        self.addCleanup(file.close)
        return file

    def test_line_ends(self):
        status, output = run(self.program(), *NONE, '-qmp', 'stdio',
                             stdin=self.file_with('{"execute":"qmp_capabilities"}{"execute":"quit"}'))
        self.assertEqual(status, 0)
        self.assertTrue(all(line.endswith('\r') for line in output.split('\n')[:-1]))

    def test_ids(self):
        vm = self.start(*NONE)
        for value in (0, -1, 2 ** 64 - 1, 1.5, 'x', '', True, None, [1, [2]], {'a': {'b': 1}}):
            self.assertEqual(vm.ask('query-kvm', id=value)['id'], value)
            self.assertEqual(vm.ask('query-nothing', id=value)['id'], value)
        self.assertNotIn('id', vm.ask('query-kvm'))
        vm.send('{"execute": "query-kvm", "id": 18446744073709551615}')
        self.assertIn(b'"id": 18446744073709551615', vm.read_line())

    ERRORS = (
        ('[]', 'GenericError', 'must be a JSON object'),
        ('5', 'GenericError', 'must be a JSON object'),
        ('{}', 'GenericError', "lacks member 'execute'"),
        ('{"execute": 5}', 'GenericError', "'execute' must be a string"),
        ('{"execute": "query-kvm", "more": 1}', 'GenericError', "'more' is unexpected"),
        ('{"execute": "query-kvm", "arguments": []}', 'GenericError', "'arguments' must be an object"),
        ('{"execute": "query-kvm", "arguments": {"x": 1}}', 'GenericError', "'x'"),
        ('{"execute": "query-kwm"}', 'CommandNotFound', 'query-kvm'),
        ('{"exec-oob": "query-kvm"}', 'GenericError', "'exec-oob'"),
        ('{"execute": "qom-get", "arguments": {"path": "/machine"}}', 'GenericError', "'property'"),
        ('{"execute": "qom-get", "arguments": {"path": 1, "property": "type"}}', 'GenericError', "'path'"),
        ('{"execute": "qom-get", "arguments": {"path": "/nowhere", "property": "type"}}', 'DeviceNotFound', '/nowhere'),
        ('{"execute": "qom-get", "arguments": {"path": "/machine", "property": "typ"}}', 'GenericError', "'type'"),
        ('{"execute": "device_add", "arguments": {}}', 'GenericError', "'driver'"),
        ('{"execute": "device_add", "arguments": {"driver": "virtio-rng-devise"}}', 'GenericError',
         'virtio-rng-device'),
        ('{"execute": "device_del", "arguments": {"id": "x"}}', 'DeviceNotFound', "'x'"),
        ('{"execute": "object-add", "arguments": {"qom-type": "rng-rando", "id": "r"}}', 'GenericError', 'rng-random'),
        ('{"execute": "object-add", "arguments": {"qom-type": "device", "id": "r"}}', 'GenericError', 'device'),
        ('{"execute": "object-add", "arguments": {"qom-type": "rng-random", "id": "0"}}', 'GenericError', 'identifier'),
        ('{"execute": "object-del", "arguments": {"id": "x"}}', 'GenericError', "'x'"),
        ('{"execute": "getfd", "arguments": {"fdname": "x"}}', 'GenericError', 'SCM_RIGHTS'),
        ('{"execute": "closefd", "arguments": {"fdname": "x"}}', 'GenericError', "'x'"),
        ('{"execute": "remove-fd", "arguments": {"fdset-id": 9}}', 'GenericError', '9'),
        ('{"execute": "chardev-send-break", "arguments": {"id": "x"}}', 'GenericError', "'x'"),
        ('{"execute": "ringbuf-read", "arguments": {"device": "qmp", "size": 1}}', 'GenericError', 'ring'),
        ('{"execute": "human-monitor-command", "arguments": {"command-line": "x", "cpu-index": 7}}', 'GenericError',
         'cpu-index'),
        ('{"execute": "device-list-properties", "arguments": {"typename": "nothing"}}', 'DeviceNotFound', 'nothing'),
        ('{"execute": "device-list-properties", "arguments": {"typename": "rng-random"}}', 'GenericError', 'device'),
        ('{"execute": "query-command-line-options", "arguments": {"option": "x"}}', 'GenericError', 'x'),
    )

    def test_errors(self):
        vm = self.start(*NONE)
        for request, class_name, words in self.ERRORS:
            with self.subTest(request):
                vm.send(request + '\n')
                error = vm.reply()['error']
                self.assertEqual(error['class'], class_name)
                self.assertIn(words, error['desc'])
                self.assertEqual(set(error), {'class', 'desc'})

    BAD_JSON = ('{"execute" "query-kvm"}', '{"execute": tru}', '{"a": 1,}', "{'a': '\\q'}", '{"a": 01}', '{"a": +1}',
                'nonsense', '}', ']', '{"a": "\\ud800"}', '{"a": \x01}', '[1 2]', '"open')

    def test_bad_json(self):
        """Each is an error, and the next line is understood."""
        vm = self.start(*NONE)
        for text in self.BAD_JSON:
            with self.subTest(text):
                vm.send(text + '\n{"execute": "query-kvm", "id": "behind"}')
                replies = [vm.reply()]
                while 'id' not in replies[-1]:
                    replies.append(vm.reply())
                self.assertIn('error', replies[0])
                self.assertTrue(all('error' in reply for reply in replies[:-1]))
                self.assertIn('return', replies[-1])

    def test_resynchronization(self):
        """A 0xff byte ends whatever was begun."""
        vm = self.start(*NONE)
        vm.send(b'{"execute": "query-k\xff{"execute": "query-kvm", "id": 1}')
        reply = vm.reply()
        while 'id' not in reply:
            self.assertIn('error', reply)
            reply = vm.reply()
        self.assertIn('return', reply)

    def test_bytes_one_by_one(self):
        vm = self.start(*NONE)
        for byte in b'{ "execute" : "query-status",\n "id":\t"\xc3\xa4\\u00e4" }':
            vm.send(bytes([byte]))
        self.assertEqual(vm.reply()['id'], 'ää')

    def test_depth(self):
        vm = self.start(*NONE)
        vm.send('{"execute": ' + '[' * 100000 + '\n{"execute": "query-kvm", "id": 1}')
        reply = vm.reply()
        while 'id' not in reply:
            self.assertIn('error', reply)
            reply = vm.reply()
        self.assertIn('return', reply)

    def test_pretty(self):
        status, output = run(self.program(), *NONE, '-qmp-pretty', 'stdio',
                             stdin=self.file_with('{"execute":"qmp_capabilities"}{"execute":"quit"}'))
        self.assertEqual(status, 0)
        self.assertIn('{\r\n    "QMP": {\r\n        "version": {\r\n', output)
        self.assertIn('    "return": {\r\n    }\r\n', output)

    def test_events(self):
        vm = self.start(*NONE)
        before = time.time()
        vm.command('stop')
        vm.command('cont')
        for name in ('STOP', 'RESUME'):
            event = vm.wait_event(name)
            stamp = event['timestamp']['seconds'] + event['timestamp']['microseconds'] / 1e6
            self.assertTrue(before - 1 <= stamp <= time.time() + 1)
            self.assertNotIn('data', event)
        vm.command('system_reset')
        self.assertEqual(vm.wait_event('RESET')['data'], {'guest': False, 'reason': 'host-qmp-system-reset'})
        vm.command('system_powerdown')
        self.assertNotIn('data', vm.wait_event('POWERDOWN'))
        vm.command('quit')
        self.assertEqual(vm.wait_event('SHUTDOWN')['data'], {'guest': False, 'reason': 'host-qmp-quit'})
        self.assertEqual(vm.wait(), 0)

    def test_states(self):
        vm = self.start(*NONE, '-S')
        self.assertEqual(vm.command('query-status'), {'running': False, 'status': 'prelaunch'})
        vm.command('cont')
        self.assertEqual(vm.command('query-status'), {'running': True, 'status': 'running'})
        vm.command('cont')
        vm.command('stop')
        self.assertEqual(vm.command('query-status'), {'running': False, 'status': 'paused'})

    def test_several_clients(self):
        """Each negotiates for itself and gets its own replies; events go to all."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ('a', 'b')]
            vm = self.start(*NONE, *(word for path in paths for word in ('-qmp', f'unix:{path},server=on,wait=off')))
            clients = []
            for path in paths:
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(path)
                clients.append(Client(sock))
            clients[0].send('{"execute": "query-kvm", "id": 0}')
            clients[1].send('{"execute": "query-kvm", "id": 1}')
            self.assertEqual([client.reply()['id'] for client in clients], [0, 1])
            vm.command('stop')
            for client in clients:
                client.wait_event('STOP')
                client.close()
            again = socket.socket(socket.AF_UNIX)  # the server takes the next one
            again.connect(paths[0])
            Client(again).command('query-kvm')
            again.close()
            vm.command('quit')
            vm.wait()
            self.assertFalse(any(os.path.exists(path) for path in paths))

    def test_tcp(self):
        vm = self.start(*NONE, '-qmp', 'tcp:127.0.0.1:0,server=on,wait=off')
        name = next(c['filename'] for c in vm.command('query-chardev') if c['label'] == 'compat_monitor0')
        port = int(re.fullmatch(r'disconnected:tcp:127\.0\.0\.1:(\d+),server=on', name).group(1))
        client = Client(socket.create_connection(('127.0.0.1', port)))
        self.assertEqual(client.command('query-kvm'), {'enabled': False, 'present': False})
        client.close()

    def test_reader_that_does_not_read(self):
        """Commands wait, the program goes on, nothing is lost."""
        vm = self.start(*NONE)
        vm.sock.setblocking(False)
        sent = 0
        try:
            while sent < 20000:
                vm.sock.send(json.dumps({'execute': 'query-commands', 'id': sent}).encode())
                sent += 1
        except BlockingIOError:
            pass
        self.assertLess(sent, 20000)
        vm.sock.settimeout(60)
        ids = [vm.reply()['id'] for _ in range(sent)]
        self.assertEqual(ids, list(range(sent)))

    # -- descriptors

    def test_getfd(self):
        vm = self.start(*NONE)
        read, write = os.pipe()
        self.assertEqual(vm.command('getfd', {'fdname': 'pipe'}, fds=[write]), {})
        os.close(write)
        vm.command('closefd', {'fdname': 'pipe'})
        self.assertEqual(os.read(read, 1), b'')
        os.close(read)
        with self.assertRaises(QmpError):
            vm.command('closefd', {'fdname': 'pipe'})

    def test_fdsets(self):
        vm = self.start(*NONE)
        with open('/dev/null', 'rb') as null:
            first = vm.command('add-fd', {'opaque': 'a note'}, fds=[null.fileno()])
            second = vm.command('add-fd', {'fdset-id': first['fdset-id']}, fds=[null.fileno()])
            third = vm.command('add-fd', {'fdset-id': 7}, fds=[null.fileno()])
        self.assertEqual(vm.command('query-fdsets'), [
            {'fdset-id': first['fdset-id'], 'fds': [{'fd': first['fd'], 'opaque': 'a note'}, {'fd': second['fd']}]},
            {'fdset-id': 7, 'fds': [{'fd': third['fd']}]}])
        vm.command('remove-fd', {'fdset-id': first['fdset-id'], 'fd': second['fd']})
        vm.command('remove-fd', {'fdset-id': 7})
        self.assertEqual(vm.command('query-fdsets'), [
            {'fdset-id': first['fdset-id'], 'fds': [{'fd': first['fd'], 'opaque': 'a note'}]}])

    def test_set_is_opened_by_path(self):
        vm = self.start(*NONE)
        with tempfile.NamedTemporaryFile() as file, open(file.name, 'wb') as written:
            number = vm.command('add-fd', fds=[written.fileno()])['fdset-id']
            self.assertEqual(vm.hmp(f'logfile /dev/fdset/{number}'), '')
            self.assertIn('/dev/fdset/99', vm.hmp('logfile /dev/fdset/99'))

    # -- character devices

    def test_ringbuf(self):
        vm = self.start(*NONE, '-chardev', 'ringbuf,id=r,size=16')
        vm.command('ringbuf-write', {'device': 'r', 'data': 'text'})
        vm.command('ringbuf-write', {'device': 'r', 'data': 'AP//QQ==', 'format': 'base64'})
        self.assertEqual(vm.command('ringbuf-read', {'device': 'r', 'size': 2}), 'te')
        self.assertEqual(vm.command('ringbuf-read', {'device': 'r', 'size': 3, 'format': 'base64'}), 'eHQA')
        self.assertEqual(vm.command('ringbuf-read', {'device': 'r', 'size': 99}), '\ufffd\ufffdA')
        self.assertEqual(vm.command('ringbuf-read', {'device': 'r', 'size': 99}), '')
        refused = vm.ask('ringbuf-write', {'device': 'r', 'data': '', 'format': 'rot13'})
        self.assertIn('base64', refused['error']['desc'])

    def test_query_chardev(self):
        vm = self.start(*NONE, '-chardev', 'null,id=n', '-chardev', 'null,id=m,mux=on')
        devices = {c['label']: c for c in vm.command('query-chardev')}
        self.assertEqual(devices['n'], {'label': 'n', 'filename': 'null', 'frontend-open': False})
        self.assertEqual(devices['m']['filename'], 'mux')
        self.assertTrue(devices['m-base']['frontend-open'])
        self.assertTrue(devices['qmp']['frontend-open'])

    # -- objects and devices

    def test_objects(self):
        vm = self.start(*NONE)
        vm.command('object-add', {'qom-type': 'rng-random', 'id': 'r', 'filename': '/dev/urandom'})
        self.assertIn({'name': 'r', 'type': 'child<rng-random>'}, vm.command('qom-list', {'path': '/objects'}))
        self.assertEqual(vm.command('qom-get', {'path': '/objects/r', 'property': 'filename'}), '/dev/urandom')
        self.assertEqual(vm.command('qom-get', {'path': 'r', 'property': 'type'}), 'rng-random')
        self.assertIn('error', vm.ask('object-add', {'qom-type': 'rng-random', 'id': 'r'}))
        self.assertIn('error', vm.ask('object-add', {'qom-type': 'rng-random', 'id': 's', 'filename': 5}))
        vm.command('object-del', {'id': 'r'})
        self.assertEqual(vm.ask('qom-list', {'path': '/objects/r'})['error']['class'], 'DeviceNotFound')

    def test_types(self):
        vm = self.start(*NONE)
        backends = {t['name']: t for t in vm.command('qom-list-types', {'implements': 'rng-backend'})}
        self.assertEqual(backends['rng-random'], {'name': 'rng-random', 'parent': 'rng-backend'})
        self.assertNotIn('rng-backend', backends)
        abstract = vm.command('qom-list-types', {'implements': 'rng-backend', 'abstract': True})
        self.assertIn('rng-backend', [t['name'] for t in abstract if t.get('abstract')])
        properties = {p['name']: p for p in vm.command('device-list-properties', {'typename': 'virtio-blk-device'})}
        self.assertEqual(properties['event_idx']['type'], 'bool')
        self.assertIs(properties['event_idx']['default-value'], True)
        self.assertEqual(properties['queue-size']['default-value'], 256)
        self.assertNotIn('realized', properties)

    def test_name_and_uuid(self):
        vm = self.start(*NONE, '-name', 'a,,b', '-uuid', '01234567-89AB-CDEF-0123-456789abcdef')
        self.assertEqual(vm.command('query-name'), {'name': 'a,b'})
        self.assertEqual(vm.command('query-uuid'), {'UUID': '01234567-89ab-cdef-0123-456789abcdef'})
        other = self.start(*NONE)
        self.assertEqual(other.command('query-name'), {})
        self.assertEqual(other.command('query-uuid'), {'UUID': '00000000-0000-0000-0000-000000000000'})

    def test_targets(self):
        for target in ('riscv32', 'riscv64'):
            vm = self.start(*NONE, target=target)
            self.assertEqual(vm.command('query-target'), {'arch': target})
            machines = {m['name']: m for m in vm.command('query-machines')}
            self.assertEqual(machines['virt-10.0']['alias'], 'virt')
            self.assertEqual(machines['virt-10.0']['default-cpu-type'], f'rv{target[-2:]}-riscv-cpu')
            self.assertIn('none', machines)
            models = {m['name']: m for m in vm.command('query-cpu-definitions')}
            self.assertEqual(models[f'rv{target[-2:]}']['typename'], f'rv{target[-2:]}-riscv-cpu')
            self.assertEqual([models[f'rv{target[-2:]}{e}']['static'] for e in ('', 'i')], [False, True])

    def test_cpu_model_expansion(self):
        vm = self.start('-M', 'none', '-S')

        def switches(name, **props):
            model = {'name': name, 'props': props} if props else {'name': name}
            result = vm.command('query-cpu-model-expansion', {'type': 'full', 'model': model})['model']
            self.assertEqual(result['name'], name)
            return {name for name, on in result['props'].items() if on}
        self.assertTrue({'zba', 'sstc', 'mmu', 'pmp', 'm'} <= switches('rv64'))
        self.assertFalse({'zba', 'm', 'mmu', 'rva22u64'} & switches('rv64i'))
        self.assertTrue({'zba', 'm', 'mmu', 'rva22u64', 'rva22s64', 'svade'} <= switches('rva22s64'))
        self.assertNotIn('zba', switches('rv64', zba=False))
        self.assertIn('zmmul', switches('rv64i', m=True))
        for arguments in ({'type': 'static', 'model': {'name': 'rv64'}}, {'type': 'full', 'model': {'name': 'rv'}},
                          {'type': 'full', 'model': {'name': 'rv64', 'props': {'zbogus': True}}},
                          {'type': 'full', 'model': {'name': 'rv64', 'props': {'zba': 'perhaps'}}},
                          {'type': 'full', 'model': {'name': 'rv64', 'props': 5}},
                          {'type': 'full', 'model': {'name': 'rv64', 'props': {'f': True, 'zfinx': True}}}):
            with self.assertRaises(QmpError):
                vm.command('query-cpu-model-expansion', arguments)

    def test_cpus(self):
        vm = self.start('-M', 'virt', '-smp', '2', '-bios', 'none', '-nodefaults', '-S')
        cpus = vm.command('query-cpus-fast')
        self.assertEqual([cpu['cpu-index'] for cpu in cpus], [0, 1])
        for cpu in cpus:
            self.assertEqual(cpu['target'], 'riscv64')
            self.assertEqual(cpu['props'], {'core-id': cpu['cpu-index']})
            self.assertEqual(cpu['qom-path'], f"/machine/soc0/harts[{cpu['cpu-index']}]")
            self.assertTrue(os.path.exists(f"/proc/{vm.process.pid}/task/{cpu['thread-id']}"))

    def test_command_line_options(self):
        vm = self.start(*NONE)
        options = {o['option']: {p['name']: p for p in o['parameters']}
                   for o in vm.command('query-command-line-options')}
        self.assertEqual(options['smp-opts']['cpus']['type'], 'number')
        self.assertEqual(options['memory']['size']['type'], 'size')
        self.assertEqual(options['msg']['timestamp']['type'], 'boolean')
        self.assertEqual(options['chardev']['path']['type'], 'string')
        one = vm.command('query-command-line-options', {'option': 'mon'})
        self.assertEqual([o['option'] for o in one], ['mon'])


if __name__ == '__main__':
    main()
