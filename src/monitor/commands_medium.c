/*
 * Commands about the media of drives. No device has a tray or takes media yet: what can be changed is a drive that no
 * device uses. blockdev-insert-medium and blockdev-remove-medium, which name a device, say what is wrong with each.
 */
#include "monitor/block_info.h"
#include "monitor/monitor_internal.h"

#include "base/error.h"
#include "block/exports.h"
#include "schema/block.h"
#include "schema/hmp.h"

#include <string.h>

static Object *root_of(const Monitor *monitor) { return monitor->control->machine->root; }

/* NULL, with an error, where its medium stays where it is. */
static Disk *find_removable(const Monitor *monitor, const char *device, const char *id, Error **error)
{
    Disk *disk = block_find_disk(root_of(monitor), device, id, error);
    if (disk && disk_user(disk)) {
        error_set(error, "Device '%s' is not removable", device ? device : id);
        return NULL;
    }
    return disk;
}

/* Those of a drive go with its medium. */
static bool end_exports(Monitor *monitor, const Disk *disk, Error **error)
{
    ExportFacts facts;
    for (size_t i = 0; exports_at(root_of(monitor), i, &facts);) {
        bool goes = facts.drive && !facts.leaving && strcmp(facts.drive, disk_id(disk)) == 0;
        if (goes && !monitor_end_export(monitor, facts.id, error)) {
            return false;
        }
        i = goes ? 0 : i + 1; /* the list has changed */
    }
    return true;
}

static bool eject(Monitor *monitor, Disk *disk, Error **error)
{
    return end_exports(monitor, disk, error) && disk_eject(disk, error);
}

bool qmp_eject(Monitor *monitor, const EjectArguments *arguments, Error **error)
{
    Disk *disk = find_removable(monitor, arguments->device, arguments->id, error);
    return disk && eject(monitor, disk, error);
}

bool qmp_blockdev_change_medium(Monitor *monitor, const BlockdevChangeMediumArguments *arguments, Error **error)
{
    Disk *disk = find_removable(monitor, arguments->device, arguments->id, error);
    return disk && end_exports(monitor, disk, error) &&
           disk_change(disk, arguments->filename, arguments->format, (int)arguments->read_only_mode, error);
}

/* A drive without a device has no tray: it is neither open nor closed. */
bool qmp_blockdev_open_tray(Monitor *monitor, const BlockdevOpenTrayArguments *arguments, Error **error)
{
    return find_removable(monitor, arguments->device, arguments->id, error) != NULL;
}

bool qmp_blockdev_close_tray(Monitor *monitor, const BlockdevCloseTrayArguments *arguments, Error **error)
{
    return find_removable(monitor, arguments->device, arguments->id, error) != NULL;
}

bool qmp_blockdev_remove_medium(Monitor *monitor, const BlockdevRemoveMediumArguments *arguments, Error **error)
{
    Disk *disk = find_removable(monitor, NULL, arguments->id, error);
    return disk && eject(monitor, disk, error);
}

bool qmp_blockdev_insert_medium(Monitor *monitor, const BlockdevInsertMediumArguments *arguments, Error **error)
{
    const Disk *disk = block_find_disk(root_of(monitor), NULL, arguments->id, error);
    BlockGraph *graph = disk_graph(root_of(monitor));
    const BlockNode *node = disk && graph ? block_node_find(graph, arguments->node_name) : NULL;
    if (disk && !node) {
        error_set(error, "Node '%s' not found", arguments->node_name);
    } else if (disk && block_node_is_used(node)) {
        error_set(error, "Node '%s' is already in use", arguments->node_name);
    } else if (disk) {
        error_set(error, "Device '%s' is not removable", arguments->id);
    }
    return false;
}

/* For people */

bool hmp_eject(Monitor *monitor, const EjectHmpArguments *arguments, StrBuf *output, Error **error)
{
    EjectArguments all = { .device = arguments->device, .force = arguments->force };
    return qmp_eject(monitor, &all, error);
}

bool hmp_change(Monitor *monitor, const ChangeHmpArguments *arguments, StrBuf *output, Error **error)
{
    BlockdevChangeMediumArguments all = { .device = arguments->device, .filename = arguments->filename,
                                          .format = arguments->format, .force = arguments->force,
                                          .read_only_mode = arguments->read_only_mode };
    return qmp_blockdev_change_medium(monitor, &all, error);
}
