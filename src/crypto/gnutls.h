/*
 * GnuTLS, opened when it is first needed: `library->record_send` is gnutls_record_send. The program starts without it,
 * and one that was built without its headers says so here.
 */
#pragma once

#include "base/compiler.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

typedef struct Error Error;

#define GNUTLS_FUNCTIONS(X) \
    X(alert_get_name) \
    X(anon_allocate_client_credentials) \
    X(anon_allocate_server_credentials) \
    X(anon_free_client_credentials) \
    X(anon_free_server_credentials) \
    X(anon_set_server_dh_params) \
    X(anon_set_server_known_dh_params) \
    X(bye) \
    X(certificate_allocate_credentials) \
    X(certificate_free_credentials) \
    X(certificate_get_peers) \
    X(certificate_server_set_request) \
    X(certificate_set_dh_params) \
    X(certificate_set_known_dh_params) \
    X(certificate_set_x509_crl_file) \
    X(certificate_set_x509_key_file2) \
    X(certificate_set_x509_trust_file) \
    X(certificate_verify_peers3) \
    X(cipher_decrypt) \
    X(cipher_deinit) \
    X(cipher_init) \
    X(credentials_set) \
    X(deinit) \
    X(dh_params_deinit) \
    X(dh_params_import_pkcs3) \
    X(dh_params_init) \
    X(error_is_fatal) \
    X(handshake) \
    X(handshake_set_timeout) \
    X(init) \
    X(priority_set_direct) \
    X(psk_allocate_client_credentials) \
    X(psk_allocate_server_credentials) \
    X(psk_free_client_credentials) \
    X(psk_free_server_credentials) \
    X(psk_server_get_username) \
    X(psk_set_client_credentials) \
    X(psk_set_server_credentials_file) \
    X(psk_set_server_dh_params) \
    X(psk_set_server_known_dh_params) \
    X(record_get_direction) \
    X(record_recv) \
    X(record_send) \
    X(server_name_set) \
    X(strerror) \
    X(transport_set_int2) \
    X(x509_crt_deinit) \
    X(x509_crt_get_activation_time) \
    X(x509_crt_get_basic_constraints) \
    X(x509_crt_get_dn) \
    X(x509_crt_get_expiration_time) \
    X(x509_crt_get_key_purpose_oid) \
    X(x509_crt_get_key_usage) \
    X(x509_crt_import) \
    X(x509_crt_init) \
    X(x509_crt_list_import2) \
    X(x509_crt_list_verify)

#define GNUTLS_MEMBER(name) __typeof__(gnutls_##name) *name;
typedef struct Gnutls {
    bool open;
    GNUTLS_FUNCTIONS(GNUTLS_MEMBER)
} Gnutls;
#undef GNUTLS_MEMBER

/* It stays open for the rest of the process. */
bool gnutls_open(Gnutls *library, Error **error);
