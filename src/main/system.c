/* The program that emulates a system: from its command line to its exit status. */
#include "main/program.h"

#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "core/loop.h"
#include "lib/instance.h"
#include "schema/options.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Program {
    Messages messages;
    Instance *instance;
    NameOptions name;
    RunWithOptions run_with;
    int ready; /* -daemonize: where the parent waits; -1 */
    PidFile pid_file;
    HostSignals *signals;
    LoopFd *signals_watch;
    bool ended;
    int status;
} Program;

/* -- what the instance tells ------------------------------------------------------------------------------------ */

static void program_shutdown(void *data, ShutdownCause cause, int status)
{
    Program *program = data;
    program->ended = true;
    program->status = status;
    loop_quit(program->instance->loop);
}

static void program_message(void *data, const char *kind, const char *text)
{
    if (kind) {
        message_print(&((Program *)data)->messages, kind, text);
    } else {
        printf("%s\n", text);
        fflush(stdout);
    }
}

/* A second SIGINT while the first is not answered (a peer is waited for) does no harm. */
static void program_signal(void *data, unsigned events)
{
    Program *program = data;
    HostSignal signal;
    while (host_signals_next(program->signals, &signal)) {
        AUTO_STRBUF(text);
        strbuf_printf(&text, "terminating on signal %d", signal.number);
        if (signal.sender) {
            strbuf_printf(&text, " from pid %" PRId64, signal.sender);
        }
        message_print(&program->messages, NULL, strbuf_text(&text));
        instance_quit(program->instance, SHUTDOWN_HOST_SIGNAL);
    }
}

static bool watch_signals(Program *program, Error **error)
{
    const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    signal(SIGPIPE, SIG_IGN);
    program->signals = host_signals_new(numbers, ARRAY_SIZE(numbers), error);
    if (!program->signals) {
        return false;
    }
    program->signals_watch = loop_fd_add(program->instance->loop, host_signals_fd(program->signals), HOST_POLL_IN,
                                         program_signal, program);
    return true;
}

/* -- options of the process ------------------------------------------------------------------------------------- */

/* Messages look as -msg says from here on. */
static bool read_message_options(Program *program, const GivenOptions *given, Error **error)
{
    MsgOptions msg = { 0 };
    const GivenOption *name = given_find(given, OPTION_NAME), *look = given_find(given, OPTION_MSG);
    if (name && !name->help && !given_value(name, &program->name, error)) {
        return false;
    }
    if (look && !look->help && !given_value(look, &msg, error)) {
        return false;
    }
    program->messages.timestamps = msg.has_timestamp && msg.timestamp;
    program->messages.guest_name = msg.has_guest_name && msg.guest_name ? program->name.guest : NULL;
    type_clear(&MsgOptions_type, &msg);
    return true;
}

static bool read_process_options(Program *program, const GivenOptions *given, Error **error)
{
    const GivenOption *run_with = given_find(given, OPTION_RUN_WITH);
    if (run_with && !given_value(run_with, &program->run_with, error)) {
        return false;
    }
    if (program->name.process) {
        host_thread_set_name(program->name.process);
    }
    return true;
}

static bool run_with(Program *program, Error **error)
{
    const RunWithOptions *how = &program->run_with;
    bool ok = (!how->chroot || process_change_root(how->chroot, error)) &&
              (!how->user || process_change_user(how->user, error)) &&
              (!how->async_teardown || host_memory_keep(error));
    return ok || error_prepend(error, "-run-with: ");
}

/* -- running ---------------------------------------------------------------------------------------------------- */

static bool set_up(Program *program, Error **error)
{
    Instance *instance = program->instance;
    const char *pid_file = given_text(&instance->given, OPTION_PIDFILE);
    instance->shutdown = program_shutdown;
    instance->message = program_message;
    instance->data = program;
    instance->background = program->ready >= 0;
    return watch_signals(program, error) && read_process_options(program, &instance->given, error) &&
           instance_create(instance, error) && (!pid_file || pid_file_write(&program->pid_file, pid_file, error)) &&
           run_with(program, error) && (program->ready < 0 || daemon_ready(program->ready, error));
}

static bool run(Program *program, Error **error)
{
    Instance *instance = program->instance;
    if (!set_up(program, error)) {
        return false;
    }
    if (instance->machine->options.dumpdtb) {
        return true; /* it is written: that was all */
    }
    if (!given_find(&instance->given, OPTION_STOPPED) && !machine_run(instance->machine, error)) {
        return false;
    }
    if (!program->ended) {
        loop_run(instance->loop);
    }
    return true;
}

static void clean_up(Program *program)
{
    Instance *instance = program->instance;
    if (program->signals_watch) {
        loop_fd_remove(program->signals_watch);
    }
    instance_free(instance);
    host_signals_free(program->signals);
    pid_file_remove(&program->pid_file);
    type_clear(&NameOptions_type, &program->name);
    type_clear(&RunWithOptions_type, &program->run_with);
}

/* Takes the options. */
static int run_instance(Program *program, const Guest *guest, GivenOptions *given, Error **error)
{
    int status;
    program->ready = -1;
    if (given_find(given, OPTION_DAEMONIZE) && daemon_start(&status, &program->ready, error)) {
        given_free(given);
        return status;
    }
    program->instance = instance_new(guest, true, error);
    if (!program->instance) {
        given_free(given);
        return EXIT_FAILURE;
    }
    program->instance->given = *given;
    return run(program, error) ? program->status : EXIT_FAILURE;
}

/* -- what is answered without a machine ------------------------------------------------------------------------- */

static void print_version(void)
{
    printf("QEMU emulator version %s (%s)\nCopyright (c) the Myna authors\n", monitor_version, monitor_package);
}

static void print_help(const char *program)
{
    AUTO_STRBUF(out);
    print_version();
    options_help(schema_options, schema_option_count, &out);
    printf("usage: %s [options] [disk_image]\n\n'disk_image' is an image of the machine's first disk\n\n%s", program,
           strbuf_text(&out));
}

/* -help, -version, and "help" in an option. True: that was all. */
static bool answer(const Program *program, const Guest *guest, const GivenOptions *given, Error **error)
{
    if (given_find(given, OPTION_HELP)) {
        print_help(program->messages.program);
        return true;
    }
    if (given_find(given, OPTION_VERSION)) {
        print_version();
        return true;
    }
    return instance_help(given, guest, stdout, error);
}

int system_main(const char *name, const Guest *guest, int count, const char *const *arguments)
{
    Program program = { .messages = { .program = name } };
    GivenOptions given = { 0 };
    AUTO_ERROR(error);
    int status = EXIT_SUCCESS;
    Files *files = files_new();
    bool ok = given_add_arguments(&given, count, arguments, files, &error) &&
              read_message_options(&program, &given, &error);
    files_free(files);
    if (!ok || answer(&program, guest, &given, &error)) {
        given_free(&given);
    } else {
        status = run_instance(&program, guest, &given, &error);
    }
    if (error) {
        message_error(&program.messages, error);
        status = EXIT_FAILURE;
    }
    clean_up(&program);
    return status;
}
