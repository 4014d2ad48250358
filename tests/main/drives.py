"""Disks of machines: -drive's options, the commands about disks, limits, snapshots, images that are only read."""
import hashlib
import json
import os
import subprocess
import tempfile

from client import QmpError, Test, main, run

VIRT = ('-M', 'virt', '-display', 'none', '-nodefaults', '-bios', 'none', '-S')
MIB = 1 << 20


class Drives(Test):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder_path = folder.name
        for name in ('disk', 'other'):
            with open(self.path(name), 'wb') as file:
                file.write(name.encode() * 1000)
                file.truncate(MIB)

    def path(self, name):
        return os.path.join(self.folder_path, name)

    def img(self, *arguments):
        program = os.path.join(os.path.dirname(self.program()), 'myna-img')
        subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)

    def raw(self, name='disk', **options):
        text = ''.join(f',{key}={value}' for key, value in options.items())
        return ('-drive', f'file={self.path(name)},format=raw{text}')

    def refused(self, *arguments):
        status, output = run(self.program(), *VIRT, *arguments)
        self.assertEqual(status, 1, output)
        return output

    def digest(self, name):
        with open(self.path(name), 'rb') as file:
            return hashlib.sha256(file.read()).hexdigest()

    # -- places

    def test_places(self):
        image = self.path('image')
        self.img('create', '-q', '-f', 'qcow2', image, '1M')
        for arguments, name, read_only in ((('-hda', image), 'virtio0', False), (('-hdd', image), 'virtio3', False),
                                           (('-cdrom', image), 'virtio2', True), ((image,), 'virtio0', False),
                                           (self.raw(unit=7), 'virtio7', False)):
            vm = self.start(*VIRT, *arguments)
            drive, = vm.command('query-block')
            vm.command('quit')
            vm.wait()
            self.assertEqual((drive['device'], drive['inserted']['ro']), (name, read_only), arguments)
            self.assertEqual(drive['qdev'], '/machine/peripheral-anon/device[0]')
        vm = self.start(*VIRT, *self.raw(), *self.raw('other'))
        self.assertEqual([drive['device'] for drive in vm.command('query-block')], ['virtio0', 'virtio1'])

    def test_refusals(self):
        disk = self.path('disk')
        for arguments, words in (
                (('-fda', disk), 'machine type does not support if=floppy,bus=0,unit=0'),
                (('-sd', disk), 'machine type does not support if=sd,bus=0,unit=0'),
                (('-mtdblock', disk), 'machine type does not support if=mtd,bus=0,unit=0'),
                (self.raw(**{'if': 'ide'}), 'machine type does not support if=ide,bus=0,unit=0'),
                (self.raw(index=1, unit=1), 'index cannot be used with bus and unit'),
                (self.raw(index=2) + self.raw('other', index=2), 'drive with bus=0, unit=2 (index=2) exists'),
                (self.raw(driver='raw'), "Cannot specify both 'driver' and 'format'"),
                (self.raw(rerror='enospc'), "'enospc' invalid read error action"),
                (self.raw(iops=10, iops_rd=5), 'cannot be used at the same time'),
                (('-drive', f'file={disk},format=raw,throttling.bps-total-max=10'), 'require corresponding'),
                (self.raw(id='a') + self.raw('other', id='a'), "Duplicate ID 'a' for drive")):
            self.assertIn(words, self.refused(*arguments))

    # -- what is above an image

    def io(self, socket, *commands):
        program = os.path.join(os.path.dirname(self.program()), 'qemu-io')
        words = [word for command in commands for word in ('-c', command)]
        return subprocess.run([program, '-f', 'raw', *words, f'nbd+unix:///n0?socket={socket}'], timeout=60,
                              capture_output=True, text=True, check=False).stdout

    def test_image_corrupted(self):
        """An image in which a table is found to be wrong is marked, only read from then on, and told of."""
        image, socket = self.path('image'), self.path('socket')
        self.img('convert', '-f', 'raw', '-O', 'qcow2', self.path('disk'), image)
        with open(image, 'r+b') as file:
            file.seek(0x20000)
            file.write(bytes(32))  # no cluster is counted: new ones would be where tables are
        vm = self.start(*VIRT, '-drive', f'file={image},if=none,id=d0,node-name=n0,format=qcow2')
        vm.command('nbd-server-start', {'addr': {'type': 'unix', 'data': {'path': socket}}})
        vm.command('block-export-add', {'type': 'nbd', 'id': 'e', 'node-name': 'n0', 'writable': True})
        self.assertIn('write failed: Input/output error', self.io(socket, 'write 512k 64k'))
        data = vm.client.wait_event('BLOCK_IMAGE_CORRUPTED')['data']
        self.assertRegex(data.pop('msg'), 'is not counted')
        self.assertEqual(data, {'device': 'd0', 'node-name': 'n0', 'offset': 0, 'size': 65536, 'fatal': True})
        written = self.io(socket, 'write 0 64k', 'read -P 0 256k 64k')
        self.assertIn('write failed: Input/output error', written)
        self.assertIn('read 65536/65536', written)
        nodes = {node['node-name']: node for node in vm.command('query-named-block-nodes')}
        for drive in vm.command('query-block')[0]['inserted'], nodes['n0']:
            self.assertTrue(drive['image']['format-specific']['data']['corrupt'])
        with self.assertRaisesRegex(QmpError, 'corrupt'):
            vm.command('block_resize', {'node-name': 'n0', 'size': 2 * MIB})
        vm.command('quit')
        vm.wait()
        program = os.path.join(os.path.dirname(self.program()), 'myna-img')
        shown = subprocess.run([program, 'info', image], check=True, capture_output=True, text=True).stdout
        self.assertIn('corrupt: true', shown)
        self.assertIn('is corrupt; cannot be opened read/write', self.refused('-drive', f'file={image},format=qcow2'))
        self.img('check', '-q', '-r', 'all', image)
        self.start(*VIRT, '-drive', f'file={image},format=qcow2').command('quit')

    def test_shared_writes(self):
        """While a device has a drive nobody else writes to it, unless it has share-rw; before, anybody may."""
        for device, free in ((), True), (('-device', 'virtio-blk-device,drive=d0,share-rw=on'), True), \
                (('-device', 'virtio-blk-device,drive=d0'), False):
            vm = self.start(*VIRT, *self.raw(**{'if': 'none', 'id': 'd0', 'node-name': 'n0'}), *device)
            vm.command('nbd-server-start', {'addr': {'type': 'unix', 'data': {'path': self.path('socket')}}})
            add = {'type': 'nbd', 'id': 'e', 'node-name': 'n0', 'writable': True}
            if free:
                vm.command('block-export-add', add)
            else:
                with self.assertRaisesRegex(QmpError, "not shared by drive 'd0'"):
                    vm.command('block-export-add', add)
            vm.command('quit')
            vm.wait()

    def test_snapshot(self):
        before = self.digest('disk')
        zeroes = {'detect-zeroes': 'unmap', 'discard': 'unmap'}
        for arguments in (self.raw(snapshot='on', **zeroes), (*self.raw(), '-snapshot')):
            vm = self.start(*VIRT, *arguments)
            node = vm.command('query-block')[0]['inserted']
            self.assertEqual(node['detect_zeroes'], 'unmap' if 'unmap' in arguments[1] else 'off')
            self.assertEqual((node['drv'], node['ro'], node['backing_file']), ('qcow2', False, self.path('disk')))
            self.assertTrue(node['cache']['no-flush'])
            self.assertFalse(os.path.exists(json.loads(node['file'][5:])['file']['filename']))
            vm.command('quit')
            vm.wait()
        self.assertEqual(self.digest('disk'), before)
        node = self.start(*VIRT, *self.raw(snapshot='off'), '-snapshot').command('query-block')[0]['inserted']
        self.assertEqual(node['drv'], 'raw')

    def test_copy_on_read(self):
        self.img('create', '-q', '-f', 'qcow2', '-b', self.path('disk'), '-F', 'raw', self.path('top'))
        vm = self.start(*VIRT, '-drive', f"file={self.path('top')},format=qcow2,copy-on-read=on")
        self.assertEqual(vm.command('query-block')[0]['inserted']['drv'], 'qcow2')
        self.assertEqual(sorted(node['drv'] for node in vm.command('query-named-block-nodes')),
                         ['file', 'file', 'qcow2', 'raw'])

    # -- limits

    def test_limits(self):
        vm = self.start(*VIRT, *self.raw(id='d', **{'throttling.iops-total': 50, 'throttling.iops-total-max': 100,
                                                    'throttling.group': 'g'}), *self.raw('other', bps_rd=1000))
        first, second = [drive['inserted'] for drive in vm.command('query-block')]
        self.assertEqual((first['iops'], first['iops_max'], first['group']), (50, 100, 'g'))
        self.assertEqual((second['bps_rd'], second['group']), (1000, 'virtio1'))
        none = dict.fromkeys(('bps', 'bps_rd', 'bps_wr', 'iops', 'iops_rd', 'iops_wr'), 0)
        vm.command('block_set_io_throttle', {**none, 'device': 'd', 'iops': 7, 'iops_size': 4096, 'group': 'h'})
        first = vm.command('query-block')[0]['inserted']
        self.assertEqual((first['iops'], first['iops_size'], first['group']), (7, 4096, 'h'))
        vm.command('block_set_io_throttle', {**none, 'device': 'd'})
        self.assertNotIn('group', vm.command('query-block')[0]['inserted'])
        vm.hmp('block_set_io_throttle d 1 0 0 2 0 0')
        self.assertIn('bps=1 bps_rd=0 bps_wr=0', vm.hmp('info block d'))
        with self.assertRaises(QmpError):
            vm.command('block_set_io_throttle', {**none, 'device': 'd', 'iops_max': 5})

    def test_groups(self):
        node = f"driver=throttle,throttle-group=g,node-name=n,file.driver=file,file.filename={self.path('disk')}"
        vm = self.start(*VIRT, '-object', 'throttle-group,id=g,x-iops-total=20', '-blockdev', node)
        limits = vm.command('qom-get', {'path': '/objects/g', 'property': 'limits'})
        self.assertEqual((limits['iops-total'], limits['iops-total-max-length'], limits['bps-read']), (20, 1, 0))
        vm.command('qom-set', {'path': '/objects/g', 'property': 'limits', 'value': {'iops-total-max': 40}})
        limits = vm.command('qom-get', {'path': '/objects/g', 'property': 'limits'})
        self.assertEqual((limits['iops-total'], limits['iops-total-max']), (20, 40))
        with self.assertRaises(QmpError):
            vm.command('qom-set', {'path': '/objects/g', 'property': 'limits', 'value': {'iops-read': 4}})
        with self.assertRaises(QmpError):
            vm.command('object-del', {'id': 'g'})
        vm.command('blockdev-del', {'node-name': 'n'})
        vm.command('object-del', {'id': 'g'})

    # -- commands

    def test_resize(self):
        vm = self.start(*VIRT, *self.raw(id='d', **{'if': 'none', 'node-name': 'n'}), '-device',
                        'virtio-blk-device,drive=d,id=v')
        vm.command('block_resize', {'device': 'd', 'size': 2 * MIB})
        self.assertEqual(os.path.getsize(self.path('disk')), 2 * MIB)
        vm.command('block_resize', {'node-name': 'n', 'size': 3 * MIB})
        vm.hmp('block_resize d 4')
        self.assertEqual(vm.command('query-block')[0]['inserted']['image']['virtual-size'], 4 * MIB)

    def test_statistics(self):
        vm = self.start(*VIRT, *self.raw(id='d'))
        drive, = vm.command('query-blockstats')
        self.assertEqual((drive['device'], drive['stats']['rd_bytes']), ('d', 0))
        self.assertIn('wr_highest_offset', drive['parent']['stats'])
        self.assertEqual(len(vm.command('query-blockstats', {'query-nodes': True})), 2)
        self.assertIn('d: rd_bytes=0', vm.hmp('info blockstats'))

    def test_without_medium(self):
        vm = self.start(*VIRT, '-drive', 'if=none,id=e')
        self.assertEqual(vm.command('query-block'),
                         [{'device': 'e', 'type': 'unknown', 'removable': True, 'locked': False}])
        self.assertEqual(vm.command('query-named-block-nodes'), [])
        self.assertEqual(vm.command('query-blockstats')[0]['device'], 'e')
        self.assertTrue(vm.hmp('info block').startswith('e: [not inserted]'))
        with self.assertRaisesRegex(QmpError, "Device 'e' has no medium"):
            vm.command('block_resize', {'device': 'e', 'size': 512})
        self.assertEqual(vm.hmp('commit e'), "Device 'e' has no medium\n")
        for arguments, words in ((('-drive', 'if=none,id=e', '-device', 'virtio-blk-device,drive=e'),
                                  'Device needs media, but drive is empty'),
                                 (('-drive', 'id=e'), 'Device needs media, but drive is empty'),
                                 (('-drive', 'if=none,id=e,cache=none'), 'Must specify either driver or file'),
                                 (('-drive', 'if=none,format=raw'), 'A block device must be specified for "file"')):
            self.assertIn(words, self.refused(*arguments))

    def test_media(self):
        """Drives that no device uses: their medium goes and comes, with its modes, limits and exports."""
        disk, other = self.path('disk'), self.path('other')
        limits = {'bps_rd': 7, 'detect-zeroes': 'on', 'cache': 'unsafe', 'id': 'd', 'if': 'none'}
        vm = self.start(*VIRT, *self.raw(**limits), '-drive', 'if=none,id=e,readonly=on,detect-zeroes=on',
                        '-blockdev', 'driver=null-co,node-name=n,size=1M', '-device', 'virtio-blk-device,drive=n,id=v')

        def change(device, filename, **more):
            vm.command('blockdev-change-medium', {'device': device, 'filename': filename, **more})

        def inserted(device='d'):
            return {drive['device']: drive for drive in vm.command('query-block')}[device].get('inserted')

        vm.command('nbd-server-start', {'addr': {'type': 'unix', 'data': {'path': self.path('socket')}}})
        vm.command('nbd-server-add', {'device': 'd'})
        vm.command('eject', {'device': 'd'})
        self.assertEqual(vm.client.wait_event('BLOCK_EXPORT_DELETED')['data'], {'id': 'd'})
        self.assertIsNone(inserted())
        self.assertEqual(vm.command('query-block-exports'), [])
        vm.command('eject', {'device': 'd'})
        self.assertIn('d: [not inserted]', vm.hmp('info block'))
        for line, ro in (('d %s raw', False), ('d %s raw read-only', True), ('-f d %s raw', True),
                         ('d -f %s raw read-write', False)):
            self.assertEqual(vm.hmp('change ' + line % other), '', line)
            self.assertEqual((inserted()['file'], inserted()['ro']), (other, ro), line)
            self.assertEqual((inserted()['cache']['no-flush'], inserted()['detect_zeroes'], inserted()['bps_rd']),
                             (True, 'on', 7))
            if line.startswith('d -f'):
                self.assertEqual(vm.hmp('eject -f d'), '')
        change('d', disk, format='raw')
        with self.assertRaisesRegex(QmpError, 'nosuch'):
            change('d', self.path('nosuch'))
        self.assertEqual(inserted()['file'], disk)
        change('e', other, format='raw')
        self.assertEqual((inserted('e')['ro'], inserted('e')['detect_zeroes']), (True, 'on'))
        vm.command('blockdev-open-tray', {'device': 'd'})
        vm.command('blockdev-close-tray', {'device': 'd'})
        node = {'id': 'v', 'node-name': 'n'}
        for command, arguments, words in (
                ('eject', {'id': 'v'}, "Device 'v' is not removable"), ('eject', {'id': 'x'}, "Device 'x' not found"),
                ('eject', {'device': 'n'}, "Device 'n' not found"), ('eject', {}, "exactly one of 'device' and 'id'"),
                ('eject', {'id': '/machine/peripheral/v', 'force': True}, 'is not removable'),
                ('blockdev-change-medium', {'id': 'v', 'filename': disk}, 'is not removable'),
                ('blockdev-open-tray', {'id': 'v'}, 'is not removable'),
                ('blockdev-close-tray', {'id': 'v'}, 'is not removable'),
                ('blockdev-remove-medium', {'id': 'v'}, 'is not removable'),
                ('blockdev-insert-medium', node, "Node 'n' is already in use"),
                ('blockdev-insert-medium', {**node, 'node-name': 'x'}, "Node 'x' not found")):
            with self.assertRaisesRegex(QmpError, words):
                vm.command(command, arguments)
        self.assertIn('expects', vm.hmp(f'change d {disk} raw sometimes'))
        vm.command('quit')
        self.assertEqual(vm.wait(), 0)

    def test_write_threshold(self):
        vm = self.start(*VIRT, '-blockdev', f"driver=file,filename={self.path('disk')},node-name=f0,discard=unmap",
                        '-blockdev', 'driver=raw,file=f0,node-name=n0,discard=unmap')
        socket = self.path('socket')
        vm.command('nbd-server-start', {'addr': {'type': 'unix', 'data': {'path': socket}}})
        vm.command('block-export-add', {'type': 'nbd', 'id': 'e', 'node-name': 'n0', 'writable': True})

        def set_threshold(node, bytes_):
            vm.command('block-set-write-threshold', {'node-name': node, 'write-threshold': bytes_})

        def shown():
            return {node['node-name']: node['write_threshold'] for node in vm.command('query-named-block-nodes')}

        for write in 'write -q 512 64k', 'write -q -z 512 64k':
            set_threshold('f0', 65536)
            self.assertEqual(shown(), {'f0': 65536, 'n0': 0})
            self.assertEqual(self.io(socket, 'write -q 0 64k', 'read -q 0 1M', 'discard -q 64k 64k'), '')
            self.assertEqual(shown()['f0'], 65536)
            self.assertEqual(self.io(socket, write), '')
            self.assertEqual(vm.client.wait_event('BLOCK_WRITE_THRESHOLD')['data'],
                             {'node-name': 'f0', 'write-threshold': 65536, 'amount-exceeded': 512})
            self.assertEqual(shown()['f0'], 0)
        set_threshold('n0', 65536)
        set_threshold('n0', 0)
        self.assertEqual(self.io(socket, 'write -q 512 64k'), '')
        self.assertEqual(shown(), {'f0': 0, 'n0': 0})
        with self.assertRaisesRegex(QmpError, "Device 'x' not found"):
            set_threshold('x', 1)
        nodes = {node['node-name']: node for node in vm.command('query-blockstats', {'query-nodes': True})}
        for stats in nodes['f0'], nodes['n0']['parent']:
            self.assertEqual(stats['driver-specific'], {'driver': 'file', 'discard-nb-ok': 2, 'discard-nb-failed': 0,
                                                        'discard-bytes-ok': 131072})
        self.assertNotIn('driver-specific', nodes['n0'])
        vm.command('quit')
        self.assertEqual(vm.client.wait_event('BLOCK_EXPORT_DELETED')['data'], {'id': 'e'})
        self.assertEqual(vm.wait(), 0)

    def test_node_after_its_device(self):
        """A device that could not be plugged in leaves its node as it was."""
        vm = self.start(*VIRT, '-blockdev', 'driver=null-co,node-name=n')
        with self.assertRaisesRegex(QmpError, 'hotplugging'):
            vm.command('device_add', {'driver': 'virtio-blk-device', 'drive': 'n'})
        self.assertEqual((vm.command('query-block'), vm.command('query-blockstats'), vm.hmp('info block')),
                         ([], [], ''))
        with self.assertRaisesRegex(QmpError, 'hotplugging'):
            vm.command('device_add', {'driver': 'virtio-blk-device', 'drive': 'n'})
        vm.command('blockdev-del', {'node-name': 'n'})
        self.assertEqual(vm.command('query-named-block-nodes'), [])

    def test_added_and_deleted(self):
        vm = self.start(*VIRT, *self.raw(**{'if': 'none', 'id': 'd'}), '-device', 'virtio-blk-device,drive=d,id=v')
        other = self.path('other')
        self.assertEqual(vm.hmp(f'drive_add 0 if=none,id=x,file={other},format=raw'), 'OK\n')
        self.assertEqual(vm.hmp(f'drive_add 0 if=none,id=x,file={other}'), "Duplicate ID 'x' for drive\n")
        self.assertEqual(vm.hmp(f'drive_add 0 id=y,file={other}'), "Can't hot-add drive to type 7\n")
        self.assertEqual(vm.hmp('drive_add -n 0 driver=null-co,node-name=n'), '')
        self.assertEqual(vm.hmp('drive_add -n 0 driver=null-co'), "'node-name' needs to be specified\n")
        for name in ('x', 'n', 'd'):
            self.assertEqual(vm.hmp(f'drive_del {name}'), '')
            self.assertEqual(vm.hmp(f'drive_del {name}'), f"Device '{name}' not found\n")
        self.assertEqual(vm.command('query-block'),
                         [{'device': '', 'qdev': 'v', 'type': 'unknown', 'removable': False, 'locked': False}])
        self.assertEqual(vm.hmp('info block'), 'v: [not inserted]\n    Attached to:      v\n')
        self.assertEqual(vm.hmp(f"drive_add 0 if=none,id=d,file={self.path('disk')},format=raw"), 'OK\n')

    def test_commit(self):
        base, top = self.path('disk'), self.path('top')
        self.img('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', top, '2M')
        program = os.path.join(os.path.dirname(self.program()), 'qemu-io')
        subprocess.run([program, '-c', 'write -q -P 7 64k 64k', '-c', 'write -q -P 8 1536k 4k', top], check=True)
        vm = self.start(*VIRT, '-drive', f'file={top},format=qcow2,id=d', *self.raw('other', id='o'))
        self.assertEqual(vm.hmp('commit d'), '')
        self.assertEqual(vm.hmp('commit d'), '')
        self.assertEqual(vm.hmp('commit o'), "'commit' error for 'o': Operation not supported\n")
        self.assertEqual(vm.hmp('commit x'), "Device 'x' not found\n")
        nodes = {node['file']: node['ro'] for node in vm.command('query-named-block-nodes')}
        self.assertEqual(nodes, {top: False, base: True, self.path('other'): False})
        vm.command('quit')
        vm.wait()
        with open(base, 'rb') as file:
            data = file.read()
        self.assertEqual((len(data), data[:4], data[65536:131072], data[1536 << 10:1540 << 10]),
                         (2 * MIB, b'disk', b'\7' * 65536, b'\10' * 4096))
        shown = subprocess.run([os.path.join(os.path.dirname(program), 'qemu-img'), 'map', '--output=json', top],
                               check=True, capture_output=True, text=True).stdout
        self.assertEqual({entry['depth'] for entry in json.loads(shown)}, {1})

    def test_commit_of_snapshot(self):
        """What was written with -snapshot goes into the image that was there."""
        socket = self.path('socket')
        vm = self.start(*VIRT, '-snapshot', *self.raw(id='d', **{'if': 'none'}))
        vm.command('nbd-server-start', {'addr': {'type': 'unix', 'data': {'path': socket}}})
        vm.command('nbd-server-add', {'device': 'd', 'name': 'n0', 'writable': True})
        self.assertIn('wrote 4096', self.io(socket, 'write -P 9 0 4k'))
        before = self.digest('disk')
        self.assertEqual(vm.hmp('commit all'), '')
        self.assertNotEqual(self.digest('disk'), before)
        self.assertIn('wrote 4096', self.io(socket, 'read -P 9 0 4k', 'write -P 1 0 4k'))
        vm.command('quit')
        vm.wait()
        with open(self.path('disk'), 'rb') as file:
            self.assertEqual(file.read(4096), b'\t' * 4096)

    def test_latencies(self):
        vm = self.start(*VIRT, *self.raw(**{'id': 'd', 'if': 'none', 'stats-intervals.0': 1000000,
                                            'stats-intervals.1': 60, 'stats-account-invalid': 'off'}),
                        '-device', 'virtio-blk-device,drive=d,id=v,account-failed=off')
        stats = vm.command('query-blockstats')[0]['stats']
        self.assertEqual((stats['account_invalid'], stats['account_failed']), (False, False))
        self.assertEqual([one['interval_length'] for one in stats['timed_stats']], [1000000, 60])
        self.assertNotIn('rd_latency_histogram', stats)

        def histograms():
            stats = vm.command('query-blockstats')[0]['stats']
            return {key[:2]: stats[key]['boundaries'] for key in stats if key.endswith('_histogram')}

        command = 'block-latency-histogram-set'
        vm.command(command, {'id': 'v', 'boundaries': [10, 50], 'boundaries-flush': [7]})
        self.assertEqual(histograms(), {'rd': [10, 50], 'wr': [10, 50], 'zo': [10, 50], 'fl': [7]})
        vm.command(command, {'id': '/machine/peripheral/v', 'boundaries-read': [1, 2]})
        self.assertEqual(histograms()['rd'], [1, 2])
        for boundaries in ([], [0], [5, 5], [5, 4]):
            with self.assertRaisesRegex(QmpError, "Device 'v' set write boundaries fail"):
                vm.command(command, {'id': 'v', 'boundaries-write': boundaries})
        with self.assertRaisesRegex(QmpError, "DeviceNotFound: Device 'd' not found"):
            vm.command(command, {'id': 'd', 'boundaries': [1]})
        vm.command(command, {'id': 'v'})
        self.assertEqual(histograms(), {})
        for value in ('0', 'x', '-1', '4294967296'):
            self.assertIn(f'Invalid interval length: {value}', self.refused(*self.raw(**{'stats-intervals.0': value})))

    def test_info(self):
        self.img('create', '-q', '-f', 'qcow2', '-b', self.path('disk'), '-F', 'raw', self.path('top'))
        self.img('snapshot', '-c', 'before', self.path('top'))
        vm = self.start(*VIRT, '-drive', f"file={self.path('top')},format=qcow2,id=d,if=none,cache=none")
        image = vm.command('query-block')[0]['inserted']['image']
        self.assertEqual([snapshot['name'] for snapshot in image['snapshots']], ['before'])
        self.assertEqual(image['backing-image']['filename'], self.path('disk'))
        self.assertEqual(image['format-specific']['type'], 'qcow2')
        text = vm.hmp('info block -v d')
        for words in ('Removable device: not locked, tray closed', 'Cache mode:       writeback, direct',
                      'chain depth: 1', 'Snapshot list:', 'compat: 1.1'):
            self.assertIn(words, text)
        self.assertEqual(vm.hmp('info block -n').count('Cache mode'), 4)

    def test_read_only_file(self):
        if os.geteuid() == 0:
            self.skipTest('root may write to every file')
        os.chmod(self.path('disk'), 0o444)
        drive, = self.start(*VIRT, *self.raw()).command('query-block')
        self.assertTrue(drive['inserted']['ro'])
        self.assertIn('Permission denied', self.refused(*self.raw(**{'auto-read-only': 'off'})))


if __name__ == '__main__':
    main()
