/*
 * A line editor for a terminal: movement, killing, history, completion, as readers of Emacs and Bash know them. It is
 * fed bytes and writes to the terminal through a callback.
 */
#pragma once

#include "base/compiler.h"
#include "base/vec.h"

typedef struct ReadLine ReadLine;
typedef VEC(char *) TextList;

typedef struct ReadLineHost {
    void (*write)(void *data, const char *bytes, size_t count);
    /* A whole line, without its end; `readline_prompt` then asks for the next. */
    void (*accept)(void *data, const char *line);
    /*
     * What can stand where the cursor is: `text` is the line up to it; the candidates (each owned by the list) stand
     * for its last `*word_length` bytes. A candidate that ends the word has a space, or what else follows, at its end.
     */
    void (*complete)(void *data, const char *text, TextList *candidates, size_t *word_length);
    void *data;
} ReadLineHost;

ReadLine *readline_new(const ReadLineHost *host, const char *prompt);
void readline_free(ReadLine *line);
/* Shows the prompt and starts an empty line. */
void readline_prompt(ReadLine *line);
/* Shows prompt and line as they are: after somebody else wrote to the terminal. */
void readline_redraw(ReadLine *line);
/* One byte; `accept` may be called. */
void readline_feed(ReadLine *line, uint8_t byte);
void text_list_free(TextList *list);
