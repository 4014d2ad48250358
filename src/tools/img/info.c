/* img info */
#include "api/json.h"
#include "base/strbuf.h"
#include "tools/img/img.h"

static const ImgOption options[] = {
    IMG_HELP, IMG_FORMAT, IMG_IMAGE_OPTS,
    IMG_OPTION('b', "backing-chain", IMG_FLAG, backing_chain, NULL, "display information about backing chain"),
    IMG_SHARE, IMG_OUTPUT, IMG_OPTIONS_END,
};

/* As JSON, in the order that scripts may have come to know */

static Json *describe(const BlockNode *node);

static Json *describe_children(const BlockNode *node)
{
    Json *children = json_array();
    BlockEdge *edge;
    for (size_t i = 0; (edge = block_node_child(node, i)); i++) {
        if (edge != block_node_backing(node)) {
            Json *child = json_object();
            json_set(child, "name", json_string(block_edge_name(edge)));
            json_set(child, "info", describe(block_edge_node(edge)));
            json_array_append(children, child);
        }
    }
    return children;
}

static void describe_specific(const BlockNode *node, BlockFacts *facts, Json *json)
{
    bool is_file = strcmp(block_node_driver_name(node), "file") == 0;
    if (facts->specific || is_file) {
        Json *specific = json_object();
        json_set(specific, "type", json_string(block_node_driver_name(node)));
        json_set(specific, "data", facts->specific ? facts->specific : json_object());
        json_set(json, "format-specific", specific);
    }
}

static void describe_snapshots(BlockNode *node, Json *json)
{
    BlockSnapshots snapshots;
    if (!block_snapshot_list(node, &snapshots, NULL) || snapshots.count == 0) {
        return;
    }
    Json *list = json_array();
    for (size_t i = 0; i < snapshots.count; i++) {
        const BlockSnapshot *snapshot = &snapshots.items[i];
        Json *one = json_object();
        if (snapshot->has_icount) {
            json_set(one, "icount", json_uint(snapshot->icount));
        }
        json_set(one, "vm-clock-nsec", json_uint(snapshot->vm_clock_ns % 1000000000));
        json_set(one, "name", json_string(snapshot->name));
        json_set(one, "date-sec", json_int(snapshot->date_seconds));
        json_set(one, "date-nsec", json_int(snapshot->date_nanoseconds));
        json_set(one, "vm-clock-sec", json_uint(snapshot->vm_clock_ns / 1000000000));
        json_set(one, "id", json_string(snapshot->id));
        json_set(one, "vm-state-size", json_uint(snapshot->vm_state_bytes));
        json_array_append(list, one);
    }
    json_set(json, "snapshots", list);
    block_snapshots_clear(&snapshots);
}

static Json *describe(const BlockNode *node)
{
    Json *json = json_object();
    BlockFacts facts;
    block_node_facts(node, &facts);
    json_set(json, "children", describe_children(node));
    if (facts.backing_format) {
        json_set(json, "backing-filename-format", json_string(facts.backing_format));
    }
    describe_snapshots((BlockNode *)node, json);
    json_set(json, "virtual-size", json_uint(block_node_size(node)));
    json_set(json, "filename", json_string(block_node_file_name(node)));
    if (facts.cluster_bytes) {
        json_set(json, "cluster-size", json_int(facts.cluster_bytes));
    }
    json_set(json, "format", json_string(block_node_driver_name(node)));
    int64_t taken = block_node_allocated_size((BlockNode *)node);
    if (taken >= 0) {
        json_set(json, "actual-size", json_int(taken));
    }
    describe_specific(node, &facts, json);
    if (facts.backing_file) {
        json_set(json, "full-backing-filename", json_string_take(block_resolve_name(node, facts.backing_file)));
        json_set(json, "backing-filename", json_string(facts.backing_file));
    }
    json_set(json, "dirty-flag", json_bool(facts.dirty));
    return json;
}

/* For people */

static void print_value(const char *key, const Json *value, int indent);

/* Lists and objects: their parts below them. */
static void print_parts(const char *name, const Json *value, int indent)
{
    printf("%*s%s:\n", indent, "", name);
    for (size_t i = 0; i < json_length(value); i++) {
        AUTO_FREE char *number = string_format("[%zu]", i);
        bool is_list = json_kind(value) == JSON_ARRAY;
        print_value(is_list ? number : json_key(value, i), is_list ? json_item(value, i) : json_value(value, i),
                    indent + 4);
    }
}

static void print_value(const char *key, const Json *value, int indent)
{
    if (json_kind(value) == JSON_ARRAY || json_kind(value) == JSON_OBJECT) {
        print_parts(key, value, indent);
        return;
    }
    AUTO_FREE char *name = string_copy(key);
    AUTO_FREE char *text = json_kind(value) == JSON_STRING ? string_copy(json_text(value)) : json_to_text(value);
    for (char *c = name; *c; c++) {
        *c = *c == '-' ? ' ' : *c;
    }
    printf("%*s%s: %s\n", indent, "", name, text);
}

static void print_specific(const Json *info, int indent)
{
    const Json *specific = json_get(info, "format-specific");
    const Json *data = specific ? json_get(specific, "data") : NULL;
    if (!data || json_length(data) == 0) {
        return;
    }
    printf("%*sFormat specific information:\n", indent, "");
    for (size_t i = 0; i < json_length(data); i++) {
        print_value(json_key(data, i), json_value(data, i), indent + 4);
    }
}

static void print_backing(const Json *info, int indent)
{
    const char *name = json_get_text(info, "backing-filename"), *full = json_get_text(info, "full-backing-filename");
    if (!name) {
        return;
    }
    printf("%*sbacking file: %s", indent, "", name);
    if (strcmp(name, full) != 0) {
        printf(" (actual path: %s)", full);
    }
    printf("\n");
    if (json_get(info, "backing-filename-format")) {
        printf("%*sbacking file format: %s\n", indent, "", json_get_text(info, "backing-filename-format"));
    }
}

static uint64_t number(const Json *info, const char *key)
{
    uint64_t value = 0;
    const Json *json = json_get(info, key);
    return json && json_to_uint64(json, &value) ? value : 0;
}

static void print_snapshots(const Json *info, int indent)
{
    const Json *list = json_get(info, "snapshots");
    BlockSnapshots snapshots = { 0 };
    for (size_t i = 0; list && i < json_length(list); i++) {
        const Json *one = json_item(list, i);
        vec_push(&snapshots, (BlockSnapshot){ .id = string_copy(json_get_text(one, "id")),
                                              .name = string_copy(json_get_text(one, "name")),
                                              .vm_state_bytes = number(one, "vm-state-size"),
                                              .vm_clock_ns = number(one, "vm-clock-sec") * 1000000000 +
                                                             number(one, "vm-clock-nsec"),
                                              .date_seconds = (int64_t)number(one, "date-sec"),
                                              .has_icount = json_get(one, "icount"),
                                              .icount = number(one, "icount") });
    }
    img_print_snapshots(&snapshots, indent);
    block_snapshots_clear(&snapshots);
}

static void print_info(const Json *info, const char *path, int indent)
{
    const Json *children = json_get(info, "children");
    bool is_file = path[0] && json_length(children) == 0;
    AUTO_FREE char *size = tool_size_text(number(info, "virtual-size"));
    AUTO_FREE char *taken = json_get(info, "actual-size") ? tool_size_text(number(info, "actual-size"))
                                                          : string_copy("unavailable");
    printf("%*s%s: %s\n", indent, "", is_file ? "filename" : "image", json_get_text(info, "filename"));
    printf("%*s%s: %s\n", indent, "", is_file ? "protocol type" : "file format",
           json_get_text(info, "format"));
    printf("%*s%s: %s (%llu bytes)\n", indent, "", is_file ? "file length" : "virtual size", size,
           (unsigned long long)number(info, "virtual-size"));
    printf("%*sdisk size: %s\n", indent, "", taken);
    if (json_get(info, "cluster-size")) {
        printf("%*scluster_size: %llu\n", indent, "", (unsigned long long)number(info, "cluster-size"));
    }
    if (json_to_bool(json_get(info, "dirty-flag"))) {
        printf("%*scleanly shut down: no\n", indent, "");
    }
    print_backing(info, indent);
    print_snapshots(info, indent);
    print_specific(info, indent);
    for (size_t i = 0; i < json_length(children); i++) {
        const Json *child = json_item(children, i);
        AUTO_FREE char *below = string_format("%s/%s", path, json_get_text(child, "name"));
        printf("%*sChild node '%s':\n", indent, "", below);
        print_info(json_get(child, "info"), below, indent + 4);
    }
}

/* The command */

/* One image after the other, without their backing files, which may not be there. NULL after a message. */
static Json *collect(Img *img, const ImgArguments *arguments)
{
    Json *list = json_array();
    char *name = string_copy(arguments->name[0]), *format = string_copy(arguments->format);
    ImgArguments how = *arguments;
    bool ok = true;
    while (ok && name) {
        BlockEdge *edge = img_open_source(img, &how, name, format, BLOCK_OPEN_NO_BACKING | BLOCK_OPEN_NO_DATA);
        ok = edge != NULL;
        free(name);
        free(format);
        name = format = NULL;
        if (ok) {
            const BlockNode *node = block_edge_node(edge);
            BlockFacts facts;
            block_node_facts(node, &facts);
            json_free(facts.specific);
            json_array_append(list, describe(node));
            bool on = arguments->backing_chain && facts.backing_file;
            name = on ? block_resolve_name(node, facts.backing_file) : NULL;
            format = on ? string_copy(facts.backing_format) : NULL;
        }
        how.image_opts = false;
        if (ok && name && json_length(list) > 200) {
            tool_error(&img->tool, "Backing file '%s' creates an infinite loop.", name);
            ok = false;
        }
        block_detach(edge);
    }
    free(name);
    free(format);
    if (!ok) {
        json_free(list);
    }
    return ok ? list : NULL;
}

static int run(Img *img, ImgArguments *arguments)
{
    bool as_json;
    if (!img_parse_output(img, arguments, &as_json)) {
        return 1;
    }
    if (arguments->names != 1) {
        return img_usage_error(img, "Expecting one image file name");
    }
    Json *list = collect(img, arguments);
    if (!list) {
        return 1;
    }
    if (as_json) {
        img_print_json(arguments->backing_chain ? list : json_item(list, 0));
    }
    for (size_t i = 0; i < json_length(list) && !as_json; i++) {
        printf("%s", i ? "\n" : "");
        print_info(json_item(list, i), "", 0);
    }
    json_free(list);
    return 0;
}

const ImgCommand img_info = {
    "info", "Display information about image",
    "[-f FMT | --image-opts] [-b] [-U] [--output human|json] FILENAME", options, run,
};
