/*
 * Which names a user may have meant. The distance is Damerau's and Levenshtein's (a letter inserted, left out,
 * replaced, or two exchanged), where a change of case or between '-' and '_' counts less. Behind the names that are
 * near by that come those that hold the word as a whole: 'uart' for 'sifive-uart'.
 */
#include "base/text.h"

#include "base/strbuf.h"
#include "base/vec.h"

enum {
    LONGEST = 64,  /* longer names are no slip of a finger */
    STEP = 4,      /* a whole letter's difference */
    WHOLE_WORD = STEP * LONGEST, /* ranks behind every spelling mistake */
    NOT_NEAR = 2 * WHOLE_WORD,
};

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c | 0x20);
    }
    return c == '_' ? '-' : c;
}

static unsigned letter_cost(char a, char b)
{
    if (a == b) {
        return 0;
    }
    return fold(a) == fold(b) ? 1 : STEP;
}

static unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++) {
        last[j] = (unsigned)j * STEP;
    }
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = (unsigned)i * STEP;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned cost = last[j - 1] + letter_cost(a[i - 1], b[j - 1]);
            cost = MIN(cost, MIN(last[j], row[j - 1]) + STEP);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1])) {
                cost = MIN(cost, before[j - 2] + STEP);
            }
            row[j] = cost;
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

/* Whether `name` stands in `candidate` between separators; at its start it may also be the beginning of a word. */
static bool holds_word(const char *candidate, const char *name, size_t length)
{
    if (length < 3) {
        return false;
    }
    for (size_t i = 0; candidate[i]; i++) {
        bool starts = i == 0 || strchr("-._,:", candidate[i - 1]);
        if (starts && strncmp(candidate + i, name, length) == 0 &&
            (i == 0 || strchr("-._,:", candidate[i + length]))) {
            return true;
        }
    }
    return false;
}

static unsigned rank(const char *name, size_t length, const char *candidate)
{
    size_t candidate_length = strlen(candidate);
    if (candidate_length <= LONGEST) {
        unsigned distance = edit_distance(name, length, candidate, candidate_length);
        /* A third of the longer one's letters; in very short names one letter. */
        unsigned allowed = (unsigned)MAX(MAX(length, candidate_length) / 3, 1) * STEP;
        if (distance <= allowed && distance < STEP * MIN(length, candidate_length)) {
            return distance;
        }
    }
    return holds_word(candidate, name, length) ? WHOLE_WORD + (unsigned)MIN(candidate_length, LONGEST) : NOT_NEAR;
}

size_t text_nearest(const char *name, TextCandidate *candidate, const void *context, const char **nearest,
                    size_t limit)
{
    size_t length = strlen(name);
    if (length == 0 || length > LONGEST || limit == 0) {
        return 0;
    }
    AUTO_FREE unsigned *ranks = mem_alloc_array(limit, sizeof *ranks);
    size_t count = 0;
    const char *text;
    for (size_t i = 0; (text = candidate(context, i)); i++) {
        unsigned text_rank = rank(name, length, text);
        if (text_rank == NOT_NEAR || (count == limit && text_rank >= ranks[count - 1])) {
            continue;
        }
        size_t at = count < limit ? count++ : count - 1;
        for (; at > 0 && ranks[at - 1] > text_rank; at--) {
            ranks[at] = ranks[at - 1];
            nearest[at] = nearest[at - 1];
        }
        ranks[at] = text_rank;
        nearest[at] = text;
    }
    return count;
}

char *text_suggestion(const char *name, TextCandidate *candidate, const void *context)
{
    return text_suggestion_prefixed("", name, candidate, context);
}

char *text_suggestion_prefixed(const char *prefix, const char *name, TextCandidate *candidate, const void *context)
{
    const char *nearest[3];
    size_t count = text_nearest(name, candidate, context, nearest, ARRAY_SIZE(nearest));
    AUTO_STRBUF(text);
    for (size_t i = 0; i < count; i++) {
        strbuf_append(&text, i == 0 ? "; did you mean " : i + 1 < count ? ", " : " or ");
        strbuf_printf(&text, "'%s%s'", prefix, nearest[i]);
    }
    if (count) {
        strbuf_append_char(&text, '?');
    }
    return strbuf_take(&text);
}
