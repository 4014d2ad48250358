/* A look at certificates before they are used, so that a message says which one is wrong and how; after RFC 5280. */
#include "crypto/tls_internal.h"

#include "base/error.h"
#include "base/files.h"
#include "base/vec.h"

#include <time.h>

enum { LIMIT = 4 << 20, NAME_LIMIT = 256 };

typedef struct Certificates {
    gnutls_x509_crt_t *items;
    unsigned count;
} Certificates;

/* What a certificate is for. */
typedef struct Purpose {
    const char *name;
    bool is_authority;
    unsigned usage;  /* of which one bit is needed where it says anything */
    const char *oid; /* NULL: any */
} Purpose;

static bool load_list(const Gnutls *library, const char *path, const Purpose *purpose, Certificates *list,
                      Error **error)
{
    size_t size = 0;
    AUTO_FREE unsigned char *text = files_read_all(NULL, path, LIMIT, &size, error);
    if (!text) {
        return false;
    }
    gnutls_datum_t datum = { text, (unsigned)size };
    int result = library->x509_crt_list_import2(&list->items, &list->count, &datum, GNUTLS_X509_FMT_PEM, 0);
    return result >= 0 || error_set(error, "Unable to import %s certificate%s %s: %s", purpose->name,
                                    purpose->is_authority ? " list" : "", path, library->strerror(result));
}

static void free_list(const Gnutls *library, Certificates *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        library->x509_crt_deinit(list->items[i]);
    }
    free(list->items);
}

static bool check_times(const Gnutls *library, gnutls_x509_crt_t certificate, const Purpose *purpose, const char *path,
                        Error **error)
{
    time_t now = time(NULL);
    if (library->x509_crt_get_expiration_time(certificate) < now) {
        return error_set(error, "The %s certificate %s has expired", purpose->name, path);
    }
    return library->x509_crt_get_activation_time(certificate) <= now ||
           error_set(error, "The %s certificate %s is not yet active", purpose->name, path);
}

static bool check_basic(const Gnutls *library, gnutls_x509_crt_t certificate, const Purpose *purpose, const char *path,
                        Error **error)
{
    int result = library->x509_crt_get_basic_constraints(certificate, NULL, NULL, NULL);
    if (result > 0 && !purpose->is_authority) {
        return error_set(error, "The certificate %s basic constraints show a CA, but we need one for a %s", path,
                         purpose->name);
    }
    if (result == 0 && purpose->is_authority) {
        return error_set(error, "The certificate %s basic constraints do not show a CA", path);
    }
    return result >= 0 || (result == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE && !purpose->is_authority) ||
           error_set(error, "The certificate %s is missing basic constraints for a CA", path);
}

static bool check_usage(const Gnutls *library, gnutls_x509_crt_t certificate, const Purpose *purpose, const char *path,
                        Error **error)
{
    unsigned usage = 0, critical = 0;
    int result = library->x509_crt_get_key_usage(certificate, &usage, &critical);
    return result < 0 || usage & purpose->usage || !critical ||
           error_set(error, "Certificate %s usage does not permit %s", path,
                     purpose->is_authority ? "certificate signing" : "digital signature");
}

static bool check_purpose(const Gnutls *library, gnutls_x509_crt_t certificate, const Purpose *purpose,
                          const char *path, Error **error)
{
    bool any = !purpose->oid;
    unsigned i = 0;
    for (;; i++) {
        char oid[NAME_LIMIT];
        size_t size = sizeof oid;
        unsigned critical = 0;
        int result = library->x509_crt_get_key_purpose_oid(certificate, i, oid, &size, &critical);
        if (result < 0) {
            break;
        }
        any = any || strcmp(oid, purpose->oid) == 0 || strcmp(oid, GNUTLS_KP_ANY) == 0 || !critical;
    }
    return any || i == 0 ||
           error_set(error, "Certificate %s purpose does not allow use with a TLS %s", path, purpose->name);
}

static bool check_list(const Gnutls *library, const Certificates *list, const Purpose *purpose, const char *path,
                       Error **error)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (!check_times(library, list->items[i], purpose, path, error) ||
            (i == 0 && (!check_basic(library, list->items[i], purpose, path, error) ||
                        !check_usage(library, list->items[i], purpose, path, error) ||
                        !check_purpose(library, list->items[i], purpose, path, error)))) {
            return false;
        }
    }
    return list->count > 0 || error_set(error, "There is no certificate in %s", path);
}

static bool check_chain(const Gnutls *library, const Certificates *list, const Certificates *authorities,
                        const char *path, const char *authorities_path, Error **error)
{
    unsigned status = 0;
    int result = library->x509_crt_list_verify(list->items, (int)list->count, authorities->items,
                                               (int)authorities->count, NULL, 0, 0, &status);
    if (result < 0) {
        return error_set(error, "Unable to verify certificate %s: %s", path, library->strerror(result));
    }
    return status == 0 || error_set(error, "Our own certificate %s failed validation against %s: %s", path,
                                    authorities_path,
                                    status & GNUTLS_CERT_SIGNER_NOT_FOUND ? "The certificate hasn't got a known issuer"
                                    : status & GNUTLS_CERT_INSECURE_ALGORITHM
                                        ? "The certificate uses an insecure algorithm"
                                        : "The certificate is not trusted");
}

bool tls_check_certificates(const TlsCredentials *credentials, const char *authorities, const char *certificate,
                            Error **error)
{
    static const Purpose authority = { "CA", true, GNUTLS_KEY_KEY_CERT_SIGN, NULL };
    static const Purpose ends[] = {
        { "client", false, GNUTLS_KEY_DIGITAL_SIGNATURE, GNUTLS_KP_TLS_WWW_CLIENT },
        { "server", false, GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_ENCIPHERMENT, GNUTLS_KP_TLS_WWW_SERVER },
    };
    const Gnutls *library = &credentials->library;
    const Purpose *purpose = &ends[tls_is_server(credentials)];
    Certificates trusted = { 0 }, own = { 0 };
    bool good = load_list(library, authorities, &authority, &trusted, error) &&
                check_list(library, &trusted, &authority, authorities, error) &&
                (!certificate || (load_list(library, certificate, purpose, &own, error) &&
                                  check_list(library, &own, purpose, certificate, error) &&
                                  check_chain(library, &own, &trusted, certificate, authorities, error)));
    free_list(library, &trusted);
    free_list(library, &own);
    return good;
}
