/* Commands of the io program that do not move data. */
#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/text.h"
#include "block/blkdebug.h"
#include "schema/block.h"
#include "tools/io/io.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static BlockNode *node_of(const Io *io) { return block_edge_node(io->edge); }

static int run_flush(Io *io, int count, char **words) { return -block_flush(io->edge); }

static int run_aio_flush(Io *io, int count, char **words)
{
    io_finish_pending(io);
    return 0;
}

static int run_length(Io *io, int count, char **words)
{
    AUTO_FREE char *text = io_size_text((double)block_node_size(node_of(io)));
    printf("%s\n", text);
    return 0;
}

static int run_truncate(Io *io, int count, char **words)
{
    Error *error = NULL;
    uint64_t size;
    int mode = PREALLOC_MODE_OFF;
    optind = 0;
    for (int letter; (letter = getopt(count, words, "m:")) != -1;) {
        mode = letter == 'm' ? type_enum_value(&PreallocMode_type, optarg, &error) : -1;
        if (mode < 0) {
            if (error) {
                tool_error(&io->tool, "Invalid preallocation mode '%s'", optarg);
                error_free(error);
            } else {
                io_print_usage(words[0]);
            }
            return -EINVAL;
        }
    }
    if (count - optind != 1 || !io_parse_number(words[optind], &size)) {
        return -EINVAL;
    }
    if (!block_resize(io->edge, size, mode, &error)) {
        tool_report(&io->tool, error, "%s", "");
        return -EINVAL;
    }
    return 0;
}

/* From `offset` on, what is alike: whether the node itself has it. */
static int find_run(Io *io, uint64_t offset, uint64_t count, uint64_t *length, bool *allocated)
{
    *length = 0;
    while (*length < count) {
        BlockStatus status;
        int error = block_status(io->edge, offset + *length, count - *length, &status);
        if (error || (*length && status.allocated != *allocated)) {
            return *length ? 0 : error;
        }
        *allocated = status.allocated;
        *length += status.bytes;
    }
    return 0;
}

static int run_alloc(Io *io, int count, char **words)
{
    uint64_t offset, length = 512, sum = 0, size = block_node_size(node_of(io)), part;
    bool allocated = false;
    if (!io_parse_number(words[1], &offset) || (count > 2 && !io_parse_number(words[2], &length))) {
        return -EINVAL;
    }
    length = offset < size ? MIN(length, size - offset) : 0;
    for (uint64_t done = 0; done < length; done += part) {
        int error = find_run(io, offset + done, length - done, &part, &allocated);
        if (error) {
            printf("is_allocated failed: %s\n", strerror(error));
            return -error;
        }
        sum += allocated ? part : 0;
    }
    AUTO_FREE char *text = io_size_text((double)offset);
    printf("%llu/%llu bytes allocated at offset %s\n", (unsigned long long)sum, (unsigned long long)length, text);
    return 0;
}

static int run_map(Io *io, int count, char **words)
{
    uint64_t size = block_node_size(node_of(io)), part;
    for (uint64_t at = 0; at < size; at += part) {
        bool allocated = false;
        int error = find_run(io, at, size - at, &part, &allocated);
        if (error) {
            printf("Failed to get allocation status: %s\n", strerror(error));
            return -error;
        }
        AUTO_FREE char *length = io_size_text((double)part);
        AUTO_FREE char *offset = io_size_text((double)at);
        printf("%s (0x%llx) bytes %s allocated at offset %s (0x%llx)\n", length, (unsigned long long)part,
               allocated ? "   " : "not", offset, (unsigned long long)at);
    }
    return 0;
}

static int run_info(Io *io, int count, char **words)
{
    BlockFacts facts;
    block_node_facts(node_of(io), &facts);
    printf("format name: %s\n", block_node_driver_name(node_of(io)));
    AUTO_FREE char *cluster = io_size_text(facts.cluster_bytes);
    AUTO_FREE char *state = io_size_text((double)facts.vm_state_offset);
    printf("cluster size: %s\nvm state offset: %s\n", cluster, state);
    if (facts.specific) {
        printf("Format specific information:\n");
        for (size_t i = 0; i < json_length(facts.specific); i++) {
            const Json *value = json_value(facts.specific, i);
            AUTO_FREE char *name = string_copy(json_key(facts.specific, i));
            bool is_text = json_kind(value) == JSON_STRING;
            AUTO_FREE char *text = is_text ? string_copy(json_text(value)) : json_to_text(value);
            for (char *c = name; *c; c++) {
                *c = *c == '-' ? ' ' : *c;
            }
            printf("    %s: %s\n", name, text);
        }
    }
    json_free(facts.specific);
    return 0;
}

static void time_is_over(void *data) { *(bool *)data = true; }

/* Requests go on meanwhile. */
static int run_sleep(Io *io, int count, char **words)
{
    uint64_t milliseconds;
    if (!text_to_uint64(words[1], &milliseconds, NULL) || milliseconds > INT32_MAX) {
        printf("%s is not a valid number\n", words[1]);
        return -EINVAL;
    }
    BlockLoop *loop = block_runtime_main(block_graph_runtime(io->tool.graph));
    bool over = false;
    BlockTimer timer;
    block_timer_init(&timer, loop, time_is_over, &over);
    block_timer_set(&timer, host_monotonic_ns() + (int64_t)milliseconds * 1000000);
    while (!over) {
        block_loop_poll(loop, true);
    }
    return 0;
}

static int run_quit(Io *io, int count, char **words)
{
    io->quits = true;
    return 0;
}

static int run_abort(Io *io, int count, char **words) { abort(); }

static int run_sigraise(Io *io, int count, char **words)
{
    uint64_t number;
    if (!io_parse_number(words[1], &number)) {
        return -EINVAL;
    }
    if (number > 64) {
        printf("%s is not a valid signal\n", words[1]);
        return -EINVAL;
    }
    fflush(stdout);
    raise((int)number);
    return 0;
}

/* Breakpoints */

static int run_break(Io *io, int count, char **words)
{
    int error = blkdebug_break(io->edge, words[1], words[2]);
    if (error) {
        printf("Could not set breakpoint: %s\n", strerror(error));
    } else {
        vec_push(&io->tags, string_copy(words[2]));
    }
    return -error;
}

static int run_remove_break(Io *io, int count, char **words)
{
    int error = blkdebug_remove_break(io->edge, words[1]);
    if (error) {
        printf("Could not remove breakpoint %s: %s\n", words[1], strerror(error));
    }
    return -error;
}

static int run_resume(Io *io, int count, char **words)
{
    int error = blkdebug_resume(io->edge, words[1]);
    if (error) {
        printf("Could not resume request: %s\n", strerror(error));
    } else {
        printf("blkdebug: Resuming request '%s'\n", words[1]);
    }
    return -error;
}

static int run_wait_break(Io *io, int count, char **words)
{
    while (!blkdebug_is_suspended(io->edge, words[1])) {
        if (io->pending == 0) {
            printf("No request is on its way that could be suspended\n");
            return -EINVAL;
        }
        block_loop_poll(block_runtime_main(block_graph_runtime(io->tool.graph)), true);
    }
    printf("blkdebug: Suspended request '%s'\n", words[1]);
    return 0;
}

/* No node here has zones. */
static int run_zone(Io *io, int count, char **words)
{
    uint64_t number;
    for (int i = 1; i < count; i++) {
        if (!io_parse_number(words[i], &number)) {
            return -EINVAL;
        }
    }
    printf("zone %s failed: %s\n", words[0] + strlen("zone_"), strerror(ENOTSUP));
    return -ENOTSUP;
}

/* Of both lists, which are sorted. */
static void print_all_commands(void)
{
    const IoCommand *a = io_transfer_commands, *b = io_other_commands;
    while (a->name || b->name) {
        const IoCommand **next = !b->name || (a->name && strcmp(a->name, b->name) < 0) ? &a : &b;
        io_print_usage((*next)++->name);
    }
    printf("\nUse 'help commandname' for extended help.\n");
}

static int run_help(Io *io, int count, char **words)
{
    if (count < 2) {
        print_all_commands();
        return 0;
    }
    const IoCommand *command = io_find_command(words[1]);
    if (!command) {
        printf("command %s not found\n", words[1]);
        return -EINVAL;
    }
    io_print_usage(words[1]);
    printf("%s", command->help ? command->help : "");
    return 0;
}

const IoCommand io_other_commands[] = {
    { "abort", 0, 0, false, "", "simulate a program crash using abort(3)", run_abort },
    { "aio_flush", 0, 0, true, "", "completes all outstanding aio requests", run_aio_flush },
    { "alloc", 1, 2, true, "offset [count]", "checks if offset is allocated in the file", run_alloc },
    { "break", 2, 2, true, "event tag", "sets a breakpoint on event and tags the stopped request as tag", run_break },
    { "close", 0, 0, true, "", "close the current open file", io_run_close },
    { "flush", 0, 0, true, "", "flush all in-core file state to disk", run_flush },
    { "help", 0, 1, false, "[command]", "help for one or all commands", run_help },
    { "info", 0, 0, true, "", "prints information about the current file", run_info },
    { "length", 0, 0, true, "", "gets the length of the current file", run_length },
    { "map", 0, 0, true, "", "prints the allocated areas of a file", run_map },
    { "open", 1, -1, false, "[-rsCnkU] [-i aio] [-t cache] [-d discard] [-o options] [path]",
      "open the file specified by path", io_run_open,
      "\n -r read-only, -s writes go to a file that is gone afterwards, -C what is read from backing files is kept,\n"
      " -n without the host's cache, -k by the host's older asynchronous I/O, -i by threads, native or io_uring,\n"
      " -U others may write, -t cache mode, -d unmap or ignore, -o options of the driver\n\n" },
    { "quit", 0, 0, false, "", "exit the program", run_quit },
    { "remove_break", 1, 1, true, "tag", "remove a breakpoint by tag", run_remove_break },
    { "reopen", 0, -1, true, "[(-r|-w)] [-c cache] [-o options]", "reopens an image with new options", io_run_reopen,
      "\n -r read-only, -w to be written, -c cache mode, -o options of the driver\n\n" },
    { "resume", 1, 1, true, "tag", "resumes the request tagged as tag", run_resume },
    { "sigraise", 1, 1, false, "signal", "raises a signal", run_sigraise },
    { "sleep", 1, 1, false, "", "waits for the given value in milliseconds", run_sleep },
    { "truncate", 1, 3, true, "[-m prealloc_mode] off", "truncates the current file at the given offset",
      run_truncate },
    { "wait_break", 1, 1, true, "tag", "waits for the suspension of a request", run_wait_break },
    { "zone_append", 3, 4, true, "offset len [len..]", "append write a number of bytes at a specified offset",
      run_zone },
    { "zone_close", 2, 2, true, "offset len", "close a range of zones in zone block device", run_zone },
    { "zone_finish", 2, 2, true, "offset len", "finish a range of zones in zone block device", run_zone },
    { "zone_open", 2, 2, true, "offset len", "explicit open a range of zones in zone block device", run_zone },
    { "zone_report", 2, 2, true, "offset number", "report zone information", run_zone },
    { "zone_reset", 2, 2, true, "offset len", "reset a zone write pointer in zone block device", run_zone },
    { 0 },
};
