#!/usr/bin/env python3
"""Checks every #include and platform #if under src/ against layers.txt.

    check_layers.py LAYERS SOURCE_ROOT

A line of LAYERS is empty, a comment that begins with #, or one of

    NAME...               one level: folders of src/, lowest level first; those on one line do not see each other
    never A B             no file under A may include one under B, whatever the order says
    apart NAME...         the folders of this layer do not see each other, but what lies in the layer's own folder
    allow A B             a file under A may include B (a file or folder) although the order or `apart` forbids it
    from NAME HEADER...   <HEADER> only in this layer and above; a name that ends with / stands for a folder of headers
    only NAME... : HEADER...     <HEADER> only in these folders
    platform NAME...      only these folders may ask with #if which operating system or processor this is

A file may include headers of its own layer and of lower ones. Generated headers belong to a layer too: schema/X.h to
api, trace/FOLDER.h to src/FOLDER. An include in quotes is a full path from src/.
"""
import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
PLATFORM = re.compile(r'^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b(__linux__|__linux|__APPLE__|__MACH__|__FreeBSD__|'
                      r'__OpenBSD__|__NetBSD__|_WIN32|__x86_64__|__i386__|__aarch64__|__arm__|__riscv|__powerpc64__|'
                      r'__s390x__)\b')


def under(path, folder):
    return path == folder or path.startswith(folder.rstrip('/') + '/')


class Rules:
    def __init__(self, path):
        self.levels, self.apart, self.never, self.allow = {}, [], [], []
        self.since, self.only, self.platform = [], [], []
        level = 0
        with open(path, encoding='utf-8') as file:
            for number, line in enumerate(file, 1):
                words = line.split('#')[0].split()
                if words and not self.statement(words, f'{path}:{number}'):
                    level += 1
                    self.levels.update({name: level for name in words})

    def statement(self, words, where):
        verb, rest = words[0], words[1:]
        if verb in ('never', 'allow'):
            if len(rest) != 2:
                sys.exit(f'{where}: `{verb}` takes two names')
            getattr(self, verb).append(tuple(rest))
        elif verb in ('apart', 'platform'):
            getattr(self, verb).extend(rest)
        elif verb == 'from':
            self.since.append((rest[0], rest[1:]))
        elif verb == 'only':
            colon = rest.index(':') if ':' in rest else sys.exit(f'{where}: `only` takes folders, a colon, headers')
            self.only.append((rest[:colon], rest[colon + 1:]))
        else:
            return False
        return True

    def layer(self, path):
        """The longest name in the order that `path` lies under; None where there is none."""
        names = [name for name in self.levels if under(path, name)]
        return max(names, key=len) if names else None

    def allowed(self, path, target):
        return any(under(path, a) and under(target, b) for a, b in self.allow)

    def check_local(self, path, target):
        """Why `path` must not include `target`; None where it may."""
        if any(under(path, a) and under(target, b) for a, b in self.never):
            return 'layers.txt says never'
        layer, other = self.layer(path), self.layer(target)
        if other is None:
            return 'no layer has that folder; paths are full, from src/'
        if self.allowed(path, target):
            return None
        if layer != other:
            if self.levels[other] > self.levels[layer]:
                return f'{other} is above {layer}'
            return f'{other} is beside {layer}' if self.levels[other] == self.levels[layer] else None
        if layer in self.apart:
            folder, other_folder = os.path.dirname(path), os.path.dirname(target)
            if other_folder != layer and not under(folder, other_folder) and not under(other_folder, folder):
                return f'{folder} and {other_folder} are apart; an `allow` line would permit it'
        return None

    def check_system(self, path, header):
        def named(headers):
            return any(header == name or (name.endswith('/') and header.startswith(name)) for name in headers)
        layer = self.layer(path)
        for name, headers in self.since:
            if named(headers) and self.levels[layer] < self.levels[name]:
                return f'that is for {name} and above'
        for folders, headers in self.only:
            if named(headers) and not any(under(path, folder) for folder in folders):
                return f'that is for {" ".join(folders)} alone'
        return None


def generated_folder(path, target):
    """The layer's path that a generated header stands for, or an error."""
    if target.startswith('schema/'):
        return 'api/' + target, None
    owner = target[len('trace/'):-len('.h')]
    folder = os.path.dirname(path)
    while folder:
        if folder.replace('/', '_') == owner:
            return folder + '/trace.h', None
        folder = os.path.dirname(folder)
    return None, 'trace events are for the folder that lists them'


def check_line(rules, path, line):
    """Yields what is wrong with the line."""
    match = INCLUDE.match(line)
    if match:
        quote, target = match.groups()
        if quote == '<':
            why = rules.check_system(path, target)
        elif target.startswith(('schema/', 'trace/')):
            stands_for, why = generated_folder(path, target)
            why = why or rules.check_local(path, stands_for)
        else:
            why = rules.check_local(path, target)
        if why:
            yield f'includes {target}: {why}'
    match = PLATFORM.match(line)
    if match and not any(under(path, folder) for folder in rules.platform):
        yield f'asks for {match.group(1)}: that is for {" ".join(rules.platform)} alone'


def check_tree(rules, root):
    problems, files = [], 0
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if not name.endswith(('.c', '.h', '.S', '.def', '.inc')):
                continue
            full = os.path.join(folder, name)
            path = os.path.relpath(full, root)
            files += 1
            if rules.layer(path) is None:
                problems.append(f'{full}: lies in no layer of layers.txt')
                continue
            with open(full, encoding='utf-8') as file:
                for number, line in enumerate(file, 1):
                    problems += [f'{full}:{number}: {problem}' for problem in check_line(rules, path, line)]
    return problems, files


def main():
    problems, files = check_tree(Rules(sys.argv[1]), sys.argv[2])
    for problem in problems:
        print(problem, file=sys.stderr)
    if files == 0:
        sys.exit(f'no source files under {sys.argv[2]}')
    if problems:
        sys.exit(f'{len(problems)} lines against the order of layers')
    print(f'{files} files keep to the order of layers')


if __name__ == '__main__':
    main()
