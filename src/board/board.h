/*
 * Boards as rows: devices over a memory map. A row makes devices, sets their properties, maps their registers, wires
 * their interrupts, and remembers them for the device tree, where each writes its own node.
 */
#pragma once

#include "core/device.h"

typedef struct BoardPlace {
    uint64_t address, size; /* size: what the device tree says; the registers may take less */
} BoardPlace;

typedef enum BoardNode { BOARD_NODE_SOC, BOARD_NODE_ROOT, BOARD_NODE_NONE } BoardNode;

typedef struct BoardRow {
    const char *class;
    unsigned place;         /* index into the board's map */
    unsigned count;         /* as many, one after the other; 0: 1 */
    uint64_t stride;        /* bytes from one to the next; 0: the place's size */
    unsigned interrupt;     /* input of the interrupt controller for the first, the next for the next; 0: none */
    const char *properties; /* as on the command line: "regshift=2,endianness=2"; may be NULL */
    const char *name;       /* of a child of the machine, followed by 0, 1 ... where there are several; NULL: one of
                             * /machine/unattached */
    unsigned serial;        /* 1: its chardev is the first -serial's; 0: none */
    BoardNode node;         /* where the device tree has it: in /soc, in the root, not at all */
} BoardRow;

typedef struct BoardDevice {
    Device *device; /* borrowed */
    const BoardRow *row;
} BoardDevice;

typedef struct Board {
    Machine *machine;
    const BoardPlace *map;
    Device *interrupt_controller; /* made before the rows that interrupt */
    VEC(BoardDevice) devices;     /* in order of their making */
} Board;

void board_free(Board *board);
/* Makes what the row says. `set` (may be NULL) sets further properties of each device before it is realized. On failure
 * the machine is not fit to run. The last device made, or NULL. */
Device *board_add(Board *board, const BoardRow *row, bool (*set)(Board *board, Device *device, Error **error),
                  Error **error);
/* Fails at the first row that does. */
bool board_add_rows(Board *board, const BoardRow *rows, size_t count, Error **error);
/* Lets every device that has it there write its node at the writer's place; the last made first. */
void board_write_fdt(const Board *board, FdtWriter *fdt, BoardNode node);
