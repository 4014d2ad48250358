/*
 * The line editor. After a change the line is drawn anew from its start, but for a byte typed at its end, which is just
 * shown. Lines longer than the terminal is wide are drawn as if it had no end, for the terminal's width is not known
 * behind a socket.
 */
#include "monitor/readline.h"

#include "base/strbuf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 4096, HISTORY_LINES = 128, SCREEN_COLUMNS = 78 };
enum { KEY_UP = 256, KEY_DOWN, KEY_RIGHT, KEY_LEFT, KEY_HOME, KEY_END, KEY_DELETE, KEY_WORD_RIGHT, KEY_WORD_LEFT };
#define CTRL(c) ((c) & 31)

typedef enum EscapeState { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI, ESCAPE_SS3 } EscapeState;

struct ReadLine {
    ReadLineHost host;
    char *prompt;
    char text[LINE_SIZE]; /* NUL-terminated */
    size_t length, cursor;
    char killed[LINE_SIZE];
    VEC(char *) history;
    size_t history_at; /* history.count: the line being typed, kept in `typed` */
    char typed[LINE_SIZE];
    EscapeState escape;
    char escape_text[8];
    size_t escape_length;
    bool last_was_tab;
    bool ignore_newline; /* the second half of "\r\n" */
};

ReadLine *readline_new(const ReadLineHost *host, const char *prompt)
{
    ReadLine *line = NEW(ReadLine);
    line->host = *host;
    line->prompt = string_copy(prompt);
    return line;
}

void text_list_free(TextList *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    vec_free(list);
}

void readline_free(ReadLine *line)
{
    if (!line) {
        return;
    }
    for (size_t i = 0; i < line->history.count; i++) {
        free(line->history.items[i]);
    }
    vec_free(&line->history);
    free(line->prompt);
    free(line);
}

static void write_text(ReadLine *line, const char *text) { line->host.write(line->host.data, text, strlen(text)); }

/* UTF-8: bytes that continue a character take no column and are stepped over. */
static bool continues(char c) { return (c & 0xc0) == 0x80; }

static size_t columns(const char *text, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += !continues(text[i]);
    }
    return n;
}

void readline_redraw(ReadLine *line)
{
    AUTO_STRBUF(out);
    size_t behind = columns(line->text + line->cursor, line->length - line->cursor);
    strbuf_printf(&out, "\r%s%s\033[K", line->prompt, line->text);
    if (behind) {
        strbuf_printf(&out, "\033[%zuD", behind);
    }
    line->host.write(line->host.data, out.data, out.length);
}

void readline_prompt(ReadLine *line)
{
    line->length = line->cursor = 0;
    line->text[0] = '\0';
    line->history_at = line->history.count;
    write_text(line, line->prompt);
}

static void set_line(ReadLine *line, const char *text)
{
    line->length = line->cursor = strnlen(text, LINE_SIZE - 1);
    memmove(line->text, text, line->length);
    line->text[line->length] = '\0';
    readline_redraw(line);
}

static void insert(ReadLine *line, const char *bytes, size_t count)
{
    if (line->length + count >= LINE_SIZE) {
        write_text(line, "\a");
        return;
    }
    memmove(line->text + line->cursor + count, line->text + line->cursor, line->length - line->cursor + 1);
    memcpy(line->text + line->cursor, bytes, count);
    line->length += count;
    line->cursor += count;
    if (line->cursor == line->length) {
        line->host.write(line->host.data, bytes, count);
    } else {
        readline_redraw(line);
    }
}

static size_t previous_character(const ReadLine *line, size_t at)
{
    while (at > 0 && continues(line->text[--at])) {
    }
    return at;
}

static size_t next_character(const ReadLine *line, size_t at)
{
    while (at < line->length && continues(line->text[++at])) {
    }
    return at;
}

static size_t previous_word(const ReadLine *line)
{
    size_t at = line->cursor;
    while (at > 0 && isspace((unsigned char)line->text[at - 1])) {
        at--;
    }
    while (at > 0 && !isspace((unsigned char)line->text[at - 1])) {
        at--;
    }
    return at;
}

static size_t next_word(const ReadLine *line)
{
    size_t at = line->cursor;
    while (at < line->length && isspace((unsigned char)line->text[at])) {
        at++;
    }
    while (at < line->length && !isspace((unsigned char)line->text[at])) {
        at++;
    }
    return at;
}

static void move_to(ReadLine *line, size_t at)
{
    line->cursor = at;
    readline_redraw(line);
}

/* Removes from `start` to `end`, with the cursor at the start then. */
static void cut(ReadLine *line, size_t start, size_t end, bool keep)
{
    if (keep && end > start) {
        memcpy(line->killed, line->text + start, end - start);
        line->killed[end - start] = '\0';
    }
    memmove(line->text + start, line->text + end, line->length - end + 1);
    line->length -= end - start;
    move_to(line, start);
}

static void history_add(ReadLine *line)
{
    size_t count = line->history.count;
    if (!line->length || (count && !strcmp(line->history.items[count - 1], line->text))) {
        return;
    }
    if (count == HISTORY_LINES) {
        free(line->history.items[0]);
        vec_remove(&line->history, 0);
    }
    vec_push(&line->history, string_copy(line->text));
}

static void history_move(ReadLine *line, int step)
{
    size_t count = line->history.count;
    if ((step < 0 && line->history_at == 0) || (step > 0 && line->history_at >= count)) {
        return;
    }
    if (line->history_at == count) {
        memcpy(line->typed, line->text, line->length + 1);
    }
    line->history_at += step;
    set_line(line, line->history_at == count ? line->typed : line->history.items[line->history_at]);
}

static void accept_line(ReadLine *line)
{
    char accepted[LINE_SIZE];
    write_text(line, "\r\n");
    history_add(line);
    memcpy(accepted, line->text, line->length + 1);
    line->length = line->cursor = 0;
    line->text[0] = '\0';
    line->history_at = line->history.count;
    line->host.accept(line->host.data, accepted);
}

/* -- completion ------------------------------------------------------------------------------------------------- */

static size_t common_prefix(const TextList *candidates)
{
    size_t length = strlen(candidates->items[0]);
    for (size_t i = 1; i < candidates->count; i++) {
        size_t n = 0;
        while (n < length && candidates->items[i][n] == candidates->items[0][n]) {
            n++;
        }
        length = n;
    }
    return length;
}

static int compare_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void show_candidates(ReadLine *line, TextList *candidates)
{
    AUTO_STRBUF(out);
    size_t widest = 0;
    qsort(candidates->items, candidates->count, sizeof(char *), compare_text);
    for (size_t i = 0; i < candidates->count; i++) {
        widest = MAX(widest, strlen(candidates->items[i]));
    }
    size_t in_row = MAX(1, SCREEN_COLUMNS / (widest + 2));
    for (size_t i = 0; i < candidates->count; i++) {
        strbuf_append(&out, i % in_row ? "" : "\r\n");
        strbuf_printf(&out, "%-*s", (int)widest + 2, candidates->items[i]);
    }
    strbuf_append(&out, "\r\n");
    line->host.write(line->host.data, out.data, out.length);
    readline_redraw(line);
}

static void complete(ReadLine *line)
{
    char before[LINE_SIZE];
    TextList candidates = { 0 };
    size_t word = 0;
    memcpy(before, line->text, line->cursor);
    before[line->cursor] = '\0';
    line->host.complete(line->host.data, before, &candidates, &word);
    if (candidates.count) {
        size_t prefix = common_prefix(&candidates);
        if (prefix > word) {
            insert(line, candidates.items[0] + word, prefix - word);
        } else if (line->last_was_tab && candidates.count > 1) {
            show_candidates(line, &candidates);
        }
    } else {
        write_text(line, "\a");
    }
    text_list_free(&candidates);
}

/* -- keys ------------------------------------------------------------------------------------------------------- */

static void key_movement(ReadLine *line, int key)
{
    switch (key) {
    case KEY_LEFT:
    case CTRL('b'):
        move_to(line, previous_character(line, line->cursor));
        break;
    case KEY_RIGHT:
    case CTRL('f'):
        move_to(line, next_character(line, line->cursor));
        break;
    case KEY_HOME:
    case CTRL('a'):
        move_to(line, 0);
        break;
    case KEY_END:
    case CTRL('e'):
        move_to(line, line->length);
        break;
    case KEY_WORD_LEFT:
        move_to(line, previous_word(line));
        break;
    case KEY_WORD_RIGHT:
        move_to(line, next_word(line));
        break;
    case KEY_UP:
    case CTRL('p'):
        history_move(line, -1);
        break;
    case KEY_DOWN:
    case CTRL('n'):
        history_move(line, 1);
        break;
    }
}

static void key_cutting(ReadLine *line, int key)
{
    switch (key) {
    case 127:
    case CTRL('h'):
        cut(line, previous_character(line, line->cursor), line->cursor, false);
        break;
    case KEY_DELETE:
    case CTRL('d'):
        cut(line, line->cursor, next_character(line, line->cursor), false);
        break;
    case CTRL('k'):
        cut(line, line->cursor, line->length, true);
        break;
    case CTRL('u'):
        cut(line, 0, line->cursor, true);
        break;
    case CTRL('w'):
        cut(line, previous_word(line), line->cursor, true);
        break;
    case CTRL('y'):
        insert(line, line->killed, strlen(line->killed));
        break;
    }
}

static void handle_key(ReadLine *line, int key)
{
    char byte = key;
    switch (key) {
    case '\t':
        complete(line);
        break;
    case '\r':
    case '\n':
        accept_line(line);
        break;
    case CTRL('l'):
        write_text(line, "\033[H\033[2J");
        readline_redraw(line);
        break;
    case CTRL('c'):
        write_text(line, "^C\r\n");
        readline_prompt(line);
        break;
    default:
        if (key >= ' ' && key < 256 && key != 127) {
            insert(line, &byte, 1);
        } else {
            key_movement(line, key);
            key_cutting(line, key);
        }
    }
    line->last_was_tab = key == '\t';
}

typedef struct EscapeKey {
    const char *text; /* after ESC [ or ESC O */
    int key;
} EscapeKey;

static const EscapeKey escape_keys[] = {
    { "A", KEY_UP },      { "B", KEY_DOWN },          { "C", KEY_RIGHT },         { "D", KEY_LEFT },
    { "H", KEY_HOME },    { "F", KEY_END },           { "1~", KEY_HOME },         { "7~", KEY_HOME },
    { "4~", KEY_END },    { "8~", KEY_END },          { "3~", KEY_DELETE },       { "1;5C", KEY_WORD_RIGHT },
    { "1;5D", KEY_WORD_LEFT }, { "1;3C", KEY_WORD_RIGHT }, { "1;3D", KEY_WORD_LEFT },
};

static void escape_end(ReadLine *line)
{
    line->escape = ESCAPE_NONE;
    line->escape_text[line->escape_length] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(escape_keys); i++) {
        if (!strcmp(escape_keys[i].text, line->escape_text)) {
            handle_key(line, escape_keys[i].key);
        }
    }
}

static void escape_feed(ReadLine *line, uint8_t byte)
{
    if (line->escape == ESCAPE_START) {
        line->escape_length = 0;
        line->escape = byte == '[' ? ESCAPE_CSI : byte == 'O' ? ESCAPE_SS3 : ESCAPE_NONE;
        if (byte == 'b' || byte == 'f') {
            handle_key(line, byte == 'b' ? KEY_WORD_LEFT : KEY_WORD_RIGHT);
        }
        return;
    }
    if (line->escape_length + 1 < sizeof line->escape_text) {
        line->escape_text[line->escape_length++] = byte;
    }
    if (line->escape == ESCAPE_SS3 || (byte >= '@' && byte <= '~')) {
        escape_end(line);
    }
}

void readline_feed(ReadLine *line, uint8_t byte)
{
    bool second_half = byte == '\n' && line->ignore_newline;
    line->ignore_newline = byte == '\r';
    if (second_half) {
        return;
    }
    if (line->escape != ESCAPE_NONE) {
        escape_feed(line, byte);
    } else if (byte == 27) {
        line->escape = ESCAPE_START;
    } else {
        handle_key(line, byte);
    }
}
