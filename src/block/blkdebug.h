/* Breakpoints of the "blkdebug" driver: requests that stop where something happens, for tests and the io program. */
#pragma once

#include "block/graph.h"

/* Of the nearest blkdebug node from the edge's node downwards; without one, ENOTSUP. 0 or an errno value. */
/* The next request that meets the event stops. */
int blkdebug_break(BlockEdge *edge, const char *event, const char *tag);
int blkdebug_remove_break(BlockEdge *edge, const char *tag); /* and what stopped there goes on; ENOENT: there is none */
int blkdebug_resume(BlockEdge *edge, const char *tag);       /* ENOENT: nothing has stopped there */
bool blkdebug_is_suspended(BlockEdge *edge, const char *tag);
