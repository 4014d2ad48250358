/* Between the parts of the stub. */
#pragma once

#include "base/strbuf.h"
#include "gdb/gdb.h"

enum { GDB_PACKET_MAXIMUM = 16384, GDB_DATA_MAXIMUM = GDB_PACKET_MAXIMUM / 2 - 16 };

/* One end of a connection that carries packets. */
typedef struct GdbLink {
    int fd;
    int received; /* a file descriptor that came with what was read last; -1: none did */
    bool no_acknowledge, gone;
    char packet[GDB_PACKET_MAXIMUM + 1];
    size_t length; /* of the packet */
    uint8_t input[4096];
    size_t input_used, input_count;
} GdbLink;

typedef enum GdbItem { GDB_ITEM_PACKET, GDB_ITEM_INTERRUPT, GDB_ITEM_END } GdbItem;

/* What the new program of a process sends to the broker, which asks for the stop itself when it has told what the
 * debugger can do. */
#define GDB_EXEC_NOTICE "exec"

struct Gdb {
    const GdbTarget *target;
    void *data;
    GdbLink link;
    int thread;      /* of g, G, m and the like */
    int next_thread; /* of qsThreadInfo: its index */
    bool multiprocess, forks;
    StrBuf reply;
};

void gdb_link_init(GdbLink *link, int fd);
/* The next packet, unescaped, or a request to stop. */
GdbItem gdb_link_next(GdbLink *link);
/* The same, over requests to stop: false at the end. */
bool gdb_link_packet(GdbLink *link);
/* Whether gdb_link_next would not wait. */
bool gdb_link_ready(GdbLink *link);
/* `fd` goes along with it; -1: none. */
void gdb_link_write(GdbLink *link, const char *bytes, size_t size, int fd);
void gdb_link_write_text(GdbLink *link, const char *text);
void gdb_link_interrupt(GdbLink *link);

/* The description of the registers, for qXfer:features:read:target.xml. Registers are numbered in its order. */
void gdb_describe(const Gdb *gdb, StrBuf *xml);
/* The row of the guest's register table of a number; -1: there is none. */
int gdb_register_row(const Guest *guest, unsigned number);

/* Host I/O, behind "vFile:". `open_file` and `read_link` answer for what is not as the host has it; -1, false: it is.
 * */
typedef struct GdbFiles {
    const char *prefix;
    int (*open_file)(void *data, const char *path);
    bool (*read_link)(void *data, const char *path, char *target); /* PATH_MAX */
    void *data;
    int fds[32]; /* -1: free */
} GdbFiles;
void gdb_files_init(GdbFiles *files);
void gdb_files_serve(GdbFiles *files, const char *packet, size_t length, StrBuf *reply);

/* Hexadecimal digits. */
void gdb_append_hex(StrBuf *text, const void *bytes, size_t size);
size_t gdb_parse_hex(const char *text, uint8_t *bytes, size_t size); /* how many bytes there were */
/* Whether "NAME+" is among words that semicolons part, as in qSupported. */
bool gdb_can(const char *words, const char *name);
/* A number, and over the sign behind it. */
uint64_t gdb_parse_number(char **at);
/* "pPROCESS.THREAD" or "THREAD": -1, all; 0, any. The process is left as it is where there is none. What follows it. */
const char *gdb_parse_thread(const char *text, int *process, int *thread);

/* What a packet's function says of it. */
typedef enum GdbAnswer { ANSWER_REPLY, ANSWER_OK, ANSWER_ERROR, ANSWER_NONE, ANSWER_RESUME } GdbAnswer;

/* Gets what follows the packet's name. */
typedef GdbAnswer GdbPacketFunction(Gdb *gdb, char *arguments, size_t length);

GdbPacketFunction gdb_read_registers, gdb_write_registers, gdb_read_register, gdb_write_register, gdb_read_memory,
    gdb_write_memory, gdb_write_bytes, gdb_insert_point, gdb_remove_point;
