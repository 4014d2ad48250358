/* Images in guest memory: where they go, that they fit, putting them there. */
#include "board/loader.h"

#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "core/machine.h"
#include "core/vcpu.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct Image {
    ImageFile *file;
    uint64_t offset, file_size, memory_size, address;
    void (*renew)(Machine *machine, void *bytes, size_t size);
    bool rom;
} Image;

struct Loader {
    Machine *machine;
    VEC(Image) images; /* in order of address */
};

enum { CHUNK = 256 * 1024 };

static bool put(Loader *loader, uint64_t address, const void *bytes, size_t count)
{
    return address_space_write_rom(loader->machine->address_space, address, bytes, count);
}

static bool put_image(Loader *loader, const Image *image, uint8_t *buffer, Error **error)
{
    if (image->renew) {
        image->renew(loader->machine, image->file->bytes, image->file->size);
    }
    for (uint64_t done = 0; done < image->memory_size;) {
        bool filled = done < image->file_size;
        size_t part = MIN((filled ? image->file_size : image->memory_size) - done, (uint64_t)CHUNK);

        if (!filled) {
            memset(buffer, 0, part);
        } else if (!image_file_read(image->file, image->offset + done, buffer, part, error)) {
            return false;
        }
        if (!put(loader, image->address + done, buffer, part)) {
            return error_set(error, "%s: there is no memory at 0x%" PRIx64, image->file->name, image->address + done);
        }
        done += part;
    }
    return true;
}

/* The reset function: what cannot be read any more leaves memory as it is. */
static void put_all(void *data)
{
    Loader *loader = data;
    AUTO_FREE uint8_t *buffer = mem_alloc(CHUNK);

    for (size_t i = 0; i < loader->images.count; i++) {
        AUTO_ERROR(error);
        if (!put_image(loader, &loader->images.items[i], buffer, &error)) {
            log_write(loader->machine->log, "%s\n", error_message(error));
        }
    }
}

Loader *loader_new(Machine *machine)
{
    Loader *loader = NEW(Loader);

    loader->machine = machine;
    machine_add_reset_function(machine, put_all, loader);
    return loader;
}

void loader_free(Loader *loader)
{
    if (!loader) {
        return;
    }
    for (size_t i = 0; i < loader->images.count; i++) {
        image_file_unref(loader->images.items[i].file);
    }
    vec_free(&loader->images);
    free(loader);
}

/* Whether the whole of it is RAM or ROM. */
static bool check_memory(Loader *loader, Image *image, Error **error)
{
    AddressSpace *space = loader->machine->address_space;

    image->rom = true;
    for (uint64_t done = 0; done < image->memory_size;) {
        RamMap map;
        size_t part = MIN(image->memory_size - done, GIB);

        if (address_space_map(space, image->address + done, part, true, &map)) {
            image->rom = false;
        } else if (!address_space_map(space, image->address + done, part, false, &map)) {
            return error_set(error, "%s: there is no memory at 0x%" PRIx64 " for its bytes from 0x%" PRIx64
                             " to 0x%" PRIx64, image->file->name, image->address + done, image->address,
                             image->address + image->memory_size - 1);
        }
        done += map.count;
        address_space_unmap(space, &map, 0);
    }
    return true;
}

/* Where it goes into the list, or an error where another image is. */
static bool find_place(const Loader *loader, const Image *image, size_t *place, Error **error)
{
    size_t i = 0;

    while (i < loader->images.count && loader->images.items[i].address < image->address) {
        i++;
    }
    const Image *before = i ? &loader->images.items[i - 1] : NULL;
    const Image *after = i < loader->images.count ? &loader->images.items[i] : NULL;
    const Image *other = before && image->address - before->address < before->memory_size ? before
                         : after && after->address - image->address < image->memory_size  ? after
                                                                                           : NULL;
    if (other) {
        return error_set(error, "%s at 0x%" PRIx64 " to 0x%" PRIx64 " overlaps %s at 0x%" PRIx64 " to 0x%" PRIx64,
                         image->file->name, image->address, image->address + image->memory_size - 1, other->file->name,
                         other->address, other->address + other->memory_size - 1);
    }
    *place = i;
    return true;
}

/* Takes the reference of image->file. */
static bool add_image(Loader *loader, Image image, Error **error)
{
    size_t place = 0;

    if (image.memory_size == 0 || image.memory_size - 1 > UINT64_MAX - image.address) {
        error_set(error, "%s: does not fit into the address space at 0x%" PRIx64, image.file->name, image.address);
        image_file_unref(image.file);
        return false;
    }
    if (!check_memory(loader, &image, error) || !find_place(loader, &image, &place, error)) {
        image_file_unref(image.file);
        return false;
    }
    vec_push(&loader->images, image);
    memmove(&loader->images.items[place + 1], &loader->images.items[place],
            (loader->images.count - 1 - place) * sizeof image);
    loader->images.items[place] = image;
    return true;
}

bool loader_add_file(Loader *loader, ImageFile *file, uint64_t offset, uint64_t file_size, uint64_t memory_size,
                     uint64_t address, Error **error)
{
    return add_image(loader, (Image){ .file = image_file_ref(file), .offset = offset, .file_size = file_size,
                                      .memory_size = memory_size, .address = address }, error);
}

bool loader_add_bytes(Loader *loader, const char *name, const void *bytes, size_t size, uint64_t address,
                      void (*renew)(Machine *machine, void *bytes, size_t size), Error **error)
{
    return add_image(loader, (Image){ .file = image_file_from_bytes(name, bytes, size), .file_size = size,
                                      .memory_size = size, .address = address, .renew = renew }, error);
}

static uint64_t physical_entry(const Elf *elf)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        const ElfSegment *segment = &elf->segments[i];
        if (elf->entry - segment->virtual < segment->memory_size) {
            return segment->physical + (elf->entry - segment->virtual);
        }
    }
    return elf->entry;
}

static bool is_memory(Loader *loader, uint64_t address)
{
    AddressSpace *space = loader->machine->address_space;
    RamMap map;

    if (!address_space_map(space, address, 1, false, &map)) {
        return false;
    }
    address_space_unmap(space, &map, 0);
    return true;
}

/* A linker that is only told where code begins puts a page with the file's own headers in front of it. Where memory
 * begins with the code, these headers are left out: nothing of the program is in them. */
static void leave_out_headers(Loader *loader, const Elf *elf, ElfSegment *segment)
{
    enum { PAGE = 4096, LARGEST = 64 * 1024 };
    uint64_t skip = 0;

    if (segment->offset != 0) {
        return;
    }
    while (skip < LARGEST && skip < segment->file_size && !is_memory(loader, segment->physical + skip)) {
        skip += PAGE - (segment->physical + skip) % PAGE;
    }
    bool enters = elf->entry - segment->virtual < skip;
    if (skip < segment->file_size && !enters && is_memory(loader, segment->physical + skip)) {
        segment->offset += skip;
        segment->physical += skip;
        segment->virtual += skip;
        segment->file_size -= skip;
        segment->memory_size -= skip;
    }
}

bool loader_add_elf(Loader *loader, ImageFile *file, LoadedImage *loaded, Error **error)
{
    const Guest *guest = machine_processor(loader->machine);
    Elf elf;
    bool ok = true;

    if (!elf_parse(file, &elf, error)) {
        return false;
    }
    ok = elf_check_machine(file, &elf, guest->elf_machine, guest->elf_class, guest->big_endian, error);
    for (size_t i = 0; ok && i < elf.segment_count; i++) {
        ElfSegment *segment = &elf.segments[i];
        leave_out_headers(loader, &elf, segment);
        ok = loader_add_file(loader, file, segment->offset, segment->file_size, segment->memory_size,
                             segment->physical, error);
    }
    if (ok) {
        const ElfSegment *last = &elf.segments[elf.segment_count - 1];
        *loaded = (LoadedImage){ .start = elf.segments[0].physical, .end = last->physical + last->memory_size,
                                 .entry = physical_entry(&elf) };
    }
    free(elf.segments);
    return ok;
}

void loader_print(const Loader *loader, StrBuf *buffer)
{
    for (size_t i = 0; i < loader->images.count; i++) {
        const Image *image = &loader->images.items[i];
        strbuf_printf(buffer, "addr=%016" PRIx64 " size=0x%06" PRIx64 " mem=%s name=\"%s\"\n", image->address,
                      image->memory_size, image->rom ? "rom" : "ram", image->file->path);
    }
}
