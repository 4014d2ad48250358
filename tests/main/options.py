"""What the options of the program do: processes, files, signals, messages, help."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile

from client import Client, Test, main, read_until, run, wait_for

NONE = ('-M', 'none', '-display', 'none', '-nodefaults')
VIRT = ('-M', 'virt', '-display', 'none', '-nodefaults', '-bios', 'none')


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def running(pid):
    """Not a zombie either, which who adopted it may leave."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


class Options(Test):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder_path = folder.name

    def path(self, name):
        return os.path.join(self.folder_path, name)

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(text)
        return self.path(name)

    def connect(self, path):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        return Client(sock)

    # -- the probe of a management program

    def test_probe(self):
        """Returns when the socket listens and the file is written; what it asks is answered; it goes in order."""
        for target in ('riscv64', 'riscv32'):
            qmp, pid_file = self.path(f'{target}.qmp'), self.path(f'{target}.pid')
            status, output = run(self.program(target), '-S', '-no-user-config', '-nodefaults', '-nographic', '-machine',
                                 'none,accel=kvm:tcg', '-qmp', f'unix:{qmp},server=on,wait=off', '-pidfile', pid_file,
                                 '-daemonize')
            self.assertEqual(status, 0)
            self.assertEqual([line.partition(': ')[2] for line in output.splitlines()],
                             ['invalid accelerator kvm', 'falling back to tcg'])
            with open(pid_file, encoding='ascii') as file:
                pid = int(file.read())
            client = self.connect(qmp)
            for name in ('query-version', 'query-target', 'query-qmp-schema', 'query-commands', 'query-machines',
                         'query-cpu-definitions', 'query-kvm', 'qom-list-types', 'query-command-line-options'):
                client.command(name)
            self.assertEqual(client.command('query-status'), {'running': False, 'status': 'prelaunch'})
            self.assertEqual(os.readlink(f'/proc/{pid}/cwd'), '/')
            self.assertEqual(os.readlink(f'/proc/{pid}/fd/0'), '/dev/null')
            self.assertEqual(os.getsid(pid) == pid, False)
            self.assertEqual((os.stat(pid_file).st_mode & 0o777, os.stat(qmp).st_mode & 0o027), (0o600, 0o000))
            client.command('quit')
            client.wait_event('SHUTDOWN')
            wait_for(lambda: not alive(pid), 'the end of the daemon')
            self.assertFalse(os.path.exists(qmp) or os.path.exists(pid_file))
            client.close()

    def test_three_commands_in_one_write(self):
        process = subprocess.Popen([self.program(), *NONE, '-qmp', 'stdio'], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        output = process.communicate(b'{"execute":"qmp_capabilities"}{"execute":"query-status"}{"execute":"quit"}')[0]
        lines = [json.loads(line) for line in output.splitlines()]
        self.assertEqual(process.returncode, 0)
        self.assertEqual([list(line)[0] for line in lines if 'event' not in line],
                         ['QMP', 'return', 'return', 'return'])

    # -- ends

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            pid_file = self.path('pid')
            vm = self.start(*NONE, '-pidfile', pid_file)
            vm.process.send_signal(number)
            self.assertEqual(vm.wait_event('SHUTDOWN')['data'], {'guest': False, 'reason': 'host-signal'})
            self.assertEqual(vm.wait(), 0)
            self.assertIn(f'terminating on signal {int(number)} from pid {os.getpid()}', vm.output())
            self.assertFalse(os.path.exists(pid_file))

    def test_signal_while_waiting(self):
        path = self.path('socket')
        vm = self.start(*NONE, '-serial', f'unix:{path},server=on', qmp=False, stderr=subprocess.PIPE)
        self.assertIn(b'info: waiting for connection on: disconnected:unix:',
                      read_until(vm.process.stderr.fileno(), '\n'))
        vm.process.terminate()
        self.assertEqual(vm.wait(), 1)
        self.assertFalse(os.path.exists(path))

    def finisher(self, value):
        """A guest that writes to the test finisher at once."""
        code = (0x00100537).to_bytes(4, 'little')  # lui a0, 0x100
        code += (0x000005b7 | (value + 0x800 & 0xfffff000)).to_bytes(4, 'little')  # lui a1
        code += (0x00058593 | (value & 0xfff) << 20).to_bytes(4, 'little')  # addi a1, a1
        code += (0x00b52023).to_bytes(4, 'little') + (0x0000006f).to_bytes(4, 'little')  # sw a1, (a0); j .
        with open(self.path('guest'), 'wb') as file:
            file.write(code)
        return ('-M', 'virt', '-display', 'none', '-nodefaults', '-bios', self.path('guest'))

    def test_guest_ends(self):
        for value, status in ((0x5555, 0), (0x33333, 3), (0x23333, 2)):
            self.assertEqual(run(self.program(), *self.finisher(value))[0], status)

    def test_guest_ends_under_each_accelerator(self):
        for accelerator in ('tcg', 'jit,thread=single', 'tcg,one-insn-per-tb=on,tb-size=1', 'interp',
                            'interp,thread=single,one-insn-per-tb=on'):
            with self.subTest(accelerator):
                self.assertEqual(run(self.program(), *self.finisher(0x33333), '-smp', '4', '-accel', accelerator),
                                 (3, ''))

    def test_guest_runs_by_turns(self):
        """Four processors that all spin: each has its turn, and a pause finds all of them."""
        with open(self.path('guest'), 'wb') as file:
            # csrr a0, mhartid; slli a0, a0, 3; lui a1, 0x80100; slli a1, a1, 32; srli a1, a1, 32; add a1, a1, a0;
            # addi a2, a2, 1; sd a2, (a1); j -8
            for word in (0xf1402573, 0x00351513, 0x801005b7, 0x02059593, 0x0205d593, 0x00a585b3, 0x00160613, 0x00c5b023,
                         0xff9ff06f):
                file.write(word.to_bytes(4, 'little'))
        vm = self.start('-M', 'virt', '-display', 'none', '-nodefaults', '-bios', self.path('guest'), '-smp', '4',
                        '-accel', 'tcg,thread=single')

        def counts():
            lines = vm.hmp('xp /4dg 0x80100000').splitlines()
            return [int(number) for line in lines for number in line.partition(':')[2].split()]

        for _ in range(2):
            before = counts()
            wait_for(lambda: all(now > then for now, then in zip(counts(), before)), 'each processor')
        vm.command('stop')
        self.assertEqual(counts(), counts())

    def test_guest_resets(self):
        vm = self.start(*self.finisher(0x7777), '-S', '-no-reboot')
        vm.command('cont')
        self.assertEqual(vm.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-reset'})
        self.assertEqual(vm.wait(), 0)
        vm = self.start(*self.finisher(0x7777), '-S')
        vm.command('cont')
        for _ in range(3):
            self.assertEqual(vm.wait_event('RESET')['data'], {'guest': True, 'reason': 'guest-reset'})

    def test_no_shutdown(self):
        for option in (['-no-shutdown'], ['-action', 'shutdown=pause']):
            vm = self.start(*self.finisher(0x5555), '-S', *option)
            vm.command('cont')
            self.assertEqual(vm.wait_event('SHUTDOWN')['data'], {'guest': True, 'reason': 'guest-shutdown'})
            vm.wait_event('STOP')
            self.assertEqual(vm.command('query-status'), {'running': False, 'status': 'shutdown'})
            vm.command('quit')
            self.assertEqual(vm.wait(), 0)

    # -- configuration

    def test_readconfig(self):
        config = self.write('config', '''
            # a comment
            [machine]
              type = "virt"
              firmware = "none"
            [smp-opts]
              cpus = "3"
            [memory]
              size = "64M"
            [chardev "ring"]
              backend = "ringbuf"
              size = "128"
            [device "random"]
              driver = "virtio-rng-device"
            [object "r0"]
              qom-type = "rng-random"
            [global]
              driver = "virtio-rng-device"
              property = "period"
              value = "1000"
            [name]
              guest = "configured"
        ''')
        vm = self.start('-readconfig', config, '-display', 'none', '-nodefaults', '-S', '-m', '96M')
        self.assertEqual(len(vm.command('query-cpus-fast')), 3)
        self.assertEqual(vm.command('query-name'), {'name': 'configured'})
        self.assertEqual(vm.command('qom-get', {'path': '/objects/r0', 'property': 'type'}), 'rng-random')
        tree = vm.hmp('info qtree')
        self.assertIn('virtio-rng-device, id "random"', tree)
        self.assertIn('period = 1000', tree)
        self.assertIn('0000000080000000-0000000085ffffff', vm.hmp('info mtree'))
        self.assertIn('ring', [c['label'] for c in vm.command('query-chardev')])

    def test_globals(self):
        vm = self.start(*NONE, '-global', 'nothing.here=1', '-global', 'rng-random.filename=/dev/zero')
        vm.command('object-add', {'qom-type': 'rng-random', 'id': 'r'})
        self.assertEqual(vm.command('qom-get', {'path': 'r', 'property': 'filename'}), '/dev/zero')
        vm.command('quit')
        vm.wait()
        self.assertIn('warning: global nothing.here=1 has not been used', vm.output())

    def test_machine_and_accelerators(self):
        for option in (['-M', 'virt,accel=tcg'], ['-M', 'virt,accel=kvm:tcg'], ['-M', 'virt', '-accel', 'kvm', '-accel',
                       'tcg,thread=multi'], ['-M', 'virt', '-accel', 'jit,tb-size=8,one-insn-per-tb=on,split-wx=on'],
                       ['-machine', 'type=virt', '-machine', 'aclint=off', '-accel', 'interp,thread=single']):
            vm = self.start(*option, '-display', 'none', '-nodefaults', '-bios', 'none', '-S')
            self.assertEqual(vm.command('qom-get', {'path': '/machine', 'property': 'type'}), 'virt-10.0-machine')

    def test_parts_that_are_absent(self):
        """A management program may ask for a machine without what this one does not have."""
        status, output = run(self.program(), '-display', 'none', '-M', 'virt,acpi=off,aia=none,iommu-sys=auto,usb=off,'
                             f"dt-compatible=acme,,board,dumpdtb={self.path('tree')}")
        self.assertEqual((status, output), (0, ''))
        with open(self.path('tree'), 'rb') as tree:
            self.assertIn(b'acme,board\0', tree.read())

    def test_dumpdtb(self):
        status, output = run(self.program(), '-M', f"virt,dumpdtb={self.path('tree')}", '-display', 'none',
                             '-nodefaults')
        self.assertEqual(status, 0, output)
        with open(self.path('tree'), 'rb') as file:
            self.assertEqual(file.read(4), b'\xd0\x0d\xfe\xed')

    def test_seed(self):
        """The device tree's seed is random, but for -seed."""
        trees = []
        for options in ((), (), ('-seed', '5'), ('-seed', '0x5'), ('-seed', '18446744073709551615')):
            status, output = run(self.program(), '-M', f"virt,dumpdtb={self.path('tree')}", '-display', 'none',
                                 '-nodefaults', *options)
            self.assertEqual(status, 0, output)
            with open(self.path('tree'), 'rb') as file:
                trees.append(file.read())
        self.assertEqual(trees[2], trees[3])
        self.assertEqual(len(set(trees)), 4)

    def test_drives(self):
        for name in ('disk', 'second', 'third'):
            with open(self.path(name), 'wb') as file:
                file.truncate(1 << 20)
        vm = self.start(*VIRT, '-S', '-drive', f"file={self.path('disk')},format=raw,if=none,id=d0",
                        '-device', 'virtio-blk-device,drive=d0', '-drive',
                        f"file={self.path('second')},index=1,readonly=on",
                        self.path('third'))
        self.assertEqual(vm.hmp('info qtree').count('virtio-blk-device'), 3)
        self.assertEqual([drive['inserted']['image']['virtual-size'] for drive in vm.command('query-block')],
                         [1 << 20] * 3)

    def test_descriptors(self):
        with open(self.path('log'), 'wb') as file:
            number = file.fileno()
            vm = self.start(*NONE, '-add-fd', f'fd={number},set=4,opaque=log', '-D', '/dev/fdset/4', '-d', 'exec',
                            pass_fds=[number])
            sets = vm.command('query-fdsets')
        self.assertEqual([(s['fdset-id'], [f['opaque'] for f in s['fds']]) for s in sets], [(4, ['log'])])

    # -- output

    def test_serial_to_file(self):
        """A guest that prints through its serial port."""
        code = b''.join(word.to_bytes(4, 'little') for word in (
            0x10000537, 0x04d00593, 0x00b50023, 0x0000006f))  # lui a0; li a1,'M'; sb a1,(a0); j .
        with open(self.path('guest'), 'wb') as file:
            file.write(code)
        self.start('-M', 'virt', '-bios', self.path('guest'), '-display', 'none', '-nodefaults', '-serial',
                   f"file:{self.path('out')}")
        wait_for(lambda: os.path.exists(self.path('out')) and open(self.path('out'), 'rb').read() == b'M', 'the output')

    def firmware_item(self, key, *options):
        """What a guest reads from fw_cfg and prints."""
        value = key << 8  # big-endian
        words = (0x10100537, 0x000005b7 | (value + 0x800 & 0xfffff000), 0x00058593 | (value & 0xfff) << 20,  # li a1
                 0x00b51423, 0x10000637,                # sh a1, 8(a0); lui a2
                 0x00054683, 0x00d60023, 0xff9ff06f)    # lbu a3, (a0); sb a3, (a2); j
        with open(self.path('guest'), 'wb') as file:
            file.write(b''.join(word.to_bytes(4, 'little') for word in words))
        out = self.path('out')
        vm = self.start('-M', 'virt', '-bios', self.path('guest'), '-display', 'none', '-nodefaults', '-serial',
                        f'file:{out}', *options)
        wait_for(lambda: os.path.getsize(out) > 1024, 'the item')
        vm.command('quit')
        vm.wait()
        with open(out, 'rb') as file:
            return file.read(1024)

    def test_nographic(self):
        """Firmware is told, and the machine's property says so."""
        self.assertEqual(self.firmware_item(4)[:2], b'\0\0')
        self.assertEqual(self.firmware_item(4, '-M', 'graphics=off')[:2], b'\1\0')
        self.assertEqual(self.firmware_item(4, '-nographic')[:2], b'\1\0')

    def test_topology(self):
        vm = self.start(*VIRT, '-S', '-smp', '4,drawers=1,books=1,sockets=2,dies=1,clusters=1,modules=1,cores=2')
        self.assertEqual(len(vm.command('query-cpus-fast')), 4)
        smp = vm.command('qom-get', {'path': '/machine', 'property': 'smp'})
        self.assertEqual([smp[key] for key in ('cpus', 'maxcpus', 'sockets', 'cores', 'threads')], [4, 4, 2, 2, 1])

    def test_fw_cfg(self):
        item = self.write('item', 'a b')
        options = ('-fw_cfg', 'name=opt/text,string=some words', '-fw_cfg', f'opt/file,file={item}')
        directory = self.firmware_item(0x19, *options)
        for name, content in ((b'opt/text', b'some words'), (b'opt/file', b'a b')):
            entry = directory.index(name + b'\0') - 8
            self.assertEqual(int.from_bytes(directory[entry:entry + 4], 'big'), len(content))
            key = int.from_bytes(directory[entry + 4:entry + 6], 'big')
            self.assertEqual(self.firmware_item(key, *options)[:len(content) + 1], content + b'\0')

    def test_log(self):
        """A guest that reads where nothing is."""
        with open(self.path('guest'), 'wb') as file:
            file.write(b''.join(word.to_bytes(4, 'little') for word in (0x02002003, 0x0000006f)))  # lw x0, 32(x0); j .
        self.start('-M', 'virt', '-bios', self.path('guest'), '-display', 'none', '-nodefaults', '-d',
                   'mmu,invalid_mem', '-D', self.path('log'))
        wait_for(lambda: 'Invalid' in open(self.path('log'), encoding='ascii').read(), 'the log')
        with open(self.path('log'), encoding='ascii') as file:
            text = file.read()
        self.assertIn('fetch 0x80000000 in mode 3: physical 0x80000000, rwx', text)
        self.assertIn("Invalid read at addr 0x20, size 4, region '(null)', reason: rejected\n", text)

    def test_log_of_translator(self):
        log = self.path('log')
        for accelerator in ('tcg', 'interp'):
            status, output = run(self.program(), *self.finisher(0x5555), '-accel', accelerator, '-d',
                                 'in_asm,op,out_asm,exec,cpu,nochain', '-dfilter', '0x80000000+0x10', '-D', log)
            self.assertEqual((status, output), (0, ''))
            with open(log, encoding='ascii') as file:
                text = file.read()
            self.assertRegex(text, r'IN:\s*\n0x0*80000000: .*lui')
            self.assertIn('Trace 0: 0x0000000080000000', text)
            self.assertIn('x10/a0', text)
            self.assertNotIn('Trace 0: 0x0000000000001000', text)
            self.assertEqual('OUT: [size=' in text, accelerator == 'tcg')

    def test_translator_report(self):
        vm = self.start(*self.finisher(0x5555), '-S', '-no-shutdown', '-accel', 'tcg,one-insn-per-tb=on')
        vm.command('cont')
        vm.wait_event('STOP')
        text = vm.command('x-query-jit')['human-readable-text']
        self.assertIn('one-insn-per-tb: on\n', text)
        self.assertRegex(text, r'\nTB count +[1-9]')
        self.assertRegex(text, r'\nTB avg insns +1\.0\n')
        self.assertEqual(vm.hmp('info jit').splitlines()[:5], text.splitlines()[:5])
        # Without being asked for, the translator has as much room as it has by its name.
        room, = re.findall(r'\ngen code size +\d+/(\d+)\n', text)
        self.assertIn(f'/{room}\n', self.start(*VIRT, '-S').hmp('info jit'))
        self.assertNotRegex(text, r'\nCPU 0: returns')
        text = self.start(*VIRT, '-S', '-accel', 'tcg,count-jumps=on').hmp('info jit').replace('\r', '')
        self.assertRegex(text, r'\nCPU 0: returns 0: 0% predicted\n')
        self.assertRegex(text, r'\nCPU 0: other indirect jumps that look at their last targets 0: 0%, 0%, 0% hit\n')
        vm = self.start(*VIRT, '-S', '-accel', 'interp')
        self.assertIn('only available with accel=tcg', vm.ask('x-query-jit')['error']['desc'])

    def test_profiles(self):
        status, output = run(self.program(), *self.finisher(0x5555), '-perfmap', '-jitdump', cwd=self.folder_path)
        self.assertEqual((status, output), (0, ''))
        name, = (name for name in os.listdir(self.folder_path) if name.startswith('jit-'))
        pid = name[len('jit-'):-len('.dump')]
        with open(f'/tmp/perf-{pid}.map', encoding='ascii') as file:
            blocks = [line.split() for line in file]
        os.unlink(f'/tmp/perf-{pid}.map')
        address, size, _ = next(block for block in blocks if block[2] == 'guest-0x80000000')
        with open(self.path(name), 'rb') as file:
            dump = file.read()
        self.assertEqual(struct.unpack_from('<4I', dump), (0x4a695444, 1, 40, 62))
        at = 40
        for number in range(len(blocks)):
            kind, length, _, process, _, start, _, code_size, index = struct.unpack_from('<2IQ2I4Q', dump, at)
            self.assertEqual((kind, process, index), (0, int(pid), number))
            found = dump[at + 56:].split(b'\0', 1)[0]
            self.assertEqual(length, 56 + len(found) + 1 + code_size)
            if found == b'guest-0x80000000':
                self.assertEqual((start, code_size), (int(address, 16), int(size, 16)))
            at += length
        self.assertEqual(at, len(dump))
        self.assertIn('-perfmap', run(self.program(), *NONE, '-accel', 'interp', '-perfmap')[1])

    def test_messages(self):
        stamp = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z '
        status, output = run(self.program(), *NONE, '-msg', 'timestamp=on,guest-name=on', '-name', 'me', '-serial',
                             'nul')
        self.assertEqual(status, 1)
        self.assertRegex(output, f'^{stamp}me qemu-system-riscv64: -serial nul: ')
        status, output = run(self.program(), *NONE, '-name', 'me', '-serial', 'nul')
        self.assertRegex(output, '^qemu-system-riscv64: -serial nul: ')

    def test_process_name(self):
        vm = self.start(*NONE, '-name', 'guest=g,process=renamed,debug-threads=on')
        with open(f'/proc/{vm.process.pid}/comm', encoding='ascii') as file:
            self.assertEqual(file.read(), 'renamed\n')

    def test_help(self):
        for arguments, words in (
                (['-help'], ['-machine', '-smp', '-chardev', 'usage: qemu-system-riscv64']),
                (['-h'], ['-readconfig']),
                (['--help'], ['-readconfig']),
                (['-version'], ['QEMU emulator version 10.', 'Myna']),
                (['-M', 'help'], ['virt-10.0', '(alias of virt-10.0)', 'none']),
                (['-machine', 'virt,help'], ['aclint=<bool>', 'pflash0=<str>']),
                (['-cpu', 'help'], ['rv64', 'max']),
                (['-device', 'help'], ['name "virtio-blk-device", bus virtio-bus']),
                (['-device', 'virtio-blk-device,help'], ['drive=<str>', 'queue-size=<uint16>']),
                (['-object', 'help'], ['rng-random', 'memory-backend-ram']),
                (['-object', 'rng-random,help'], ['filename=<str']),
                (['-chardev', 'help'], ['socket', 'ringbuf']),
                (['-chardev', 'socket,help'], ['reconnect-ms']),
                (['-accel', 'help'], ['tcg']),
                (['-d', 'help'], ['in_asm']),
                (['-smp', 'help'], ['cpus=']),
                (['-display', 'help'], ['none'])):
            with self.subTest(arguments):
                status, output = run(self.program(), *arguments)
                self.assertEqual(status, 0, output)
                for word in words:
                    self.assertIn(word, output)
        self.assertNotIn('rv64', run(self.program('riscv32'), '-cpu', 'help')[1])
        self.assertIn('rv32', run(self.program('riscv64'), '-cpu', 'help')[1])
        self.assertIn('rv32', run(self.program('riscv32'), '-cpu', 'help')[1])

    def test_names(self):
        for name in ('qemu-system-riscv64', 'myna-system-riscv64'):
            self.assertEqual(run(os.path.join(self.folder, name), '-version')[0], 0)
        myna = os.path.join(self.folder, 'myna')
        status, output = run(myna, 'system', 'riscv32', '-M', 'nothing')
        self.assertEqual(status, 1)
        self.assertTrue(output.startswith('myna-system-riscv32: '))
        self.assertRegex(run(myna, '--version')[1], r'^Myna \d')
        self.assertIn('riscv64', run(myna, 'help')[1])

    def test_trace(self):
        names = run(self.program(), '-trace', 'help')[1].split()
        self.assertGreater(len(names), 0)
        run_with = self.start(*VIRT, '-S', '-trace', f"enable={names[0]},file={self.path('trace')}")
        run_with.command('query-status')
        self.assertTrue(os.path.exists(self.path('trace')))

    def test_run_with(self):
        if os.getuid():
            self.skipTest('only root can change its root directory and user')
        vm = self.start(*NONE, '-run-with', f'chroot={self.folder_path},user=65534:65534')
        pid = vm.process.pid
        self.assertEqual(os.readlink(f'/proc/{pid}/root'), self.folder_path)
        with open(f'/proc/{pid}/status', encoding='ascii') as file:
            ids = dict(re.findall(r'(?m)^(Uid|Gid|Groups):\s+(.*?)\s*$', file.read()))
        self.assertEqual(set(' '.join(ids.values()).split()), {'65534'})

    def test_async_teardown(self):
        """A second process shares the memory, and goes once the first one is dead."""
        for end in (signal.SIGTERM, signal.SIGKILL):
            vm = self.start(*NONE, '-run-with', 'async-teardown=on')
            pid = vm.process.pid
            with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
                keeper, = map(int, file.read().split())
            wait_for(lambda: open(f'/proc/{keeper}/comm', encoding='ascii').read() == 'cleanup\n', 'its name')
            self.assertEqual(os.listdir(f'/proc/{keeper}/fd'), [])
            vm.process.send_signal(end)
            vm.wait()
            wait_for(lambda: not running(keeper), 'the end of the second process')

    def test_pty(self):
        vm = self.start(*NONE, '-monitor', 'pty', qmp=False)
        name = re.search(rb'redirected to (/dev/pts/\d+) \(label compat_monitor0\)',
                         read_until(vm.process.stdout.fileno(), '\n')).group(1)
        terminal = os.open(name, os.O_RDWR | os.O_NOCTTY)
        self.addCleanup(os.close, terminal)
        read_until(terminal, '(qemu) ')
        os.write(terminal, b'quit\r')
        self.assertEqual(vm.wait(), 0)


if __name__ == '__main__':
    main()
