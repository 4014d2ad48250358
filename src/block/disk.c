/*
 * A raw file or host block device as a disk, served by a few threads with ordinary system calls. Requests are taken in
 * order and may finish in any, as on a real disk; a flush covers the requests that were done before it was submitted.
 *
 * Not here: image formats, other protocols, direct I/O, file locks.
 */
#include "block/block.h"

#include "api/json.h"
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/map.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/vec.h"
#include "core/loop.h"
#include "core/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS = 4, MAXIMUM_VECTORS = 1024, ZERO_CHUNK = 1 << 20 };

struct Disk {
    Object object;
    char *path;
    int fd;
    uint64_t size;      /* as the guest sees it: whole sectors */
    uint64_t file_size; /* bytes up to which the file can be read */
    bool read_only, is_device;
    Loop *loop;
    Object *user;
    unsigned in_flight; /* submitted and not yet done; the loop's thread alone */

    Mutex lock; /* of what follows */
    Condition work;
    DiskRequest *first, **last;
    bool stopping;
    Thread workers[WORKERS];
    unsigned worker_count;
};

/* Host input and output. Each returns an errno value or 0. */

static int read_vectors(const Disk *disk, struct iovec *vectors, unsigned count, uint64_t offset)
{
    while (count > 0) {
        ssize_t got = preadv(disk->fd, vectors, (int)MIN(count, MAXIMUM_VECTORS), (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        if (got == 0) { /* behind the end of the file */
            for (unsigned i = 0; i < count; i++) {
                memset(vectors[i].iov_base, 0, vectors[i].iov_len);
            }
            return 0;
        }
        offset += (uint64_t)got;
        for (; count > 0 && (size_t)got >= vectors->iov_len; vectors++, count--) {
            got -= (ssize_t)vectors->iov_len;
        }
        if (count > 0) {
            vectors->iov_base = (char *)vectors->iov_base + got;
            vectors->iov_len -= (size_t)got;
        }
    }
    return 0;
}

static int write_vectors(const Disk *disk, struct iovec *vectors, unsigned count, uint64_t offset)
{
    while (count > 0) {
        ssize_t put = pwritev(disk->fd, vectors, (int)MIN(count, MAXIMUM_VECTORS), (off_t)offset);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? errno : EIO;
        }
        offset += (uint64_t)put;
        for (; count > 0 && (size_t)put >= vectors->iov_len; vectors++, count--) {
            put -= (ssize_t)vectors->iov_len;
        }
        if (count > 0) {
            vectors->iov_base = (char *)vectors->iov_base + put;
            vectors->iov_len -= (size_t)put;
        }
    }
    return 0;
}

static int transfer(const Disk *disk, const DiskRequest *request)
{
    struct iovec *vectors = mem_copy(request->vectors, request->vector_count * sizeof *vectors);
    int error = request->operation == DISK_READ
                    ? read_vectors(disk, vectors, request->vector_count, request->offset)
                    : write_vectors(disk, vectors, request->vector_count, request->offset);
    free(vectors);
    return error;
}

static int write_zeroes_plainly(const Disk *disk, uint64_t offset, uint64_t bytes)
{
    void *zeroes = mem_alloc0(MIN(bytes, ZERO_CHUNK));
    int error = 0;
    while (bytes > 0 && error == 0) {
        struct iovec vector = { zeroes, MIN(bytes, ZERO_CHUNK) };
        uint64_t length = vector.iov_len;
        error = write_vectors(disk, &vector, 1, offset);
        offset += length;
        bytes -= length;
    }
    free(zeroes);
    return error;
}

static int write_zeroes(const Disk *disk, const DiskRequest *request)
{
    int result = host_file_zero(disk->fd, request->offset, request->bytes, request->may_unmap);
    return result == EOPNOTSUPP ? write_zeroes_plainly(disk, request->offset, request->bytes) : result;
}

/* Discarding is advice: a host that cannot do it has done it. */
static int discard(const Disk *disk, const DiskRequest *request)
{
    int result = host_file_discard(disk->fd, disk->is_device, request->offset, request->bytes);
    return result == EOPNOTSUPP ? 0 : result;
}

static int flush(const Disk *disk)
{
    int result = 0;
    do {
        result = disk->read_only ? 0 : fdatasync(disk->fd);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? errno : 0;
}

static int perform(const Disk *disk, const DiskRequest *request)
{
    if (request->bytes == 0 && request->operation != DISK_FLUSH) {
        return 0;
    }
    switch (request->operation) {
    case DISK_READ:
    case DISK_WRITE:
        return transfer(disk, request);
    case DISK_FLUSH:
        return flush(disk);
    case DISK_DISCARD:
        return discard(disk, request);
    case DISK_WRITE_ZEROES:
        return write_zeroes(disk, request);
    }
    return ENOTSUP;
}

/* Requests. */

static void complete(void *data)
{
    DiskRequest *request = data;
    request->disk->in_flight--;
    request->done(request, request->error);
}

static void *work(void *data)
{
    Disk *disk = data;
    mutex_lock(&disk->lock);
    for (;;) {
        while (!disk->first && !disk->stopping) {
            condition_wait(&disk->work, &disk->lock);
        }
        DiskRequest *request = disk->first;
        if (!request) {
            break;
        }
        disk->first = request->next;
        disk->last = disk->first ? disk->last : &disk->first;
        mutex_unlock(&disk->lock);
        request->error = perform(disk, request);
        loop_post(disk->loop, complete, request);
        mutex_lock(&disk->lock);
    }
    mutex_unlock(&disk->lock);
    return NULL;
}

static int find_fault(const Disk *disk, const DiskRequest *request)
{
    if (request->operation == DISK_FLUSH) {
        return 0;
    }
    if (request->operation != DISK_READ && disk->read_only) {
        return EPERM;
    }
    bool inside = request->bytes <= disk->size && request->offset <= disk->size - request->bytes;
    return inside && request->offset % DISK_SECTOR == 0 && request->bytes % DISK_SECTOR == 0 ? 0 : EIO;
}

void disk_submit(Disk *disk, DiskRequest *request)
{
    request->disk = disk;
    request->next = NULL;
    request->error = find_fault(disk, request);
    disk->in_flight++;
    if (request->error) {
        loop_post(disk->loop, complete, request);
        return;
    }
    mutex_lock(&disk->lock);
    *disk->last = request;
    disk->last = &request->next;
    condition_signal(&disk->work);
    mutex_unlock(&disk->lock);
}

void disk_drain(Disk *disk)
{
    while (disk->in_flight > 0) {
        loop_wait_posted(disk->loop);
    }
}

bool disk_read_first(Disk *disk, void *bytes, uint64_t count, Error **error)
{
    struct iovec vector = { bytes, count };
    int number = read_vectors(disk, &vector, 1, 0);
    return number == 0 || error_set_errno(error, number, "Could not read '%s'", disk->path);
}

/* Opening and closing. */

static bool find_size(Disk *disk, Error **error)
{
    struct stat status;
    if (fstat(disk->fd, &status) != 0) {
        return error_set_errno(error, errno, "Could not examine '%s'", disk->path);
    }
    if (S_ISBLK(status.st_mode)) {
        disk->is_device = true;
        if (!host_device_size(disk->fd, &disk->file_size, error)) {
            return error_prepend(error, "'%s': ", disk->path);
        }
    } else if (S_ISREG(status.st_mode)) {
        disk->file_size = (uint64_t)status.st_size;
    } else {
        return error_set(error, "'%s' is neither a regular file nor a block device", disk->path);
    }
    disk->size = align_up(disk->file_size, DISK_SECTOR);
    return true;
}

static bool start_workers(Disk *disk, Error **error)
{
    for (; disk->worker_count < WORKERS; disk->worker_count++) {
        if (!thread_start(&disk->workers[disk->worker_count], "disk", work, disk, error)) {
            return false;
        }
    }
    return true;
}

static void disk_init(Object *object)
{
    Disk *disk = (Disk *)object;
    disk->fd = -1;
    disk->last = &disk->first;
    mutex_init(&disk->lock);
    condition_init(&disk->work);
}

static void disk_finalize(Object *object)
{
    Disk *disk = (Disk *)object;
    mutex_lock(&disk->lock);
    disk->stopping = true;
    condition_broadcast(&disk->work);
    mutex_unlock(&disk->lock);
    for (unsigned i = 0; i < disk->worker_count; i++) {
        thread_join(&disk->workers[i]);
    }
    if (disk->fd >= 0) {
        close(disk->fd);
    }
    condition_destroy(&disk->work);
    mutex_destroy(&disk->lock);
    free(disk->path);
}

static bool open_file(Disk *disk, Files *files, Error **error)
{
    /* O_NONBLOCK: a FIFO is told from a file without waiting for its other end. */
    disk->fd = files_open(files, disk->path, (disk->read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK, 0, error);
    return disk->fd >= 0 && find_size(disk, error) && start_workers(disk, error);
}

Disk *disk_open(Object *root, Files *files, Loop *loop, const char *id, const char *path, bool read_only, Error **error)
{
    Disk *disk = (Disk *)object_new(&disk_class, NULL, NULL, error);
    if (!disk) {
        return NULL;
    }
    disk->path = string_copy(path);
    disk->read_only = read_only;
    disk->loop = loop;
    bool ok = open_file(disk, files, error) && object_complete(&disk->object, error) &&
              object_add_child(object_container(root, "disks"), id, &disk->object, error);
    object_unref(&disk->object);
    return ok ? disk : NULL;
}

void disk_close(Disk *disk)
{
    disk_drain(disk);
    object_unparent(&disk->object);
}

const char *disk_id(const Disk *disk) { return disk->object.name; }
const char *disk_path(const Disk *disk) { return disk->path; }
uint64_t disk_size(const Disk *disk) { return disk->size; }
bool disk_read_only(const Disk *disk) { return disk->read_only; }

bool disk_attach(Disk *disk, Object *user, Error **error)
{
    if (disk->user && disk->user != user) {
        AUTO_FREE char *path = object_path(disk->user);
        return error_set(error, "Drive '%s' is already in use by %s", disk_id(disk), path ? path : "another device");
    }
    disk->user = user;
    return true;
}

void disk_detach(Disk *disk) { disk->user = NULL; }

/* The property that names a disk. */

static Disk **property_field(Object *object, const Property *property)
{
    return (Disk **)(void *)((char *)object + property->offset);
}

static const char *name_of_disk(const void *context, size_t i)
{
    const Object *disks = context;
    size_t position = 0;
    MapEntry *entry = NULL;
    for (size_t n = 0; n <= i && disks->children; n++) {
        entry = map_next(disks->children, &position);
        if (!entry) {
            break;
        }
    }
    return entry ? entry->key : NULL;
}

bool disk_property_set(Object *object, const Property *property, const Json *value, Error **error)
{
    const char *id = json_kind(value) == JSON_STRING ? json_text(value) : NULL;
    if (!id) {
        return error_set(error, "Property '%s' expects the ID of a drive, a string", property->name);
    }
    Machine *machine = object_is(object, &machine_class.class) ? (Machine *)object : object->data;
    Object *disks = object_container(machine->root, "disks");
    Object *disk = object_child(disks, id);
    if (!disk) {
        AUTO_FREE char *suggestion = text_suggestion(id, name_of_disk, disks);
        return error_set(error, "Property '%s': there is no drive '%s'%s", property->name, id, suggestion);
    }
    *property_field(object, property) = (Disk *)disk;
    return true;
}

Json *disk_property_get(Object *object, const Property *property, Error **error)
{
    Disk *disk = *property_field(object, property);
    return json_string(disk ? disk_id(disk) : "");
}

const Class disk_class = {
    .name = "disk",
    .parent = &object_class,
    .description = "A file or device of the host as a disk",
    .size = sizeof(Disk),
    .init = disk_init,
    .finalize = disk_finalize,
};
