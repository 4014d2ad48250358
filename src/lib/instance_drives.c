/*
 * -drive and what stands for it (-hda, -cdrom, -pflash, an image without an option): an option's own keys, the block
 * node's among the rest, and the place that a drive has in the machine.
 *
 * Not here: IDE, SCSI, floppy, SD, MTD and Xen, which no machine has yet.
 */
#include "lib/instance_internal.h"

#include "api/json.h"
#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/text.h"
#include "block/block.h"
#include "block/graph.h"
#include "block/image.h"
#include "monitor/objects.h"
#include "schema/block.h"
#include "schema/options.h"

#include <stdlib.h>
#include <string.h>

/* The names that limits had before they were throttling.*. */
static const char *const old_limits[][2] = {
    { "iops", "iops-total" }, { "iops_rd", "iops-read" }, { "iops_wr", "iops-write" }, { "bps", "bps-total" },
    { "bps_rd", "bps-read" }, { "bps_wr", "bps-write" }, { "iops_max", "iops-total-max" },
    { "iops_rd_max", "iops-read-max" }, { "iops_wr_max", "iops-write-max" }, { "bps_max", "bps-total-max" },
    { "bps_rd_max", "bps-read-max" }, { "bps_wr_max", "bps-write-max" }, { "iops_size", "iops-size" },
    { "group", "group" },
};

static Json *take_old_limits(Json *values)
{
    Json *limits = json_take(values, "throttling");
    for (size_t i = 0; i < ARRAY_SIZE(old_limits); i++) {
        Json *value = json_take(values, old_limits[i][0]);
        if (value) {
            limits = limits ? limits : json_object();
            json_set(limits, old_limits[i][1], value);
        }
    }
    return limits;
}

/* Moves the drive's own keys out of `values`; what is left is the node's. */
static Json *take_own(Json *values)
{
    Json *own = json_object(), *limits = take_old_limits(values);
    for (size_t i = 0; i < DriveOptions_type.member_count; i++) {
        const char *name = DriveOptions_type.members[i].name;
        const Json *value = json_get(values, name);
        bool is_child = value && strcmp(name, "file") == 0 && json_kind(value) != JSON_STRING;
        if (value && !is_child) {
            json_set(own, name, json_take(values, name));
        }
    }
    if (limits) {
        json_set(own, "throttling", limits);
    }
    return own;
}

/* Places */

static bool choose_place(Instance *instance, const DriveOptions *given, DrivePlace *place, Error **error)
{
    if (given->has_index && (given->has_bus || given->has_unit)) {
        return error_set(error, "index cannot be used with bus and unit");
    }
    bool chosen = given->has_index || given->has_unit;
    *place = (DrivePlace){ .interface = given->has_if_ ? given->if_ : DRIVE_INTERFACE_VIRTIO, .bus = given->bus,
                           .unit = given->has_index ? given->index : given->unit };
    for (size_t i = 0; i < instance->drive_places.count;) {
        const DrivePlace *other = &instance->drive_places.items[i++];
        if (other->interface != place->interface || other->bus != place->bus || other->unit != place->unit) {
            continue;
        }
        if (chosen) {
            return error_set(error, "drive with bus=%d, unit=%d (index=%d) exists", place->bus, place->unit,
                             given->has_index ? given->index : -1);
        }
        place->unit++;
        i = 0;
    }
    return true;
}

static bool use_place(Instance *instance, const DrivePlace *place, const char *id, Error **error)
{
    AUTO_FREE char *property = NULL;
    vec_push(&instance->drive_places, *place);
    switch (place->interface) {
    case DRIVE_INTERFACE_NONE:
        return true;
    case DRIVE_INTERFACE_VIRTIO:
        vec_push(&instance->drive_devices, string_format("virtio-blk-device,drive=%s", id));
        return true;
    case DRIVE_INTERFACE_PFLASH:
        property = string_format("pflash%d", place->unit);
        return object_set_text(&instance->machine->object, property, id, error);
    default:
        return error_set(error, "machine type does not support if=%s,bus=%d,unit=%d",
                         DriveInterface_type.names[place->interface], place->bus, place->unit);
    }
}

/* The node */

/* cache=MODE, cache.direct, cache.no-flush, cache.writeback. */
static bool take_cache(Json *values, DiskOptions *options, Error **error)
{
    Json *cache = json_take(values, "cache");
    if (!cache) {
        return true;
    }
    if (json_kind(cache) == JSON_STRING) {
        bool ok = block_parse_cache_mode(json_text(cache), &options->flags, &options->write_through, error);
        json_free(cache);
        return ok;
    }
    Json *writeback = json_take(cache, "writeback");
    bool on = true, ok = !writeback || (json_kind(writeback) == JSON_STRING
                                            ? text_to_bool(json_text(writeback), &on, error)
                                            : json_kind(writeback) == JSON_BOOL &&
                                                (on = json_to_bool(writeback), true));
    options->write_through = !on;
    json_free(writeback);
    json_set(values, "cache", cache);
    return ok;
}

/* How the file is read is the file's option, where it is one of the host's. */
static bool place_aio(const DriveOptions *given, Json *values, Error **error)
{
    Json *file = json_take(values, "file");
    if (!file && given->file && !text_starts_with(given->file, "json:")) {
        const BlockDriver *driver = block_protocol_find(given->file, error);
        if (!driver) {
            return false;
        }
        file = json_object();
        json_set(file, "driver", json_string(block_driver_name(driver)));
        json_set(file, "filename", json_string(given->file + block_name_scheme(given->file)));
    }
    const char *driver = file ? json_get_text(file, "driver") : NULL;
    bool takes = driver && (strcmp(driver, "file") == 0 || strcmp(driver, "host_device") == 0);
    if (takes && !json_get(file, "aio")) {
        json_set(file, "aio", json_string(BlockdevAioOptions_type.names[given->aio]));
    }
    if (takes || !given->file) {
        json_set(values, "file", file ? file : json_object());
    } else {
        json_free(file);
    }
    return true;
}

static bool prepare_node(const DriveOptions *given, Json *values, DiskOptions *options, Error **error)
{
    if (given->format && json_get(values, "driver")) {
        return error_set(error, "Cannot specify both 'driver' and 'format'");
    }
    if (given->format) {
        json_set(values, "driver", json_string(given->format));
    }
    if (!json_get(values, "auto-read-only")) {
        json_set(values, "auto-read-only", json_string("on"));
    }
    if (!(given->file && *given->file) && !json_get(values, "file") && !json_get(values, "driver") &&
        !json_get(values, "filename")) {
        return error_set(error, "Must specify either driver or file");
    }
    options->filename = given->file;
    if (!take_cache(values, options, error) || (given->has_aio && !place_aio(given, values, error))) {
        return false;
    }
    if (json_get(values, "file")) {
        options->filename = NULL;
    }
    return true;
}

/* Whether there is a medium at all; what the next one gets, where there is none. */
static bool take_empty(const DriveOptions *given, Json *values, DiskOptions *options, Error **error)
{
    const char *zeroes = json_get_text(values, "detect-zeroes");
    int mode = zeroes ? type_enum_value(&BlockdevDetectZeroesOptions_type, zeroes, error)
                      : BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF;
    options->empty = !(given->file && *given->file) && !given->format &&
                     json_length(values) == (json_get(values, "detect-zeroes") ? 1 : 0);
    options->flags = given->readonly || given->read_only || given->media == DRIVE_MEDIA_CDROM ? 0 : BLOCK_OPEN_WRITE;
    options->detect_zeroes = mode;
    return mode >= 0;
}

static bool check_policies(const DriveOptions *given, Error **error)
{
    return given->rerror != BLOCKDEV_ON_ERROR_ENOSPC || error_set(error, "'enospc' invalid read error action");
}

typedef VEC(unsigned) Seconds;

static bool read_intervals(const DriveOptions *given, Seconds *intervals, Error **error)
{
    for (size_t i = 0; i < given->stats_intervals.count; i++) {
        const char *text = given->stats_intervals.items[i];
        uint64_t seconds;
        if (!text_to_uint64(text, &seconds, NULL) || seconds == 0 || seconds > UINT32_MAX) {
            return error_set(error, "Invalid interval length: %s", text);
        }
        vec_push(intervals, (unsigned)seconds);
    }
    return true;
}

static bool open_disk(Instance *instance, DiskOptions *options, const DriveOptions *given, const Json *values,
                      Error **error)
{
    Seconds intervals = { 0 };
    bool ok = read_intervals(given, &intervals, error) && disk_prepare_graph(instance->machine, instance->files, error);
    options->ignore_invalid = !given->stats_account_invalid;
    options->ignore_failed = !given->stats_account_failed;
    options->intervals = intervals.items;
    options->interval_count = intervals.count;
    if (ok) {
        options->options = json_copy(values);
        ok = disk_open(instance->machine->root, instance->files, instance->loop, options, error) != NULL;
    }
    vec_free(&intervals);
    return ok;
}

static bool open_drive(Instance *instance, const DriveOptions *given, Json *values, Error **error)
{
    DrivePlace place;
    if (!check_policies(given, error) || !choose_place(instance, given, &place, error)) {
        return false;
    }
    AUTO_FREE char *id = given->id ? string_copy(given->id)
                                   : string_format("%s%d", DriveInterface_type.names[place.interface], place.unit);
    DiskOptions options = { .id = id, .copy_on_read = given->copy_on_read, .read_error = given->rerror,
                            .write_error = given->werror, .throttling = (ThrottleLimits *)given->throttling,
                            .throttle_group = given->throttling ? given->throttling->group : NULL };
    if (!take_empty(given, values, &options, error) ||
        (!options.empty && !prepare_node(given, values, &options, error))) {
        return false;
    }
    if (options.copy_on_read && !(options.flags & BLOCK_OPEN_WRITE)) {
        instance_message(instance, "warning", "-drive: disabling copy-on-read on read-only drive");
        options.copy_on_read = false;
    }
    options.snapshot = given->has_snapshot ? given->snapshot
                                           : given_find(&instance->given, OPTION_SNAPSHOT) != NULL;
    return open_disk(instance, &options, given, values, error) && use_place(instance, &place, id, error);
}

static bool add_drive(Instance *instance, const Json *all, bool typed, Error **error)
{
    DriveOptions given = { 0 };
    Json *values = json_copy(all), *own = take_own(values);
    bool ok = (typed ? type_from_json(&DriveOptions_type, own, &given, error)
                     : type_from_options(&DriveOptions_type, own, &given, error)) &&
              open_drive(instance, &given, values, error);
    type_clear(&DriveOptions_type, &given);
    json_free(own);
    json_free(values);
    return ok;
}

bool instance_apply_drive(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    return add_drive(instance, option->values, option->json, error);
}

bool instance_add_drive(void *instance, const char *options, Error **error)
{
    Json *values = options_parse(options, NULL, NULL, error);
    if (!values) {
        return false;
    }
    const char *interface = json_get_text(values, "if");
    int kind = interface ? type_enum_value(&DriveInterface_type, interface, error) : DRIVE_INTERFACE_VIRTIO;
    bool ok = kind >= 0 && (kind == DRIVE_INTERFACE_NONE || error_set(error, "Can't hot-add drive to type %d", kind)) &&
              add_drive(instance, values, false, error);
    json_free(values);
    return ok;
}

bool instance_apply_disk(Instance *instance, const GivenOption *option, const void *value, Error **error)
{
    static const struct {
        OptionId id;
        const char *key, *value, *index;
    } rows[] = {
        { OPTION_HDA, "media", "disk", "0" },  { OPTION_HDB, "media", "disk", "1" },
        { OPTION_HDC, "media", "disk", "2" },  { OPTION_HDD, "media", "disk", "3" },
        { OPTION_CDROM, "media", "cdrom", "2" }, { OPTION_FDA, "if", "floppy", "0" },
        { OPTION_FDB, "if", "floppy", "1" },   { OPTION_SD, "if", "sd", NULL },
        { OPTION_MTDBLOCK, "if", "mtd", NULL }, { OPTION_PFLASH, "if", "pflash", NULL },
    };
    Json *values = json_object();
    json_set(values, "file", json_string(option->text));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].id == option->id) {
            json_set(values, rows[i].key, json_string(rows[i].value));
            if (rows[i].index) {
                json_set(values, "index", json_string(rows[i].index));
            }
        }
    }
    bool ok = add_drive(instance, values, false, error);
    json_free(values);
    return ok;
}
