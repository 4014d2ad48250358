/* The tables that gen/schema.py makes from test.json. */
#pragma once

#include "api/command.h"

extern const Command test_commands[];
extern const size_t test_command_count;
extern const HmpCommand test_hmp_commands[];
extern const size_t test_hmp_command_count;
extern const Event test_events[];
extern const size_t test_event_count;
extern const Type *const test_types[];
extern const size_t test_type_count;
extern const Option test_options[];
extern const size_t test_option_count;
