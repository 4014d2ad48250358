/* What the host's operating system gives, behind one header; base/host/<os>/ implements it. */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;

int64_t host_monotonic_ns(void);
int64_t host_realtime_ns(void); /* since 1970-01-01 UTC */
size_t host_page_size(void);
unsigned host_cpu_count(void);
/* Fills `bytes` from the host's random source; cannot fail. */
void host_random(void *bytes, size_t count);

/* The calling thread's name in the host's list of threads, cut to what the host takes; and its number there. */
void host_thread_set_name(const char *name);
uint64_t host_thread_id(void);

/* A wake-up that can be polled (an eventfd on Linux). */
int host_event_new(Error **error); /* a file descriptor, or -1 */
void host_event_signal(int fd);
void host_event_clear(int fd);

/* Signals as a descriptor that can be polled. They are blocked in the calling thread, and in those that it starts,
 * until host_signals_free. NULL on failure. */
typedef struct HostSignals HostSignals;
typedef struct HostSignal {
    int number;
    int64_t sender; /* process ID; 0: the kernel */
} HostSignal;
HostSignals *host_signals_new(const int *signals, size_t count, Error **error);
void host_signals_free(HostSignals *watch); /* NULL is fine */
int host_signals_fd(const HostSignals *watch);
/* The next one that came; false where there is none. `signal` may be NULL. */
bool host_signals_next(HostSignals *watch, HostSignal *signal);

/* Readiness of many file descriptors (epoll on Linux). One thread at a time may use a poller. */
enum { HOST_POLL_IN = 1, HOST_POLL_OUT = 2, HOST_POLL_ERROR = 4, HOST_POLL_HANGUP = 8 };
typedef struct HostPoller HostPoller;
typedef struct HostPollEvent {
    int fd;
    unsigned events;
    void *data;
} HostPollEvent;
HostPoller *host_poller_new(Error **error);
void host_poller_free(HostPoller *poller);
/* Adds, changes or (events 0) removes a descriptor. A regular file, which cannot be polled, is always ready. */
bool host_poller_set(HostPoller *poller, int fd, unsigned events, void *data, Error **error);
/* Waits at most `timeout_ns` (negative: for ever); returns how many events were stored. */
int host_poller_wait(HostPoller *poller, HostPollEvent *events, int limit, int64_t timeout_ns);
/* The poller as a descriptor that another event loop can poll. */
int host_poller_fd(const HostPoller *poller);

/* Memory. Sizes are rounded up to whole host pages by the caller. */
typedef enum HostMemoryFlags {
    HOST_MEMORY_SHARED = 1,
    HOST_MEMORY_NORESERVE = 2,
    HOST_MEMORY_READ_ONLY = 4,
} HostMemoryFlags;
/* `fd` -1: anonymous. Returns NULL on failure. */
void *host_memory_map(int fd, uint64_t offset, uint64_t size, unsigned flags, Error **error);
void host_memory_unmap(void *memory, uint64_t size);
int host_memfd_new(const char *name, uint64_t size, bool huge_pages, Error **error); /* a descriptor, or -1 */
/* Gives the pages back to the host: they read as zeroes afterwards, those of a private file mapping as the file. */
void host_memory_dont_need(void *memory, uint64_t size);
/* What the host may do with the memory; hints that it may not know. */
typedef enum HostMemoryAdvice {
    HOST_MEMORY_MERGE, /* share equal pages */
    HOST_MEMORY_NO_MERGE,
    HOST_MEMORY_DUMP, /* put it into a core dump */
    HOST_MEMORY_NO_DUMP,
    HOST_MEMORY_HUGE, /* back it by huge pages */
    HOST_MEMORY_SOON, /* it is going to be written: have the pages there */
} HostMemoryAdvice;
void host_memory_advise(void *memory, uint64_t size, HostMemoryAdvice advice);
/* Takes all pages from the host now, keeping what they hold; an error where the host has too few. */
bool host_memory_prealloc(void *memory, uint64_t size, Error **error);

/* Starts a process that shares all memory and outlives this one for a moment: giving back much memory takes time, and
 * whoever waits for the end of this process does not wait for that. Called by the thread that lives longest. */
bool host_memory_keep(Error **error);

/* Addresses without memory behind them, whole pages. NULL on failure; host_memory_unmap gives them back. */
void *host_memory_reserve(uint64_t size, Error **error);
/* Puts zeroes that are this process's own there (copied on write after a fork), readable and writable. */
bool host_memory_commit(void *reserved, uint64_t size, Error **error);
/* Puts the same fresh zeroes at two places of reservations: executable at one, writable at the other, at neither both.
 * What was there before stays with the processes that forked off meanwhile. */
bool host_memory_commit_code(void *execute, void *write, uint64_t size, Error **error);

/* Files and block devices. `bytes` of a device. */
bool host_device_size(int fd, uint64_t *bytes, Error **error);
/* Whether a device, by its number, is a CD drive; whether a descriptor is one, and what is in it. */
bool host_device_is_cdrom(uint64_t number);
typedef enum HostCdrom { HOST_CDROM_IS_NONE, HOST_CDROM_EMPTY, HOST_CDROM_LOADED } HostCdrom;
HostCdrom host_cdrom_state(int fd);
/* These return 0 or an errno value: EOPNOTSUPP where the host, the file system or the device cannot. Zeroes: the range
 * reads as zeroes afterwards; `may_unmap`: it need not stay allocated. Discard: it may read as anything. */
int host_file_zero(int fd, uint64_t offset, uint64_t bytes, bool may_unmap);
int host_file_discard(int fd, bool is_device, uint64_t offset, uint64_t bytes);
/* Reserves space: 0 or an errno value, EOPNOTSUPP where the host cannot. A file grows to the range's end. */
int host_file_allocate(int fd, uint64_t offset, uint64_t bytes);
/* Writes zeroes: 0 or an errno value. For a file opened with O_DIRECT, to whole blocks. */
int host_file_fill(int fd, uint64_t offset, uint64_t bytes);
/* Copies within the host; returns the bytes copied, 0 where the source ended, or a negated errno value. */
int64_t host_file_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t bytes);
/* Where the data of a file begin that cover or follow `offset`, and where they end: 0, ENXIO where there are none, or
 * another errno value. */
int host_file_find_data(int fd, uint64_t offset, uint64_t *start, uint64_t *end);
/* Sizes that requests to a file opened with O_DIRECT must be multiples of; 0 where the host does not say. */
void host_file_direct_alignment(int fd, bool is_device, uint32_t *request, uint32_t *memory);

/* Ways of making a file better suited to hold an image; hints that it may not know. */
void host_file_set_nocow(int fd);
void host_file_set_extent_size_hint(int fd, uint64_t bytes);

/* Locks on bytes of a file, which belong to the open file: 0, EAGAIN where another open file holds what excludes it, or
 * another errno value. `test`: whether an exclusive one could be had. */
int host_file_lock_shared(int fd, uint64_t first, uint64_t count);
int host_file_unlock(int fd, uint64_t first, uint64_t count);
int host_file_lock_test(int fd, uint64_t first, uint64_t count);
/* "name (process 123)" of one that holds locks of the file; owned by the caller, NULL where it cannot be found. */
char *host_file_lock_holder(int fd);

/* The address of a port of a virtual machine (its CID), or of the host for one, into a struct sockaddr_storage; its
 * length. */
unsigned host_vsock_address(void *address, uint32_t cid, uint32_t port);
/* The label of SELinux that sockets of this thread get from now on; NULL: the usual one. An errno value. */
int host_socket_label(const char *label);
