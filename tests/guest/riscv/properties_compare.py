#!/usr/bin/env python3
"""Compares which combinations of two properties of a processor two emulators accept, and what each comes to.

    properties_compare.py EMULATOR EMULATOR [PAIRS [MODEL...]]

Each property that both have is turned over, alone and together with each other one, on each model; the processor that
comes out has to be the same, or both have to refuse. Asked by query-cpu-model-expansion. Not part of the tests: the
other one is not ours, and has extensions that are not built here; of those nothing is asked. Differences are grouped,
the ones that one property makes alone first.

QEMU 10 lets an extension imply others once in a process, so each question is put to a process of its own. PAIRS: so
many at random; all if it is not given, which takes an hour.
"""
import collections
import itertools
import json
import random
import shlex
import subprocess
import sys

LETTERS = ['i', 'e', 'm', 'a', 'f', 'd', 'c', 'b', 's', 'u', 'g']
OTHERS = {'mmu', 'pmp'}


class Emulator:
    def __init__(self, command):
        self.command = [*shlex.split(command), '-M', 'none', '-S', '-display', 'none', '-nodefaults', '-qmp', 'stdio']
        self.process = None
        self.anew()

    def anew(self):
        if self.process:
            self.process.kill()
            self.process.communicate()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.process.stdout.readline()
        self.ask('qmp_capabilities')

    def ask(self, name, **arguments):
        print(json.dumps({'execute': name, 'arguments': arguments}), file=self.process.stdin, flush=True)
        while True:
            answer = json.loads(self.process.stdout.readline())
            if 'return' in answer or 'error' in answer:
                return answer

    def expand(self, model, properties):
        """What the processor has; or None, and why not."""
        answer = self.ask('query-cpu-model-expansion', type='full', model={'name': model, 'props': properties})
        if 'error' in answer:
            return None, answer['error']['desc']
        return answer['return']['model']['props'], ''


class Comparison:
    def __init__(self, commands):
        self.emulators = [Emulator(command) for command in commands]
        self.asked = 0

    def properties(self, model):
        """Names, and what each is without being asked for."""
        left, right = (emulator.expand(model, {})[0] for emulator in self.emulators)
        here = {name for name, value in left.items() if isinstance(value, bool)}
        absent = {name for name in here if not left[name] and self.emulators[0].expand(model, {name: True})[0] is None
                  and 'is not there' in self.emulators[0].expand(model, {name: True})[1]}
        both = (here & set(right)) - absent
        return {name: left[name] for name in sorted(both | (set(LETTERS) & here) | OTHERS) if name in left}

    def difference(self, model, change, names):
        """Nothing, or a word on it."""
        self.asked += 1
        self.emulators[1].anew()
        (left, why_left), (right, why_right) = (emulator.expand(model, change) for emulator in self.emulators)
        if left is None or right is None:
            return '' if left is right else f'refused: {why_left}' if left is None else f'accepted; there: {why_right}'
        other = [f'{name}={"on" if left[name] else "off"}' for name in names
                 if name in right and left[name] != right[name]]
        return f'has {" ".join(other)}' if other else ''

    def compare(self, model, count):
        names = self.properties(model)
        turned = {name: {name: not value} for name, value in names.items()}
        alone = {name: self.difference(model, change, names) for name, change in turned.items()}
        groups = collections.defaultdict(list)
        for name, text in alone.items():
            if text:
                groups[text].append(setting(turned[name]))
        pairs = list(itertools.combinations(names, 2))
        for one, two in random.Random(1).sample(pairs, min(count, len(pairs))):
            change = {**turned[one], **turned[two]}
            text = self.difference(model, change, names)
            if text and text not in (alone[one], alone[two]):
                groups[text].append(setting(change))
        for text, settings in sorted(groups.items(), key=lambda item: len(item[1][0])):
            print(f'  {text}: {len(settings)}:', *settings[:4])
        print(f'{model}: {len(names)} properties, {len(groups)} kinds of differences', flush=True)
        return len(groups)


def setting(change):
    return ','.join(f'{name}={"on" if value else "off"}' for name, value in change.items())


def main():
    comparison = Comparison(sys.argv[1:3])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1 << 30
    different = sum(comparison.compare(model, count) for model in sys.argv[4:] or ['rv64', 'max', 'rv64i', 'rva22s64'])
    print(f'{comparison.asked} combinations')
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main() if len(sys.argv) > 2 else __doc__)
