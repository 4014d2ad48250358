/* Between the files that make an instance. */
#pragma once

#include "lib/instance.h"

/* When an option is acted upon. */
typedef enum Phase {
    PHASE_FIRST,   /* log, descriptors */
    PHASE_MACHINE, /* what machine_new is given */
    PHASE_PROPERTIES, /* of the machine */
    PHASE_CHARDEV,
    PHASE_OBJECT,
    PHASE_NODE,
    PHASE_DRIVE,
    PHASE_SERIAL,
    PHASE_DEVICE, /* the board is built */
    PHASE_MONITOR,
    PHASE_COUNT
} Phase;

/* Acts on the options of a phase, in the order in which they were given. */
bool instance_apply(Instance *instance, Phase phase, Error **error);
const MachineClass *instance_machine_class(Instance *instance, Error **error);
/* What runs the guest's code, from -accel and -machine accel=, into instance->options. */
bool instance_choose_accelerator(Instance *instance, Error **error);
bool instance_help_accelerator(const GivenOption *option, StrBuf *out, Error **error);
/* -drive; -hda and the like. `value` is not used. */
bool instance_apply_drive(Instance *instance, const GivenOption *option, const void *value, Error **error);
bool instance_add_drive(void *instance, const char *options, Error **error); /* Control's add_drive */
bool instance_apply_disk(Instance *instance, const GivenOption *option, const void *value, Error **error);
bool instance_add_default_devices(Instance *instance, Error **error);
bool instance_add_default_monitors(Instance *instance, Error **error);
/* -serial and -monitor's syntax, under a name of ours. */
bool instance_add_serial(Instance *instance, const char *text, Error **error);
bool instance_add_monitor(Instance *instance, const char *text, MonitorKind kind, Error **error);
char *instance_keep(Instance *instance, char *text); /* takes the text; freed with the instance */
