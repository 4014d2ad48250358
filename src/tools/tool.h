/* What the programs for images share: a graph of nodes, opening of images, messages. */
#pragma once

#include "block/graph.h"
#include "block/image.h"
#include "object/object.h"

#include <stdio.h>

/* The programs; `arguments` do not have the program's name. They return an exit status. */
int img_main(const char *program, int count, char **arguments);
int io_main(const char *program, int count, char **arguments);
int nbd_main(const char *program, int count, char **arguments);

extern const char tool_version[]; /* what --version says behind the program's name */

typedef struct ToolSignals ToolSignals;
typedef struct Tool {
    const char *program; /* "qemu-img" */
    ToolSignals *signals; /* NULL: they are not waited for */
    Loop *loop;
    Files *files;
    BlockGraph *graph;
    Object *root, *objects; /* the tree of objects, and where --object puts them */
    Trace *trace;           /* NULL: none */
    struct Log *log;        /* its; NULL: none */
} Tool;
bool tool_init(Tool *tool, const char *program);
void tool_free(Tool *tool);

/* --object: option syntax or JSON. *ended: help was asked for, and printed. False after a message. */
bool tool_add_object(const Tool *tool, const char *text, bool *ended);

/* trace.c, -T. *ended: help was asked for, and printed. False after a message. */
bool tool_trace(Tool *tool, const char *text, bool *ended);
void tool_trace_free(Tool *tool);

/* signals.c: between the two, signals do not tear what is written. False after a message. The second one does not
 * return where a signal has ended the work. */
bool tool_signals_start(Tool *tool);
void tool_signals_end(Tool *tool);
/* The command looks at tool_interrupted from now on, and stops then, without a message. */
void tool_stops(Tool *tool, bool stops);
bool tool_interrupted(const Tool *tool);
/* Somebody has asked for it, once. */
bool tool_progress_wanted(const Tool *tool);
/* A new file, which an interrupt removes until tool_unguard. */
void tool_guard(Tool *tool, const char *path);
void tool_unguard(Tool *tool);

/* "PROGRAM: message" on stderr. */
void tool_error(const Tool *tool, const char *format, ...) PRINTF(2, 3);
void tool_warning(const Tool *tool, const char *format, ...) PRINTF(2, 3);
/* The same of an error, with what stands before it; frees it. */
void tool_report(const Tool *tool, Error *error, const char *prefix, ...) PRINTF(3, 4);

/* How an image is opened. */
typedef struct ToolOpen {
    const char *name;
    const char *format; /* NULL: it is found out */
    bool image_opts;    /* the name is options */
    unsigned flags;     /* BLOCK_OPEN_* */
    bool write_through;
    const Json *options; /* more of them, besides the format; NULL: none */
    bool snapshot;       /* what is written goes to a file that is gone afterwards */
    bool copy_on_read;
    unsigned permissions, shared;
    const char *complaint; /* how a message begins; NULL: "Could not open 'NAME': " */
} ToolOpen;
/* NULL after a message. */
BlockEdge *tool_open(const Tool *tool, const ToolOpen *open);

/* A size, or what would be one if it were not negative or too large. */
bool tool_is_number(const char *text);
/* "1.5 MiB"; the caller's. */
char *tool_size_text(uint64_t bytes);
