/* Threads, floating point and signals of C. */
#include <complex.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t signals;

static void count(int number)
{
    signals++;
}

static void *sum(void *argument)
{
    double *result = argument, total = 0;

    for (int i = 1; i <= 20000; i++) {
        total += sin(i) * cos(i) / sqrt(i) + cabs(cexp(I * i)) * 1e-3;
    }
    *result = total;
    return NULL;
}

int main(void)
{
    pthread_t threads[4];
    double results[4];

    signal(SIGUSR1, count);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, sum, &results[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        raise(SIGUSR1);
    }
    printf("compiled %.6f %d %d %.0Lf\n", results[3], results[0] == results[3], signals, powl(3.0L, 40));
    return 0;
}
