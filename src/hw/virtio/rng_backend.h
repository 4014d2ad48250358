/* Where a virtio entropy device gets its bytes: objects "rng-random" (a file of the host) and "rng-builtin". */
#pragma once

#include "object/object.h"

typedef struct RngBackend RngBackend;
typedef struct RngRequest RngRequest;

typedef struct RngBackendClass {
    Class class;
    /* Starts filling; `done` of the request is called on the loop, now or later. */
    void (*request)(RngBackend *backend, RngRequest *request);
    void (*cancel)(RngBackend *backend, RngRequest *request);
} RngBackendClass;

/* The requester's; it stays where it is until `done`. */
struct RngRequest {
    size_t wanted;
    void (*done)(RngRequest *request, const void *bytes, size_t count); /* from 1 to `wanted`; 0: the source failed */
    void *data;
    RngRequest *next;
};

struct RngBackend {
    Object object;
};

extern const RngBackendClass rng_backend_class; /* "rng-backend", abstract */

void rng_request(RngBackend *backend, RngRequest *request);
/* Forgets a request that is not done. */
void rng_cancel(RngBackend *backend, RngRequest *request);
