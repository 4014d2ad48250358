#!/usr/bin/env python3
"""gen/events.py: what it makes of event files, that a compiler takes it, and what it refuses."""
import os
import subprocess
import sys
import tempfile
import unittest

GENERATOR, SOURCES, COMPILER = sys.argv[1], sys.argv[2], sys.argv[3:]

USER = r'''
#include "trace/hw_char.h"
#include "trace/core.h"
#include "trace_events.c"
void use(Trace *trace);
void use(Trace *trace)
{
    trace_uart_write(trace, 1, "x", 2);
    trace_uart_reset(trace);
    trace_core_start(trace, trace);
}
'''


class Events(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.output = os.path.join(self.folder.name, 'trace')
        os.mkdir(self.output)

    def tearDown(self):
        self.folder.cleanup()

    def put(self, name, text):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def run_generator(self, *files):
        return subprocess.run([GENERATOR, self.output, self.folder.name, *files], capture_output=True, text=True,
                              check=False)

    def read(self, name):
        with open(os.path.join(self.output, name), encoding='utf-8') as file:
            return file.read()

    def good(self):
        uart = self.put('hw/char/events', '# of the UART\n\n'
                        'uart_write(uint64_t offset, const char *who, unsigned size) '
                        '"offset 0x%" PRIx64 " \\"%s\\" size %u"\n'
                        'uart_reset() "reset"\n')
        core = self.put('core/events', 'core_start(const void *place) "at %p"\n')
        return uart, core

    def test_compiles(self):
        result = self.run_generator(*self.good())
        self.assertEqual(result.returncode, 0, result.stderr)
        source = self.put('user.c', USER)
        compiled = subprocess.run([*COMPILER, '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-I', SOURCES,
                                   '-I', self.folder.name, '-I', self.output, source],
                                  capture_output=True, text=True, check=False)
        self.assertEqual(compiled.returncode, 0, compiled.stderr)

    def test_format_is_checked(self):
        uart = self.put('hw/char/events', 'uart_write(uint64_t offset) "offset %s"\n')
        self.assertEqual(self.run_generator(uart).returncode, 0)
        source = self.put('user.c', '#include "trace/hw_char.h"\n')
        compiled = subprocess.run([*COMPILER, '-Wall', '-Werror', '-fsyntax-only', '-I', SOURCES,
                                   '-I', self.folder.name, source], capture_output=True, text=True, check=False)
        self.assertNotEqual(compiled.returncode, 0)
        self.assertIn('format', compiled.stderr)

    def test_table_is_sorted(self):
        self.run_generator(*self.good())
        table = self.read('trace_events.c')
        self.assertLess(table.index('"core_start"'), table.index('"uart_reset"'))
        self.assertLess(table.index('"uart_reset"'), table.index('"uart_write"'))
        self.assertIn('trace_event_count = 3;', table)
        self.assertIn('trace_enabled(trace, 0)', self.read('core.h'))
        self.assertIn('trace_enabled(trace, 2)', self.read('hw_char.h'))

    def test_unchanged_is_left_alone(self):
        files = self.good()
        self.run_generator(*files)
        header = os.path.join(self.output, 'core.h')
        os.utime(header, (1, 1))
        self.run_generator(*files)
        self.assertEqual(os.stat(header).st_mtime, 1)
        self.put('core/events', 'core_stop() "x"\n')
        self.run_generator(*files)
        self.assertNotEqual(os.stat(header).st_mtime, 1)

    def test_none(self):
        self.assertEqual(self.run_generator().returncode, 0)
        self.assertIn('trace_event_count = 0;', self.read('trace_events.c'))

    def test_refused(self):
        rows = [
            ('Uart() "x"', 'not an event'),
            ('uart "x"', 'not an event'),
            ('uart() x', 'not an event'),
            ('uart(uint64_t) "x"', 'is not a type and a name'),
            ('uart(int a, int) "x"', 'is not a type and a name'),
            ('uart() "x\\n"', 'without a newline'),
            ('uart() "x" FOO', 'C strings and PRI macros'),
            ('uart() "x"; exit(0)', 'C strings and PRI macros'),
        ]
        for line, message in rows:
            path = self.put('hw/events', '# first\n' + line + '\n')
            result = self.run_generator(path)
            self.assertNotEqual(result.returncode, 0, line)
            self.assertIn(f'{path}:2: ', result.stderr)
            self.assertIn(message, result.stderr)

    def test_twice(self):
        first = self.put('a/events', 'x() "x"\n')
        second = self.put('b/events', '\nx() "x"\n')
        result = self.run_generator(first, second)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(f'{second}:2: the event x is also at {first}:1', result.stderr)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
