/* Keys of the kernel: keyctl(2), without the library for it. */
#include "base/host/keyring.h"

#include "base/vec.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LIMIT = 1 << 20 };

uint8_t *host_key_read(int32_t serial, size_t *count)
{
    long size = syscall(SYS_keyctl, KEYCTL_READ, serial, NULL, 0, 0);
    for (;;) { /* it may change meanwhile */
        if (size < 0 || size > LIMIT) {
            errno = size < 0 ? errno : EFBIG;
            return NULL;
        }
        size_t room = (size_t)size;
        uint8_t *bytes = mem_alloc(room + 1);
        size = syscall(SYS_keyctl, KEYCTL_READ, serial, bytes, room, 0);
        if (size >= 0 && (size_t)size <= room) {
            bytes[size] = 0;
            *count = (size_t)size;
            return bytes;
        }
        int number = errno;
        free(bytes);
        errno = number;
    }
}
