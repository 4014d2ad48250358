/* Between the parts of the stub. */
#pragma once

#include "base/strbuf.h"
#include "gdb/gdb.h"

enum { GDB_PACKET_MAXIMUM = 16384 };

struct Gdb {
    const GdbTarget *target;
    void *data;
    int fd;
    bool no_acknowledge, gone;
    int thread;      /* of g, G, m and the like */
    int next_thread; /* of qsThreadInfo: its index */
    char packet[GDB_PACKET_MAXIMUM + 1];
    uint8_t input[4096];
    size_t input_used, input_count;
    StrBuf reply;
};

/* The next packet, unescaped, in gdb->packet: its length; -1: the connection is closed. */
int gdb_packet_read(Gdb *gdb);
void gdb_packet_write(Gdb *gdb, const char *bytes, size_t size);

/* The description of the registers, for qXfer:features:read:target.xml. Registers are numbered in its order. */
void gdb_describe(const Guest *guest, StrBuf *xml);
/* The row of the guest's register table of a number; -1: there is none. */
int gdb_register_row(const Guest *guest, unsigned number);
