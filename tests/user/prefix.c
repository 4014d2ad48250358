/* Says of each file named how it is found: what it holds, whether it is a link and to what. For prefix.py. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void show(const char *path)
{
    char text[64] = { 0 }, target[64] = { 0 };
    struct stat status = { 0 };
    int fd = open(path, O_RDONLY), link = open(path, O_RDONLY | O_NOFOLLOW);

    if (fd >= 0) {
        read(fd, text, sizeof text - 1);
    }
    printf("%s|", text);
    printf("%s|", lstat(path, &status) ? "none" : S_ISLNK(status.st_mode) ? "link" : "file");
    printf("%ld|", stat(path, &status) ? -1L : (long)status.st_size);
    printf("%s|", readlink(path, target, sizeof target - 1) < 0 ? "" : target);
    printf("%s|%s\n", access(path, R_OK) ? "no" : "yes", link < 0 ? "no" : "yes");
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        show(argv[i]);
    }
    fflush(stdout);
    if (argc > 3) {
        execl("/run/script", "script", NULL); /* runs this program with two arguments */
        return 1;
    }
    return 0;
}
