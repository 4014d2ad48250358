/*
 * The "file", "host_device" and "host_cdrom" drivers: regular files, block devices and CD drives of the host, by
 * threads, the host's older asynchronous I/O or io_uring.
 *
 * Locks: byte 100 + N of a file is locked by whoever uses permission N (enum BlockPermission) of it, byte 200 + N by
 * whoever does not share it; both as shared locks, and whoever comes looks whether the other's byte is taken. QEMU's
 * programs do the same with the same bytes, and so they and these keep clear of each other.
 *
 * Not here: persistent reservations, zoned devices; opening, locking and changing the medium of a CD drive.
 */
#include "block/driver.h"

#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "schema/block.h"
#include "trace/block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_USED = 100, LOCK_NOT_SHARED = 200, LOCK_PERMISSIONS = 4, DIRECT_ALIGNMENT = 4096, CHUNK = 1 << 20,
       MAXIMUM_VECTORS = 1024 };

extern const BlockDriver file_driver, host_cdrom_driver; /* at the end */

typedef struct HostFile {
    int fd;
    bool is_device, direct, locks;
    _Atomic bool cannot_zero, cannot_discard; /* the host said so */
    int aio; /* BlockdevAioOptions */
    unsigned used, not_shared; /* bytes locked, by permission */
    _Atomic uint64_t discards, discarded_bytes, failed_discards;
} HostFile;

/* Locks */

static int lock_bytes(int fd, unsigned base, unsigned have, unsigned want)
{
    for (unsigned i = 0; i < LOCK_PERMISSIONS; i++) {
        int error = (want & ~have) >> i & 1 ? host_file_lock_shared(fd, base + i, 1) : 0;
        if (error) {
            return error;
        }
    }
    return 0;
}

static void unlock_bytes(int fd, unsigned base, unsigned unwanted)
{
    for (unsigned i = 0; i < LOCK_PERMISSIONS; i++) {
        if (unwanted >> i & 1) {
            host_file_unlock(fd, base + i, 1);
        }
    }
}

static bool fail_lock(const BlockNode *node, const char *what, Error **error)
{
    static const char *const hint = "Is another process using the image [%s]?\n";
    const HostFile *file = node->state;
    AUTO_FREE char *holder = host_file_lock_holder(file->fd);
    error_set(error, "Failed to get %s lock on '%s'%s%s", what, node->file_name, holder ? ": it is in use by " : "",
              holder ? holder : "");
    error_add_hint(error, hint, node->file_name);
    return false;
}

static bool test_bytes(const BlockNode *node, unsigned base, unsigned bits, bool shared, Error **error)
{
    static const char *const names[] = { "consistent read", "\"write\"", "write unchanged", "resize" };
    const HostFile *file = node->state;
    for (unsigned i = 0; i < LOCK_PERMISSIONS; i++) {
        if (bits >> i & 1 && host_file_lock_test(file->fd, base + i, 1) == EAGAIN) {
            AUTO_FREE char *what = string_format("%s%s", shared ? "shared " : "", names[i]);
            return fail_lock(node, what, error);
        }
    }
    return true;
}

/* First what is new, then whether that met somebody, and only then what is no longer wanted. */
static bool file_set_permissions(BlockNode *node, unsigned permissions, unsigned shared, Error **error)
{
    HostFile *file = node->state;
    unsigned not_shared = ~shared & BLOCK_PERMISSION_ALL;
    if (!file->locks || node->force_share) {
        return true;
    }
    int number = lock_bytes(file->fd, LOCK_USED, file->used, permissions);
    number = number ? number : lock_bytes(file->fd, LOCK_NOT_SHARED, file->not_shared, not_shared);
    bool ok = number ? error_set_errno(error, number, "Could not lock '%s'", node->file_name)
                     : test_bytes(node, LOCK_NOT_SHARED, permissions, false, error) &&
                           test_bytes(node, LOCK_USED, not_shared, true, error);
    unsigned used_end = ok ? permissions : file->used, not_shared_end = ok ? not_shared : file->not_shared;
    unlock_bytes(file->fd, LOCK_USED, (file->used | permissions) & ~used_end);
    unlock_bytes(file->fd, LOCK_NOT_SHARED, (file->not_shared | not_shared) & ~not_shared_end);
    file->used = used_end;
    file->not_shared = not_shared_end;
    return ok;
}

/* Opening */

static bool check_cdrom(const BlockNode *node, Error **error)
{
    const HostFile *file = node->state;
    switch (host_cdrom_state(file->fd)) {
    case HOST_CDROM_IS_NONE:
        return error_set(error, "'%s' is not a CD drive", node->file_name);
    case HOST_CDROM_EMPTY:
        return error_set_errno(error, ENOMEDIUM, "Could not open '%s'", node->file_name);
    case HOST_CDROM_LOADED:
        break;
    }
    return true;
}

static bool find_size(BlockNode *node, Error **error)
{
    HostFile *file = node->state;
    bool wants_device = node->driver != &file_driver;
    struct stat status;
    uint64_t size = 0;
    if (fstat(file->fd, &status) != 0) {
        return error_set_errno(error, errno, "Could not examine '%s'", node->file_name);
    }
    file->is_device = S_ISBLK(status.st_mode) || S_ISCHR(status.st_mode);
    if (file->is_device != wants_device || !(file->is_device || S_ISREG(status.st_mode))) {
        return error_set(error, "'%s' driver requires '%s' to be %s", node->driver->name, node->file_name,
                         wants_device ? "either a character or block device" : "a regular file");
    }
    if (node->driver == &host_cdrom_driver && !check_cdrom(node, error)) {
        return false;
    }
    if (S_ISBLK(status.st_mode) && !host_device_size(file->fd, &size, error)) {
        return error_prepend(error, "'%s': ", node->file_name);
    }
    size = file->is_device ? size : (uint64_t)status.st_size; /* a character device has none */
    atomic_store(&node->size, align_up(MIN(size, INT64_MAX - BLOCK_SECTOR), BLOCK_SECTOR));
    return true;
}

static void find_limits(BlockNode *node)
{
    HostFile *file = node->state;
    uint32_t request = 1, memory = 1;
    node->limits = (BlockLimits){ .alignment = 1, .memory_alignment = 1, .maximum_vectors = MAXIMUM_VECTORS,
                                  .write_flags = BLOCK_FUA };
    if (file->direct) {
        host_file_direct_alignment(file->fd, file->is_device, &request, &memory);
        node->limits.alignment = is_power_of_2(request) ? request : DIRECT_ALIGNMENT;
        node->limits.memory_alignment = is_power_of_2(memory) ? memory : DIRECT_ALIGNMENT;
    }
}

static bool check_aio(BlockNode *node, Error **error)
{
    HostFile *file = node->state;
    BlockLoop *loop = block_runtime_main(block_graph_runtime(node->graph));
    if (file->aio == BLOCKDEV_AIO_OPTIONS_NATIVE && !file->direct) {
        return error_set(error, "aio=native was specified, but it requires cache.direct=on, which was not specified.");
    }
    return file->aio == BLOCKDEV_AIO_OPTIONS_THREADS ||
           block_loop_aio(loop, file->aio == BLOCKDEV_AIO_OPTIONS_IO_URING, error);
}

/* Where it cannot be written to and need not be, it is opened to be read. */
static int open_host_file(BlockNode *node, const char *filename, int flags, Error **error)
{
    AUTO_ERROR(inner);
    Files *files = block_graph_files(node->graph);
    if (node->read_only || !(node->flags & BLOCK_OPEN_AUTO_READ_ONLY)) {
        return files_open(files, filename, flags, 0, error);
    }
    int fd = files_open(files, filename, flags, 0, &inner);
    int number = fd < 0 ? error_errno(inner) : 0;
    if (number == EACCES || number == EPERM || number == EROFS) {
        node->read_only = true;
        node->flags &= ~(unsigned)BLOCK_OPEN_WRITE;
        return files_open(files, filename, (flags & ~O_ACCMODE) | O_RDONLY, 0, error);
    }
    if (fd < 0) {
        Error *moved = inner;
        inner = NULL;
        error_propagate(error, moved);
    }
    return fd;
}

static bool file_open(BlockNode *node, const void *data, Error **error)
{
    const FileSettings *settings = data;
    HostFile *file = node->state;
    file->aio = settings->has_aio                         ? settings->aio
                : node->flags & BLOCK_OPEN_AIO_NATIVE   ? BLOCKDEV_AIO_OPTIONS_NATIVE
                : node->flags & BLOCK_OPEN_AIO_IO_URING ? BLOCKDEV_AIO_OPTIONS_IO_URING
                                                        : BLOCKDEV_AIO_OPTIONS_THREADS;
    file->direct = node->flags & BLOCK_OPEN_DIRECT;
    file->locks = settings->locking != ON_OFF_AUTO_OFF;
    free(node->file_name);
    node->file_name = string_copy(settings->filename);
    int flags = (node->read_only ? O_RDONLY : O_RDWR) | (file->direct ? O_DIRECT : 0) | O_NONBLOCK;
    if (!*settings->filename) {
        file->fd = -1;
        return error_set(error, "The '%s' block driver requires a file name", node->driver->name);
    }
    file->fd = open_host_file(node, settings->filename, flags, error);
    if (file->fd < 0 || !find_size(node, error) || !check_aio(node, error)) {
        return false;
    }
    find_limits(node);
    return true;
}

static void file_close(BlockNode *node)
{
    HostFile *file = node->state;
    if (file->fd >= 0) {
        close(file->fd);
    }
}

/* Reading and writing */

static HostAio *file_host_request(BlockNode *node, BlockLoop *loop, HostAioRequest *request)
{
    const HostFile *file = node->state;
    request->fd = file->fd;
    request->cached = !file->direct;
    request->stable = request->stable && !node->no_flush;
    return file->aio == BLOCKDEV_AIO_OPTIONS_THREADS
               ? NULL
               : block_loop_aio(loop, file->aio == BLOCKDEV_AIO_OPTIONS_IO_URING, NULL);
}

typedef struct Transfer {
    HostAioRequest host;
    BlockTask *task;
    struct iovec pieces[64];
    int64_t result;
} Transfer;

static int64_t write_in_thread(const HostAioRequest *host)
{
    int count = (int)host->vector_count;
    off_t offset = (off_t)host->offset;
    return host->stable ? pwritev2(host->fd, host->vectors, count, offset, RWF_DSYNC)
                        : pwritev(host->fd, host->vectors, count, offset);
}

static void transfer_in_thread(void *data)
{
    Transfer *transfer = data;
    const HostAioRequest *host = &transfer->host;
    do {
        transfer->result = host->operation == HOST_AIO_READ
                               ? preadv(host->fd, host->vectors, (int)host->vector_count, (off_t)host->offset)
                           : host->operation == HOST_AIO_WRITE
                               ? write_in_thread(host)
                               : fdatasync(host->fd);
    } while (transfer->result < 0 && errno == EINTR);
    transfer->result = transfer->result < 0 ? -errno : transfer->result;
}

static void transfer_done(HostAioRequest *host, int64_t result)
{
    Transfer *transfer = (Transfer *)host;
    transfer->result = result;
    block_task_wake(transfer->task);
}

static int64_t ask_host(BlockNode *node, Transfer *transfer)
{
    transfer->task = block_task_self(block_graph_runtime(node->graph));
    transfer->host.done = transfer_done;
    BlockLoop *loop = block_task_loop(transfer->task);
    HostAio *aio = file_host_request(node, loop, &transfer->host);
    if (!aio) {
        if (!block_loop_write(loop, &transfer->host, &transfer->result)) {
            block_task_in_thread(transfer->task, transfer_in_thread, transfer);
        }
        return transfer->result;
    }
    block_loop_add(loop, aio, &transfer->host);
    block_task_sleep(transfer->task);
    return transfer->result;
}

/* What the host says: bytes, or a negated errno value. */
static int64_t perform(BlockNode *node, Transfer *transfer)
{
    HostAioOperation operation = transfer->host.operation;
    uint64_t offset = transfer->host.offset;
    trace_file_submit(block_node_trace(node), node->file_name, operation, offset);
    int64_t result = ask_host(node, transfer);
    trace_file_complete(block_node_trace(node), node->file_name, operation, offset, result);
    return result;
}

/* `stable`: of writes, which are on stable storage then, as far as the host can do that; else EOPNOTSUPP. */
static int transfer(BlockNode *node, HostAioOperation operation, uint64_t offset, uint64_t bytes, BlockVectors vectors,
                    bool stable)
{
    Transfer transfer;
    for (uint64_t done = 0; done < bytes;) {
        size_t length = MIN(bytes - done, GIB);
        BlockVectors rest = block_vectors_from(vectors, done);
        unsigned count = block_vectors_cut(rest, transfer.pieces, ARRAY_SIZE(transfer.pieces), &length);
        if (length < bytes - done) { /* pieces that do not end with a block go another way */
            length = align_down(length, node->limits.alignment);
            count = block_vectors_cut(rest, transfer.pieces, ARRAY_SIZE(transfer.pieces), &length);
        }
        transfer.host = (HostAioRequest){ .operation = operation, .offset = offset + done,
                                          .vectors = transfer.pieces, .vector_count = count, .stable = stable };
        int64_t result = length ? perform(node, &transfer) : -EINVAL;
        if (result < 0) {
            return (int)-result;
        }
        if (result == 0 && operation == HOST_AIO_READ) { /* behind the end */
            block_vectors_fill(rest, 0, bytes - done);
            return 0;
        }
        if (result == 0) {
            return ENOSPC;
        }
        done += (uint64_t)result;
    }
    return 0;
}

static int file_read(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors)
{
    return transfer(node, HOST_AIO_READ, offset, bytes, vectors, false);
}

static int file_flush(BlockNode *node)
{
    Transfer transfer = { .host = { .operation = HOST_AIO_SYNC } };
    int64_t result = node->no_flush ? 0 : perform(node, &transfer);
    if (result == -EINVAL) { /* a host whose asynchronous I/O cannot flush */
        transfer.host.fd = ((HostFile *)node->state)->fd;
        block_task_in_thread(transfer.task, transfer_in_thread, &transfer);
        result = transfer.result;
    }
    return result < 0 ? (int)-result : 0;
}

static int file_write(BlockNode *node, uint64_t offset, uint64_t bytes, BlockVectors vectors, unsigned flags)
{
    bool stable = flags & BLOCK_FUA;
    int error = transfer(node, HOST_AIO_WRITE, offset, bytes, vectors, stable);
    if (stable && error == EOPNOTSUPP) { /* a host that cannot say so of one write */
        error = transfer(node, HOST_AIO_WRITE, offset, bytes, vectors, false);
        error = error ? error : file_flush(node);
    }
    return error;
}

/* Zeroes, holes, what is where: by threads */

typedef struct Change {
    BlockNode *node;
    uint64_t offset, bytes, end;
    bool unmap, discard;
    int error;
} Change;

static void zero_in_thread(void *data)
{
    Change *change = data;
    const HostFile *file = change->node->state;
    change->error = host_file_zero(file->fd, change->offset, change->bytes, change->unmap);
    if (!change->error && change->unmap && !file->is_device && change->offset + change->bytes > change->end &&
        ftruncate(file->fd, (off_t)(change->offset + change->bytes)) < 0) { /* a hole does not move the end */
        change->error = errno;
    }
}

static int run_change(BlockNode *node, Change *change, void (*run)(void *data))
{
    change->node = node;
    block_task_in_thread(block_task_self(block_graph_runtime(node->graph)), run, change);
    return change->error;
}

static int file_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, unsigned flags)
{
    HostFile *file = node->state;
    struct stat status;
    bool unmap = flags & BLOCK_MAY_UNMAP;
    if (file->cannot_zero && !unmap) {
        return ENOTSUP;
    }
    Change change = { .offset = offset, .bytes = bytes, .unmap = unmap };
    change.end = fstat(file->fd, &status) == 0 ? (uint64_t)status.st_size : UINT64_MAX;
    int error = run_change(node, &change, zero_in_thread);
    if (error == EOPNOTSUPP) {
        file->cannot_zero = file->cannot_zero || !unmap;
        return ENOTSUP;
    }
    return error;
}

static void allocate_in_thread(void *data)
{
    Change *change = data;
    change->error = host_file_allocate(((HostFile *)change->node->state)->fd, change->offset, change->bytes);
}

static int file_allocate(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return run_change(node, &(Change){ .offset = offset, .bytes = bytes }, allocate_in_thread);
}

typedef struct Copy {
    const HostFile *from, *to;
    uint64_t from_offset, to_offset, bytes;
    int error;
} Copy;

static void copy_in_thread(void *data)
{
    Copy *copy = data;
    for (uint64_t done = 0; done < copy->bytes && !copy->error;) {
        int64_t count = host_file_copy(copy->from->fd, copy->from_offset + done, copy->to->fd, copy->to_offset + done,
                                       copy->bytes - done);
        if (count == 0) { /* what is behind the source's end reads as zeroes */
            copy->error = host_file_zero(copy->to->fd, copy->to_offset + done, copy->bytes - done, false);
            return;
        }
        copy->error = count < 0 ? (int)-count : 0;
        done += count > 0 ? (uint64_t)count : 0;
    }
}

/* Every node with this function is a file. */
static int file_copy_to(BlockNode *node, uint64_t offset, uint64_t bytes, const BlockCopySource *source)
{
    Copy copy = { .from = source->node->state, .to = node->state, .from_offset = source->offset, .to_offset = offset,
                  .bytes = bytes };
    if (source->node->driver->copy_to != file_copy_to || copy.from->is_device || copy.to->is_device) {
        return ENOTSUP;
    }
    block_task_in_thread(block_task_self(block_graph_runtime(node->graph)), copy_in_thread, &copy);
    return copy.error == EOPNOTSUPP ? ENOTSUP : copy.error;
}

static void discard_in_thread(void *data)
{
    Change *change = data;
    const HostFile *file = change->node->state;
    change->error = host_file_discard(file->fd, file->is_device, change->offset, change->bytes);
}

static int file_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    HostFile *file = node->state;
    Change change = { .offset = offset, .bytes = bytes };
    int error = file->cannot_discard ? EOPNOTSUPP : run_change(node, &change, discard_in_thread);
    atomic_fetch_add(error ? &file->failed_discards : &file->discards, 1);
    atomic_fetch_add(&file->discarded_bytes, error ? 0 : bytes);
    if (error == EOPNOTSUPP) {
        file->cannot_discard = true;
        return ENOTSUP;
    }
    return error;
}

static BlockDiscards file_discards(const BlockNode *node)
{
    HostFile *file = node->state;
    return (BlockDiscards){ .done = atomic_load(&file->discards), .bytes = atomic_load(&file->discarded_bytes),
                            .failed = atomic_load(&file->failed_discards) };
}

static int file_status(BlockNode *node, uint64_t offset, uint64_t bytes, BlockStatus *status)
{
    const HostFile *file = node->state;
    uint64_t start = 0, end = 0;
    *status = (BlockStatus){ .bytes = bytes, .data = true, .allocated = true, .has_offset = true, .offset = offset,
                             .node = node };
    int error = host_file_find_data(file->fd, offset, &start, &end);
    if (error == ENXIO) { /* nothing but a hole from here on */
        status->data = false;
        status->zero = true;
    } else if (!error && start > offset) {
        status->bytes = MIN(bytes, start - offset);
        status->data = false;
        status->zero = true;
    } else if (!error && end > offset) {
        status->bytes = MIN(bytes, align_up(end - offset, node->limits.alignment));
    }
    return 0; /* where the host does not know: data */
}

static int64_t file_allocated_size(BlockNode *node)
{
    const HostFile *file = node->state;
    struct stat status;
    return fstat(file->fd, &status) == 0 ? (int64_t)status.st_blocks * 512 : -1;
}

/* Size */

static bool grow(const BlockNode *node, uint64_t from, uint64_t to, int preallocation, Error **error)
{
    const HostFile *file = node->state;
    if (preallocation == PREALLOC_MODE_FALLOC) {
        int number = host_file_allocate(file->fd, from, to - from);
        return number == 0 || error_set_errno(error, number, "Could not preallocate data for the new file");
    }
    int number = host_file_fill(file->fd, from, to - from);
    return number == 0 || error_set_errno(error, number, "Could not write zeros for preallocation");
}

static bool file_resize(BlockNode *node, uint64_t size, int preallocation, Error **error)
{
    const HostFile *file = node->state;
    struct stat status;
    if (file->is_device) {
        return size <= block_node_size(node) || error_set(error, "Cannot grow device files");
    }
    if (preallocation == PREALLOC_MODE_METADATA) {
        return error_set(error, "Unsupported preallocation mode: metadata");
    }
    if (fstat(file->fd, &status) < 0) {
        return error_set_errno(error, errno, "Could not examine '%s'", node->file_name);
    }
    uint64_t before = (uint64_t)status.st_size;
    if (size < before && preallocation != PREALLOC_MODE_OFF) {
        return error_set(error, "Preallocation can't be used for shrinking files");
    }
    if (preallocation != PREALLOC_MODE_OFF && size > before && !grow(node, before, size, preallocation, error)) {
        return ftruncate(file->fd, status.st_size) == 0 && false; /* as it was */
    }
    if (ftruncate(file->fd, (off_t)size) < 0) {
        return error_set_errno(error, errno, "Failed to resize '%s'", node->file_name);
    }
    atomic_store(&node->size, align_up(size, BLOCK_SECTOR));
    return true;
}

/* A new file */

static bool set_size(int fd, const char *filename, const FileCreateOptions *options, Error **error)
{
    /* Emptied only now that nobody else uses it. */
    if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)options->size) < 0) {
        return error_set_errno(error, errno, "Could not resize '%s'", filename);
    }
    if (options->nocow) {
        host_file_set_nocow(fd);
    }
    if (options->extent_size_hint) {
        host_file_set_extent_size_hint(fd, options->extent_size_hint);
    }
    if (options->preallocation == FILE_PREALLOC_MODE_OFF || options->size == 0) {
        return true;
    }
    int number = options->preallocation == FILE_PREALLOC_MODE_FALLOC ? host_file_allocate(fd, 0, options->size)
                                                                     : host_file_fill(fd, 0, options->size);
    return number == 0 || error_set_errno(error, number, "Could not preallocate data for the new file");
}

static bool is_unused(int fd, const char *filename, Error **error)
{
    bool used = host_file_lock_test(fd, LOCK_USED, LOCK_PERMISSIONS) == EAGAIN ||
                host_file_lock_test(fd, LOCK_NOT_SHARED, LOCK_PERMISSIONS) == EAGAIN;
    if (used) {
        AUTO_FREE char *holder = host_file_lock_holder(fd);
        error_set(error, "Failed to get \"write\" lock on '%s'%s%s", filename, holder ? ": it is in use by " : "",
                  holder ? holder : "");
        error_add_hint(error, "Is another process using the image [%s]?\n", filename);
    }
    return !used;
}

static bool file_create(BlockGraph *graph, const char *filename, const void *data, const Json *file_options,
                        Error **error)
{
    AUTO_ERROR(inner);
    int fd = files_open(block_graph_files(graph), filename, O_RDWR | O_CREAT | O_NONBLOCK, 0644, &inner);
    if (fd < 0) {
        return error_set_errno(error, error_errno(inner), "Could not create '%s'", filename);
    }
    bool ok = is_unused(fd, filename, error) && set_size(fd, filename, data, error);
    close(fd);
    return ok;
}

/* A device is there already; it has to be large enough. */
static bool device_create(BlockGraph *graph, const char *filename, const void *data, const Json *file_options,
                          Error **error)
{
    const FileCreateOptions *options = data;
    uint64_t size = 0;
    struct stat status;
    int fd = files_open(block_graph_files(graph), filename, O_RDWR | O_NONBLOCK, 0, error);
    if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISBLK(status.st_mode))) {
        close(fd);
        return error_set(error, "'host_device' driver requires '%s' to be either a character or block device",
                         filename);
    }
    bool ok = fd >= 0 && host_device_size(fd, &size, error);
    if (ok && size < options->size) {
        ok = error_set(error, "The image size does not fit the device '%s'", filename);
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static const char *const schemes[] = { "file", "host_device", "host_cdrom", NULL };

#define FILE_DRIVER(name_, ...) \
    { \
        .name = name_, .is_protocol = true, .state_size = sizeof(HostFile), .settings = &FileSettings_type, \
        .filename_key = "filename", .schemes = schemes, .open = file_open, .close = file_close, \
        .host_request = file_host_request, \
        .read = file_read, .write = file_write, .write_zeroes = file_write_zeroes, \
        .copy_to = file_copy_to, .discard = file_discard, \
        .flush = file_flush, .status = file_status, .set_permissions = file_set_permissions, \
        .allocated_size = file_allocated_size, .resize = file_resize, \
        .create_type = &FileCreateOptions_type, __VA_ARGS__ \
    }
const BlockDriver file_driver = FILE_DRIVER("file", .grows_with_zeroes = true, .create = file_create,
                                            .allocate = file_allocate, .discards = file_discards);
const BlockDriver host_device_driver = FILE_DRIVER("host_device", .create = device_create, .discards = file_discards);
const BlockDriver host_cdrom_driver = FILE_DRIVER("host_cdrom");
