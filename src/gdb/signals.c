/* gdb's numbers of signals (include/gdb/signals.def of gdb), by Linux's. */
#include "gdb/gdb.h"

static const uint8_t by_linux[] = {
    [1] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 5, [6] = 6, [7] = 10, [8] = 8, [9] = 9, [10] = 30, [11] = 11, [12] = 31,
    [13] = 13, [14] = 14, [15] = 15, [16] = 7, [17] = 20, [18] = 19, [19] = 17, [20] = 18, [21] = 21, [22] = 22,
    [23] = 16, [24] = 24, [25] = 25, [26] = 26, [27] = 27, [28] = 28, [29] = 23, [30] = 32, [31] = 12, [32] = 77,
};
enum { REALTIME = 33, GDB_REALTIME = 45, GDB_64 = 78 };

int gdb_signal_from_linux(int number)
{
    if (number >= 0 && number < (int)ARRAY_SIZE(by_linux)) {
        return by_linux[number];
    }
    return number == 64 ? GDB_64 : number >= REALTIME && number < 64 ? number - REALTIME + GDB_REALTIME
                                                                     : GDB_SIGNAL_UNKNOWN;
}

int gdb_signal_to_linux(int number)
{
    for (int i = 1; i <= 64; i++) {
        if (gdb_signal_from_linux(i) == number) {
            return i;
        }
    }
    return 0;
}
