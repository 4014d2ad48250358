/* Mappings and memory files: mmap(2), memfd_create(2), madvise(2). */
#include "base/host/host.h"

#include "base/error.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

void *host_memory_map(int fd, uint64_t offset, uint64_t size, unsigned flags, Error **error)
{
    int protection = PROT_READ | (flags & HOST_MEMORY_READ_ONLY ? 0 : PROT_WRITE);
    int kind = (flags & HOST_MEMORY_SHARED ? MAP_SHARED : MAP_PRIVATE) | (fd < 0 ? MAP_ANONYMOUS : 0) |
               (flags & HOST_MEMORY_NORESERVE ? MAP_NORESERVE : 0);
    void *memory = mmap(NULL, size, protection, kind, fd, (off_t)offset);
    if (memory == MAP_FAILED) {
        error_set_errno(error, errno, "cannot map %llu bytes of memory", (unsigned long long)size);
        return NULL;
    }
    return memory;
}

void host_memory_unmap(void *memory, uint64_t size)
{
    int result = munmap(memory, size);
    assert(result == 0);
    (void)result;
}

int host_memfd_new(const char *name, uint64_t size, bool huge_pages, Error **error)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge_pages ? MFD_HUGETLB : 0));
    if (fd < 0) {
        error_set_errno(error, errno, "cannot make the memory file '%s'", name);
        return -1;
    }
    if (size > INT64_MAX || ftruncate(fd, (off_t)size) < 0) {
        error_set_errno(error, size > INT64_MAX ? EFBIG : errno, "cannot make the memory file '%s' %llu bytes long",
                        name, (unsigned long long)size);
        close(fd);
        return -1;
    }
    return fd;
}

void *host_memory_reserve(uint64_t size, Error **error)
{
    void *memory = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        error_set_errno(error, errno, "cannot reserve %llu bytes of addresses", (unsigned long long)size);
        return NULL;
    }
    return memory;
}

static bool map_over(void *place, uint64_t size, int protection, int kind, int fd, Error **error)
{
    if (mmap(place, size, protection, kind | MAP_FIXED, fd, 0) == MAP_FAILED) {
        return error_set_errno(error, errno, "cannot map %llu bytes of memory", (unsigned long long)size);
    }
    return true;
}

bool host_memory_commit(void *reserved, uint64_t size, Error **error)
{
    return map_over(reserved, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, error);
}

/* Shared memory without a file's name, and mapped again: a memfd could not grow under RLIMIT_FSIZE, and its maker would
 * get SIGXFSZ. */
bool host_memory_commit_code(void *execute, void *write, uint64_t size, Error **error)
{
    if (!map_over(write, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, error)) {
        return false;
    }
    if (mremap(write, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, execute) == MAP_FAILED ||
        mprotect(execute, size, PROT_READ | PROT_EXEC)) {
        return error_set_errno(error, errno, "cannot map %llu bytes of memory for code", (unsigned long long)size);
    }
    return true;
}

void host_memory_dont_need(void *memory, uint64_t size)
{
    /* Pages of a shared file or memfd go only by a hole in it; private ones do not know that call. */
    if (madvise(memory, size, MADV_REMOVE) < 0) {
        madvise(memory, size, MADV_DONTNEED);
    }
}

void host_memory_advise(void *memory, uint64_t size, HostMemoryAdvice advice)
{
    static const int advices[] = {
        [HOST_MEMORY_MERGE] = MADV_MERGEABLE, [HOST_MEMORY_NO_MERGE] = MADV_UNMERGEABLE,
        [HOST_MEMORY_DUMP] = MADV_DODUMP,     [HOST_MEMORY_NO_DUMP] = MADV_DONTDUMP,
        [HOST_MEMORY_HUGE] = MADV_HUGEPAGE,   [HOST_MEMORY_SOON] = MADV_POPULATE_WRITE,
    };
    madvise(memory, size, advices[advice]);
}

/* For kernels without MADV_POPULATE_WRITE: a write by system call fails where a store would raise SIGBUS. */
static bool touch_pages(char *memory, uint64_t size)
{
    size_t page = host_page_size();
    for (uint64_t offset = 0; offset < size; offset += page) {
        char byte;
        struct iovec local = { .iov_base = &byte, .iov_len = 1 };
        struct iovec remote = { .iov_base = memory + offset, .iov_len = 1 };
        if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1 ||
            process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != 1) {
            return false;
        }
    }
    return true;
}

bool host_memory_prealloc(void *memory, uint64_t size, Error **error)
{
    bool done = madvise(memory, size, MADV_POPULATE_WRITE) == 0;
    if (!done && errno == EINVAL) {
        done = touch_pages(memory, size);
    }
    if (!done) {
        return error_set_errno(error, errno, "cannot allocate %llu bytes of memory in advance",
                               (unsigned long long)size);
    }
    return true;
}
