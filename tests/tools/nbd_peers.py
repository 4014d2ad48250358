#!/usr/bin/env python3
"""NBD with other people's programs, libnbd's and nbdkit, both ways, plain and by TLS; what a machine exports; and the
objects that TLS stands on.

    nbd_peers.py FOLDER_OF_PROGRAMS
"""
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from images import serve_on_free_port

FOLDER = os.path.abspath(sys.argv.pop(1))
SIZE = 4 << 20
CLIENT = 'O=Myna,CN=client'
NBDSH = ['/usr/bin/python3', '-m', 'nbd'] # the shell that libnbd's module is for


def run(*words, check=True, **more):
    words = [os.path.join(FOLDER, words[0]) if words[0].startswith('qemu-') else words[0], *words[1:]]
    result = subprocess.run(words, check=False, timeout=120, capture_output=True, text=True,
                            errors='replace', **more)
    if check and result.returncode:
        raise AssertionError(f'{words}: {result.stderr}')
    return result


def certify(folder, name, *lines, authority=True):
    """A key, and a certificate of the test's own authority."""
    info, key, certificate = (os.path.join(folder, name + end) for end in ('.info', '-key.pem', '-cert.pem'))
    with open(info, 'w', encoding='ascii') as file:
        file.write('\n'.join((*lines, 'expiration_days=3650', '')))
    run('certtool', '--generate-privkey', '--key-type', 'ecdsa', '--outfile', key)
    kind = ['--generate-certificate', '--load-ca-certificate', os.path.join(folder, 'ca-cert.pem'),
            '--load-ca-privkey', os.path.join(folder, 'ca-key.pem')] if authority else ['--generate-self-signed']
    run('certtool', *kind, '--load-privkey', key, '--template', info, '--outfile', certificate)


class PeersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.keys = tempfile.TemporaryDirectory(dir='/var/tmp')
        cls.addClassCleanup(cls.keys.cleanup)
        certify(cls.keys.name, 'ca', 'cn="Authority"', 'ca', 'cert_signing_key', authority=False)
        certify(cls.keys.name, 'server', 'cn="server"', 'tls_www_server', 'signing_key', 'encryption_key',
                'dns_name="localhost"', 'ip_address="127.0.0.1"')
        certify(cls.keys.name, 'client', 'organization="Myna"', 'cn="client"', 'tls_www_client', 'signing_key',
                'encryption_key')
        cls.psk = os.path.join(cls.keys.name, 'keys.psk')
        for user in ('qemu', 'alice'):
            run('psktool', '-u', user, '-p', cls.psk)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir='/var/tmp')
        self.addCleanup(self.folder.cleanup)
        self.image, self.path, self.copy = (os.path.join(self.folder.name, name) for name in ('image', 's', 'copy'))
        self.data = os.urandom(64 << 10) + bytes(SIZE - (64 << 10))
        with open(self.image, 'wb') as file:
            file.write(self.data[:64 << 10])
            file.truncate(SIZE)
        self.uri = f'nbd+unix:///?socket={self.path}'

    def credentials(self, kind, endpoint, *more):
        return ['--object', ','.join((f'tls-creds-{kind}', 'id=tls', f'endpoint={endpoint}', *more,
                                      *([] if kind == 'anon' else [f'dir={self.keys.name}'])))]

    def start(self, *words):
        server = subprocess.Popen(words, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

        def stop():
            server.terminate()
            server.wait(60)
            server.stderr.close()
        self.stop = stop
        self.addCleanup(stop)
        for _ in range(6000):
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(self.path)
                return server
            except OSError:
                self.assertIsNone(server.poll(), server.stderr.read() if server.poll() is not None else '')
                time.sleep(0.01)
        raise AssertionError('no server')

    def serve(self, *options, image=None, fmt='raw'):
        return self.start(os.path.join(FOLDER, 'qemu-nbd'), '-t', '-e', '0', '-k', self.path, '-f', fmt, *options,
                          image or self.image)

    def contents(self, name):
        with open(name, 'rb') as file:
            return file.read()

    # libnbd's programs and our server

    def test_nbdinfo(self):
        self.serve('-x', 'name', '-D', 'words', '-A')
        result = run('nbdinfo', '--json', f'nbd+unix:///name?socket={self.path}').stdout
        export = json.loads(result)['exports'][0]
        self.assertEqual((export['export-name'], export['description'], export['export-size']), ('name', 'words', SIZE))
        self.assertEqual(sorted(export['contexts']), ['base:allocation', 'qemu:allocation-depth'])
        for word in ('can_cache', 'can_df', 'can_fast_zero', 'can_flush', 'can_fua', 'can_multi_conn', 'can_trim',
                     'can_zero'):
            self.assertTrue(export[word], word)
        listed = run('nbdinfo', '--list', self.uri).stdout
        self.assertIn('export="name"', listed)
        extents = json.loads(run('nbdinfo', '--map', '--json', f'nbd+unix:///name?socket={self.path}').stdout)
        self.assertEqual([(extent['offset'], extent['type']) for extent in extents], [(0, 0), (64 << 10, 3)])

    def test_nbdcopy(self):
        self.serve()
        run('nbdcopy', self.uri, self.copy)
        self.assertEqual(self.contents(self.copy), self.data)
        with open(self.copy, 'r+b') as file:
            file.seek(1 << 20)
            file.write(os.urandom(1 << 20))
        run('nbdcopy', '--flush', self.copy, self.uri)
        self.assertEqual(self.contents(self.copy), self.contents(self.image))

    def test_nbdsh(self):
        self.serve()
        run(*NBDSH, '-u', self.uri, '-c', '''
for i in range(64):
    h.aio_pwrite(bytes([i + 1]) * 4096, i * 4096)
while h.aio_in_flight():
    h.poll(-1)
h.flush()
assert all(h.pread(4096, i * 4096) == bytes([i + 1]) * 4096 for i in range(64))
h.zero(4096, 0)
h.trim(4096, 4096)
h.cache(65536, 0)
assert h.pread(4096, 0) == bytes(4096)
try:
    h.pread(512, h.get_size())
    raise SystemExit("read behind the end")
except nbd.Error as error:
    assert error.errno == "EINVAL"
''')

    def test_nbd_client_lists(self):
        pid_file = self.image + 'pid'
        port = serve_on_free_port(lambda port: run(
            'qemu-nbd', '--fork', '--pid-file', pid_file, '-t', '-e', '0', '-b', '127.0.0.1', '-p', port, '-x', 'name',
            '-f', 'raw', self.image, check=False))
        with open(pid_file, encoding='ascii') as file:
            process = int(file.read())
        try:
            self.assertIn('name', run('/usr/sbin/nbd-client', '-l', '127.0.0.1', port, check=False).stdout)
            self.assertIn(" export: 'name'", run('qemu-nbd', '-L', '-b', '127.0.0.1', '-p', port).stdout)
        finally:
            os.kill(process, 15)

    def test_bitmaps(self):
        run('qemu-img', 'create', '-q', '-f', 'qcow2', self.copy, '4M')
        run('qemu-img', 'bitmap', '--add', '-f', 'qcow2', self.copy, 'one')
        run('qemu-io', '-f', 'qcow2', '-c', 'write -q 1M 64k', self.copy)
        run('qemu-img', 'bitmap', '--add', '-f', 'qcow2', self.copy, 'two')
        run('qemu-io', '-f', 'qcow2', '-c', 'write -q 3M 64k', self.copy)
        self.serve('-B', 'one', '-B', 'two', image=self.copy, fmt='qcow2')
        for name, wanted in (('one', [(0, 0), (1 << 20, 1), (1114112, 0), (3 << 20, 1), (3211264, 0)]),
                             ('two', [(0, 0), (3 << 20, 1), (3211264, 0)])):
            result = run('nbdinfo', f'--map=qemu:dirty-bitmap:{name}', '--json', self.uri).stdout
            self.assertEqual([(extent['offset'], extent['type']) for extent in json.loads(result)], wanted)
            context = f'driver=nbd,path={self.path},x-dirty-bitmap=qemu:dirty-bitmap:{name}'
            result = json.loads(run('qemu-img', 'map', '--output=json', '--image-opts', context).stdout)
            self.assertEqual([(extent['start'], int(not extent['data'])) for extent in result], wanted)
        self.assertIn('qemu:dirty-bitmap:two', run('qemu-nbd', '-L', '-k', self.path).stdout)
        result = run('qemu-nbd', '-k', self.path + '2', '-r', '-B', 'three', '-f', 'qcow2', self.copy, check=False)
        self.assertEqual(result.returncode, 1)

    def test_snapshots(self):
        run('qemu-img', 'create', '-q', '-f', 'qcow2', self.copy, '4M')
        run('qemu-io', '-f', 'qcow2', '-c', 'write -q -P 1 0 64k', self.copy)
        run('qemu-img', 'snapshot', '-c', 'before', self.copy)
        run('qemu-io', '-f', 'qcow2', '-c', 'write -q -P 2 0 64k', self.copy)
        for given in ('before', '1', 'snapshot.name=before', 'snapshot.id=1,snapshot.name=before'):
            self.serve('-l', given, image=self.copy, fmt='qcow2')
            run('qemu-io', '-r', '-f', 'raw', '-c', 'read -P 1 0 64k', self.uri)
            self.assertNotEqual(run('qemu-io', '-f', 'raw', '-c', 'write 0 64k', self.uri, check=False).returncode, 0)
            self.stop()
        result = run('qemu-nbd', '-k', self.path, '-l', 'none', '-f', 'qcow2', self.copy, check=False)
        self.assertEqual((result.returncode, result.stderr),
                         (1, "qemu-nbd: Failed to load snapshot: Can't find snapshot\n"))
        self.serve('-s', image=self.copy, fmt='qcow2')
        run('qemu-io', '-f', 'raw', '-c', 'write -P 3 0 64k', '-c', 'read -P 3 0 64k', self.uri)
        run('qemu-io', '-r', '-f', 'qcow2', '-c', 'read -P 2 0 64k', self.copy)

    def test_block_options(self):
        for options in (['--aio', 'threads'], ['--aio', 'io_uring'], ['--cache', 'none', '--aio', 'native'],
                        ['--discard', 'unmap', '--detect-zeroes', 'unmap'], ['-v', '-T', 'nbd_request,file=/dev/null']):
            with self.subTest(options=options):
                self.serve(*options)
                run('qemu-io', '-f', 'raw', '-c', 'write -P 9 1M 64k', '-c', 'read -P 9 1M 64k', '-c',
                    'write -P 0 1M 64k', self.uri)
                self.stop()
        self.assertEqual(self.contents(self.image), self.data)
        self.assertLess(os.stat(self.image).st_blocks * 512, 1 << 20) # zeroes were found and given back

    # nbdkit and our client

    def nbdkit(self, *options):
        self.start('nbdkit', '-f', '-U', self.path, *options, 'file', self.image)

    def test_nbdkit(self):
        self.nbdkit()
        run('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', self.uri, self.copy)
        self.assertEqual(self.contents(self.copy), self.data)
        run('qemu-io', '-f', 'raw', '-c', 'write -P 5 1M 1M', '-c', 'write -z 1M 64k', '-c', 'flush', self.uri)
        run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', self.uri, self.image)

    def test_nbdkit_by_tls(self):
        for kind, options in (('x509', ['--tls-certificates=' + self.keys.name, '--tls-verify-peer']),
                              ('psk', ['--tls-psk=' + self.psk])):
            with self.subTest(kind=kind):
                self.path = os.path.join(self.folder.name, kind)
                self.nbdkit('--tls=require', *options)
                node = f'driver=nbd,path={self.path},tls-creds=tls,tls-hostname=localhost'
                creds = self.credentials(kind, 'client')
                result = run('qemu-nbd', '-L', '-k', self.path, *creds, '--tls-creds', 'tls', '--tls-hostname',
                             'localhost').stdout
                self.assertIn(f'size:  {SIZE}', result)
                result = run('qemu-system-riscv64', '-M', 'none', '-nodefaults', '-display', 'none', '-qmp', 'stdio',
                             *(['-object', creds[1]]), '-blockdev', node + ',node-name=n0',
                             input='{"execute": "qmp_capabilities"} {"execute": "query-named-block-nodes"} '
                                   '{"execute": "quit"}').stdout
                self.assertIn(f'"virtual-size": {SIZE}', result)
                result = run('qemu-img', 'info', f'nbd+unix:///?socket={self.path}', check=False)
                self.assertNotEqual(result.returncode, 0)

    # Our server by TLS

    def copy_by_tls(self, query, user=''):
        return run('nbdcopy', f'nbds+unix://{user}/?socket={self.path}&{query}', self.copy, check=False)

    def test_x509(self):
        self.serve(*self.credentials('x509', 'server'), '--tls-creds', 'tls')
        self.assertEqual(self.copy_by_tls(f'tls-certificates={self.keys.name}&tls-verify-peer=false').returncode, 0)
        self.assertEqual(self.contents(self.copy), self.data)
        self.assertNotEqual(run('nbdinfo', self.uri, check=False).returncode, 0)
        creds = self.credentials('x509', 'client')
        result = run('qemu-nbd', '-L', '-k', self.path, *creds, '--tls-creds', 'tls', '--tls-hostname', 'elsewhere',
                     check=False)
        self.assertEqual(result.stderr, 'qemu-nbd: The certificate does not match the hostname elsewhere\n')
        result = run('qemu-nbd', '-L', '-k', self.path, check=False)
        self.assertIn('TLS negotiation required before option 11 (extended headers)\nDid you forget a valid tls-creds?',
                      result.stderr)
        nameless = os.path.join(self.folder.name, 'nameless') # a client without a certificate
        os.mkdir(nameless)
        os.symlink(os.path.join(self.keys.name, 'ca-cert.pem'), os.path.join(nameless, 'ca-cert.pem'))
        result = run('qemu-nbd', '-L', '-k', self.path, '--object',
                     f'tls-creds-x509,id=tls,endpoint=client,dir={nameless}', '--tls-creds', 'tls', '--tls-hostname',
                     'localhost', check=False)
        self.assertNotEqual(result.returncode, 0)

    def test_our_programs_by_tls(self):
        self.serve(*self.credentials('x509', 'server'), '--tls-creds', 'tls')
        creds = self.credentials('x509', 'client')
        file = {'driver': 'nbd', 'tls-creds': 'tls', 'tls-hostname': 'localhost', 'multi-conn': 3,
                'server': {'type': 'unix', 'path': self.path}}
        plain = 'json:' + json.dumps({'driver': 'raw', 'file': file})
        run('qemu-img', 'convert', *creds, '-f', 'raw', '-O', 'raw', plain, self.copy)
        self.assertEqual(self.contents(self.copy), self.data)
        run('qemu-io', *creds, '-c', 'aio_write -P 7 0 3M', '-c', 'aio_write -P 8 3M 1M', '-c', 'aio_flush', '-c',
            'aio_read -P 7 1M 2M', '-c', 'aio_read -P 8 3M 1M', '-c', 'aio_flush', plain)
        self.assertEqual(self.contents(self.image), b'\7' * (3 << 20) + b'\x08' * (1 << 20))
        uri = 'json:' + json.dumps({'driver': 'raw', 'file': {
            'driver': 'nbd', 'filename': f'nbds+unix:///?socket={self.path}', 'tls-creds': 'tls',
            'tls-hostname': 'localhost'}})
        self.assertIn(f'virtual size: 4 MiB ({SIZE} bytes)', run('qemu-img', 'info', *creds, uri).stdout)
        result = run('qemu-img', 'info', f'nbds+unix:///?socket={self.path}', check=False)
        self.assertIn("'nbds+unix' is NBD by TLS: it needs tls-creds", result.stderr)
        result = run('qemu-img', 'info', f'json:{json.dumps(file)}', check=False)
        self.assertIn("No TLS credentials with id 'tls'", result.stderr)

    def test_machine_by_tls(self):
        execute = self.qmp('-blockdev', f'driver=file,filename={self.image},node-name=disk',
                           *(word.replace('--object', '-object') for word in self.credentials('psk', 'server')),
                           '-object', 'authz-simple,id=who,identity=alice')
        self.assertEqual(execute('nbd-server-start', addr={'type': 'unix', 'data': {'path': self.path}},
                                 **{'tls-creds': 'tls', 'tls-authz': 'who', 'max-connections': 2})[0], {})
        self.assertEqual(execute('nbd-server-add', device='disk', name='')[0], {})
        self.assertEqual(self.copy_by_tls(f'tls-psk-file={self.psk}', 'alice@').returncode, 0)
        self.assertEqual(self.contents(self.copy), self.data)
        self.assertNotEqual(self.copy_by_tls(f'tls-psk-file={self.psk}', 'qemu@').returncode, 0)

    def test_psk(self):
        self.serve(*self.credentials('psk', 'server'), '--tls-creds', 'tls', '--object',
                   'authz-list,id=who,policy=deny,rules.0.match=al*,rules.0.policy=allow,rules.0.format=glob',
                   '--tls-authz', 'who')
        self.assertEqual(self.copy_by_tls(f'tls-psk-file={self.psk}', 'alice@').returncode, 0)
        self.assertEqual(self.contents(self.copy), self.data)
        self.assertNotEqual(self.copy_by_tls(f'tls-psk-file={self.psk}', 'qemu@').returncode, 0)
        for user, code in (('alice', 0), ('qemu', 1), ('bob', 1)):
            creds = self.credentials('psk', 'client', f'username={user}')
            result = run('qemu-nbd', '-L', '-k', self.path, *creds, '--tls-creds', 'tls', check=False)
            self.assertEqual(result.returncode, code, result.stderr)

    def test_anonymous(self):
        self.serve(*self.credentials('anon', 'server'), '--tls-creds', 'tls')
        creds = self.credentials('anon', 'client')
        self.assertIn(f'size:  {SIZE}', run('qemu-nbd', '-L', '-k', self.path, *creds, '--tls-creds', 'tls').stdout)

    def test_authorisation(self):
        rules = os.path.join(self.folder.name, 'rules')

        def write(policy):
            with open(rules + '.new', 'w', encoding='ascii') as file:
                json.dump({'rules': [{'match': CLIENT, 'policy': policy}]}, file)
            os.rename(rules + '.new', rules)
        write('allow')
        for objects, code in (
                (f'authz-simple,id=who,identity={CLIENT.replace(",", ",,")}', 0), ('authz-simple,id=who,identity=x', 1),
                ('authz-list,id=who,policy=allow', 0), ('authz-list,id=who', 1),
                (f'authz-list-file,id=who,filename={rules}', 0)):
            with self.subTest(objects=objects):
                self.path = tempfile.mktemp(dir=self.folder.name)
                self.serve(*self.credentials('x509', 'server'), '--tls-creds', 'tls', '--object', objects,
                           '--tls-authz', 'who')
                list_it = ['qemu-nbd', '-L', '-k', self.path, *self.credentials('x509', 'client'), '--tls-creds', 'tls',
                           '--tls-hostname', 'localhost']
                result = run(*list_it, check=False)
                self.assertEqual(result.returncode, code, result.stderr)
                if rules in objects:
                    write('deny')
                    self.assertEqual(run(*list_it, check=False).returncode, 1)
                self.stop()

    # Objects

    def test_secrets(self):
        key, plain, iv = os.urandom(32), 'the password', os.urandom(16)
        cipher = subprocess.run(['openssl', 'enc', '-aes-256-cbc', '-K', key.hex(), '-iv', iv.hex()],
                                input=plain.encode(), capture_output=True, check=True).stdout
        locked = os.path.join(self.folder.name, 'locked')
        os.mkdir(locked)
        for name in ('ca-cert.pem', 'server-cert.pem'):
            os.symlink(os.path.join(self.keys.name, name), os.path.join(locked, name))
        run('certtool', '--to-p8', '--load-privkey', os.path.join(self.keys.name, 'server-key.pem'), '--password',
            plain, '--outfile', os.path.join(locked, 'server-key.pem'))
        encoded, code = (base64.b64encode(part).decode() for part in (cipher, iv))
        with open(self.copy, 'w', encoding='ascii') as file:
            file.write(encoded)
        master = ['--object', f'secret,id=master,format=base64,data={base64.b64encode(key).decode()}']
        tls = ['--object', f'tls-creds-x509,id=tls,endpoint=server,dir={locked},passwordid=sec', '--tls-creds', 'tls']
        for secret in ([f'secret,id=sec,data={plain}'],
                       [f'secret,id=sec,data={encoded},format=base64,keyid=master,iv={code}'],
                       [f'secret,id=sec,file={self.copy},format=base64,keyid=master,iv={code}']):
            with self.subTest(secret=secret):
                self.path = tempfile.mktemp(dir=self.folder.name)
                self.serve(*master, '--object', *secret, *tls)
                self.stop()
        for secret, message in (
                ('secret,id=sec', "Either 'file' or 'data' must be provided"),
                ('secret,id=sec,data=a,file=b', "'file' and 'data' are mutually exclusive"),
                ('secret,id=sec,data=a,keyid=master', 'IV is required to decrypt secret'),
                ('secret,id=sec,data=!,format=base64', 'Base64 data contains invalid characters'),
                (f'secret,id=sec,data=YQ==,format=base64,keyid=master,iv={code}',
                 'Length 1 must be a multiple of block size 16'),
                (f'secret,id=sec,data=a,keyid=none,iv={code}', "No secret with id 'none'"),
                ('secret_keyring,id=sec', "'serial' should not be equal to 0"),
                ('secret_keyring,id=sec,serial=2000000000', 'Unable to read serial key 77359400: '),
                ('secret,id=sec,data=wrong', "Cannot load certificate '"),
                ('secret,id=1,data=a', "Parameter 'id' expects an identifier"),
                ('nothing,id=a', "Parameter 'qom-type' does not accept value 'nothing'"),
                ('authz-pam,id=a,service=x', 'needs the library PAM')):
            result = run('qemu-nbd', '-k', self.path + 'x', '-f', 'raw', *master, '--object', secret, *tls, self.image,
                         check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(message, result.stderr)
        self.assertIn('  tls-creds-psk\n', run('qemu-nbd', '-L', '--object', 'help').stdout)

    def test_group_of_a_server(self):
        folder = os.path.join(self.folder.name, 'group')
        shutil.copytree(self.keys.name, folder)
        group = os.path.join(folder, 'dh-params.pem')
        options = ['--object', f'tls-creds-x509,id=tls,endpoint=server,dir={folder}', '--tls-creds', 'tls']
        with open(group, 'w', encoding='ascii') as file:
            file.write('none')
        result = run('qemu-nbd', '-k', self.path, '-f', 'raw', *options, self.image, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f'Unable to load DH parameters from {group}: ', result.stderr)
        run('certtool', '--get-dh-params', '--sec-param', 'medium', '--outfile', group)
        self.serve(*options)
        run('nbdcopy', f'nbds+unix:///?socket={self.path}&tls-certificates={self.keys.name}&tls-verify-peer=false',
            self.copy)
        self.assertEqual(self.contents(self.copy), self.data)

    def test_bad_certificates(self):
        wrong = os.path.join(self.folder.name, 'wrong')
        os.mkdir(wrong)
        certify(wrong, 'ca', 'cn="Other"', 'ca', 'cert_signing_key', authority=False)
        certify(wrong, 'server', 'cn="server"', 'tls_www_client', 'signing_key')
        os.rename(os.path.join(wrong, 'server-cert.pem'), os.path.join(wrong, 'other-cert.pem'))
        for certificate, message in ((None, 'Unable to access credentials'),
                                     (os.path.join(wrong, 'ca-cert.pem'), 'basic constraints show a CA'),
                                     (os.path.join(self.keys.name, 'server-cert.pem'), 'failed validation against')):
            path = os.path.join(wrong, 'server-cert.pem')
            if os.path.lexists(path):
                os.unlink(path)
            if certificate:
                os.symlink(certificate, path)
            result = run('qemu-nbd', '-k', self.path, '-f', 'raw', '--object',
                         f'tls-creds-x509,id=tls,endpoint=server,dir={wrong}', '--tls-creds', 'tls', self.image,
                         check=False)
            self.assertEqual(result.returncode, 1)
            self.assertIn(message, result.stderr)

    # What a machine exports

    def qmp(self, *options):
        machine = subprocess.Popen([os.path.join(FOLDER, 'qemu-system-riscv64'), '-M', 'none', '-nodefaults',
                                    '-display', 'none', '-qmp', 'stdio', *options], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)

        def execute(command, **arguments):
            json.dump({'execute': command, 'arguments': arguments}, machine.stdin)
            machine.stdin.flush()
            events = []
            while True:
                line = json.loads(machine.stdout.readline())
                if 'event' in line:
                    events.append((line['event'], line['data']))
                else:
                    return line.get('return', line.get('error')), events

        def stop():
            execute('quit')
            self.assertEqual(machine.wait(60), 0)
            machine.stdin.close()
            machine.stdout.close()
        machine.stdout.readline()
        self.addCleanup(stop)
        execute('qmp_capabilities')
        return execute

    def test_exports_of_iothreads(self):
        execute = self.qmp('-blockdev', f'driver=file,filename={self.image},node-name=disk',
                           '-object', 'iothread,id=t0,poll-shrink=2', '-object', 'iothread,id=t1,aio-max-batch=4')
        execute('nbd-server-start', addr={'type': 'unix', 'data': {'path': self.path}})
        export = {'type': 'nbd', 'node-name': 'disk', 'writable': True}
        self.assertEqual(execute('block-export-add', id='e', iothread='t2', **export)[0]['desc'],
                         'iothread "t2" not found')
        for i, thread in enumerate(['t0', 't1', 't0']):
            self.assertEqual(execute('block-export-add', id=f'e{i}', name=f'e{i}', iothread=thread,
                                     **{**export, 'fixed-iothread': True})[0], {})
        # Each writes its third of the image, by several connections, while the others do.
        third = SIZE // 3 // 4096 * 4096
        data = [os.urandom(third) for _ in range(3)]
        program = ('import sys\n'
                   'number, third = int(sys.argv[1]), int(sys.argv[2])\n'
                   'data = sys.stdin.buffer.read()\n'
                   'for i in range(0, third, 4096): h.pwrite(data[i:i + 4096], number * third + i)\n'
                   'assert h.pread(third, number * third) == data\n')
        clients = [subprocess.Popen([*NBDSH, '-u', f'nbd+unix:///e{i}?socket={self.path}', '-c',
                                     program.replace('sys.argv[1]', str(i)).replace('sys.argv[2]', str(third))],
                                    stdin=subprocess.PIPE) for i in range(3)]
        for client, part in zip(clients, data):
            client.stdin.write(part)
            client.stdin.close()
        self.assertEqual([client.wait(120) for client in clients], [0, 0, 0])
        self.assertEqual(self.contents(self.image)[:3 * third], b''.join(data))
        # One goes with its client, while the thread serves another; then the iothread can go, and all else at the end.
        with subprocess.Popen([*NBDSH, '-u', f'nbd+unix:///e0?socket={self.path}', '-c', 'print(1, flush=True)',
                               '-c', 'import sys; sys.stdin.read()'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as client:
            client.stdout.readline()
            execute('block-export-del', id='e0', mode='hard')
            client.communicate('')
        run('nbdcopy', f'nbd+unix:///e2?socket={self.path}', self.copy)
        self.assertEqual(self.contents(self.copy), self.contents(self.image))
        self.assertEqual(execute('object-del', id='t1')[0], {})
        self.assertEqual([info['id'] for info in execute('query-iothreads')[0]], ['t0'])
        text = execute('human-monitor-command', **{'command-line': 'info iothreads'})[0]
        self.assertRegex(text, r't0:\r?\n  thread_id=[1-9]\d*\r?\n  poll-max-ns=32768\r?\n  poll-grow=0\r?\n'
                               r'  poll-shrink=2\r?\n  aio-max-batch=0\r?\n')
        run('nbdcopy', f'nbd+unix:///e1?socket={self.path}', self.copy)

    def test_exports_of_a_machine(self):
        execute = self.qmp('-blockdev', f'driver=file,filename={self.image},node-name=disk')
        address = {'type': 'unix', 'data': {'path': self.path}}
        self.assertEqual(execute('nbd-server-stop')[0]['desc'], 'NBD server not running')
        self.assertEqual(execute('nbd-server-start', addr=address)[0], {})
        self.assertEqual(execute('nbd-server-start', addr=address)[0]['desc'], 'NBD server already running')
        export = {'type': 'nbd', 'id': 'e0', 'node-name': 'disk', 'name': 'name', 'writable': True,
                  'allocation-depth': True}
        self.assertEqual(execute('block-export-add', **export)[0], {})
        self.assertEqual(execute('block-export-add', **export)[0]['desc'], "Block export id 'e0' is already in use")
        self.assertEqual(execute('query-block-exports')[0], [{'id': 'e0', 'type': 'nbd', 'node-name': 'disk',
                                                             'shutting-down': False}])
        name = f'nbd+unix:///name?socket={self.path}'
        run('nbdcopy', name, self.copy)
        self.assertEqual(self.contents(self.copy), self.data)
        with subprocess.Popen([*NBDSH, '-u', name, '-c', 'import sys; print(h.get_size(), flush=True)',
                               '-c', 'sys.stdin.read()'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as client:
            self.assertEqual(client.stdout.readline(), f'{SIZE}\n')
            self.assertEqual(execute('block-export-del', id='e0')[0]['desc'], "export 'e0' still in use")
            self.assertEqual(execute('block-export-del', id='e0', mode='hard'),
                             ({}, [('BLOCK_EXPORT_DELETED', {'id': 'e0'})]))
            client.communicate('')
        self.assertEqual(execute('nbd-server-add', device='disk')[0], {})
        self.assertEqual(execute('blockdev-del', **{'node-name': 'disk'})[0]['desc'], 'Node disk is in use')
        self.assertEqual(execute('nbd-server-remove', name='disk')[0], {})
        self.assertEqual(execute('human-monitor-command', **{'command-line': 'nbd_server_add disk x'})[0], '')
        self.assertIn("export: 'x'", run('qemu-nbd', '-L', '-k', self.path).stdout)
        self.assertEqual(execute('human-monitor-command', **{'command-line': 'nbd_server_stop'}),
                         ('', [('BLOCK_EXPORT_DELETED', {'id': 'x'})]))
        self.assertFalse(os.path.exists(self.path))

    def test_export_with_a_request_that_hangs(self):
        execute = self.qmp('-blockdev', 'driver=null-co,size=1M,latency-ns=400000000,read-zeroes=on,node-name=slow')
        execute('nbd-server-start', addr={'type': 'unix', 'data': {'path': self.path}})
        bad = execute('block-export-add', type='nbd', id='no id', **{'node-name': 'slow'})[0]
        self.assertEqual(bad['desc'], 'Invalid block export id')
        execute('block-export-add', type='nbd', id='e0', **{'node-name': 'slow'})
        script = 'import sys; b = nbd.Buffer(512); h.aio_pread(b, 0); h.aio_pread(b, 0)\n' \
                 'print(h.aio_in_flight(), flush=True); sys.stdin.read()'
        with subprocess.Popen([*NBDSH, '-u', f'nbd+unix:///slow?socket={self.path}', '-c', script],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            self.assertEqual(client.stdout.readline(), '2\n')
            answer, events = execute('block-export-del', id='e0', mode='hard')
            self.assertEqual(answer, {})
            while not events: # the requests end in their own time
                listed, events = execute('query-block-exports')
                self.assertEqual(listed, [] if events else [{'id': 'e0', 'type': 'nbd', 'node-name': 'slow',
                                                             'shutting-down': True}])
            self.assertEqual(events, [('BLOCK_EXPORT_DELETED', {'id': 'e0'})])
            client.communicate('')
        self.assertEqual(execute('blockdev-del', **{'node-name': 'slow'})[0], {})

    def test_yank(self):
        self.start('nbdkit', '-f', '-U', self.path, '--filter=delay', 'memory', '1M', 'rdelay=600')
        execute = self.qmp('-blockdev', f'driver=nbd,server.type=unix,server.path={self.path},node-name=far,'
                           'reconnect-delay=1000')
        self.assertEqual(execute('query-yank')[0], [{'type': 'block-node', 'node-name': 'far'}])
        self.assertEqual(execute('yank', instances=[{'type': 'block-node', 'node-name': 'far'},
                                                    {'type': 'block-node', 'node-name': 'none'}])[0],
                         {'class': 'DeviceNotFound', 'desc': 'Instance not found'})
        execute('nbd-server-start', addr={'type': 'unix', 'data': {'path': self.path + '2'}})
        self.assertEqual(execute('block-export-add', type='nbd', id='e0', **{'node-name': 'far'})[0], {})
        script = ('b = nbd.Buffer(512)\ncookie = h.aio_pread(b, 0)\nprint("sent", flush=True)\n'
                  'try:\n    while not h.aio_command_completed(cookie):\n        h.poll(-1)\n'
                  'except nbd.Error as error:\n    print(error.errno)')
        with subprocess.Popen([*NBDSH, '-u', f'nbd+unix:///far?socket={self.path}2', '-c', script],
                              stdout=subprocess.PIPE, text=True) as client:
            self.assertEqual(client.stdout.readline(), 'sent\n')
            self.assertEqual(execute('yank', instances=[{'type': 'block-node', 'node-name': 'far'}])[0], {})
            self.assertEqual(client.communicate(timeout=60)[0], 'EIO\n')
        self.assertEqual(execute('block-export-del', id='e0', mode='hard')[0], {})
        self.assertEqual(execute('blockdev-del', **{'node-name': 'far'})[0], {})

    def test_one_machine_uses_what_another_exports(self):
        execute = self.qmp('-blockdev', f'driver=file,filename={self.image},node-name=disk')
        execute('nbd-server-start', addr={'type': 'unix', 'data': {'path': self.path}})
        execute('block-export-add', type='nbd', id='e0', writable=True, **{'node-name': 'disk'})
        other = self.qmp()
        added = other('blockdev-add', driver='nbd', export='disk', server={'type': 'unix', 'path': self.path},
                      **{'node-name': 'remote', 'reconnect-delay': 10})
        self.assertEqual(added[0], {})
        nodes = other('query-named-block-nodes')[0]
        self.assertEqual([(node['node-name'], node['image']['virtual-size']) for node in nodes], [('remote', SIZE)])


if __name__ == '__main__':
    unittest.main()
