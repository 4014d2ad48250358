/* The program's main, apart from the rest so that tests can link that. */
#include "user/main.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    return user_main(argc, argv, environ);
}
