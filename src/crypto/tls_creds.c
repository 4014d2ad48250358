/*
 * Credentials for TLS: see tls.h. They are files of a folder, by the names that QEMU's manual gives them. A server's
 * group for Diffie-Hellman is in dh-params.pem, or one of RFC 7919.
 */
#include "crypto/tls_internal.h"

#include "base/error.h"
#include "base/files.h"
#include "base/vec.h"
#include "crypto/secret.h"
#include "schema/crypto.h"

#include <errno.h>
#include <sys/stat.h>

enum { KEYS_LIMIT = 1 << 20, GROUP_LIMIT = 1 << 16 };

bool tls_is_server(const TlsCredentials *credentials)
{
    return credentials->endpoint == QCRYPTO_TLS_CREDS_ENDPOINT_SERVER;
}

static const TlsCredentialsClass *class_of(const TlsCredentials *credentials)
{
    return (const TlsCredentialsClass *)credentials->object.class;
}

TlsCredentials *tls_credentials_find(Object *objects, const char *id, bool server, Error **error)
{
    Object *object = objects ? object_child(objects, id) : NULL;
    if (!object) {
        error_set(error, "No TLS credentials with id '%s'", id);
        return NULL;
    }
    if (!object_is(object, &tls_credentials_class.class)) {
        error_set(error, "Object with id '%s' is not TLS credentials", id);
        return NULL;
    }
    TlsCredentials *credentials = (TlsCredentials *)object;
    if (tls_is_server(credentials) != server) {
        error_set(error, "Expected TLS credentials for a %s endpoint", server ? "server" : "client");
        return NULL;
    }
    object_ref(object);
    return credentials;
}

void tls_credentials_ref(TlsCredentials *credentials)
{
    if (credentials) {
        object_ref(&credentials->object);
    }
}

void tls_credentials_unref(TlsCredentials *credentials) { object_unref(credentials ? &credentials->object : NULL); }

/* A file of the credentials' folder: the caller's; NULL where it is not there, and with an error where it has to be. */
static char *tls_credentials_path(const TlsCredentials *credentials, const char *name, bool required, Error **error)
{
    struct stat status;
    char *path = string_format("%s/%s", credentials->dir, name);
    if (stat(path, &status) == 0) {
        return path;
    }
    if (required) {
        error_set_errno(error, errno, "Unable to access credentials %s", path);
    }
    free(path);
    return NULL;
}

static bool credentials_complete(Object *object, Error **error)
{
    TlsCredentials *credentials = (TlsCredentials *)object;
    return gnutls_open(&credentials->library, error) && class_of(credentials)->load(credentials, error);
}

static void credentials_finalize(Object *object)
{
    TlsCredentials *credentials = (TlsCredentials *)object;
    if (credentials->loaded) {
        class_of(credentials)->unload(credentials);
    }
    if (credentials->group) {
        credentials->library.dh_params_deinit(credentials->group);
    }
}

static const Property credentials_properties[] = {
    PROP("endpoint", QCryptoTLSCredsEndpoint_type, TlsCredentials, endpoint, "client", "for which end they are"),
    PROP("dir", type_string, TlsCredentials, dir, NULL, "the folder with their files"),
    PROP("priority", type_string, TlsCredentials, priority, NULL, "ciphers and key exchanges, as GnuTLS writes them"),
    PROP("verify-peer", type_bool, TlsCredentials, verify_peer, "on", "the peer has to show who he is"),
    PROP_END,
};

const TlsCredentialsClass tls_credentials_class = {
    .class = { .name = "tls-creds", .parent = &object_class, .description = "Credentials for TLS", .abstract = true,
               .size = sizeof(TlsCredentials), .properties = credentials_properties,
               .complete = credentials_complete, .finalize = credentials_finalize },
};

static bool need_dir(const TlsCredentials *credentials, Error **error)
{
    return credentials->dir || error_set(error, "Missing 'dir' property value");
}

static bool ok(const TlsCredentials *credentials, int result, const char *what, const char *path, Error **error)
{
    return result >= 0 || error_set(error, "Cannot %s%s%s%s: %s", what, path ? " '" : "", path ? path : "",
                                    path ? "'" : "", credentials->library.strerror(result));
}

/* A server's own group, where its folder has one. */
static bool load_group(TlsCredentials *credentials, Error **error)
{
    const Gnutls *library = &credentials->library;
    size_t size = 0;
    AUTO_FREE char *path = credentials->dir ? tls_credentials_path(credentials, "dh-params.pem", false, NULL) : NULL;
    AUTO_FREE unsigned char *text = path ? files_read_all(NULL, path, GROUP_LIMIT, &size, error) : NULL;
    if (!text) {
        return !path;
    }
    gnutls_datum_t datum = { text, (unsigned)size };
    int result = library->dh_params_init(&credentials->group);
    result = result < 0 ? result : library->dh_params_import_pkcs3(credentials->group, &datum, GNUTLS_X509_FMT_PEM);
    return result >= 0 || error_set(error, "Unable to load DH parameters from %s: %s", path, library->strerror(result));
}

/* Anonymous ones: nobody shows who he is. */

static bool anon_load(TlsCredentials *credentials, Error **error)
{
    const Gnutls *library = &credentials->library;
    if (!tls_is_server(credentials)) {
        gnutls_anon_client_credentials_t client = NULL;
        int result = library->anon_allocate_client_credentials(&client);
        credentials->loaded = client;
        return ok(credentials, result, "allocate credentials", NULL, error);
    }
    gnutls_anon_server_credentials_t server = NULL;
    int result = library->anon_allocate_server_credentials(&server);
    credentials->loaded = server;
    if (!ok(credentials, result, "allocate credentials", NULL, error) || !load_group(credentials, error)) {
        return false;
    }
    if (credentials->group) {
        library->anon_set_server_dh_params(server, credentials->group);
        return true;
    }
    result = library->anon_set_server_known_dh_params(server, GNUTLS_SEC_PARAM_MEDIUM);
    return ok(credentials, result, "set groups", NULL, error);
}

static void anon_unload(TlsCredentials *credentials)
{
    if (tls_is_server(credentials)) {
        credentials->library.anon_free_server_credentials(credentials->loaded);
    } else {
        credentials->library.anon_free_client_credentials(credentials->loaded);
    }
}

static bool anon_check_peer(TlsCredentials *credentials, gnutls_session_t session, const char *hostname,
                            char **identity, Error **error)
{
    return true;
}

const TlsCredentialsClass tls_credentials_anon_class = {
    .class = { .name = "tls-creds-anon", .parent = &tls_credentials_class.class, .user_creatable = true,
               .description = "TLS that shows nobody who the peers are" },
    .priority = "NORMAL:-VERS-TLS1.3:+ANON-ECDH:+ANON-DH",
    .type = GNUTLS_CRD_ANON,
    .load = anon_load,
    .unload = anon_unload,
    .check_peer = anon_check_peer,
};

/* Keys that both ends know */

typedef struct PskCredentials {
    TlsCredentials credentials;
    char *username;
} PskCredentials;

/* Its line of the file: NAME:KEY; the key in hexadecimal, the caller's. */
static char *find_key(const char *path, const char *user, Error **error)
{
    size_t size = 0, length = strlen(user);
    AUTO_FREE char *text = files_read_all(NULL, path, KEYS_LIMIT, &size, error);
    for (char *line = text; line && *line;) {
        char *end = strchrnul(line, '\n');
        if (strncmp(line, user, length) == 0 && line[length] == ':') {
            const char *key = line + length + 1;
            return string_copy_length(key, strcspn(key, "\r\n"));
        }
        line = *end ? end + 1 : end;
    }
    if (text) {
        error_set(error, "Username %s not found in PSK file %s", user, path);
    }
    return NULL;
}

static bool load_client_key(PskCredentials *psk, const char *path, Error **error)
{
    TlsCredentials *credentials = &psk->credentials;
    const Gnutls *library = &credentials->library;
    gnutls_psk_client_credentials_t client = NULL;
    const char *user = psk->username ? psk->username : "qemu";
    AUTO_FREE char *key = find_key(path, user, error);
    if (!key) {
        return false;
    }
    int result = library->psk_allocate_client_credentials(&client);
    credentials->loaded = client;
    gnutls_datum_t datum = { (unsigned char *)key, (unsigned)strlen(key) };
    result = result < 0 ? result : library->psk_set_client_credentials(client, user, &datum, GNUTLS_PSK_KEY_HEX);
    explicit_bzero(key, strlen(key));
    return ok(credentials, result, "set the PSK client credentials of", path, error);
}

static bool psk_load(TlsCredentials *credentials, Error **error)
{
    const Gnutls *library = &credentials->library;
    PskCredentials *psk = (PskCredentials *)credentials;
    if (psk->username && tls_is_server(credentials)) {
        return error_set(error, "username should not be set when endpoint=server");
    }
    AUTO_FREE char *path = need_dir(credentials, error) ? tls_credentials_path(credentials, "keys.psk", true, error)
                                                        : NULL;
    if (!path || !tls_is_server(credentials)) {
        return path && load_client_key(psk, path, error);
    }
    gnutls_psk_server_credentials_t server = NULL;
    int result = library->psk_allocate_server_credentials(&server);
    credentials->loaded = server;
    result = result < 0 ? result : library->psk_set_server_credentials_file(server, path);
    if (!ok(credentials, result, "load PSK server credentials of", path, error) || !load_group(credentials, error)) {
        return false;
    }
    if (credentials->group) {
        library->psk_set_server_dh_params(server, credentials->group);
        return true;
    }
    result = library->psk_set_server_known_dh_params(server, GNUTLS_SEC_PARAM_MEDIUM);
    return ok(credentials, result, "set groups", NULL, error);
}

static void psk_unload(TlsCredentials *credentials)
{
    if (tls_is_server(credentials)) {
        credentials->library.psk_free_server_credentials(credentials->loaded);
    } else {
        credentials->library.psk_free_client_credentials(credentials->loaded);
    }
}

/* Who does not have the key does not come so far. */
static bool psk_check_peer(TlsCredentials *credentials, gnutls_session_t session, const char *hostname,
                           char **identity, Error **error)
{
    const char *name = tls_is_server(credentials) ? credentials->library.psk_server_get_username(session) : NULL;
    *identity = string_copy(name);
    return true;
}

static const Property psk_properties[] = {
    PROP("username", type_string, PskCredentials, username, NULL, "a client's name (default: qemu)"),
    PROP_END,
};

const TlsCredentialsClass tls_credentials_psk_class = {
    .class = { .name = "tls-creds-psk", .parent = &tls_credentials_class.class, .user_creatable = true,
               .description = "Keys for TLS that both ends know", .size = sizeof(PskCredentials),
               .properties = psk_properties },
    .priority = "NORMAL:+ECDHE-PSK:+DHE-PSK:+PSK",
    .type = GNUTLS_CRD_PSK,
    .load = psk_load,
    .unload = psk_unload,
    .check_peer = psk_check_peer,
};

/* Certificates */

typedef struct X509Credentials {
    TlsCredentials credentials;
    bool sanity_check;
    char *passwordid;
} X509Credentials;

typedef struct X509Files {
    char *authorities, *revoked, *certificate, *key;
} X509Files;

static bool find_files(const TlsCredentials *credentials, X509Files *files, Error **error)
{
    bool server = tls_is_server(credentials);
    files->authorities = tls_credentials_path(credentials, "ca-cert.pem", true, error);
    files->revoked = files->authorities ? tls_credentials_path(credentials, "ca-crl.pem", false, NULL) : NULL;
    files->certificate = files->authorities ? tls_credentials_path(credentials, server ? "server-cert.pem"
                                                                                       : "client-cert.pem",
                                                                   server, error)
                                            : NULL;
    files->key = files->certificate ? tls_credentials_path(credentials, server ? "server-key.pem" : "client-key.pem",
                                                           true, error)
                                    : NULL;
    return files->authorities && (files->key || (!server && !files->certificate));
}

static bool load_files(X509Credentials *x509, const X509Files *files, Error **error)
{
    TlsCredentials *credentials = &x509->credentials;
    const Gnutls *library = &credentials->library;
    gnutls_certificate_credentials_t loaded = NULL;
    int result = library->certificate_allocate_credentials(&loaded);
    credentials->loaded = loaded;
    if (!ok(credentials, result, "allocate credentials", NULL, error)) {
        return false;
    }
    result = library->certificate_set_x509_trust_file(loaded, files->authorities, GNUTLS_X509_FMT_PEM);
    if (!ok(credentials, result, "load CA certificate", files->authorities, error)) {
        return false;
    }
    AUTO_FREE char *password = x509->passwordid ? secret_text(x509->credentials.object.parent, x509->passwordid, error)
                                                : NULL;
    if (x509->passwordid && !password) {
        return false;
    }
    result = files->certificate ? library->certificate_set_x509_key_file2(loaded, files->certificate, files->key,
                                                                          GNUTLS_X509_FMT_PEM, password, 0)
                                : 0;
    if (result < 0) {
        return error_set(error, "Cannot load certificate '%s' & key '%s': %s", files->certificate, files->key,
                         library->strerror(result));
    }
    result = files->revoked ? library->certificate_set_x509_crl_file(loaded, files->revoked, GNUTLS_X509_FMT_PEM) : 0;
    if (!ok(credentials, result, "load CRL", files->revoked, error)) {
        return false;
    }
    if (!tls_is_server(credentials) || !load_group(credentials, error)) {
        return !tls_is_server(credentials);
    }
    if (credentials->group) {
        library->certificate_set_dh_params(loaded, credentials->group);
        return true;
    }
    result = library->certificate_set_known_dh_params(loaded, GNUTLS_SEC_PARAM_MEDIUM);
    return ok(credentials, result, "set groups", NULL, error);
}

static bool x509_load(TlsCredentials *credentials, Error **error)
{
    X509Credentials *x509 = (X509Credentials *)credentials;
    X509Files files = { 0 };
    bool good = need_dir(credentials, error) && find_files(credentials, &files, error) &&
                (!x509->sanity_check ||
                 tls_check_certificates(credentials, files.authorities, files.certificate, error)) &&
                load_files(x509, &files, error);
    free(files.authorities);
    free(files.revoked);
    free(files.certificate);
    free(files.key);
    return good;
}

static void x509_unload(TlsCredentials *credentials)
{
    credentials->library.certificate_free_credentials(credentials->loaded);
}

static char *peer_name(const Gnutls *library, gnutls_session_t session)
{
    unsigned count = 0;
    char name[1024];
    size_t size = sizeof name;
    gnutls_x509_crt_t certificate;
    const gnutls_datum_t *peers = library->certificate_get_peers(session, &count);
    if (!peers || count == 0 || library->x509_crt_init(&certificate) < 0) {
        return NULL;
    }
    bool good = library->x509_crt_import(certificate, &peers[0], GNUTLS_X509_FMT_DER) >= 0 &&
                library->x509_crt_get_dn(certificate, name, &size) >= 0;
    library->x509_crt_deinit(certificate);
    return good ? string_copy(name) : NULL;
}

static bool x509_check_peer(TlsCredentials *credentials, gnutls_session_t session, const char *hostname,
                            char **identity, Error **error)
{
    static const struct {
        unsigned bit;
        const char *message;
    } faults[] = {
        { GNUTLS_CERT_REVOKED, "The certificate has been revoked" },
        { GNUTLS_CERT_SIGNER_NOT_FOUND, "The certificate hasn't got a known issuer" },
        { GNUTLS_CERT_EXPIRED, "The certificate has expired" },
        { GNUTLS_CERT_NOT_ACTIVATED, "The certificate is not yet activated" },
        { GNUTLS_CERT_INSECURE_ALGORITHM, "The certificate uses an insecure algorithm" },
        { GNUTLS_CERT_UNEXPECTED_OWNER, "The certificate does not match the hostname" },
    };
    const Gnutls *library = &credentials->library;
    unsigned status = 0;
    *identity = peer_name(library, session);
    if (tls_is_server(credentials) && !credentials->verify_peer) {
        return true;
    }
    int result = library->certificate_verify_peers3(session, tls_is_server(credentials) ? NULL : hostname, &status);
    if (result < 0) {
        return error_set(error, "Verify failed: %s", library->strerror(result));
    }
    for (size_t i = 0; status && i < ARRAY_SIZE(faults); i++) {
        if (status & faults[i].bit) {
            return error_set(error, "%s%s%s", faults[i].message,
                             faults[i].bit == GNUTLS_CERT_UNEXPECTED_OWNER ? " " : "",
                             faults[i].bit == GNUTLS_CERT_UNEXPECTED_OWNER ? hostname : "");
        }
    }
    return status == 0 || error_set(error, "The certificate is not trusted");
}

static const Property x509_properties[] = {
    PROP("sanity-check", type_bool, X509Credentials, sanity_check, "on", "certificates are looked at beforehand"),
    PROP("passwordid", type_string, X509Credentials, passwordid, NULL, "the secret that opens the key"),
    PROP_END,
};

const TlsCredentialsClass tls_credentials_x509_class = {
    .class = { .name = "tls-creds-x509", .parent = &tls_credentials_class.class, .user_creatable = true,
               .description = "Certificates for TLS", .size = sizeof(X509Credentials),
               .properties = x509_properties },
    .priority = "NORMAL",
    .type = GNUTLS_CRD_CERTIFICATE,
    .load = x509_load,
    .unload = x509_unload,
    .check_peer = x509_check_peer,
};
