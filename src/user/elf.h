/* Loading programs: ELF files of the guest into its memory. */
#pragma once

#include "user/process.h"

typedef struct Error Error;

/* Opens a program, or an interpreter, if it is a file that may be executed; else a negative errno value. Never
 * waits. */
int elf_open(const char *path);

/* What execve says of a program before it has done anything: 0, or a negative errno value. */
int64_t elf_check(Process *process, const UserAbi *abi, int fd);

/* Maps the program open at `fd`, and the interpreter that it names; fills process->program but what concerns the
 * stack. False with an error whose errno is Linux's; memory may then hold part of it. */
bool elf_load(Process *process, int fd, const char *name, uint64_t *start, Error **error);

/* Lays out arguments, environment and auxiliary vector below abi->stack_top: the stack pointer, or 0 with an error. */
uint64_t stack_make(Process *process, Cpu *cpu, char *const *arguments, char *const *environment, const char *name,
                    Error **error);
