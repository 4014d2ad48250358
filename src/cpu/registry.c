/* The guests that are compiled in: `guests` is generated. */
#include "cpu/guest.h"

#include <string.h>

const Guest *guest_find(const char *target)
{
    for (size_t i = 0; i < guest_count; i++) {
        if (!strcmp(guests[i]->target, target)) {
            return guests[i];
        }
    }
    return NULL;
}
