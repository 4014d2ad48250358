/* Names of files as the guest gives them, and as the host is to be given them. */
#pragma once

#include "user/process.h"

enum { PATH_SIZE = 4096 };

typedef struct PathBuffer {
    char text[PATH_SIZE];
} PathBuffer;

/* Of a link that the path ends with. */
typedef enum PathLink {
    PATH_FOLLOW,  /* what it leads to is meant */
    PATH_LINK,    /* the link itself */
    PATH_NO_LINK, /* no links at all are followed */
} PathLink;

/* The guest's string at `address`, from `folder` (a descriptor, or AT_FDCWD) on, for the host's kernel: its own
 * pointer, or one to a whole name in `buffer` where the file lies below -L. 0, -EFAULT or -ENAMETOOLONG. */
int path_to_host(Task *task, int folder, uint64_t address, PathLink link, PathBuffer *buffer, uint64_t *host);
/* The whole name of an open file, or of the working directory for AT_FDCWD; false: it has none. */
bool path_of(int fd, PathBuffer *name);
/* Whether the path names the open file. */
bool path_leads_to(const char *path, PathLink link, int fd);
/* Makes a path from a folder of /proc a whole one, where it may name a file that proc.h makes up. */
void path_complete(int folder, PathBuffer *buffer);
/* The same for a path that is already in `buffer`. */
void path_find(const Process *process, int folder, PathBuffer *buffer, PathLink link);
