/*
 * Runs a fuzz target without libFuzzer: every file of the corpus, then random changes to them, the same each time.
 *
 *     fuzz-NAME CORPUS COUNT [SEED]
 *
 * The input on which the target dies is left in the file `fuzz-NAME-failed`. There is no coverage feedback here; that
 * is what a build with -Dfuzzers=true is for.
 */
#include "base/vec.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST = 64 * 1024, CHANGES = 8 };

typedef struct Input {
    uint8_t *bytes;
    size_t size;
} Input;

typedef VEC(Input) Inputs;

/* For the handler of signals, which has no other way to get at it: the input that is being run. */
static struct {
    const uint8_t *volatile bytes;
    volatile size_t size;
    char path[256];
} running;

static void save_running(int signal)
{
    int fd = open(running.path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ssize_t written = write(fd, running.bytes, running.size);
    (void)written;
    close(fd);
    raise(signal); /* with the default action now */
}

/* A sanitizer's handlers stay; it ends with an abort, which is ours. */
static void catch_signals(const char *program)
{
    static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    const char *slash = strrchr(program, '/');
    snprintf(running.path, sizeof running.path, "%s-failed", slash ? slash + 1 : program);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        struct sigaction before;
        sigaction(signals[i], NULL, &before);
        if (before.sa_handler == SIG_DFL) {
            struct sigaction action = { .sa_handler = save_running, .sa_flags = (int)SA_RESETHAND };
            sigaction(signals[i], &action, NULL);
        }
    }
}

static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = mem_copy(bytes, size); /* so that a sanitizer sees a read behind the end */
    running.bytes = exact;
    running.size = size;
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t limit) { return limit ? next_random(state) % limit : 0; }

static bool read_file(const char *folder, const char *name, Input *input)
{
    AUTO_FREE char *path = string_format("%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    input->bytes = mem_alloc(LONGEST);
    input->size = fread(input->bytes, 1, LONGEST, file);
    fclose(file);
    return true;
}

static int not_hidden(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static bool read_corpus(const char *folder, Inputs *inputs)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, not_hidden, alphasort);
    if (count <= 0) {
        fprintf(stderr, "%s: no inputs\n", folder);
        return false;
    }
    bool ok = true;
    for (int i = 0; i < count; i++) {
        Input input;
        if (read_file(folder, entries[i]->d_name, &input)) {
            vec_push(inputs, input);
        } else {
            ok = false;
        }
        free(entries[i]);
    }
    free(entries);
    return ok;
}

/* Moves what follows `at` to make room for `count` bytes, which keep what was there; fewer where none is left. */
static size_t make_room(Input *input, size_t at, size_t count)
{
    count = MIN(count, LONGEST - input->size);
    memmove(input->bytes + at + count, input->bytes + at, input->size - at);
    input->size += count;
    return count;
}

static void insert_part(Input *input, const Input *other, uint64_t *random)
{
    size_t from = below(random, other->size), at = below(random, input->size + 1);
    size_t count = make_room(input, at, below(random, MIN(other->size - from, 64) + 1));
    memcpy(input->bytes + at, other->bytes + from, MIN(count, other->size - from));
}

static void remove_part(Input *input, uint64_t *random)
{
    size_t at = below(random, input->size);
    size_t count = below(random, MIN(input->size - at, 64) + 1);
    memmove(input->bytes + at, input->bytes + at + count, input->size - at - count);
    input->size -= count;
}

/* Numbers at which things go wrong, in 1, 2, 4 or 8 bytes of either order. */
static void put_number(Input *input, uint64_t *random)
{
    static const uint64_t numbers[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, INT32_MAX, UINT64_C(0x80000000),
                                        UINT32_MAX, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX };
    uint64_t number = numbers[below(random, ARRAY_SIZE(numbers))];
    size_t size = (size_t)1 << below(random, 4);
    if (below(random, 2)) {
        number = __builtin_bswap64(number) >> (64 - 8 * size);
    }
    if (input->size >= size) {
        memcpy(input->bytes + below(random, input->size - size + 1), &number, size);
    }
}

static void change(Input *input, const Inputs *inputs, uint64_t *random)
{
    size_t at = below(random, input->size);
    switch (below(random, 7)) {
    case 0:
        input->bytes[at] ^= input->size ? 1 << below(random, 8) : 0;
        break;
    case 1:
        input->bytes[at] = (uint8_t)next_random(random);
        input->size = MAX(input->size, 1);
        break;
    case 2:
        remove_part(input, random);
        break;
    case 3:
        insert_part(input, &inputs->items[below(random, inputs->count)], random);
        break;
    case 4:
        put_number(input, random);
        break;
    case 5: { /* a part twice */
        Input copy = { .bytes = mem_copy(input->bytes, input->size), .size = input->size };
        insert_part(input, &copy, random);
        free(copy.bytes);
        break;
    }
    case 6: /* cut short */
        input->size = below(random, input->size + 1);
        break;
    }
}

static void run_changed(const Inputs *inputs, uint64_t count, uint64_t seed)
{
    Input input = { .bytes = mem_alloc(LONGEST) };
    uint64_t random = seed;
    for (uint64_t i = 0; i < count; i++) {
        const Input *start = &inputs->items[below(&random, inputs->count)];
        memcpy(input.bytes, start->bytes, start->size);
        input.size = start->size;
        for (size_t changes = 1 + below(&random, CHANGES); changes > 0; changes--) {
            change(&input, inputs, &random);
        }
        run(input.bytes, input.size);
    }
    free(input.bytes);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s CORPUS COUNT [SEED]\n", argv[0]);
        return 2;
    }
    Inputs inputs = { 0 };
    if (!read_corpus(argv[1], &inputs)) {
        return 1;
    }
    catch_signals(argv[0]);
    for (size_t i = 0; i < inputs.count; i++) {
        run(inputs.items[i].bytes, inputs.items[i].size);
    }
    run_changed(&inputs, strtoull(argv[2], NULL, 0), argc > 3 ? strtoull(argv[3], NULL, 0) : 1);
    printf("%zu inputs of the corpus and %s changed ones\n", inputs.count, argv[2]);
    for (size_t i = 0; i < inputs.count; i++) {
        free(inputs.items[i].bytes);
    }
    vec_free(&inputs);
    return 0;
}
