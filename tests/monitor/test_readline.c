/* The line editor: what keys make of a line. */
#include "monitor/readline.h"

#include "base/strbuf.h"
#include "base/text.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

typedef struct Editor {
    ReadLine *line;
    StrBuf screen, accepted; /* accepted lines, each with a '|' behind it */
} Editor;

static void write_screen(void *data, const char *bytes, size_t count)
{
    strbuf_append_bytes(&((Editor *)data)->screen, bytes, count);
}

static void accept(void *data, const char *line)
{
    Editor *editor = data;
    strbuf_printf(&editor->accepted, "%s|", line);
    readline_prompt(editor->line);
}

static void complete(void *data, const char *text, TextList *candidates, size_t *word_length)
{
    static const char *const words[] = { "info ", "stop ", "system_powerdown ", "system_reset " };
    const char *space = strrchr(text, ' ');
    const char *word = space ? space + 1 : text;
    *word_length = strlen(word);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (text_starts_with(words[i], word)) {
            vec_push(candidates, string_copy(words[i]));
        }
    }
}

static void editor_init(Editor *editor)
{
    *editor = (Editor){ 0 };
    const ReadLineHost host = { .write = write_screen, .accept = accept, .complete = complete, .data = editor };
    editor->line = readline_new(&host, "> ");
    readline_prompt(editor->line);
}

static void editor_finish(Editor *editor)
{
    readline_free(editor->line);
    strbuf_free(&editor->screen);
    strbuf_free(&editor->accepted);
}

static void type_keys(Editor *editor, const char *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        readline_feed(editor->line, keys[i]);
    }
}

#define UP "\033[A"
#define DOWN "\033[B"
#define RIGHT "\033[C"
#define LEFT "\033[D"

static void test_keys(void)
{
    static const struct {
        const char *keys, *accepted;
    } rows[] = {
        { "help\r", "help|" },
        { "a\r\nb\nc\r", "a|b|c|" },
        { "\r\r", "||" },
        { "hexx\b\177lp\r", "help|" },
        { "elp\001h\005!\r", "help!|" },
        { "ab" LEFT "x" RIGHT "y\r", "axby|" },
        { "abc\002\002x\006y\r", "axby" "c|" },
        { "abcd" LEFT LEFT "\004\r", "abd|" },
        { "abcd" LEFT LEFT "\033[3~\r", "abd|" },
        { "one two\027three\r", "one three|" },
        { "one two\001\013\r", "|" },
        { "one two" LEFT "\025\r", "o|" },
        { "one two\027\001\031\r", "twoone |" },
        { "one two\033bx\033f!\r", "one xtwo!|" },
        { "one two\033[1;5Dx\r", "one xtwo|" },
        { "b\033[Ha\033[Fc\r", "abc|" },
        { "b\033OHa\033OFc\r", "abc|" },
        { "first\rsecond\r" UP UP "\r", "first|second|first|" },
        { "first\rhalf" UP DOWN "way\r", "first|halfway|" },
        { "same\rsame\r" UP UP "\r", "same|same|same|" },
        { "only\r" DOWN UP UP UP "\r", "only|only|" },
        { "gone\003kept\r", "kept|" },
        { "\303\244b\177\177c\r", "c|" },
        { "x\033[99zy\033[1234567890~z\r", "xyz|" },
        { "in\t\r", "info |" },
        { "sys\t\r", "system_|" },
        { "s\t\tt\t\r", "stop |" },
        { "zz\t\r", "zz|" },
        { "info st\t\r", "info stop |" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Editor editor;
        editor_init(&editor);
        type_keys(&editor, rows[i].keys, strlen(rows[i].keys));
        if (strcmp(strbuf_text(&editor.accepted), rows[i].accepted)) {
            g_error("row %zu: '%s'", i, strbuf_text(&editor.accepted));
        }
        editor_finish(&editor);
    }
}

static void test_screen(void)
{
    Editor editor;
    editor_init(&editor);
    type_keys(&editor, "ab", 2);
    g_assert_cmpstr(strbuf_text(&editor.screen), ==, "> ab");
    strbuf_clear(&editor.screen);
    type_keys(&editor, LEFT "x", 4);
    g_assert_cmpstr(strbuf_text(&editor.screen), ==, "\r> ab\033[K\033[1D\r> axb\033[K\033[1D");
    strbuf_clear(&editor.screen);
    type_keys(&editor, "\r", 1);
    g_assert_cmpstr(strbuf_text(&editor.screen), ==, "\r\n> ");
    strbuf_clear(&editor.screen);
    type_keys(&editor, "s\t\t", 3);
    g_assert_nonnull(strstr(strbuf_text(&editor.screen), "\r\nstop               system_powerdown   "));
    g_assert_true(text_ends_with(strbuf_text(&editor.screen), "\r> s\033[K"));
    editor_finish(&editor);
}

/* Longer than the editor's buffer: what does not fit is dropped. */
static void test_long(void)
{
    Editor editor;
    g_autofree char *text = g_strnfill(20000, 'x');
    editor_init(&editor);
    type_keys(&editor, text, 20000);
    type_keys(&editor, "\027\031\031\r", 4);
    g_assert_cmpuint(editor.accepted.length, ==, 4096);
    editor_finish(&editor);
}

static void test_noise(void)
{
    GRand *random = g_rand_new_with_seed(1);
    Editor editor;
    editor_init(&editor);
    for (unsigned i = 0; i < 200000; i++) {
        char byte = g_rand_int_range(random, 0, 8) ? g_rand_int_range(random, 0, 256) : "\033[O\r\t;~"[i % 7];
        type_keys(&editor, &byte, 1);
        if (editor.screen.length > 65536) {
            strbuf_clear(&editor.screen);
            strbuf_clear(&editor.accepted);
        }
    }
    editor_finish(&editor);
    g_rand_free(random);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/readline/keys", test_keys);
    g_test_add_func("/readline/screen", test_screen);
    g_test_add_func("/readline/long", test_long);
    g_test_add_func("/readline/noise", test_noise);
    return g_test_run();
}
