/* What execve says of files that are no programs: scripts of all kinds, and ELF files of a few dozen bytes with one
 * number of their headers changed. Where the program is gone before it can be told, any bad end will do. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __riscv
enum { MACHINE = EM_RISCV };
static const uint8_t code[] = { 0x1d, 0x45, 0x93, 0x08, 0xe0, 0x05, 0x73, 0x00, 0x00, 0x00 }; /* exit_group(7) */
#else
enum { MACHINE = EM_X86_64 };
static const uint8_t code[] = { 0xbf, 7, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05 };
#endif

enum { CODE = 512, NAME = 600, SIZE = 8192 };

typedef struct Image {
    Elf64_Ehdr header;
    Elf64_Phdr interpreter, text, data;
} Image;

static union {
    Image image;
    uint8_t bytes[SIZE];
} file;

static char folder[64];

/* Runs the file `x`: errno of execve, how it ended. What the loader says of it goes nowhere. */
static void run(const char *what)
{
    int pipes[2], status, number = 0;

    pipe2(pipes, O_CLOEXEC);
    pid_t child = fork();
    if (!child) {
        freopen("/dev/null", "w", stderr);
        execl("./x", "x", "argument", NULL);
        number = errno;
        write(pipes[1], &number, sizeof number);
        _exit(0);
    }
    close(pipes[1]);
    read(pipes[0], &number, sizeof number);
    close(pipes[0]);
    waitpid(child, &status, 0);
    const char *end = WIFEXITED(status) && WEXITSTATUS(status) == 7 ? "runs" : "dies";
    printf("%s: %s\n", what, number ? strerror(number) : end);
    fflush(stdout);
}

static void write_file(const char *name, const void *bytes, size_t size, int mode)
{
    unlink(name);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write(fd, bytes, size);
    close(fd);
}

static void make(const char *interpreter)
{
    memset(&file, 0, sizeof file);
    file.image = (Image){
        { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_DYN,
          .e_machine = MACHINE, .e_version = 1, .e_entry = CODE, .e_phoff = 64, .e_ehsize = 64, .e_phentsize = 56,
          .e_phnum = 3 },
        { .p_type = PT_NULL },
        { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = 4096, .p_memsz = 4096, .p_align = 4096 },
        { .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 4096, .p_vaddr = 8192, .p_filesz = 4096,
          .p_memsz = 0x5000, .p_align = 4096 },
    };
    memcpy(file.bytes + CODE, code, sizeof code);
    if (interpreter) {
        strcpy((char *)file.bytes + NAME, interpreter);
        file.image.interpreter = (Elf64_Phdr){ .p_type = PT_INTERP, .p_offset = NAME,
                                               .p_filesz = strlen(interpreter) + 1 };
    }
}

#define FIELD(member) offsetof(Image, member), sizeof ((Image *)0)->member, #member

typedef struct Change {
    size_t offset, size;
    const char *name;
    uint64_t value;
} Change;

static const Change changes[] = {
    { FIELD(header.e_ident[0]), 0 },          { FIELD(header.e_ident[3]), 'G' },
    { FIELD(header.e_type), ET_NONE },        { FIELD(header.e_type), ET_REL },
    { FIELD(header.e_type), ET_CORE },        { FIELD(header.e_type), 0xffff },
    { FIELD(header.e_machine), 0 },           { FIELD(header.e_machine), 0xffff },
    { FIELD(header.e_version), 99 },          { FIELD(header.e_ehsize), 0 },
    { FIELD(header.e_phentsize), 0 },         { FIELD(header.e_phentsize), 55 },
    { FIELD(header.e_phentsize), 0xffff },    { FIELD(header.e_phnum), 0 },
    { FIELD(header.e_phnum), 100 },           { FIELD(header.e_phnum), 1170 },
    { FIELD(header.e_phnum), 1171 },          { FIELD(header.e_phnum), 0xffff },
    { FIELD(header.e_phoff), 0x1fff },        { FIELD(header.e_phoff), 0x7fffffffffffffff },
    { FIELD(header.e_phoff), -1 },            { FIELD(header.e_phoff), 0 },
    { FIELD(header.e_entry), 0 },             { FIELD(header.e_entry), -1 },
    { FIELD(header.e_shoff), -1 },            { FIELD(header.e_shnum), 0xffff },
    { FIELD(interpreter.p_filesz), 0 },       { FIELD(interpreter.p_filesz), 1 },
    { FIELD(interpreter.p_filesz), 2 },       { FIELD(interpreter.p_filesz), 4096 },
    { FIELD(interpreter.p_filesz), 4097 },    { FIELD(interpreter.p_filesz), -1 },
    { FIELD(interpreter.p_offset), 8191 },    { FIELD(interpreter.p_offset), 1 << 20 },
    { FIELD(interpreter.p_offset), 0x7fffffffffffffff }, { FIELD(interpreter.p_memsz), -1 },
    { FIELD(interpreter.p_type), PT_GNU_STACK }, { FIELD(interpreter.p_type), PT_TLS },
    { FIELD(interpreter.p_type), PT_GNU_PROPERTY }, { FIELD(interpreter.p_type), -1 },
    { FIELD(text.p_align), 0 },               { FIELD(text.p_align), 3 },
    { FIELD(text.p_align), 1 << 21 },         { FIELD(text.p_memsz), 0x2000 },
    { FIELD(text.p_paddr), -1 },              { FIELD(data.p_vaddr), 1 << 30 },
    { FIELD(data.p_memsz), 1 << 30 },         { FIELD(data.p_memsz), 1 },
    { FIELD(data.p_memsz), -1 },              { FIELD(data.p_vaddr), -4096 },
    { FIELD(data.p_vaddr), 8193 },            { FIELD(data.p_offset), 4097 },
    { FIELD(data.p_filesz), -1 },             { FIELD(data.p_filesz), 0 },
};

static void images(const char *interpreter)
{
    char text[128];

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const Change *c = &changes[i];
        make(interpreter);
        memcpy(file.bytes + c->offset, &c->value, c->size);
        write_file("x", &file, sizeof file, 0755);
        snprintf(text, sizeof text, "%s, %s = %#lx", interpreter ? interpreter : "alone", c->name, (long)c->value);
        run(text);
    }
}

static void cut(void)
{
    static const size_t sizes[] = { 0, 1, 2, 3, 4, 5, 16, 19, 20, 52, 63, 64, 65, 64 + 55, 64 + 56, 64 + 3 * 56 - 1 };
    char text[64];

    make(NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        write_file("x", &file, sizes[i], 0755);
        snprintf(text, sizeof text, "%zu bytes", sizes[i]);
        run(text);
    }
}

/* What the interpreter is; `name` as the program says it. */
static void interpreters(void)
{
    static const char *const names[] = { "./i", "./missing", "./folder", "./unreadable", "./fifo", "./script", "./text",
                                         "./short", "./relocatable", "./x", "", "/dev/null", "./link", "./loop",
                                         "./x/y" };
    Image other;

    make(NULL);
    write_file("i", &file, sizeof file, 0755);
    write_file("unreadable", &file, sizeof file, 0644);
    write_file("short", &file, 100, 0755);
    file.image.header.e_type = ET_REL;
    write_file("relocatable", &file, sizeof file, 0755);
    write_file("script", "#!/bin/sh\n", 10, 0755);
    write_file("text", "text", 4, 0755);
    mkdir("folder", 0755);
    mkfifo("fifo", 0777);
    symlink("i", "link");
    symlink("loop", "loop");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[64];
        make(names[i]);
        write_file("x", &file, sizeof file, 0755);
        snprintf(text, sizeof text, "interpreter '%s'", names[i]);
        run(text);
    }
}

/* What is executed itself. */
static void names(void)
{
    make(NULL);
    for (const char *const *name = (const char *const[]){ "folder", "fifo", "unreadable", "text", "loop", NULL }; *name;
         name++) {
        unlink("x");
        symlink(*name, "x");
        run(*name);
    }
    unlink("x");
}

/* Scripts that lead to scripts: five may, to a program. */
static void chains(void)
{
    char name[16], line[32], text[32];

    make(NULL);
    write_file("s0", &file, sizeof file, 0755);
    for (int i = 1; i <= 8; i++) {
        snprintf(name, sizeof name, "s%d", i);
        snprintf(line, sizeof line, "#!./s%d\n", i - 1);
        write_file(name, line, strlen(line), 0755);
        write_file("x", line, strlen(line), 0755);
        snprintf(text, sizeof text, "%d scripts", i);
        run(text);
    }
    write_file("x", "#!./x", 5, 0755);
    run("a script of itself");
}

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Lines made of what a script's first line may have in it, in any order. */
static void lines(char *self)
{
    static const char *const parts[] = { " ", "\t", "a", " ", "-x", "\n", "\r", "", "s", "./p", "./p", "#!" };
    uint32_t state = 1;

    unlink("p");
    symlink(self, "p");
    for (int i = 0; i < 200; i++) {
        char line[700] = "#!";
        size_t size = 2;
        unsigned count = next(&state) % 8;
        for (unsigned k = 0; k < count; k++) {
            const char *part = parts[next(&state) % (sizeof parts / sizeof *parts)];
            size_t length = *part ? strlen(part) : 1;
            memcpy(line + size, part, length);
            size += length;
        }
        if (next(&state) % 4 == 0) { /* near the end of what is looked at */
            size_t length = 235 + next(&state) % 30;
            memset(line + size, next(&state) % 2 ? ' ' : 'y', length);
            size += length;
            memcpy(line + size, " z\n", 3);
            size += next(&state) % 4;
        }
        write_file("x", line, size, 0755);
        printf("%d ", i);
        fflush(stdout);
        run("line");
    }
}

/* As the interpreter of a script: what it was given. */
static void show(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        printf("[%s]", argv[i]);
    }
    printf(" ");
    fflush(stdout);
    exit(7);
}

int main(int argc, char **argv)
{
    char self[256];

    if (!strcmp(argv[0], "./p")) {
        show(argc, argv);
    }
    snprintf(folder, sizeof folder, "/tmp/myna-image-XXXXXX");
    self[readlink("/proc/self/exe", self, sizeof self - 1)] = 0;
    if (!mkdtemp(folder) || chdir(folder)) {
        return 1;
    }
    images(NULL);
    cut();
    interpreters();
    images("./i");
    names();
    chains();
    lines(self);
    for (const char *const *name = (const char *const[]){ "x", "i", "p", "unreadable", "short", "relocatable", "script",
                                                          "text", "fifo", "link", "loop", "s0", "s1", "s2", "s3", "s4",
                                                          "s5", "s6", "s7", "s8", NULL }; *name; name++) {
        unlink(*name);
    }
    rmdir("folder");
    return rmdir(folder);
}
