/* What the commands of the img program share. */
#pragma once

#include "base/vec.h"
#include "tools/tool.h"

#include <getopt.h>

typedef struct Img Img;
typedef struct ImgCommand ImgCommand;
typedef VEC(const char *) Texts;
/* An option that asks for something to be done, in its turn. */
typedef struct ImgStep {
    const char *name, *argument;
} ImgStep;
typedef VEC(ImgStep) ImgSteps;

/* All that options of commands say. */
typedef struct ImgArguments {
    const char *format, *target_format, *output, *cache, *source_cache, *backing, *backing_format, *repair,
        *size, *preallocation, *create, *apply, *delete, *source_snapshot, *parallel, *sparse, *start_offset,
        *max_length, *count, *buffer_size, *depth, *step, *aio, *pattern, *flush_interval, *rate, *granularity,
        *source, *source_format;
    Texts options, objects;
    ImgSteps steps;
    bool bitmaps, skip_broken_bitmaps, drop, list, help, quiet, progress, image_opts, target_image_opts, force_share,
        unsafe, strict, compress, no_create, target_is_zero, salvage, out_of_order, shrink, backing_chain, force,
        native, write, no_drain, copy_range;
    int names; /* what is no option */
    char **name;
} ImgArguments;

/* An option of a command: what it sets, and its help. */
typedef enum ImgOptionKind { IMG_FLAG, IMG_TEXT, IMG_TEXTS, IMG_STEP } ImgOptionKind;
typedef struct ImgOption {
    int letter; /* 0: none */
    const char *name;
    ImgOptionKind kind;
    size_t offset; /* in ImgArguments */
    const char *argument, *help;
} ImgOption;

enum { IMG_COMPARE_FAILED = 2 }; /* compare: 1 says that they differ */

struct ImgCommand {
    const char *name, *summary, *usage;
    const ImgOption *options; /* a row without a name ends them */
    int (*run)(Img *img, ImgArguments *arguments);
    bool signed_last; /* its last argument may begin with a minus sign */
};

struct Img {
    Tool tool;
    const ImgCommand *command;
    bool quiet;
};

#define IMG_OPTION(letter_, name_, kind_, field_, argument_, help_) \
    { letter_, name_, kind_, offsetof(ImgArguments, field_), argument_, help_ }
#define IMG_HELP IMG_OPTION('h', "help", IMG_FLAG, help, NULL, "print this help and exit")
#define IMG_QUIET IMG_OPTION('q', "quiet", IMG_FLAG, quiet, NULL, "quiet operation")
#define IMG_PROGRESS IMG_OPTION('p', "progress", IMG_FLAG, progress, NULL, "show progress")
#define IMG_FORMAT IMG_OPTION('f', "format", IMG_TEXT, format, "FMT", "specify FILENAME format explicitly")
#define IMG_IMAGE_OPTS \
    IMG_OPTION(0, "image-opts", IMG_FLAG, image_opts, NULL, "FILENAME is a complete image specification")
#define IMG_SHARE \
    IMG_OPTION('U', "force-share", IMG_FLAG, force_share, NULL, "open image in shared mode for concurrent access")
#define IMG_OUTPUT IMG_OPTION(0, "output", IMG_TEXT, output, "human|json", "output format")
#define IMG_OBJECT \
    IMG_OPTION(0, "object", IMG_TEXTS, objects, "OBJDEF", "define an object, such as a secret for passwords and keys")
/* All commands have it. */
#define IMG_OPTIONS_END IMG_OBJECT, { 0 }

extern const ImgCommand img_amend, img_bench, img_bitmap, img_check, img_commit, img_compare, img_convert,
    img_create, img_dd, img_info, img_map, img_measure, img_rebase, img_resize, img_snapshot;

/* arguments.c: false after a message, or where help was asked for and printed; `*status` is the exit status then. */
bool img_parse(Img *img, int count, char **arguments, ImgArguments *result, int *status);
void img_arguments_clear(ImgArguments *arguments);
/* "PROGRAM: message", and that --help says more; returns 1. */
int img_usage_error(const Img *img, const char *format, ...) PRINTF(2, 3);
/* --output: human or json. */
bool img_parse_output(const Img *img, const ImgArguments *arguments, bool *json);
/* A cache mode of -t or -T (NULL: `usual`); `what` "cache" or "source cache" for the message. */
bool img_parse_cache(const Img *img, const char *name, const char *usual, const char *what, unsigned *flags,
                     bool *write_through);
/* Of -o: all of them together, texts. NULL after a message. */
Json *img_parse_options(const Img *img, const Texts *texts, bool *help);
/* A size with a suffix; `what` for the message. */
bool img_parse_size(const Img *img, const char *text, const char *what, uint64_t *bytes);

/* common.c */

/* -p; else SIGUSR1 shows it. */
typedef struct ImgProgress {
    const Tool *tool;
    bool shown;
    double last;
} ImgProgress;
void img_progress(ImgProgress *progress, uint64_t done, uint64_t all);
void img_progress_end(ImgProgress *progress);

/* -r: bytes in a second; 0: any. */
typedef struct ImgRate {
    uint64_t rate;
    int64_t next; /* when that much has gone by */
} ImgRate;
bool img_parse_rate(const Img *img, const char *text, ImgRate *rate);
/* Waits until `bytes` may be moved, or a signal interrupts. In a task, or outside any. */
void img_rate_wait(const Img *img, ImgRate *rate, uint64_t bytes);

/* Opens an image to be read, as -f, --image-opts and -U say. NULL after a message. */
BlockEdge *img_open_source(const Img *img, const ImgArguments *arguments, const char *name, const char *format,
                           unsigned flags);
/* The ID of the first one with that name and ID (NULL: any); the caller's. NULL: there is none. */
char *img_find_snapshot(BlockNode *node, const char *name, const char *id);
/* The image, a read-only one, reads as the snapshot: snapshot.name=NAME, snapshot.id=ID, or one of both. */
bool img_load_snapshot(const Img *img, BlockEdge *edge, const char *text);
/* block_create of a file, which is removed where a signal interrupts before tool_unguard. */
bool img_create_file(Img *img, const BlockDriver *driver, const char *filename, const Json *values, Error **error);
/* The driver of a new image; NULL after a message. */
const BlockDriver *img_find_creatable(const Img *img, const char *format);
/* Prints the members of one or two struct types (NULL: none), nested ones with dots. */
void img_print_options(const Type *type, const Type *more);
/* Prints the options of -o help. */
bool img_print_create_options(const Img *img, const char *format, const char *filename);
void img_print_json(const Json *json);
void img_print_snapshots(const BlockSnapshots *snapshots, int indent); /* nothing where there are none */

/* convert_bitmaps.c: false after a message. */

bool img_check_source_bitmaps(const Img *img, BlockNode *source, bool skip_broken);
bool img_copy_bitmaps(const Img *img, const BlockNode *source, BlockNode *target); /* no broken ones */
