/* Disks and block nodes as the human monitor prints them. */
#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/vec.h"
#include "monitor/block_info.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* "1.5 MiB": three digits that count, in the unit that makes them readable. */
static char *size_text(uint64_t bytes)
{
    static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
    int exponent = 0;
    frexp((double)bytes / (1000.0 / 1024.0), &exponent);
    int unit = MAX((exponent - 1) / 10, 0);
    return string_format("%0.3g %sB", (double)bytes / (double)BIT(unit * 10), units[unit]);
}

static void print_value(const char *key, const Json *value, int indent, StrBuf *out);

static void print_parts(const Json *value, int indent, StrBuf *out)
{
    for (size_t i = 0; i < json_length(value); i++) {
        AUTO_FREE char *number = string_format("[%zu]", i);
        bool is_list = json_kind(value) == JSON_ARRAY;
        print_value(is_list ? number : json_key(value, i), is_list ? json_item(value, i) : json_value(value, i), indent,
                    out);
    }
}

static void print_value(const char *key, const Json *value, int indent, StrBuf *out)
{
    bool has_parts = json_kind(value) == JSON_ARRAY || json_kind(value) == JSON_OBJECT;
    AUTO_FREE char *name = string_copy(key);
    AUTO_FREE char *text = has_parts                            ? NULL
                           : json_kind(value) == JSON_STRING ? string_copy(json_text(value))
                                                             : json_to_text(value);
    for (char *c = name; *c; c++) {
        *c = *c == '-' ? ' ' : *c;
    }
    strbuf_printf(out, "%*s%s:%s%s\n", indent, "", name, text ? " " : "", text ? text : "");
    if (has_parts) {
        print_parts(value, indent + 4, out);
    }
}

static void print_snapshots(const SnapshotInfoList *list, StrBuf *out)
{
    if (list->count > 0) {
        strbuf_printf(out, "Snapshot list:\n%-7s %-16s %8s %20s %13s %10s\n", "ID", "TAG", "VM_SIZE", "DATE",
                      "VM_CLOCK", "ICOUNT");
    }
    for (size_t i = 0; i < list->count; i++) {
        const SnapshotInfo *one = &list->items[i];
        AUTO_FREE char *size = size_text(one->vm_state_size);
        AUTO_FREE char *clock = string_format("%04" PRIu64 ":%02u:%02u.%03u", one->vm_clock_sec / 3600,
                                              (unsigned)(one->vm_clock_sec / 60 % 60),
                                              (unsigned)(one->vm_clock_sec % 60),
                                              (unsigned)(one->vm_clock_nsec / 1000000));
        AUTO_FREE char *count = one->has_icount ? string_format("%" PRIu64, one->icount) : string_copy("--");
        time_t seconds = (time_t)one->date_sec;
        struct tm parts;
        char date[32] = "";
        if (localtime_r(&seconds, &parts)) {
            strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &parts);
        }
        strbuf_printf(out, "%-7s %-16s %8s%20s%16s%11s\n", one->id, one->name, size, date, clock, count);
    }
}

static void print_image(const ImageInfo *info, StrBuf *out)
{
    AUTO_FREE char *size = size_text(info->virtual_size);
    AUTO_FREE char *taken = info->has_actual_size ? size_text(info->actual_size) : string_copy("unavailable");
    strbuf_printf(out, "image: %s\nfile format: %s\nvirtual size: %s (%" PRIu64 " bytes)\ndisk size: %s\n",
                  info->filename, info->format, size, info->virtual_size, taken);
    if (info->has_cluster_size) {
        strbuf_printf(out, "cluster_size: %" PRIu64 "\n", info->cluster_size);
    }
    if (info->dirty_flag) {
        strbuf_append(out, "cleanly shut down: no\n");
    }
    if (info->backing_filename) {
        bool same = strcmp(info->backing_filename, info->full_backing_filename) == 0;
        strbuf_printf(out, "backing file: %s", info->backing_filename);
        strbuf_printf(out, same ? "\n" : " (actual path: %s)\n", info->full_backing_filename);
    }
    if (info->backing_filename_format) {
        strbuf_printf(out, "backing file format: %s\n", info->backing_filename_format);
    }
    print_snapshots(&info->snapshots, out);
    const Json *data = info->format_specific ? json_get(info->format_specific, "data") : NULL;
    if (data && json_length(data) > 0) {
        strbuf_append(out, "Format specific information:\n");
        print_parts(data, 4, out);
    }
}

static void print_inserted(const BlockDeviceInfo *info, bool verbose, StrBuf *out)
{
    strbuf_printf(out, "    Cache mode:       %s%s%s\n", info->cache.writeback ? "writeback" : "writethrough",
                  info->cache.direct ? ", direct" : "", info->cache.no_flush ? ", ignore flushes" : "");
    if (info->backing_file) {
        strbuf_printf(out, "    Backing file:     %s (chain depth: %" PRId64 ")\n", info->backing_file,
                      info->backing_file_depth);
    }
    if (info->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF) {
        strbuf_printf(out, "    Detect zeroes:    %s\n",
                      BlockdevDetectZeroesOptions_type.names[info->detect_zeroes]);
    }
    if (info->bps || info->bps_rd || info->bps_wr || info->iops || info->iops_rd || info->iops_wr) {
        strbuf_printf(out, "    I/O throttling:   bps=%" PRId64 " bps_rd=%" PRId64 " bps_wr=%" PRId64
                      " bps_max=%" PRId64 " bps_rd_max=%" PRId64 " bps_wr_max=%" PRId64, info->bps, info->bps_rd,
                      info->bps_wr, info->bps_max, info->bps_rd_max, info->bps_wr_max);
        strbuf_printf(out, " iops=%" PRId64 " iops_rd=%" PRId64 " iops_wr=%" PRId64 " iops_max=%" PRId64
                      " iops_rd_max=%" PRId64 " iops_wr_max=%" PRId64 " iops_size=%" PRId64 " group=%s\n", info->iops,
                      info->iops_rd, info->iops_wr, info->iops_max, info->iops_rd_max, info->iops_wr_max,
                      info->iops_size, info->group);
    }
    if (verbose) {
        strbuf_append(out, "\nImages:\n");
        for (const ImageInfo *image = &info->image; image; image = image->backing_image) {
            print_image(image, out);
        }
    }
}

/* "NAME (NODE): FILE (DRIVER, read-only)": each part where there is one. */
static void print_first_line(const char *device, const BlockDeviceInfo *info, StrBuf *out)
{
    strbuf_append(out, device);
    if (*device) {
        strbuf_printf(out, " (%s)", info->node_name);
    } else {
        strbuf_append(out, info->node_name);
    }
    strbuf_printf(out, ": %s (%s%s)\n", info->file, info->drv, info->ro ? ", read-only" : "");
}

void block_print_disk(const Disk *disk, bool verbose, StrBuf *out)
{
    BlockInfo info;
    block_describe_disk(disk, &info);
    if (info.inserted) {
        print_first_line(info.device, info.inserted, out);
    } else {
        strbuf_printf(out, "%s: [not inserted]\n", *info.device || !info.qdev ? info.device : info.qdev);
    }
    if (info.qdev) {
        strbuf_printf(out, "    Attached to:      %s\n", info.qdev);
    }
    if (info.removable) {
        strbuf_append(out, "    Removable device: not locked, tray closed\n");
    }
    if (info.has_io_status && info.io_status != BLOCK_DEVICE_IO_STATUS_OK) {
        strbuf_printf(out, "    I/O status:       %s\n", BlockDeviceIoStatus_type.names[info.io_status]);
    }
    if (info.inserted) {
        print_inserted(info.inserted, verbose, out);
    }
    type_clear(&BlockInfo_type, &info);
}

void block_print_node(BlockNode *node, bool verbose, StrBuf *out)
{
    BlockDeviceInfo info;
    block_describe_node(node, NULL, false, &info);
    print_first_line("", &info, out);
    print_inserted(&info, verbose, out);
    type_clear(&BlockDeviceInfo_type, &info);
}
