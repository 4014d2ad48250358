"""Surroundings of the tests of user mode that the caller's shell does not change."""
import os
import resource
import signal

STACK = 8 << 20


def settle(*given):
    """Takes out of the environment what the emulator itself reads, but for NAME=VALUE of those given; bounds the stack,
    whose end some programs look for; ignores no signal."""
    for name in list(os.environ):
        if name.startswith(('QEMU_', 'MYNA_')) and not name.startswith('MYNA_GUEST_'):
            del os.environ[name]
    os.environ.update(word.split('=', 1) for word in given)
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (STACK if hard == resource.RLIM_INFINITY else min(STACK, hard), hard))
    os.umask(0o022)
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}: # those two are Python's own affair
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
