/* Where firmware is looked for: -L's directories, then those where packages put it. */
#include "core/machine.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char known_directories[] = "/usr/share/myna:/usr/local/share/myna:/usr/share/qemu:"
                                        "/usr/lib/riscv64-linux-gnu/opensbi/generic:/usr/share/opensbi:"
                                        "/usr/share/seabios:/usr/lib/ipxe/qemu:/usr/share/qemu-efi-riscv64:"
                                        "/usr/lib/u-boot/qemu-riscv64_smode";

/* The file in the first directory of the colon-separated list that has it; notes where it looked. */
static char *search(const char *directories, const char *name, StrBuf *looked)
{
    while (directories && *directories) {
        size_t length = strcspn(directories, ":");
        AUTO_FREE char *directory = string_format("%.*s", (int)length, directories);
        char *path = string_format("%s/%s", directory, name);
        if (!access(path, R_OK)) {
            return path;
        }
        free(path);
        strbuf_printf(looked, "%s%s", looked->length ? ", " : "", directory);
        directories += length + (directories[length] == ':');
    }
    return NULL;
}

char *machine_find_firmware(Machine *machine, const char *name, Error **error)
{
    AUTO_STRBUF(looked);
    if (strchr(name, '/') || !access(name, R_OK)) {
        if (!access(name, R_OK)) {
            return string_copy(name);
        }
        error_set(error, "the firmware '%s' cannot be read", name);
        return NULL;
    }
    char *path = search(machine->options.firmware_directories, name, &looked);
    path = path ? path : search(known_directories, name, &looked);
    if (!path) {
        error_set(error, "the firmware '%s' is neither here nor in %s", name, strbuf_text(&looked));
        error_add_hint(error, "-L DIRECTORY adds a place to look; packages such as opensbi and seabios have firmware");
    }
    return path;
}
