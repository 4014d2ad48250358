/* GLib's default context in a loop. */
#pragma once

#include "core/loop.h"

#include "base/thread.h"

typedef struct HostPoller HostPoller;
typedef struct LoopGlib LoopGlib;

/* Its descriptors stand in a poller of their own, which `outer` watches with the LoopGlib as data. */
LoopGlib *loop_glib_new(HostPoller *outer, Error **error);
void loop_glib_free(LoopGlib *glib);
/* Before the wait: returns `timeout_ns` (negative: for ever) or the less that sources ask for. */
int64_t loop_glib_prepare(LoopGlib *glib, int64_t timeout_ns);
void loop_glib_ready(LoopGlib *glib); /* the outer poller says so */
bool loop_glib_dispatch(LoopGlib *glib);
