/* What the commands of the io program share. */
#pragma once

#include "base/vec.h"
#include "monitor/readline.h"
#include "tools/tool.h"

#include <getopt.h>

typedef struct Io {
    Tool tool;
    BlockEdge *edge; /* NULL: nothing is open */
    ToolOpen how;    /* as the command line says */
    ToolOpen now;    /* of what is open: its flags, and whether it is written through */
    VEC(char *) tags; /* of breakpoints */
    bool misalign;
    bool quits;
    bool failed; /* a command did: the program's exit status */
    unsigned pending; /* requests of aio_ commands */
} Io;

typedef struct IoCommand {
    const char *name;
    int least, most; /* arguments; most -1: any number */
    bool needs_file;
    const char *arguments, *summary;
    /* `words[0]` is the name. 0, or a negative number where it failed (and said so). */
    int (*run)(Io *io, int count, char **words);
    const char *help; /* what its options do; NULL: it has none */
} IoCommand;

/* transfer.c: reads, writes and discards; rows end with one without a name. The others: commands.c. */
extern const IoCommand io_transfer_commands[], io_other_commands[];

/* "1.062 MiB"; the caller's. */
char *io_size_text(double bytes);
/* A number with a suffix; false after a message. */
bool io_parse_number(const char *text, uint64_t *value);

/* open.c */

bool io_open(Io *io, const ToolOpen *how);
void io_close(Io *io);
/* An option of one letter that says how to open; false after a message. */
bool io_parse_how(Io *io, int letter, const char *argument, ToolOpen *how);
int io_run_open(Io *io, int count, char **words);
int io_run_close(Io *io, int count, char **words);
int io_run_reopen(Io *io, int count, char **words);

/* io.c */

const IoCommand *io_find_command(const char *name); /* of a whole name or one letter; NULL: there is none */
void io_run_line(Io *io, const char *line); /* a command that fails sets io->failed */
/* Names of commands that begin so, each with a space. */
void io_offer_commands(const char *start, TextList *names);
/* terminal.c: false where stdin is no terminal. */
bool io_run_terminal(Io *io);
void io_finish_pending(Io *io);
void io_print_usage(const char *command);
bool io_may_write(const Io *io); /* false after a message */
