/* What `help` shows on the command line and in HMP, out of the tables of classes, guests and options. */
#pragma once

#include "base/strbuf.h"
#include "core/machine.h"

void help_machines(const Guest *guest, StrBuf *out);
void help_cpus(const Guest *guest, StrBuf *out);
void help_devices(StrBuf *out);
void help_objects(StrBuf *out);
/* "NAME options:" and a line for each property that a user can set. */
void help_class(const Class *class, StrBuf *out);
/* Whether the machine exists for the guest. */
bool machine_class_serves(const MachineClass *class, const Guest *guest);
