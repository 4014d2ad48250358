/*
 * See code_debugger.h. The interface is a list of object files in memory, whose head is a variable that gdb knows by
 * its name, and a function that it has a breakpoint in. The file has a section of code (which is elsewhere), one of
 * frames, and names.
 */
#include "cpu/code_debugger.h"

#include "base/bytes.h"
#include "base/vec.h"
#include "jit/host.h"

#include <elf.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Names, members and numbers are gdb's. */
enum { JIT_NOACTION, JIT_REGISTER_FN, JIT_UNREGISTER_FN };
struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const void *symfile_addr;
    uint64_t symfile_size;
};
struct jit_descriptor {
    uint32_t version, action_flag;
    struct jit_code_entry *relevant_entry, *first_entry;
};
struct jit_descriptor __jit_debug_descriptor = { .version = 1 };
void __jit_debug_register_code(void);
void __attribute__((noinline, used)) __jit_debug_register_code(void) { __asm__ volatile("" ::: "memory"); }
static atomic_flag descriptor_busy = ATOMIC_FLAG_INIT;

enum { SECTION_NONE, SECTION_CODE, SECTION_FRAMES, SECTION_SYMBOLS, SECTION_STRINGS, SECTIONS };
enum { FRAMES_BYTES = 1024, SYMBOLS = CODE_FRAMES + 1, STRINGS_BYTES = 512 };

typedef struct ObjectFile {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    Elf64_Shdr sections[SECTIONS];
    Elf64_Sym symbols[SYMBOLS];
    uint8_t frames[FRAMES_BYTES];
    char strings[STRINGS_BYTES];
} ObjectFile;

struct CodeDebugger {
    struct jit_code_entry entry;
    ObjectFile file;
    size_t frames_used, strings_used;
};

/* ---- Strings ---- */

static uint32_t add_string(CodeDebugger *d, const char *text)
{
    size_t at = d->strings_used, size = strlen(text) + 1;

    assert(at + size <= STRINGS_BYTES);
    memcpy(d->file.strings + at, text, size);
    d->strings_used += size;
    return (uint32_t)at;
}

/* ---- Frames ---- */

enum { DW_CFA_nop = 0, DW_CFA_def_cfa = 0x0c, DW_CFA_offset = 0x80, CIE_VERSION = 1, SLOT = 8 };

static void put(CodeDebugger *d, uint64_t value, unsigned bytes)
{
    assert(d->frames_used + bytes <= FRAMES_BYTES);
    store_le(d->file.frames + d->frames_used, bytes, value);
    d->frames_used += bytes;
}

static void put_leb(CodeDebugger *d, uint32_t value)
{
    for (; value >= 0x80; value >>= 7) {
        put(d, (value & 0x7f) | 0x80, 1);
    }
    put(d, value, 1);
}

/* An entry begins with its length, which is a multiple of 8 with that. */
static size_t begin_entry(CodeDebugger *d)
{
    put(d, 0, 4);
    return d->frames_used;
}

static void end_entry(CodeDebugger *d, size_t start)
{
    while (d->frames_used % 8) {
        put(d, DW_CFA_nop, 1);
    }
    store_le32(d->file.frames + start - 4, (uint32_t)(d->frames_used - start));
}

/* What all frames have in common: where the return address and the registers are from the frame's upper end on. */
static void put_common(CodeDebugger *d, const CodeUnwind *unwind)
{
    size_t start = begin_entry(d);

    put(d, UINT32_MAX, 4);
    put(d, CIE_VERSION, 1);
    put(d, 0, 1);                      /* no augmentation */
    put_leb(d, 1);                     /* code is counted in bytes */
    put(d, (uint8_t)-SLOT & 0x7f, 1);  /* data in slots downwards: a signed LEB128 */
    put(d, unwind->return_register, 1);
    put(d, DW_CFA_offset | unwind->return_register, 1);
    put_leb(d, 1);
    for (unsigned i = 0; i < unwind->saved_count; i++) {
        put(d, DW_CFA_offset | unwind->saved[i], 1);
        put_leb(d, i + 2);
    }
    end_entry(d, start);
}

static void put_frame(CodeDebugger *d, const CodeUnwind *unwind, const CodeFrame *frame, const uint8_t *end)
{
    size_t start = begin_entry(d);

    put(d, 0, 4); /* of the common entry */
    put(d, (uintptr_t)frame->start, 8);
    put(d, (uintptr_t)end - (uintptr_t)frame->start, 8);
    put(d, DW_CFA_def_cfa, 1);
    put_leb(d, unwind->stack_register);
    put_leb(d, frame->depth);
    end_entry(d, start);
}

/* ---- The file ---- */

static Elf64_Shdr section(CodeDebugger *d, const char *name, uint32_t type, const void *content, size_t size)
{
    return (Elf64_Shdr){ .sh_name = add_string(d, name), .sh_type = type, .sh_size = size, .sh_addralign = 1,
                         .sh_offset = (Elf64_Off)((const uint8_t *)content - (const uint8_t *)&d->file) };
}

static void make_sections(CodeDebugger *d, const uint8_t *code, uint64_t size, unsigned symbols)
{
    ObjectFile *file = &d->file;

    file->sections[SECTION_CODE] = section(d, ".text", SHT_NOBITS, file, size);
    file->sections[SECTION_CODE].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    file->sections[SECTION_CODE].sh_addr = (uintptr_t)code;
    file->sections[SECTION_FRAMES] = section(d, ".debug_frame", SHT_PROGBITS, file->frames, d->frames_used);
    file->sections[SECTION_SYMBOLS] = section(d, ".symtab", SHT_SYMTAB, file->symbols, symbols * sizeof(Elf64_Sym));
    file->sections[SECTION_SYMBOLS].sh_entsize = sizeof(Elf64_Sym);
    file->sections[SECTION_SYMBOLS].sh_link = SECTION_STRINGS;
    file->sections[SECTION_SYMBOLS].sh_info = symbols; /* all are local */
    file->sections[SECTION_STRINGS] = section(d, ".strtab", SHT_STRTAB, file->strings, STRINGS_BYTES);
}

static void make_header(ObjectFile *file, unsigned machine, const uint8_t *code, uint64_t size)
{
    file->header = (Elf64_Ehdr){
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_EXEC,
        .e_machine = (Elf64_Half)machine,
        .e_version = EV_CURRENT,
        .e_phoff = offsetof(ObjectFile, segment),
        .e_shoff = offsetof(ObjectFile, sections),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 1,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTIONS,
        .e_shstrndx = SECTION_STRINGS,
    };
    file->segment = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_X, .p_vaddr = (uintptr_t)code, .p_memsz = size };
}

static void make_file(CodeDebugger *d, const CodeUnwind *unwind, unsigned machine, const uint8_t *code, uint64_t size)
{
    add_string(d, "");
    put_common(d, unwind);
    for (unsigned i = 0; i < unwind->frame_count; i++) {
        const CodeFrame *frame = &unwind->frames[i];
        const uint8_t *end = i + 1 < unwind->frame_count ? frame[1].start : code + size;
        put_frame(d, unwind, frame, end);
        d->file.symbols[i + 1] = (Elf64_Sym){ .st_name = add_string(d, frame->name), .st_info = STT_FUNC,
                                              .st_shndx = SECTION_CODE, .st_value = (uintptr_t)frame->start,
                                              .st_size = (uint64_t)(end - frame->start) };
    }
    make_sections(d, code, size, unwind->frame_count + 1);
    make_header(&d->file, machine, code, size);
}

/* ---- The list ---- */

static void tell(struct jit_code_entry *entry, uint32_t action)
{
    __jit_debug_descriptor.relevant_entry = entry;
    __jit_debug_descriptor.action_flag = action;
    __jit_debug_register_code();
}

static void lock(void)
{
    while (atomic_flag_test_and_set(&descriptor_busy)) {
        sched_yield();
    }
}

CodeDebugger *code_debugger_new(const CodeUnwind *unwind, unsigned machine, const uint8_t *start, uint64_t size)
{
    CodeDebugger *d = NEW(CodeDebugger);

    make_file(d, unwind, machine, start, size);
    d->entry.symfile_addr = &d->file;
    d->entry.symfile_size = sizeof d->file;
    lock();
    d->entry.next_entry = __jit_debug_descriptor.first_entry;
    if (d->entry.next_entry) {
        d->entry.next_entry->prev_entry = &d->entry;
    }
    __jit_debug_descriptor.first_entry = &d->entry;
    tell(&d->entry, JIT_REGISTER_FN);
    atomic_flag_clear(&descriptor_busy);
    return d;
}

void code_debugger_free(CodeDebugger *debugger)
{
    if (!debugger) {
        return;
    }
    struct jit_code_entry *entry = &debugger->entry;
    lock();
    *(entry->prev_entry ? &entry->prev_entry->next_entry : &__jit_debug_descriptor.first_entry) = entry->next_entry;
    if (entry->next_entry) {
        entry->next_entry->prev_entry = entry->prev_entry;
    }
    tell(entry, JIT_UNREGISTER_FN);
    atomic_flag_clear(&descriptor_busy);
    free(debugger);
}
