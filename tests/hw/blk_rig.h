/* A virtio disk on the bench, its file, and the driver's side of its requests. */
#pragma once

#include "block/block.h"
#include "virtio_driver.h"

enum { F_SEG_MAX = 2, F_GEOMETRY = 4, F_RO = 5, F_BLK_SIZE = 6, F_FLUSH = 9, F_TOPOLOGY = 10, F_CONFIG_WCE = 11,
       F_MQ = 12, F_DISCARD = 13, F_WRITE_ZEROES = 14 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK, S_IOERR, S_UNSUPP, S_NONE = 0xee };
enum { SIZE = 64 * 1024, SECTOR = 512 };

#define BASIC (BIT(F_FLUSH) | BIT(F_CONFIG_WCE) | BIT(F_DISCARD) | BIT(F_WRITE_ZEROES))

typedef struct Rig {
    Driver *driver;
    DriverQueue *queue;
    char *path;
    Disk *disk;
} Rig;

/* What the file has at an offset; a new file of `size` bytes; the disk "ID" on it. */
uint8_t pattern(uint64_t offset);
char *make_file(size_t size);
Disk *open_disk(Bench *bench, const char *id, const char *path, bool read_only);
/* A disk of `size` bytes, a device with `properties` (NULL: none) and one running queue. */
Rig rig_with(const char *properties, bool legacy, bool read_only, size_t size, uint64_t features);
Rig rig_new(void);
/* The device; where the environment has MYNA_TEST_IOTHREAD, its queues are worked on by a thread of its own. */
void rig_add(Driver *driver, const char *properties);
/* virtio_blk_threads.c: tests of a driver on a thread of its own, and (`all`) of queues on several threads. */
void add_thread_tests(bool all);
void rig_free(Rig *rig);

typedef struct Request {
    uint64_t header, data, status;
    uint16_t id;
} Request;

/* A request in memory with room for `bytes` of data; made available; waited for, with the used length that is expected
 * (UINT32_MAX: any). The status is returned. */
Request begin(Rig *rig, uint32_t type, uint64_t sector, uint32_t bytes);
void offer(Rig *rig, DriverQueue *queue, Request *request, uint32_t bytes, bool write);
uint8_t end(Rig *rig, DriverQueue *queue, const Request *request, uint32_t length);
/* All of it. `write`: the device writes, and `bytes` are filled with the data; else they are the data. */
uint8_t perform(Rig *rig, uint32_t type, uint64_t sector, void *bytes, uint32_t count, bool write);
