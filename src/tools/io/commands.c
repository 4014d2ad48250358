/* Commands of the io program that do not move data. */
#include "api/json.h"
#include "base/error.h"
#include "base/text.h"
#include "schema/block.h"
#include "tools/io/io.h"

#include "api/type.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

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
                tool_report(&io->tool, error, "%s", "");
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
    uint64_t there = offset < size ? MIN(length, size - offset) : 0;
    for (uint64_t done = 0; done < there; done += part) {
        int error = find_run(io, offset + done, there - done, &part, &allocated);
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

static int run_sleep(Io *io, int count, char **words)
{
    uint64_t milliseconds;
    if (!text_to_uint64(words[1], &milliseconds, NULL) || milliseconds > INT32_MAX) {
        printf("%s is not a valid argument\n", words[1]);
        return -EINVAL;
    }
    struct timespec time = { (time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000 };
    nanosleep(&time, NULL);
    return 0;
}

static int run_open(Io *io, int count, char **words)
{
    ToolOpen how = io->how;
    optind = 0;
    for (int letter; (letter = getopt(count, words, "rnUt:d:")) != -1;) {
        AUTO_ERROR(error);
        bool ok = letter != '?';
        how.flags = letter == 'r' ? how.flags & ~(unsigned)BLOCK_OPEN_WRITE
                    : letter == 'n' ? how.flags | BLOCK_OPEN_DIRECT
                    : letter == 'U' ? how.flags | BLOCK_OPEN_FORCE_SHARE
                                    : how.flags;
        if (letter == 't') {
            ok = block_parse_cache_mode(optarg, &how.flags, &how.write_through, &error);
        } else if (letter == 'd') {
            how.flags = strcmp(optarg, "unmap") == 0 ? how.flags | BLOCK_OPEN_DISCARD
                                                     : how.flags & ~(unsigned)BLOCK_OPEN_DISCARD;
        }
        if (!ok) {
            return -EINVAL;
        }
    }
    if (io->edge) {
        tool_error(&io->tool, "file open already, try 'help close'");
        return -EBUSY;
    }
    how.name = optind < count ? words[optind] : NULL;
    if (!how.name) {
        fprintf(stderr, "a file name is needed\n");
        return -EINVAL;
    }
    return io_open(io, &how) ? 0 : -EINVAL;
}

static int run_close(Io *io, int count, char **words)
{
    io_close(io);
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
    if (!text_to_uint64(words[1], &number, NULL) || number > 64) {
        printf("%s is not a valid argument\n", words[1]);
        return -EINVAL;
    }
    fflush(stdout);
    raise((int)number);
    return 0;
}

static int run_help(Io *io, int count, char **words)
{
    const IoCommand *const lists[] = { io_transfer_commands, io_other_commands };
    bool found = false;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (const IoCommand *command = lists[i]; command->name; command++) {
            if (count < 2 || strcmp(command->name, words[1]) == 0) {
                io_print_usage(command->name);
                found = true;
            }
        }
    }
    if (!found) {
        printf("command %s not found\n", words[1]);
    }
    return found ? 0 : -EINVAL;
}

const IoCommand io_other_commands[] = {
    { "abort", 0, 0, false, "", "simulate a program crash using abort(3)", run_abort },
    { "aio_flush", 0, 0, true, "", "completes all outstanding aio requests", run_aio_flush },
    { "alloc", 1, 2, true, "offset [count]", "checks if offset is allocated in the file", run_alloc },
    { "close", 0, 0, true, "", "close the current open file", run_close },
    { "flush", 0, 0, true, "", "flush all in-core file state to disk", run_flush },
    { "help", 0, 1, false, "[command]", "help for one or all commands", run_help },
    { "info", 0, 0, true, "", "prints information about the current file", run_info },
    { "length", 0, 0, true, "", "gets the length of the current file", run_length },
    { "map", 0, 0, true, "", "prints the allocated areas of a file", run_map },
    { "open", 0, -1, false, "[-rnU] [-t cache] [-d discard] path", "open the file specified by path", run_open },
    { "quit", 0, 0, false, "", "exit the program", run_quit },
    { "sigraise", 1, 1, false, "signal", "raises a signal", run_sigraise },
    { "sleep", 1, 1, false, "milliseconds", "waits for the given value in milliseconds", run_sleep },
    { "truncate", 1, -1, true, "[-m prealloc_mode] off", "truncates the current file at the given offset",
      run_truncate },
    { 0 },
};
