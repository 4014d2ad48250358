"""The human monitor: what its commands print, what they refuse, and the terminal."""
import os
import pty
import re
import struct
import subprocess
import tempfile

from client import Test, main, read_until, wait_for

NONE = ('-M', 'none', '-nodefaults', '-display', 'none')
VIRT = ('-M', 'virt', '-smp', '2', '-nodefaults', '-display', 'none', '-S')

# auipc t0,0; addi a0,zero,42; c.li a1,5; c.nop; wfi; j .-4
CODE = struct.pack('<IIHHII', 0x00000297, 0x02a00513, 0x4595, 0x0001, 0x10500073, 0xffdff06f)


class Hmp(Test):
    def machine(self, *arguments):
        """A machine whose processors stand at the first instruction of CODE."""
        file = tempfile.NamedTemporaryFile()
        file.write(CODE)
        file.flush()
        self.addCleanup(file.close)
        return self.start(*VIRT, '-bios', file.name, *arguments)

    def test_print(self):
        vm = self.machine()
        for line, text in (('print 1+2*3', '0x7'), ('p/d 0x10', '16'), ('p/c 65', "'A'"), ('p/u -1', str(2 ** 64 - 1)),
                           ('p /d -1', '-1'), ('print $pc', '0x1000'), ('p $zero', '0'), ('p $a0 + $pc', '0x1000')):
            self.assertEqual(vm.hmp(line), text + '\n', line)

    def test_memory(self):
        vm = self.machine()
        self.assertEqual(vm.hmp('xp/3xw 0x80000000'),
                         '0000000080000000: 0x00000297 0x02a00513 0x00014595\n')
        self.assertEqual(vm.hmp('xp/10xb 0x80000000'),
                         '0000000080000000: 0x97 0x02 0x00 0x00 0x13 0x05 0xa0 0x02\n'
                         '0000000080000008: 0x95 0x45\n')
        self.assertEqual(vm.hmp('x/2xg 0x80000000'),
                         '0000000080000000: 0x02a0051300000297 0x1050007300014595\n')
        self.assertEqual(vm.hmp('xp/2dh 0x80000000'), '0000000080000000:   663     0\n')
        self.assertEqual(vm.hmp('xp/2uw 0x80000008'), '0000000080000008:      83349  273678451\n')
        self.assertEqual(vm.hmp('xp/4cb 0x80000000'), "0000000080000000: '\\x97' '\\x02' '\\x00' '\\x00'\n")
        self.assertEqual(vm.hmp('xp/1xw 0x100000000000'), '0000100000000000: Cannot access memory\n')
        self.assertEqual(vm.hmp('x/1xw 0'), '0000000000000000: Cannot access memory\n')

    def test_instructions(self):
        vm = self.machine()
        lines = vm.hmp('xp/6i 0x80000000').splitlines()
        self.assertEqual([re.split(r'\s+', line)[:3] for line in lines],
                         [['0x80000000:', '00000297', 'auipc'], ['0x80000004:', '02a00513', 'li'],
                          ['0x80000008:', '4595', 'li'], ['0x8000000a:', '0001', 'nop'],
                          ['0x8000000c:', '10500073', 'wfi'], ['0x80000010:', 'ffdff06f', 'j']])
        self.assertEqual(vm.hmp('x/1i $pc').split()[:3], ['0x00001000:', '00000297', 'auipc'])
        self.assertEqual(vm.hmp('x/1i 0'), '0x00000000: Cannot access memory\n')

    def test_sum(self):
        vm = self.machine()
        total = 0
        for byte in CODE:
            total = ((total >> 1 | total << 15) + byte) & 0xffff
        self.assertEqual(vm.hmp(f'sum 0x80000000 {len(CODE)}'), f'{total:05}\n')
        self.assertEqual(vm.hmp('sum 0 8'), 'Cannot access memory\n')
        self.assertIn('Error', vm.hmp('sum 0 0x40000001'))

    def test_registers(self):
        vm = self.machine()
        one, every = vm.hmp('info registers'), vm.hmp('info registers -a')
        self.assertRegex(one, r'^\nCPU#0\n(?s:.*) pc +0000000000001000\n')
        self.assertRegex(one, r' x10/a0 +0000000000000000')
        self.assertTrue(every.startswith(one))
        self.assertRegex(every, r'\nCPU#1\n(?s:.*) mhartid +0000000000000001\n')
        self.assertEqual(vm.hmp('info registers 1'), every[len(one):])
        self.assertIn('CPU#2', vm.hmp('info registers 2'))

    def test_registers_after_running(self):
        vm = self.machine()
        vm.command('cont')
        second = {'cpu-index': 1}
        while vm.hmp('print $a1') != '0x5\n' or vm.hmp('print $a1', **second) != '0x5\n':
            pass
        vm.command('stop')
        self.assertEqual(vm.hmp('print $a0'), '0x2a\n')
        self.assertEqual(vm.hmp('print $t0'), '0x80000000\n')
        self.assertEqual(vm.hmp('print $a0', **second), '0x2a\n')

    def test_info(self):
        vm = self.machine('-name', 'guest', '-chardev', 'ringbuf,id=r')
        self.assertEqual(vm.hmp('info status'), 'VM status: paused (prelaunch)\n')
        self.assertEqual(vm.hmp('info name'), 'guest\n')
        self.assertEqual(vm.hmp('info uuid'), '00000000-0000-0000-0000-000000000000\n')
        self.assertRegex(vm.hmp('info version'), r'^10\.0\.0 \(Myna \d')
        self.assertRegex(vm.hmp('info cpus'), r'^\* CPU #0: thread_id=\d+\n  CPU #1: thread_id=\d+\n$')
        self.assertIn('r: filename=ringbuf\n', vm.hmp('info chardev'))
        self.assertEqual(vm.hmp('info network'), '')
        self.assertEqual(vm.hmp('info block'), '')
        self.assertIn('CPU#1: lines raised: 0x0\n', vm.hmp('info irq'))
        self.assertIn('riscv.sifive.plic', vm.hmp('info irq'))
        self.assertEqual(vm.hmp('info kvm'), 'kvm support: not compiled\n')

    def test_info_mem(self):
        text = self.machine().hmp('info mem')
        self.assertTrue(text == 'No translation or protection\n' or 'has no list of mappings' in text, text)

    def test_info_mtree(self):
        vm = self.machine()
        tree, flat = vm.hmp('info mtree'), vm.hmp('info mtree -f')
        self.assertIn('  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n', tree)
        for line in ('0000000010000000-0000000010000007 (prio 0, i/o): serial',
                     '0000000080000000-0000000087ffffff (prio 0, ram): riscv_virt_board.ram'):
            self.assertIn(f'    {line}\n', tree)
            self.assertIn(f'  {line}\n', flat)

    def test_info_block(self):
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(1 << 20)
            vm = self.machine('-drive', f'if=none,id=d0,format=raw,file={file.name},readonly=on')
            text = vm.hmp('info block')
            self.assertRegex(text, f'd0 .#block[0-9]+.: {file.name} .raw, read-only.\n')
            self.assertIn('    Cache mode:       writeback\n', text)

    def test_block_nodes(self):
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(1 << 20)
            vm = self.machine('-blockdev', f'driver=raw,node-name=n0,file.driver=file,file.filename={file.name}')
            vm.command('blockdev-add', {'driver': 'null-co', 'node-name': 'n1', 'size': 4096})
            nodes = vm.command('query-named-block-nodes')
            self.assertEqual(sorted(node['drv'] for node in nodes), ['file', 'null-co', 'raw'])
            self.assertEqual([node['image']['virtual-size'] for node in nodes if node['node-name'] == 'n1'], [4096])
            vm.command('block_resize', {'size': 2 << 20, 'node-name': 'n0'})
            self.assertEqual(os.path.getsize(file.name), 2 << 20)
            vm.command('blockdev-del', {'node-name': 'n1'})
            for name, text in (('n1', "Failed to find node with node-name='n1'"), ('#', 'Failed to find node')):
                self.assertIn(text, vm.ask('blockdev-del', {'node-name': name})['error']['desc'])
            self.assertIn("'node-name' must be specified",
                          vm.ask('blockdev-add', {'driver': 'null-co'})['error']['desc'])

    def test_trees(self):
        vm = self.machine('-device', 'virtio-rng-device,id=rng0')
        qtree, brief = vm.hmp('info qtree'), vm.hmp('info qtree -b')
        self.assertTrue(qtree.startswith('bus: '))
        self.assertRegex(qtree, r'(?m)^ +dev: serial-mm, id ""\n( {4}.*\n)* +mmio 0000000010000000/0000000000000008$')
        self.assertIn('dev: virtio-rng-device, id "rng0"', brief)
        self.assertNotIn(' = ', brief)
        tree = vm.hmp('info qom-tree')
        self.assertTrue(tree.startswith('/machine (virt-10.0-machine)\n'))
        self.assertIn('    /rng0 (virtio-rng-device)\n', tree)
        self.assertEqual(vm.hmp('info qom-tree /machine/peripheral/rng0').splitlines()[0], '/rng0 (virtio-rng-device)')
        self.assertIn('/nowhere', vm.hmp('info qom-tree /nowhere'))

    def test_info_roms(self):
        vm = self.machine()
        text = vm.hmp('info roms')
        self.assertRegex(text, r'(?m)^addr=0000000000001000 size=0x\w+ mem=rom name="riscv_virt_board.mrom"$')
        self.assertRegex(text, r'(?m)^addr=0000000080000000 size=0x000014 mem=ram name="/')

    def test_run_states(self):
        vm = self.machine()
        for line, status in (('cont', 'running'), ('stop', 'paused'), ('c', 'running'), ('s', 'paused')):
            self.assertEqual(vm.hmp(line), '')
            self.assertEqual(vm.command('query-status')['status'], status)
        vm.hmp('system_reset')
        vm.wait_event('RESET')
        vm.hmp('system_powerdown')
        vm.wait_event('POWERDOWN')
        vm.hmp('quit')
        self.assertEqual(vm.wait(), 0)

    def test_objects_and_devices(self):
        vm = self.machine()
        self.assertEqual(vm.hmp('object_add rng-random,id=r,filename=/dev/urandom'), '')
        self.assertEqual(vm.hmp('qom-get /objects/r filename'), '"/dev/urandom"\n')
        self.assertIn('filename (', vm.hmp('qom-list /objects/r'))
        self.assertIn('rng-random', vm.hmp('object_add rng-rando,id=s'))
        self.assertIn('List of user creatable objects', vm.hmp('object_add help'))
        self.assertIn('virtio-rng-device options:', vm.hmp('device_add virtio-rng-device,help'))
        self.assertEqual(vm.hmp('object_del r'), '')
        self.assertIn("Error: object 'r' not found", vm.hmp('object_del r'))
        self.assertIn('Error', vm.hmp('device_del nothing'))

    def test_log(self):
        vm = self.machine()
        with tempfile.NamedTemporaryFile() as file:
            self.assertEqual(vm.hmp(f'logfile "{file.name}"'), '')
            self.assertEqual(vm.hmp('log exec'), '')
            vm.command('cont')
            wait_for(file.read, 'a log')
            self.assertEqual(vm.hmp('log none'), '')
        self.assertIn('exec', vm.hmp('log exek'))

    def test_help(self):
        vm = self.machine()
        every = vm.hmp('help')
        for name in ('help', 'info', 'quit', 'cont', 'stop', 'system_reset', 'system_powerdown', 'print', 'x', 'xp',
                     'sum', 'log'):
            self.assertRegex(every, rf'(?m)^{name}(\|\S+)? .*-- \S')
        topics = vm.hmp('info')
        for name in ('registers', 'cpus', 'mtree', 'qtree', 'qom-tree', 'mem', 'version', 'status', 'chardev', 'block',
                     'network', 'irq', 'roms'):
            self.assertRegex(topics, rf'(?m)^info {name} .*-- \S')
        self.assertEqual(vm.hmp('help info'), topics)
        self.assertIn('\nin_asm ', vm.hmp('help log'))
        self.assertEqual(vm.hmp('? q'), 'quit|q  -- quit the emulator\n')
        self.assertEqual(vm.hmp('help info status').count('\n'), 1)

    REFUSED = (
        ('nonsense', "unknown command: 'nonsense'"),
        ('inf', "did you mean 'info'"),
        ('info statsu', "did you mean 'status'"),
        ('help nonsense', "unknown command: 'nonsense'"),
        ('print', 'unexpected end'),
        ('print 1 2', 'extraneous'),
        ('print $nope', "unknown register 'nope'"),
        ('xp/q 0', "invalid char in format: 'q'"),
        ('xp/99999999xb 0', 'at most'),
        ('x', 'unexpected end'),
        ('log', 'Try "help log"'),
        ('cpu 9', 'invalid CPU'),
        ('cpu -1', 'invalid CPU'),
        ('info registers -q', 'invalid char'),
        ('object_del', 'string expected'),
        ('object_del a b', 'extraneous'),
        ('object_del "a', 'unterminated'),
        ('qom-get /machine nothing', 'nothing'),
        ('qom-set /machine type x', 'type'),
        ('chardev-send-break x', "'x'"),
        ('closefd x', "'x'"),
        ('device_add', 'string expected'),
        ('device_add virtio-rng-device,foo=1', 'foo'),
    )

    def test_refused(self):
        vm = self.machine()
        for line, words in self.REFUSED:
            with self.subTest(line):
                self.assertIn(words, vm.hmp(line))
        self.assertEqual(vm.hmp(''), '')
        self.assertEqual(vm.hmp('   '), '')

    def test_without_processors(self):
        vm = self.start(*NONE)
        for line in ('x/4xb 0', 'info registers', 'info mem', 'print $pc', 'xp/1i 0'):
            with self.subTest(line):
                self.assertRegex(vm.hmp(line), 'no CPU|unknown register')
        self.assertEqual(vm.hmp('info cpus'), '')
        self.assertEqual(vm.hmp('info registers -a'), '')


class Terminal(Test):
    """-nographic: serial port and monitor on one terminal."""

    def open(self, *arguments):
        master, slave = pty.openpty()
        vm = self.start('-M', 'none', '-display', 'none', *arguments, qmp=False, stdin=slave, stdout=slave,
                        stderr=slave)
        os.close(slave)
        self.addCleanup(os.close, master)
        return vm, master

    def ask(self, terminal, keys, until):
        os.write(terminal, keys)
        return read_until(terminal, until)

    def test_session(self):
        vm, terminal = self.open('-monitor', 'stdio')
        self.assertIn(b"type 'help' for more information", read_until(terminal, '(qemu) '))
        self.ask(terminal, b'info stat\t\r', b'VM status: running\r\r\n(qemu) ')
        self.ask(terminal, b'st\t', b'stop ')
        self.ask(terminal, b'\r', b'\r\r\n(qemu) ')
        self.ask(terminal, b'\x1b[A\x1b[A\r', b'VM status: paused\r\r\n(qemu) ')
        self.ask(terminal, b'sys\t', b'system_')
        self.ask(terminal, b'\t\t', b'system_reset ')
        self.ask(terminal, b'\x15q\r', b'q\r\r\n')
        self.assertEqual(vm.wait(), 0)

    def test_multiplexer(self):
        vm, terminal = self.open('-nographic', '-M', 'virt', '-bios', 'none', '-S')
        self.assertIn(b'C-a x    exit emulator', self.ask(terminal, b'\x01h', b'C-a C-a'))
        self.ask(terminal, b'\x01c', b'(qemu) ')
        self.ask(terminal, b'info status\r', b'VM status: paused (prelaunch)\r\r\n(qemu) ')
        self.ask(terminal, b'\x01c\x01cinfo name\r', b'info name\r\r\n(qemu) ')
        self.ask(terminal, b'\x01x', b'Terminated')
        self.assertEqual(vm.wait(), 0)

    def test_other_escape(self):
        vm, terminal = self.open('-nographic', '-M', 'virt', '-bios', 'none', '-S', '-echr', '2')
        self.ask(terminal, b'\x02h', b'C-b C-b  sends C-b')
        self.ask(terminal, b'\x02x', b'Terminated')
        self.assertEqual(vm.wait(), 0)

    def test_terminal_is_restored(self):
        master, slave = pty.openpty()
        before = subprocess.run(['stty', '-a'], stdin=slave, stdout=subprocess.PIPE, check=True).stdout
        for keys, end in ((b'quit\r', None), (None, 'terminate'), (b'\x01x', None)):
            vm = self.start('-M', 'none', '-nographic', qmp=False, stdin=slave, stdout=slave, stderr=slave)
            read_until(master, '(qemu) ')
            during = subprocess.run(['stty', '-a'], stdin=slave, stdout=subprocess.PIPE, check=True).stdout
            self.assertIn(b'-icanon', during)
            self.assertRegex(during, rb'-echo\s')
            if keys:
                os.write(master, keys)
            else:
                getattr(vm.process, end)()
            vm.wait()
            after = subprocess.run(['stty', '-a'], stdin=slave, stdout=subprocess.PIPE, check=True).stdout
            self.assertEqual(after, before)
        os.close(master)
        os.close(slave)


if __name__ == '__main__':
    main()
