/* Included before programs that two libcs are to print the same with: errors by number, since each has words of its
 * own for them. */
#define NARROW /* one of them is of a guest of 32 bits */
#include <stdio.h>
#include <string.h>

static inline const char *error_text(int error)
{
    static _Thread_local char text[16];

    snprintf(text, sizeof text, "error %d", error);
    return text;
}
#define strerror error_text
