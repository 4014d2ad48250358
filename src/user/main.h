/* The program: its command line. */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;
typedef struct Guest Guest;
typedef struct Log Log;
typedef struct UserOptions UserOptions;

/* What is to run. */
typedef struct UserCommand {
    const char *program;
    char **arguments;   /* of the program, its name first */
    char **environment;
} UserCommand;

/* The command line, and before it the QEMU_* variables. False: nothing is to run, `*status` is our exit status; with an
 * error where something was wrong. */
bool user_options_parse(UserOptions *options, UserCommand *command, int argc, char **argv, int *status, Error **error);
/* A checked configuration for "MODEL[,PROPERTY=VALUE...]", owned by the caller. NULL with an error. */
void *user_cpu_config(const Guest *guest, const char *text, Error **error);
void user_cpu_help(const Guest *guest);
bool user_options_log(const UserOptions *options, Log *log, Error **error);
int user_main(int argc, char **argv, char **environment);
