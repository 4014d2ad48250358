/* Command lines of the img program: tables of options, and what several commands make of theirs. */
#include "api/json.h"
#include "api/options.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "tools/img/img.h"

#include <ctype.h>
#include <stdarg.h>

enum { LONG_ONLY = 256 };

/* Options, as getopt_long wants them */

typedef struct Getopt {
    StrBuf letters;
    VEC(struct option) names;
} Getopt;

static void build(const ImgOption *options, Getopt *result)
{
    *result = (Getopt){ 0 };
    for (int i = 0; options[i].name; i++) {
        int has = options[i].kind == IMG_FLAG || (options[i].kind == IMG_STEP && !options[i].argument)
                      ? no_argument
                      : required_argument;
        if (options[i].letter) {
            strbuf_append_char(&result->letters, (char)options[i].letter);
            strbuf_append(&result->letters, has ? ":" : "");
        }
        vec_push(&result->names, (struct option){ options[i].name, has, NULL,
                                                  options[i].letter ? options[i].letter : LONG_ONLY + i });
    }
    vec_push(&result->names, (struct option){ 0 });
}

static const ImgOption *find_option(const ImgOption *options, int value)
{
    for (int i = 0; options[i].name; i++) {
        if (value == (options[i].letter ? options[i].letter : LONG_ONLY + i)) {
            return &options[i];
        }
    }
    return NULL;
}

static void store(ImgArguments *arguments, const ImgOption *option, const char *text)
{
    void *field = (char *)arguments + option->offset;
    switch (option->kind) {
    case IMG_FLAG:
        *(bool *)field = true;
        break;
    case IMG_TEXT:
        *(const char **)field = text;
        break;
    case IMG_TEXTS:
        vec_push((Texts *)field, text);
        break;
    case IMG_STEP:
        vec_push((ImgSteps *)field, (ImgStep){ option->name, text });
        break;
    }
}

static void print_help(const Img *img)
{
    const ImgCommand *command = img->command;
    printf("Usage:\n%s.  Usage:\n\n  %s %s %s\n\nArguments:\n", command->summary, img->tool.program, command->name,
           command->usage);
    for (const ImgOption *option = command->options; option->name; option++) {
        printf("  ");
        if (option->letter) {
            printf("-%c, ", option->letter);
        }
        printf("--%s%s%s\n     %s\n", option->name, option->argument ? " " : "",
               option->argument ? option->argument : "", option->help);
    }
    printf("\n");
}

static int see_help(const Img *img)
{
    fprintf(stderr, "Try '%s %s --help' for more info\n", img->tool.program, img->command->name);
    return 1;
}

int img_usage_error(const Img *img, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    AUTO_FREE char *text = string_vformat(format, arguments);
    va_end(arguments);
    tool_error(&img->tool, "%s", text);
    return see_help(img);
}

bool img_parse(Img *img, int count, char **words, ImgArguments *result, int *status)
{
    Getopt syntax;
    AUTO_FREE char *name = string_format("%s %s", img->tool.program, img->command->name);
    AUTO_FREE char **all = mem_alloc_array((size_t)count + 2, sizeof *all);
    all[0] = name; /* getopt's messages begin with it */
    memcpy(all + 1, words, (size_t)count * sizeof *all);
    build(img->command->options, &syntax);
    bool ok = true, compares = img->command == &img_compare;
    bool is_signed = img->command->signed_last && count > 0 && words[count - 1][0] == '-' &&
                                isdigit((unsigned char)words[count - 1][1]);
    int value, parsed = count + !is_signed;
    optind = 0;
    while (ok && (value = getopt_long(parsed, all, strbuf_text(&syntax.letters), syntax.names.items, NULL)) != -1) {
        const ImgOption *option = find_option(img->command->options, value);
        ok = option != NULL;
        if (ok) {
            store(result, option, optarg);
        } else {
            *status = see_help(img);
        }
    }
    memcpy(words, all + 1, (size_t)count * sizeof *all); /* in the order that getopt gave them */
    result->names = count - (optind - 1);
    result->name = words + (optind - 1);
    strbuf_free(&syntax.letters);
    vec_free(&syntax.names);
    if (ok && result->help) {
        print_help(img);
        *status = 0;
        ok = false;
    }
    img->quiet = result->quiet;
    result->progress = result->progress && !result->quiet;
    if (ok && ((result->image_opts && (result->format || (compares && result->target_format))) ||
               (result->target_image_opts && result->target_format))) {
        tool_error(&img->tool, "--image-opts and --format are mutually exclusive");
        *status = compares ? IMG_COMPARE_FAILED : 1;
        ok = false;
    }
    for (size_t i = 0; i < result->objects.count && ok; i++) {
        bool ended = false;
        ok = tool_add_object(&img->tool, result->objects.items[i], &ended) && !ended;
        *status = ended ? 0 : compares ? IMG_COMPARE_FAILED : 1;
    }
    return ok;
}

void img_arguments_clear(ImgArguments *arguments)
{
    vec_free(&arguments->options);
    vec_free(&arguments->objects);
    vec_free(&arguments->steps);
}

bool img_parse_output(const Img *img, const ImgArguments *arguments, bool *json)
{
    *json = arguments->output && strcmp(arguments->output, "json") == 0;
    if (arguments->output && !*json && strcmp(arguments->output, "human") != 0) {
        img_usage_error(img, "--output expects 'human' or 'json' not '%s'", arguments->output);
        return false;
    }
    return true;
}

bool img_parse_cache(const Img *img, const char *name, const char *usual, const char *what, unsigned *flags,
                     bool *write_through)
{
    AUTO_ERROR(error);
    if (!block_parse_cache_mode(name ? name : usual, flags, write_through, &error)) {
        tool_error(&img->tool, "Invalid %s option: %s", what, name);
        return false;
    }
    return true;
}

Json *img_parse_options(const Img *img, const Texts *texts, bool *help)
{
    Json *all = json_object();
    for (size_t i = 0; i < texts->count; i++) {
        Error *error = NULL;
        bool wants_help = false;
        Json *some = *texts->items[i] ? options_parse(texts->items[i], NULL, &wants_help, &error) : NULL;
        if (!some) {
            tool_error(&img->tool, "Invalid option list: %s", texts->items[i]);
            error_free(error);
            json_free(all);
            return NULL;
        }
        for (size_t j = 0; j < json_length(some); j++) {
            json_free(json_take(all, json_key(some, j)));
            json_set(all, json_key(some, j), json_copy(json_value(some, j)));
        }
        json_free(some);
        *help = *help || wants_help;
    }
    return all;
}

bool img_parse_size(const Img *img, const char *text, const char *what, uint64_t *bytes)
{
    const char *digits = text + strspn(text, " \t\n");
    digits += *digits == '+';
    bool ok = text_to_size(digits, 1, bytes, NULL);
    if (!ok && !tool_is_number(text)) {
        tool_error(&img->tool, "Invalid %s specified: '%s'.", what, text);
        return false;
    }
    if (!ok || *bytes > INT64_MAX) {
        tool_error(&img->tool, "Invalid %s specified. Must be between 0 and %lld.", what, (long long)INT64_MAX);
        return false;
    }
    return true;
}
