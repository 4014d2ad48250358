/*
 * What runs the guest's code: -accel (the first of several that works) and -machine accel=a:b:c. Without either the
 * translator, where there is one for the host's processor.
 */
#include "lib/instance_internal.h"

#include "api/type.h"
#include "base/error.h"
#include "base/text.h"
#include "jit/host.h"
#include "schema/options.h"

#include <string.h>

/* All that clients may name; those without options are not in this build. "tcg" is what scripts ask for. */
typedef struct Accelerator {
    const char *name;
    const Type *options; /* TranslatorOptions, or its base; NULL: not in this build */
    bool translates;
} Accelerator;

static const Accelerator accelerators[] = {
    { "tcg", &TranslatorOptions_type, true },
    { "jit", &TranslatorOptions_type, true },
    { "interp", &InterpreterOptions_type, false },
    { .name = "kvm" },
    { .name = "hvf" },
    { .name = "nvmm" },
    { .name = "whpx" },
    { .name = "xen" },
    { .name = "qtest" },
};

static bool is_present(const Accelerator *accelerator)
{
    return accelerator->options && (!accelerator->translates || code_host_native());
}

static const char *candidate_name(const void *context, size_t i)
{
    return i >= ARRAY_SIZE(accelerators) ? NULL : is_present(&accelerators[i]) ? accelerators[i].name : "";
}

/* One that is in this build, or NULL with an error. */
static const Accelerator *find(const char *name, Error **error)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_SIZE(accelerators); i++) {
        bool is_it = !strcmp(accelerators[i].name, name);
        if (is_it && is_present(&accelerators[i])) {
            return &accelerators[i];
        }
        known |= is_it;
    }
    AUTO_FREE char *suggestion = text_suggestion(name, candidate_name, NULL);
    error_set(error, "invalid accelerator %s%s", name, known ? "" : suggestion);
    error_add_hint(error, "Use -accel help to list those of this build");
    return NULL;
}

bool instance_help_accelerator(const GivenOption *option, StrBuf *out, Error **error)
{
    const char *name = json_get_text(option->values, "accel");
    if (name) {
        const Accelerator *accelerator = find(name, error);
        if (accelerator) {
            type_help(accelerator->options, out);
        }
        return accelerator != NULL;
    }
    strbuf_append(out, "Accelerators supported in this build:\n");
    for (size_t i = 0; i < ARRAY_SIZE(accelerators); i++) {
        if (is_present(&accelerators[i])) {
            strbuf_printf(out, "%s\n", accelerators[i].name);
        }
    }
    return true;
}

/* The options of both kinds: a TranslatorOptions begins with its base's members. */
static bool apply(Instance *instance, const Accelerator *accelerator, const TranslatorOptions *given, Error **error)
{
    MachineOptions *options = &instance->options;
    if (accelerator->translates && !given->split_wx) {
        return error_set(error, "'split-wx' cannot be off: translated code is never written where it runs");
    }
    options->engine = (CpuEngine){
        .host = accelerator->translates ? code_host_native() : NULL,
        .code_flags = given->count_jumps ? CODE_COUNT_JUMPS : 0,
        .code_bytes = given->tb_size ? given->tb_size * (2 * MIB) : GIB,
        .block_insns = given->one_insn_per_tb ? 1 : 0,
        .gdb = accelerator->translates && given->gdb_jit,
    };
    options->by_turns = given->thread == ACCEL_THREADS_SINGLE;
    return true;
}

static bool use(Instance *instance, const Accelerator *accelerator, const Json *values, Error **error)
{
    TranslatorOptions given = { .split_wx = true, .thread = ACCEL_THREADS_MULTI };
    Json *own = json_object(); /* without the name */
    for (size_t i = 0; values && i < json_length(values); i++) {
        const char *key = json_key(values, i);
        if (strcmp(key, "accel")) {
            json_set(own, key, json_copy(json_value(values, i)));
        }
    }
    bool done = type_from_options(accelerator->options, own, &given, error);
    json_free(own);
    return done && apply(instance, accelerator, &given, error);
}

static void fall_back(Instance *instance, const char *name, bool *failed)
{
    if (*failed) {
        instance_message(instance, "", "falling back to %s", name);
    }
}

/* Of a list all that is wrong is said; the last error is the caller's. */
static void report(Instance *instance, Error **failure)
{
    if (*failure) {
        instance_message(instance, "", "%s", error_message(*failure));
        error_free(*failure);
        *failure = NULL;
    }
}

/* accel=a:b:c of -machine. */
static bool choose_from_list(Instance *instance, const char *list, Error **error)
{
    Error *failure = NULL;
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ":");
        AUTO_FREE char *name = string_format("%.*s", (int)length, at);
        bool failed = failure != NULL;
        report(instance, &failure);
        const Accelerator *accelerator = find(name, &failure);
        if (accelerator) {
            fall_back(instance, name, &failed);
            return use(instance, accelerator, NULL, error);
        }
        at += length;
        if (!*at) {
            return error_propagate(error, failure);
        }
    }
}

static bool choose_from_options(Instance *instance, bool *given, Error **error)
{
    Error *failure = NULL;
    *given = false;
    for (size_t i = 0; i < instance->given.list.count; i++) {
        const GivenOption *option = &instance->given.list.items[i];
        if (option->id != OPTION_ACCEL) {
            continue;
        }
        *given = true;
        bool failed = failure != NULL;
        report(instance, &failure);
        const char *name = json_get_text(option->values, "accel");
        if (!name) {
            return error_set(error, "%s: 'accel' is missing", option->where);
        }
        const Accelerator *accelerator = find(name, &failure);
        if (accelerator) {
            fall_back(instance, name, &failed);
            return use(instance, accelerator, option->values, error) || error_prepend(error, "%s: ", option->where);
        }
        error_prepend(&failure, "%s: ", option->where);
    }
    return error_propagate(error, failure);
}

/* What profilers are told is not a property in QEMU: options of their own. */
static bool apply_profiling(Instance *instance, Error **error)
{
    CpuEngine *engine = &instance->options.engine;
    engine->perf_map = given_find(&instance->given, OPTION_PERFMAP);
    engine->jit_dump = given_find(&instance->given, OPTION_JITDUMP);
    return engine->host || (!engine->perf_map && !engine->jit_dump) ||
           error_set(error, "%s: the interpreter translates nothing", engine->perf_map ? "-perfmap" : "-jitdump");
}

/* The first that there is: the interpreter always is. */
static const Accelerator *usual(void)
{
    const Accelerator *accelerator = accelerators;
    while (!is_present(accelerator)) {
        accelerator++;
    }
    return accelerator;
}

static bool choose(Instance *instance, Error **error)
{
    const GivenOption *machine = given_find(&instance->given, OPTION_MACHINE);
    const char *list = machine ? json_get_text(machine->values, "accel") : NULL;
    bool given;
    if (list && given_find(&instance->given, OPTION_ACCEL)) {
        return error_set(error, "The -accel and \"-machine accel=\" options are incompatible");
    }
    if (!choose_from_options(instance, &given, error)) {
        return false;
    }
    if (!given && !list) {
        return use(instance, usual(), NULL, error);
    }
    return given || choose_from_list(instance, list, error) || error_prepend(error, "%s: ", machine->where);
}

bool instance_choose_accelerator(Instance *instance, Error **error)
{
    return choose(instance, error) && apply_profiling(instance, error);
}
