"""Noise on monitors: changed requests, random bytes and lines. The program answers what it can and goes on."""
import json
import random

from client import Test, main

SEED, REQUESTS, LINES = 1, 3000, 1500
# What ends the program, makes files, or waits for a guest.
LEFT_OUT = {'quit', 'logfile', 'qmp_capabilities'}
VALUES = (None, True, 0, -1, 2 ** 64 - 1, -2 ** 63, 1e308, '', '/machine', '/', 'x' * 300, '\u0000', [], {}, [[1]],
          {'a': {}}, 'virtio-rng-device', 'rng-random', 'r', 'ring', 'type')
WORDS = ('info', 'registers', '-a', '-f', 'x', '/8xb', '/4i', '/99999xg', '$pc', '$', '(', '1', '0x80000000', '-1', '+',
         '"', '\\', 'device_add', 'virtio-rng-device,id=d', 'device_del', 'd', 'object_add', 'rng-random,id=r',
         'object_del', 'r', 'qom-list', '/machine', 'qom-get', 'type', 'qom-set', 'sum', 'cpu', 'log', 'none', 'help',
         '?', 'print',
         'stop', 'cont', 'system_reset', 'mtree', 'qtree', 'ringbuf_write', 'ringbuf_read', 'ring', '\t', '\x7f', 'ä')


class Storm(Test):
    def machine(self):
        vm = self.start('-M', 'virt', '-bios', 'none', '-nodefaults', '-display', 'none', '-S', '-chardev',
                        'ringbuf,id=ring')
        self.names = [c['name'] for c in vm.command('query-commands') if c['name'] not in LEFT_OUT]
        entries = {e['name']: e for e in vm.command('query-qmp-schema')}
        self.arguments = {name: [m['name'] for m in entries[entries[name]['arg-type']]['members']]
                          for name in self.names}
        self.random = random.Random(SEED)
        return vm

    def request(self):
        name = self.random.choice(self.names)
        keys = self.arguments[name] + ['nothing']
        chosen = self.random.sample(keys, self.random.randrange(len(keys)))
        arguments = {key: self.random.choice(VALUES) for key in chosen}
        if name == 'human-monitor-command':
            arguments['command-line'] = 'info status'
        return {'execute': name, 'arguments': arguments}

    def assert_alive(self, vm, mark):
        vm.send(b'\xff' + json.dumps({'execute': 'query-kvm', 'id': mark}).encode())
        while vm.reply().get('id') != mark:
            pass

    def test_requests(self):
        vm = self.machine()
        for _ in range(REQUESTS):
            vm.send(json.dumps(self.request()))
            self.assertEqual(len({'return', 'error'} & set(vm.reply())), 1)
        self.assert_alive(vm, 'end')

    def test_changed_bytes(self):
        vm = self.machine()
        for i in range(REQUESTS // 10):
            text = bytearray(json.dumps(self.request()).encode())
            for _ in range(self.random.randrange(1, 4)):
                text[self.random.randrange(len(text))] = self.random.randrange(256)
            if b'quit' not in text:
                vm.send(bytes(text))
                self.assert_alive(vm, i)

    def test_lines(self):
        vm = self.machine()
        for _ in range(LINES):
            line = ' '.join(self.random.choices(WORDS, k=self.random.randrange(1, 7)))
            self.assertIsInstance(vm.hmp(line), str)
        self.assert_alive(vm, 'end')


if __name__ == '__main__':
    main()
