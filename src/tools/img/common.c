/* Progress, opening, and output that commands share. */
#include "api/json.h"
#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/host/host.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "tools/img/img.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_WAIT = 50000000 }; /* ns: how long an interrupt may be left alone */

static void print_progress(ImgProgress *progress, double percent)
{
    progress->last = percent;
    printf("    (%3.2f/100%%)\r", percent);
    fflush(stdout);
}

void img_progress(ImgProgress *progress, uint64_t done, uint64_t all)
{
    double percent = all ? 100.0 * (double)done / (double)all : 100.0;
    if (progress->shown && (percent - progress->last >= 1.0 || done == 0)) {
        print_progress(progress, percent);
    } else if (!progress->shown && tool_progress_wanted(progress->tool)) {
        fprintf(stderr, "    (%3.2f/100%%)\n", percent);
    }
}

void img_progress_end(ImgProgress *progress)
{
    if (progress->shown) {
        print_progress(progress, 100.0);
        printf("\n");
    }
}

bool img_parse_rate(const Img *img, const char *text, ImgRate *rate)
{
    return !text || img_parse_size(img, text, "rate limit", &rate->rate);
}

void img_rate_wait(const Img *img, ImgRate *rate, uint64_t bytes)
{
    BlockTask *self = block_task_self(block_graph_runtime(img->tool.graph));
    int64_t now = host_monotonic_ns(), start = MAX(rate->next, now);
    if (!rate->rate) {
        return;
    }
    rate->next = start + (int64_t)((double)bytes / (double)rate->rate * 1e9);
    while (now < start && !tool_interrupted(&img->tool)) {
        int64_t part = MIN(start - now, LONGEST_WAIT);
        struct timespec time = { 0, part };
        if (self) {
            block_task_wait_until(self, now + part);
        } else {
            nanosleep(&time, NULL);
        }
        now = host_monotonic_ns();
    }
}

BlockEdge *img_open_source(const Img *img, const ImgArguments *arguments, const char *name, const char *format,
                           unsigned flags)
{
    ToolOpen open = { .name = name, .format = format, .image_opts = arguments->image_opts, .flags = flags,
                      .permissions = BLOCK_PERMISSION_READ,
                      .shared = BLOCK_PERMISSION_READ | BLOCK_PERMISSION_WRITE_UNCHANGED };
    if (arguments->force_share) {
        open.flags |= BLOCK_OPEN_FORCE_SHARE;
        open.shared = BLOCK_PERMISSION_ALL;
    }
    return tool_open(&img->tool, &open);
}

char *img_find_snapshot(BlockNode *node, const char *name, const char *id)
{
    BlockSnapshots list;
    char *found = NULL;
    if (!block_snapshot_list(node, &list, NULL)) {
        return NULL;
    }
    for (size_t i = 0; i < list.count && !found; i++) {
        const BlockSnapshot *snapshot = &list.items[i];
        bool matches = (!name || strcmp(snapshot->name, name) == 0) && (!id || strcmp(snapshot->id, id) == 0);
        found = matches ? string_copy(snapshot->id) : NULL;
    }
    block_snapshots_clear(&list);
    return found;
}

/* snapshot.name=N,snapshot.id=I; *id: the snapshot's, NULL where there is none. False after a message. */
static bool parse_snapshot(const Img *img, BlockNode *node, const char *text, char **id)
{
    AUTO_ERROR(error);
    Json *options = options_parse(text, NULL, NULL, &error);
    const Json *values = options ? json_get(options, "snapshot") : NULL;
    bool ok = values != NULL;
    for (size_t i = 0; ok && i < json_length(values); i++) {
        const char *key = json_key(values, i);
        ok = strcmp(key, "name") == 0 || strcmp(key, "id") == 0;
        if (!ok) {
            tool_error(&img->tool, "Invalid parameter 'snapshot.%s'", key);
        }
    }
    *id = ok ? img_find_snapshot(node, json_get_text(values, "name"), json_get_text(values, "id")) : NULL;
    json_free(options);
    if (!ok) {
        tool_error(&img->tool, "Failed in parsing snapshot param '%s'", text);
    }
    return ok;
}

bool img_load_snapshot(const Img *img, BlockEdge *edge, const char *text)
{
    Error *error = NULL;
    BlockNode *node = block_edge_node(edge);
    AUTO_FREE char *id = NULL;
    if (text_starts_with(text, "snapshot.") && !parse_snapshot(img, node, text, &id)) {
        return false;
    }
    if (text_starts_with(text, "snapshot.") && !id && block_can_snapshot(node)) {
        tool_error(&img->tool, "Failed to load snapshot: Can't find snapshot");
        return false;
    }
    if (!block_snapshot_load(node, id ? id : text, &error)) {
        tool_report(&img->tool, error, "Failed to load snapshot: ");
        return false;
    }
    return true;
}

void img_print_json(const Json *json)
{
    AUTO_STRBUF(text);
    json_write_pretty(&text, json);
    printf("%s\n", strbuf_text(&text));
}

static void print_snapshot(const BlockSnapshot *snapshot, int indent)
{
    char date[32];
    struct tm parts;
    time_t seconds = (time_t)snapshot->date_seconds;
    uint64_t clock = snapshot->vm_clock_ns / 1000000;
    AUTO_FREE char *size = tool_size_text(snapshot->vm_state_bytes);
    AUTO_FREE char *count = snapshot->has_icount ? string_format("%llu", (unsigned long long)snapshot->icount)
                                                 : string_copy("--");
    AUTO_FREE char *time = string_format("%04u:%02u:%02u.%03u", (unsigned)(clock / 3600000),
                                         (unsigned)(clock / 60000 % 60), (unsigned)(clock / 1000 % 60),
                                         (unsigned)(clock % 1000));
    localtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &parts);
    printf("%*s%-7s %-16s %8s %19s %15s %10s\n", indent, "", snapshot->id, snapshot->name, size, date, time, count);
}

void img_print_snapshots(const BlockSnapshots *snapshots, int indent)
{
    if (snapshots->count == 0) {
        return;
    }
    printf("%*sSnapshot list:\n%*s%-7s %-16s %8s %19s %15s %10s\n", indent, "", indent, "", "ID", "TAG", "VM_SIZE",
           "DATE", "VM_CLOCK", "ICOUNT");
    for (size_t i = 0; i < snapshots->count; i++) {
        print_snapshot(&snapshots->items[i], indent);
    }
}

/* Options of new images */

static void guard(Img *img, const char *filename, const Json *values)
{
    const char *data_file = json_get_text(values, "data_file");
    tool_guard(&img->tool, filename);
    if (data_file) {
        tool_guard(&img->tool, data_file);
    }
}

/* A file that was there before may turn out to be somebody's: it is guarded when it is ours. */
bool img_create_file(Img *img, const BlockDriver *driver, const char *filename, const Json *values, Error **error)
{
    struct stat before, after;
    bool is_new = stat(filename, &before) != 0;
    if (is_new) {
        guard(img, filename, values);
    }
    bool ok = block_create(img->tool.graph, driver, filename, values, error);
    if (!ok) {
        tool_unguard(&img->tool);
        if (!is_new && S_ISREG(before.st_mode) && stat(filename, &after) == 0 &&
            (before.st_size != after.st_size || before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
             before.st_mtim.tv_nsec != after.st_mtim.tv_nsec)) {
            unlink(filename); /* what was there is gone, and this is no image */
        }
    } else if (!is_new) {
        guard(img, filename, values);
    }
    return ok;
}

const BlockDriver *img_find_creatable(const Img *img, const char *format)
{
    const BlockDriver *driver = block_driver_find(format);
    if (!driver) {
        tool_error(&img->tool, "Unknown file format '%s'", format);
        return NULL;
    }
    if (!block_driver_can_create(driver)) {
        tool_error(&img->tool, "Format driver '%s' does not support image creation", format);
        return NULL;
    }
    return driver;
}

static const char *option_type(const Type *type)
{
    switch (type->kind) {
    case TYPE_BOOL:
        return "bool (on/off)";
    case TYPE_SIZE:
        return "size";
    case TYPE_INT:
        return "num";
    default:
        return "str";
    }
}

typedef struct Line {
    char *name; /* with dots */
    const TypeMember *member;
} Line;
typedef VEC(Line) Lines;

static int compare_lines(const void *a, const void *b)
{
    return strcmp(((const Line *)a)->name, ((const Line *)b)->name);
}

static void add_line(Lines *lines, const char *prefix, const TypeMember *member)
{
    char *name = string_format("%s%s", prefix, member->name);
    for (size_t i = 0; i < lines->count; i++) {
        if (strcmp(lines->items[i].name, name) == 0) {
            free(name);
            return;
        }
    }
    vec_push(lines, (Line){ name, member });
}

static void add_members(Lines *lines, const char *prefix, const Type *type)
{
    for (uint32_t i = 0; type && i < type->member_count; i++) {
        const TypeMember *member = &type->members[i];
        if (member->type->kind == TYPE_STRUCT) {
            AUTO_FREE char *longer = string_format("%s%s.", prefix, member->name);
            add_members(lines, longer, member->type);
        } else {
            add_line(lines, prefix, member);
        }
    }
}

void img_print_options(const Type *type, const Type *more)
{
    Lines lines = { 0 };
    add_members(&lines, "", type);
    add_members(&lines, "", more);
    qsort(lines.items, lines.count, sizeof *lines.items, compare_lines);
    for (size_t i = 0; i < lines.count; i++) {
        const TypeMember *member = lines.items[i].member;
        AUTO_FREE char *name = string_format("%s=<%s>", lines.items[i].name, option_type(member->type));
        printf("  %-22s - %s\n", name, member->description);
        free(lines.items[i].name);
    }
    vec_free(&lines);
}

bool img_print_create_options(const Img *img, const char *format, const char *filename)
{
    const BlockDriver *driver = img_find_creatable(img, format);
    if (!driver) {
        return false;
    }
    if (filename) {
        printf("Supported options:\n");
    } else {
        printf("Supported %s options:\n", format);
    }
    img_print_options(block_driver_create_type(driver),
                      filename ? block_driver_create_type(block_protocol_of(filename)) : NULL);
    if (!filename) {
        printf("\nThe protocol level may support further options.\n"
               "Specify the target filename to include those options.\n");
    }
    return true;
}
