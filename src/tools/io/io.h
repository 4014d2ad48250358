/* What the commands of the io program share. */
#pragma once

#include "base/vec.h"
#include "tools/tool.h"

#include <getopt.h>

typedef struct Io {
    Tool tool;
    BlockEdge *edge; /* NULL: nothing is open */
    char *name;
    ToolOpen how; /* as the command line says; `open` begins with it */
    bool quits;
    unsigned pending; /* requests of aio_ commands */
} Io;

typedef struct IoCommand {
    const char *name;
    int least, most; /* arguments; most -1: any number */
    bool needs_file;
    const char *arguments, *summary;
    /* `words[0]` is the name. 0, or a negative number where it failed (and said so). */
    int (*run)(Io *io, int count, char **words);
} IoCommand;

/* transfer.c: reads, writes and discards; rows end with one without a name. The others: commands.c. */
extern const IoCommand io_transfer_commands[], io_other_commands[];

/* "1.062 MiB"; the caller's. */
char *io_size_text(double bytes);
/* A number with a suffix; false after a message. */
bool io_parse_number(const char *text, uint64_t *value);
bool io_open(Io *io, const ToolOpen *how);
void io_close(Io *io);
void io_finish_pending(Io *io);
void io_print_usage(const char *command);
bool io_may_write(const Io *io); /* false after a message */
