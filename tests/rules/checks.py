#!/usr/bin/env python3
"""gen/check_*.py: that they find what is wrong and leave alone what is right."""
import json
import os
import platform
import subprocess
import sys
import tempfile
import unittest

GEN, COMPILER = sys.argv[1], sys.argv[2:]

LAYERS = '''
# comment
base
api
guest          # one of these for each processor
core
char block
hw
never hw guest
apart guest hw
allow hw/virtio hw/char/public.h
from core glib.h gio/
platform base/host
only base/host : linux/ sys/epoll.h
'''


class Tree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def put(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(text)

    def run_check(self, script, *arguments):
        return subprocess.run([sys.executable, os.path.join(GEN, script), *arguments], capture_output=True, text=True,
                              check=False)


class Layers(Tree):
    def check(self, path, line):
        """The message about a file that has this line, or ''."""
        self.put('layers.txt', LAYERS)
        self.put('src/' + path, '/* a file */\n' + line + '\n')
        result = self.run_check('check_layers.py', self.path('layers.txt'), self.path('src'))
        os.remove(self.path('src/' + path))
        self.assertEqual(result.returncode != 0, bool(result.stderr))
        return result.stderr

    def test_right(self):
        rows = [
            ('base/a.c', '#include "base/b.h"'),
            ('base/host/linux/a.c', '#include "base/b.h"'),
            ('core/a.c', '#include "guest/a.h"'),
            ('hw/char/a.c', '#include "char/a.h"'),
            ('hw/char/a.c', '#include "block/a.h"'),
            ('hw/char/a.c', '#include "hw/char/b.h"'),
            ('hw/char/big/a.c', '#include "hw/char/b.h"'),
            ('hw/char/a.c', '#include "hw/common.h"'),
            ('hw/virtio/a.c', '#include "hw/char/public.h"'),
            ('core/a.c', '#include <glib.h>'),
            ('core/a.c', '#include "schema/machine.h"'),
            ('hw/char/a.c', '#include "trace/hw_char.h"'),
            ('hw/char/big/a.c', '#include "trace/hw_char.h"'),
            ('base/host/linux/a.c', '#include <linux/fs.h>'),
            ('base/host/linux/a.c', '#ifdef __linux__'),
            ('base/a.c', '/* #include "core/a.h" */'),
            ('base/a.c', '#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__'),
        ]
        for path, line in rows:
            self.assertEqual(self.check(path, line), '', (path, line))

    def test_wrong(self):
        rows = [
            ('base/a.c', '#include "core/a.h"', 'core is above base'),
            ('base/a.c', '#  include  "guest/x/a.h"', 'guest is above base'),
            ('char/a.c', '#include "block/a.h"', 'block is beside char'),
            ('hw/char/a.c', '#include "guest/x/a.h"', 'layers.txt says never'),
            ('hw/char/a.c', '#include "hw/intc/a.h"', 'hw/char and hw/intc are apart'),
            ('hw/virtio/a.c', '#include "hw/char/private.h"', 'hw/virtio and hw/char are apart'),
            ('guest/x/a.c', '#include "guest/y/a.h"', 'guest/x and guest/y are apart'),
            ('base/a.c', '#include "schema/machine.h"', 'api is above base'),
            ('core/a.c', '#include "a.h"', 'no layer has that folder'),
            ('core/a.c', '#include "cores/a.h"', 'no layer has that folder'),
            ('base/a.c', '#include <glib.h>', 'that is for core and above'),
            ('guest/x/a.c', '#include <gio/gio.h>', 'that is for core and above'),
            ('core/a.c', '#include <sys/epoll.h>', 'that is for base/host alone'),
            ('core/a.c', '#include <linux/fs.h>', 'that is for base/host alone'),
            ('core/a.c', '#if defined(__APPLE__)', 'asks for __APPLE__'),
            ('core/a.c', '#elif defined __x86_64__', 'asks for __x86_64__'),
            ('hw/intc/a.c', '#include "trace/hw_char.h"', 'for the folder that lists them'),
            ('other/a.c', '', 'lies in no layer'),
        ]
        for path, line, message in rows:
            self.assertIn(message, self.check(path, line), (path, line))

    def test_place_is_told(self):
        self.assertIn('src/base/a.c:2: includes core/a.h', self.check('base/a.c', '#include "core/a.h"'))

    def test_bad_order(self):
        for line in ('never hw', 'only base/host linux/'):
            self.put('layers.txt', 'base\n' + line + '\n')
            self.put('src/base/a.c', '')
            result = self.run_check('check_layers.py', self.path('layers.txt'), self.path('src'))
            self.assertNotEqual(result.returncode, 0)
            self.assertIn('layers.txt:2: ', result.stderr)

    def test_nothing_to_check(self):
        self.put('layers.txt', LAYERS)
        result = self.run_check('check_layers.py', self.path('layers.txt'), self.path('nowhere'))
        self.assertNotEqual(result.returncode, 0)


class Objects(Tree):
    script = ''

    def check(self, path, code, *options):
        """What is said about the object made from this code, or ''."""
        self.put('src/' + path, code)
        output = self.path('out.o')
        subprocess.run([*COMPILER, '-fPIC', '-O2', '-c', *options, self.path('src/' + path), '-o', output], check=True)
        self.put('build/compile_commands.json', json.dumps([
            {'directory': self.path('build'), 'file': '../src/' + path, 'output': '../out.o'},
            {'directory': self.path('build'), 'file': '../tests/other.c', 'output': '../none.o'}]))
        result = self.run_check(self.script, self.path('build'), self.path('src'))
        self.assertEqual(result.returncode != 0, bool(result.stderr), result.stderr)
        return result.stderr


class Float(Objects):
    script = 'check_float.py'

    def test_right(self):
        rows = [
            ('guest/riscv/a.c', 'struct S { long a, b; }; void f(struct S *a, struct S *b) { *a = *b; }'),
            ('fpu/a.c', 'long f(long x) { return x * 3; }'),
        ]
        for path, code in rows:
            self.assertEqual(self.check(path, code), '', code)

    @unittest.skipUnless(platform.machine() == 'x86_64', 'reads instructions of x86-64')
    def test_wrong(self):
        rows = [
            ('guest/riscv/a.c', 'double f(double x) { return x * 3; }', 'f computes in floating point: mulsd'),
            ('jit/x64/a.c', 'int f(float x) { return (int)x; }', 'f computes in floating point: cvttss2si'),
            ('cpu/a.c', 'int f(float x, float y) { return x < y; }', 'f computes in floating point: comiss'),
            ('fpu/a.c', 'void f(__int128 *a, __int128 *b) { *a = *b; }', 'f uses vector registers: mov'),
        ]
        for path, code, message in rows:
            self.assertIn(message, self.check(path, code))


class Symbols(Objects):
    script = 'check_symbols.py'

    def test_right(self):
        rows = [
            ('base/a.c', 'const int a = 1; static const char *const names[] = {"x", "y"};'
                         'const char *f(int i) { return names[i]; }'),
            ('base/a.c', 'extern int other; int f(void) { return other; }'),
            ('guest/riscv/a.c', 'static int help(int x) { return x * 3; } int riscv_f(int x) { return help(x); }'),
            ('guest/guests.c', 'int any_name(void) { return 1; }'),
        ]
        for path, code in rows:
            self.assertEqual(self.check(path, code), '', code)

    def test_wrong(self):
        rows = [
            ('base/a.c', 'int counter;', 'counter is a variable that can be written (.bss'),
            ('base/a.c', 'int counter = 5;', 'counter is a variable that can be written (.data'),
            ('base/a.c', 'int f(void) { static int n; return n++; }', 'n.0 is a variable that can be written'),
            ('base/a.c', '_Thread_local int t; int f(void) { return t++; }',
             't is a variable that can be written (.tbss'),
            ('base/a.c', 'const char *names[] = {"a"};', 'names is a variable that can be written'),
            ('base/a.c', 'void f(void); __attribute__((constructor)) static void c(void) { f(); }',
             '.init_array is not empty'),
            ('guest/riscv/a.c', 'int decode(void) { return 1; }', 'decode is external and does not begin with riscv'),
            ('guest/riscv/a.c', '__attribute__((weak)) int weak(void) { return 1; }', 'weak is external'),
            ('guest/riscv/sub/a.c', 'const int arm_x = 1;', 'arm_x is external and does not begin with riscv'),
        ]
        for path, code, message in rows:
            said = self.check(path, code)
            self.assertTrue(message in said or message.replace('n.0', 'f.n') in said, (code, said))

    def test_common(self):
        self.assertIn('counter is a variable', self.check('base/a.c', 'int counter;', '-fcommon'))

    def test_nothing_to_check(self):
        self.put('build/compile_commands.json', '[]')
        result = self.run_check('check_symbols.py', self.path('build'), self.path('src'))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('no objects', result.stderr)


class Lines(Tree):
    def check(self, name, text):
        self.put(name, text)
        result = self.run_check('check_lines.py', self.path(name))
        self.assertEqual(result.returncode == 0, result.stderr == '')
        return result.stderr

    def test_right(self):
        for name, text in (('a.c', 'x' * 120 + '\n'), ('a.md', '|' + 'x' * 200 + '\n'), ('a.S', '\tret\n'),
                           ('a.c', '\u00e9' * 120 + '\n')):
            self.assertEqual(self.check(name, text), '')

    def test_wrong(self):
        for name, text, message in (('a.c', 'ok\n' + 'x' * 121, 'a.c:2: 121 columns'), ('a.md', 'x' * 121, 'columns'),
                                    ('a.py', '\tx', 'a.py:1: a tab'), ('a.h', 'x \n', 'spaces at its end')):
            self.assertIn(message, self.check(name, text))

    def test_nothing_to_check(self):
        self.assertNotEqual(self.run_check('check_lines.py', self.path('none')).returncode, 0)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
