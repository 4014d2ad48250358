/* execve: errors, a script with an argument, and the program itself again by /proc/self/exe. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void refused(const char *path)
{
    char *arguments[] = { "name", NULL }, *none[] = { NULL };
    int result = execve(path, arguments, none);
    printf("refused: %d %d\n", result, errno);
}

static void script(void)
{
    char name[] = "/tmp/myna-user-script-XXXXXX";
    const char text[] = "#! /proc/self/exe  script and more\n";
    int fd = mkstemp(name), status;

    write(fd, text, sizeof text - 1);
    fchmod(fd, 0700);
    close(fd);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        char *arguments[] = { "gone", "last", NULL };
        execv(name, arguments);
        printf("failed %d\n", errno);
        _exit(1);
    }
    waitpid(child, &status, 0);
    printf("script ended with %d\n", WEXITSTATUS(status));
    unlink(name);
}

int main(int argc, char **argv)
{
    static char *bad[] = { (char *)8, NULL };

    if (argc == 4 && strncmp(argv[1], "script", 6) == 0) {
        printf("as an interpreter: %s '%s' %d %s\n", argv[0], argv[1], strncmp(argv[2], "/tmp/myna-user-script-", 22),
               argv[3]);
        return 5;
    }
    if (argc == 4) {
        printf("again: %s '%s' %s %s %s\n", argv[0], argv[1], argv[2], argv[3], getenv("NAME"));
        return 9;
    }
    refused("/no/such/file");
    refused("/etc/passwd");
    refused("/etc/passwd/below");
    refused("/tmp");
    refused((char *)8);
    int result = execve("/proc/self/exe", bad, NULL);
    printf("bad vector: %d %d\n", result, errno);
    script();
    fflush(stdout);
    char *arguments[] = { "new name", "", "two words", "-L", NULL }, *environment[] = { "NAME=value", NULL };
    execve("/proc/self/exe", arguments, environment);
    printf("failed %d\n", errno);
    return 1;
}
