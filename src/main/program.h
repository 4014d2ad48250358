/* The programs that one executable is, and what they share: messages, and what concerns the process. */
#pragma once

#include "base/compiler.h"
#include "lib/given.h"

#include <stdio.h>

typedef struct Error Error;
typedef struct Guest Guest;

/* How messages begin: -msg. */
typedef struct Messages {
    const char *program; /* "qemu-system-riscv64" */
    const char *guest_name; /* NULL: not shown */
    bool timestamps;
} Messages;

/* One line on stderr; `kind` "warning", "info" or NULL. */
void message_print(const Messages *messages, const char *kind, const char *text);
/* The error with its hint. */
void message_error(const Messages *messages, const Error *error);

/* A program of the name `program` that emulates systems of the guest; its exit status. */
int system_main(const char *program, const Guest *guest, int count, const char *const *arguments);

/* -daemonize: false in the child, which goes on; true in the parent, once the child is ready or has ended, with the
 * exit status to end with. */
bool daemon_start(int *status, int *ready, Error **error);
/* In the child: leaves the terminal, tells the parent. */
bool daemon_ready(int ready, Error **error);

/* -pidfile: written, and locked as long as the program lives. */
typedef struct PidFile {
    int fd;
    char *path; /* absolute */
} PidFile;
bool pid_file_write(PidFile *file, const char *path, Error **error);
void pid_file_remove(PidFile *file);

/* -run-with: all that is opened later is seen from `directory`. */
bool process_change_root(const char *directory, Error **error);
/* NAME or UID:GID; gives root's rights up for good. */
bool process_change_user(const char *user, Error **error);
