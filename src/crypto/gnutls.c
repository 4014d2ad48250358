/* Opening GnuTLS: see gnutls.h. */
#include "crypto/gnutls.h"

#include "base/error.h"
#include "base/vec.h"

#include <dlfcn.h>

bool gnutls_open(Gnutls *library, Error **error)
{
#define GNUTLS_ROW(name_) { "gnutls_" #name_, offsetof(Gnutls, name_) },
    static const struct {
        const char *name;
        size_t offset;
    } functions[] = { GNUTLS_FUNCTIONS(GNUTLS_ROW) };
#undef GNUTLS_ROW
    void *handle = library->open ? NULL : dlopen("libgnutls.so.30", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) {
        return library->open || error_set(error, "TLS and ciphers need the library GnuTLS: %s", dlerror());
    }
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        void *function = dlsym(handle, functions[i].name);
        if (!function) {
            return error_set(error, "the library GnuTLS is too old: it has no %s", functions[i].name);
        }
        memcpy((char *)library + functions[i].offset, &function, sizeof function);
    }
    library->open = true;
    return true;
}
