/* Lines from a terminal, with a history. While a command runs the terminal is as it was. */
#include "monitor/readline.h"
#include "tools/io/io.h"

#include <termios.h>
#include <unistd.h>

enum { INTERRUPT = 3, END = 4 };

typedef struct Terminal {
    Io *io;
    ReadLine *line;
    struct termios usual, raw;
    bool fresh; /* nothing was typed yet */
} Terminal;

static void write_terminal(void *data, const char *bytes, size_t count)
{
    fwrite(bytes, 1, count, stdout);
    fflush(stdout);
}

static void accept_line(void *data, const char *line)
{
    Terminal *terminal = data;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->usual);
    io_run_line(terminal->io, line);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->raw);
    terminal->fresh = true;
    if (!terminal->io->quits) {
        readline_prompt(terminal->line);
    }
}

static void complete(void *data, const char *text, TextList *candidates, size_t *word_length)
{
    *word_length = strlen(text);
    if (!strchr(text, ' ')) {
        io_offer_commands(text, candidates);
    }
}

static void feed(Terminal *terminal, uint8_t byte)
{
    if (byte == END && terminal->fresh) {
        terminal->io->quits = true;
    } else if (byte == INTERRUPT) {
        write_terminal(NULL, "^C\r\n", 4);
        terminal->fresh = true;
        readline_prompt(terminal->line);
    } else {
        terminal->fresh = false;
        readline_feed(terminal->line, byte);
    }
}

bool io_run_terminal(Io *io)
{
    Terminal terminal = { .io = io, .fresh = true };
    ReadLineHost host = { .write = write_terminal, .accept = accept_line, .complete = complete, .data = &terminal };
    AUTO_FREE char *prompt = string_format("%s> ", io->tool.program);
    uint8_t byte;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal.usual) != 0) {
        return false;
    }
    terminal.raw = terminal.usual;
    terminal.raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.raw);
    terminal.line = readline_new(&host, prompt);
    readline_prompt(terminal.line);
    while (!io->quits && read(STDIN_FILENO, &byte, 1) == 1) {
        feed(&terminal, byte);
    }
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.usual);
    printf("\n");
    readline_free(terminal.line);
    return true;
}
