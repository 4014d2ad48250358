/* Tests of encodings that are no instruction: reserved.c. */
#pragma once

void reserved_add_tests(void);
