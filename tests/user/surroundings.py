"""Surroundings of the tests of user mode that the caller's shell does not change."""
import os


def clear_variables(*given):
    """Takes out of the environment what the emulator itself reads, but for NAME=VALUE of those given."""
    for name in list(os.environ):
        if name.startswith(('QEMU_', 'MYNA_')) and not name.startswith('MYNA_GUEST_'):
            del os.environ[name]
    os.environ.update(word.split('=', 1) for word in given)
