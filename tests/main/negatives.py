"""Command lines that are refused: each error names what was wrong and, where something is near, what would do."""
import os
import tempfile

from client import Test, main, run

NONE = ('-M', 'none', '-display', 'none', '-nodefaults')

# Arguments, and what the message holds.
ROWS = (
    (['-M', 'vrit'], "'vrit'", "'virt'"),
    (['-M', 'virt-10.1'], "'virt-10.1'", "'virt-10.0'"),
    (['-M', 'q35'], "'q35'", '-machine help'),
    (['-machine', ''], 'machine'),
    (['-M', 'virt,kernle=x'], 'kernle', 'kernel'),
    (['-M', 'virt,aclint=maybe'], 'aclint', 'maybe'),
    (['-M', 'virt,acpi=on'], 'acpi', 'off'),
    (['-M', 'virt,acpi=maybe'], 'acpi', 'maybe'),
    (['-M', 'virt,aia=aplic'], 'aia', 'none'),
    (['-M', 'virt,aia=apic'], 'apic', 'aplic-imsic'),
    (['-M', 'virt,iommu-sys=on'], 'iommu-sys', 'off'),
    (['-M', 'virt,accel=tgc'], 'tgc', "'tcg'"),
    (['-M', 'virt,accel=kvm'], 'invalid accelerator kvm', '-accel help'),
    (['-M', 'virt,accel=kvm:hvf'], 'invalid accelerator kvm', 'invalid accelerator hvf'),
    (['-M', 'none', '-accel', 'kvm'], '-accel kvm: invalid accelerator kvm'),
    (['-M', 'none', '-accel', 'tcg,thraed=multi'], 'thraed'),
    (['-M', 'none', '-accel', 'tcg,thread=multiple'], 'multiple', "'multi'"),
    (['-M', 'none', '-accel', 'tcg,tb-size=-1'], 'tb-size'),
    (['-M', 'none', '-accel', 'tcg,split-wx=off'], 'split-wx', 'never written where it runs'),
    (['-M', 'none', '-accel', 'interp,tb-size=1'], 'tb-size'),
    (['-M', 'none,accel=tcg', '-accel', 'tcg'], 'incompatible'),
    (['-M', 'virt', '-cpu', 'rv63'], 'rv63', 'rv64'),
    (['-M', 'virt', '-cpu', 'rv64,zbaa=on'], 'zbaa', 'zba'),
    (['-M', 'virt', '-cpu', 'rv64,zba=perhaps'], 'zba', 'perhaps'),
    (['-M', 'virt', '-smp', '0'], 'cpus', '0'),
    (['-M', 'virt', '-smp', 'x'], 'cpus', 'x'),
    (['-M', 'virt', '-smp', '1,coers=2'], 'coers', 'cores'),
    (['-M', 'virt', '-smp', '9999'], '9999'),
    (['-M', 'virt', '-smp', '2,books=2'], 'books > 1'),
    (['-M', 'virt', '-smp', '2,drawers=2'], 'drawers > 1'),
    (['-M', 'virt', '-smp', '4,sockets=1,cores=2,threads=1'], '4'),
    (['-M', 'virt', '-m', '1Q'], '1Q'),
    (['-M', 'virt', '-m', '-1'], '-1'),
    (['-M', 'virt', '-m', '99999999999999999999'], '99999999999999999999'),
    (['-nodefualts'], '-nodefualts', "'-nodefaults'"),
    (['--serail', 'null'], 'serail', "'-serial'"),
    (['-serial'], '-serial', 'requires an argument'),
    ([*NONE, '-serial', 'nul'], 'nul', 'null'),
    ([*NONE, '-serial', 'file:/nowhere/a'], '/nowhere/a'),
    ([*NONE, '-serial', 'chardev:x'], "'x'"),
    ([*NONE, '-chardev', 'nul,id=x'], 'nul', 'null'),
    ([*NONE, '-chardev', 'null'], 'id'),
    ([*NONE, '-chardev', 'null,id=x,foo=1'], 'foo'),
    ([*NONE, '-chardev', 'null,id=x', '-chardev', 'null,id=x'], "'x'"),
    ([*NONE, '-chardev', 'file,id=x'], 'path'),
    ([*NONE, '-chardev', "{'backend': 'null', 'id': 5}"], 'id'),
    ([*NONE, '-chardev', "{'backend': 'null'"], 'JSON'),
    ([*NONE, '-chardev', 'stdio,id=a', '-chardev', 'stdio,id=b'], 'only one'),
    ([*NONE, '-mon', 'nothing'], 'nothing'),
    (['-M', 'none', '-gdb', 'tcp::0'], 'no processor'),
    (['-M', 'virt', '-gdb', 'tcp:nowhere.invalid:1'], 'nowhere.invalid'),
    (['-M', 'virt', '-gdb', 'stdio:x'], 'stdio:x', 'tcp:[HOST]:PORT'),
    (['-M', 'virt', '-gdb', 'tcp::1,what=on'], 'what=on'),
    ([*NONE, '-chardev', 'null,id=x', '-mon', 'x,mode=contorl'], 'contorl', 'control'),
    ([*NONE, '-chardev', 'null,id=x', '-mon', 'x,pretty=on'], 'mode=control'),
    ([*NONE, '-chardev', 'null,id=x,mux=on', '-mon', 'x,mode=control'], 'multiplexer'),
    ([*NONE, '-qmp', 'mon:stdio'], 'mon:stdio'),
    ([*NONE, '-device', 'virtio-rgn-device'], 'virtio-rgn-device', 'virtio-rng-device'),
    ([*NONE, '-device', 'virtio-rng-device'], 'bus'),
    (['-M', 'virt', '-bios', 'none', '-device', 'virtio-rng-device,foo=1'], 'foo'),
    (['-M', 'virt', '-bios', 'none', '-device', 'virtio-rng-device,id=a', '-device', 'virtio-rng-device,id=a'], "'a'"),
    (['-M', 'virt', '-bios', 'none', '-device', 'riscv.sifive.plic'], 'riscv.sifive.plic'),
    ([*NONE, '-device', ''], 'driver'),
    ([*NONE, '-object', 'rng-rnadom,id=r'], 'rng-rnadom', 'rng-random'),
    ([*NONE, '-object', 'rng-random'], 'id'),
    ([*NONE, '-object', 'rng-random,id=1'], 'identifier'),
    ([*NONE, '-object', 'memory-backend-ram,id=m,size=1M,prealloc=on,reserve=off'], "'m'", 'incompatible'),
    ([*NONE, '-object', 'rng-random,id=r,fielname=x'], 'fielname', 'filename'),
    (['-M', 'virt', '-drive', 'file=/nowhere/disk,format=raw'], '/nowhere/disk'),
    (['-M', 'virt', '-drive', 'file=/dev/null,format=qcow2'], 'qcow2'),
    (['-M', 'virt', '-drive', 'file=/dev/null,if=idee'], 'idee'),
    (['-M', 'virt', '-kernel', '/nowhere/kernel'], '/nowhere/kernel'),
    (['-M', 'virt', '-bios', '/nowhere/bios'], '/nowhere/bios'),
    (['-M', 'virt', '-bios', 'none', '-dtb', '/nowhere/dtb'], '/nowhere/dtb'),
    (['-M', 'virt', '-bios', 'none', '-fw_cfg', 'name=opt/x'], "'string'"),
    (['-M', 'virt', '-bios', 'none', '-fw_cfg', 'opt/x,string=a,file=b'], 'exactly one'),
    (['-M', 'virt', '-bios', 'none', '-fw_cfg', 'opt/x,file=/nowhere/item'], '/nowhere/item'),
    (['-M', 'virt', '-bios', 'none', '-fw_cfg', 'opt/' + 60 * 'a' + ',string=x'], 60 * 'a'),
    ([*NONE, '-fw_cfg', 'opt/x,string=a'], 'fw_cfg'),
    ([*NONE, '-uuid', 'none'], '-uuid none'),
    ([*NONE, '-seed', 'five'], '-seed five'),
    ([*NONE, '-seed', '18446744073709551616'], '18446744073709551616'),
    ([*NONE, '-run-with', 'async-teardown=maybe'], 'async-teardown', 'maybe'),
    ([*NONE, '-uuid', '01234567-89ab-cdef-0123-456789abcdefg'], 'UUID'),
    ([*NONE, '-name', 'a,proces=b'], 'proces', 'process'),
    ([*NONE, '-name', 'a,debug-threads=off'], 'debug-threads'),
    ([*NONE, '-global', 'nodots'], 'driver.property=value'),
    ([*NONE, '-global', 'driver=a,value=b'], 'property'),
    ([*NONE, '-action', 'reboot=stop'], 'stop', 'reset'),
    ([*NONE, '-action', 'rebot=reset'], 'rebot', 'reboot'),
    ([*NONE, '-msg', 'timestmp=on'], 'timestmp', 'timestamp'),
    ([*NONE, '-run-with', 'chroot=/nowhere'], '/nowhere'),
    ([*NONE, '-run-with', 'user=no-such-user'], 'no-such-user'),
    ([*NONE, '-add-fd', 'fd=0,set=1'], 'standard'),
    ([*NONE, '-add-fd', 'fd=999,set=1'], '999'),
    ([*NONE, '-add-fd', 'set=1'], 'fd'),
    ([*NONE, '-d', 'exek'], 'exek', 'exec'),
    ([*NONE, '-D', '/nowhere/log'], '/nowhere/log'),
    ([*NONE, '-dfilter', 'x'], 'x'),
    ([*NONE, '-trace', 'no_such_event'], 'no_such_event'),
    ([*NONE, '-trace', 'events=/nowhere/events'], '/nowhere/events'),
    ([*NONE, '-pidfile', '/nowhere/pid'], '/nowhere/pid'),
    ([*NONE, '-echr', '0'], 'escape'),
    ([*NONE, '-readconfig', '/nowhere/config'], '/nowhere/config'),
    ([*NONE, '-display', 'gtk'], 'gtk', 'none'),
    (['-M', 'none', '-daemonize', '-nographic'], 'daemonize'),
    ([], 'No machine'),
)

CONFIGS = (
    ('[machine\n', ':1:'),
    ('\n[machien]\n', ':2', "'machien'", "'machine'"),
    ('type = "virt"\n', ':1:', 'section'),
    ('[machine]\n  type = virt\n', ':2:', 'VALUE'),
    ('[machine]\n  type\n', ':2:', 'VALUE'),
    ('[machine]\n  type = "virt\n', ':2:', 'VALUE'),
    ('[machine]\n  type = "vrit"\n', "'vrit'", "'virt'"),
    ('[machine]\n  type = "none"\n[chardev "c"]\n  backend = "nul"\n', ':3', 'null'),
    ('[machine]\0\n', 'NUL'),
)


class Negatives(Test):
    def check(self, arguments, words, program=None):
        status, output = run(program or self.program(), *arguments)
        self.assertEqual(status, 1, output)
        self.assertRegex(output, r'^(qemu-system-riscv64: .*\n)+', output)
        for word in words:
            self.assertIn(word, output)

    def test_rows(self):
        for arguments, *words in ROWS:
            with self.subTest(' '.join(arguments)):
                self.check(arguments, words)

    def test_configuration_files(self):
        for text, *words in CONFIGS:
            with self.subTest(text), tempfile.NamedTemporaryFile() as file:
                file.write(text.encode())
                file.flush()
                self.check(['-display', 'none', '-nodefaults', '-readconfig', file.name], words)

    def test_programs(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, word in (('qemu-system-riscv46', "'riscv64'"), ('myna-system-x86_64', 'x86_64'),
                               ('qemu-foo', None), ('myna', 'usage')):
                link = os.path.join(folder, name)
                os.symlink(os.path.join(os.path.abspath(self.folder), 'myna'), link)
                status, output = run(link, *(['create'] if name == 'qemu-foo' else []))
                self.assertEqual(status, 1, output)
                self.assertIn(word or 'no program', output)

    def test_locked_pid_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'pid')
            first = self.start(*NONE, '-pidfile', path)
            self.check([*NONE, '-pidfile', path], [path, 'lock'])
            with open(path, encoding='ascii') as file:
                self.assertEqual(int(file.read()), first.process.pid)

    def test_taken_address(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'file')
            with open(path, 'w', encoding='ascii') as file:
                file.write('precious')
            self.check([*NONE, '-qmp', f'unix:{path},server=on,wait=off'], [path])
            with open(path, encoding='ascii') as file:
                self.assertEqual(file.read(), 'precious')

    def test_failing_daemon(self):
        self.check([*NONE, '-daemonize', '-chardev', 'nul,id=x'], ['nul'])


if __name__ == '__main__':
    main()
