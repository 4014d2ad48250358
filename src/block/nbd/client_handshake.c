/*
 * The client's side of the NBD handshake: newstyle, fixed or not, and the oldstyle that has no options. Nothing of what
 * the server sends is trusted; the caller limits the time.
 */
#include "block/nbd/client_internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <inttypes.h>

enum { REPLIES = 1 << 16, OLD_ZEROES = 124 };

typedef struct Handshake {
    NbdChannel *channel;
    const NbdWanted *wanted;
    NbdSession *session;
    Error **error;
} Handshake;

typedef struct Reply {
    uint32_t type;
    NbdData data;
    uint8_t *bytes; /* the caller's */
} Reply;

static bool gone(const Handshake *shake) { return error_set(shake->error, "The NBD server closed the connection"); }

static bool send_option(const Handshake *shake, uint32_t option, const StrBuf *data)
{
    uint8_t header[NBD_OPTION_HEADER];
    size_t length = data ? data->length : 0;
    nbd_put_option(header, (NbdOptionHeader){ option, (uint32_t)length });
    struct iovec pieces[] = { { header, sizeof header }, { length ? data->data : NULL, length } };
    return nbd_channel_write(shake->channel, pieces, length ? 2 : 1) || gone(shake);
}

static bool read_reply(const Handshake *shake, uint32_t option, Reply *reply)
{
    uint8_t header[NBD_OPTION_REPLY_HEADER];
    NbdOptionReply fields;
    *reply = (Reply){ 0 };
    if (!nbd_channel_read(shake->channel, header, sizeof header)) {
        return gone(shake);
    }
    if (!nbd_get_option_reply(header, &fields) || fields.option != option || fields.length > NBD_MAXIMUM_OPTION) {
        return error_set(shake->error, "The NBD server's reply to option %u is none", option);
    }
    uint8_t *bytes = mem_alloc(MAX(fields.length, 1));
    if (!nbd_channel_read(shake->channel, bytes, fields.length)) {
        free(bytes);
        return gone(shake);
    }
    *reply = (Reply){ .type = fields.type, .data = { .at = bytes, .left = fields.length }, .bytes = bytes };
    return true;
}

/* `message`, and what the server says of its refusal as advice. */
static bool refused(const Handshake *shake, const Reply *reply, const char *message, const char *advice)
{
    NbdData data = reply->data;
    AUTO_FREE char *words = data.left ? nbd_take_text(&data, data.left) : NULL;
    error_set(shake->error, "%s", message);
    if (words || *advice) {
        error_add_hint(shake->error, "%s%s%s%s", advice, words ? "server reported: " : "", words ? words : "",
                       words ? "\n" : "");
    }
    return false;
}

static bool needs_tls(const Handshake *shake, const Reply *reply, uint32_t option, const char *name)
{
    AUTO_FREE char *message = string_format("TLS negotiation required before option %u (%s)", option, name);
    return refused(shake, reply, message, "Did you forget a valid tls-creds?\n");
}

/* Of an option without data that is agreed to or not. */
static bool try_option(const Handshake *shake, uint32_t option, const char *name, bool *agreed)
{
    Reply reply;
    if (!send_option(shake, option, NULL) || !read_reply(shake, option, &reply)) {
        return false;
    }
    *agreed = reply.type == NBD_REP_ACK;
    bool ok = *agreed || reply.type & NBD_REP_ERROR ||
              error_set(shake->error, "The NBD server's reply to option %u is none", option);
    if (ok && reply.type == (NBD_REP_ERROR | NBD_ERR_TLS_REQD)) {
        ok = needs_tls(shake, &reply, option, name);
    }
    free(reply.bytes);
    return ok;
}

static bool start_tls(const Handshake *shake)
{
    Reply reply;
    TlsOptions options = { .credentials = shake->wanted->tls, .hostname = shake->wanted->hostname };
    if (!send_option(shake, NBD_OPT_STARTTLS, NULL) || !read_reply(shake, NBD_OPT_STARTTLS, &reply)) {
        return false;
    }
    bool agreed = reply.type == NBD_REP_ACK || refused(shake, &reply, "The NBD server refuses TLS", "");
    free(reply.bytes);
    return agreed && nbd_channel_start_tls(shake->channel, &options, shake->error);
}

static bool choose_mode(const Handshake *shake)
{
    static const struct {
        NbdOption option;
        NbdMode mode;
        const char *name;
    } modes[] = { { NBD_OPT_EXTENDED_HEADERS, NBD_EXTENDED, "extended headers" },
                  { NBD_OPT_STRUCTURED_REPLY, NBD_STRUCTURED, "structured reply" } };
    bool agreed = false;
    for (size_t i = 0; !agreed && i < ARRAY_SIZE(modes); i++) {
        if (!try_option(shake, modes[i].option, modes[i].name, &agreed)) {
            return false;
        }
        shake->session->mode = agreed ? modes[i].mode : NBD_SIMPLE;
    }
    return true;
}

/* Contexts */

static void add_text(StrBuf *to, const char *text)
{
    nbd_add32(to, (uint32_t)strlen(text));
    strbuf_append(to, text);
}

static bool take_context(const Handshake *shake, Reply *reply)
{
    uint32_t number = nbd_take32(&reply->data);
    AUTO_FREE char *name = nbd_take_text(&reply->data, reply->data.left);
    if (!name || strcmp(name, shake->wanted->context) != 0 || shake->session->has_context) {
        return error_set(shake->error, "The NBD server offers contexts that nobody asked for");
    }
    shake->session->has_context = true;
    shake->session->context = number;
    return true;
}

/* The wanted one alone; a server without it refuses, or answers with none. */
static bool choose_context(const Handshake *shake)
{
    AUTO_STRBUF(data);
    if (shake->session->mode == NBD_SIMPLE) {
        return true;
    }
    add_text(&data, shake->wanted->export);
    nbd_add32(&data, 1);
    add_text(&data, shake->wanted->context);
    bool ok = send_option(shake, NBD_OPT_SET_META_CONTEXT, &data), ended = false;
    while (ok && !ended) {
        Reply reply;
        ok = read_reply(shake, NBD_OPT_SET_META_CONTEXT, &reply);
        ended = ok && (reply.type == NBD_REP_ACK || reply.type & NBD_REP_ERROR);
        shake->session->has_context = shake->session->has_context && !(ok && reply.type & NBD_REP_ERROR);
        if (ok && !ended) {
            ok = reply.type == NBD_REP_META_CONTEXT
                     ? take_context(shake, &reply)
                     : error_set(shake->error, "The NBD server's reply about contexts is none");
        }
        free(reply.bytes);
    }
    return ok;
}

/* Choosing the export */

static bool take_info(const Handshake *shake, NbdData *data, bool *has_export)
{
    NbdSession *session = shake->session;
    unsigned kind = nbd_take16(data);
    if (kind == NBD_INFO_EXPORT) {
        session->size = nbd_take64(data);
        session->flags = nbd_take16(data);
        *has_export = true;
    } else if (kind == NBD_INFO_BLOCK_SIZE) {
        session->minimum_block = nbd_take32(data);
        session->preferred_block = nbd_take32(data);
        session->maximum_block = nbd_take32(data);
        if (!is_power_of_2(session->minimum_block) || session->minimum_block > 64 << 10 ||
            session->maximum_block < session->minimum_block) {
            return error_set(shake->error, "The NBD server's block sizes, %" PRIu32 " to %" PRIu32 ", cannot be",
                             session->minimum_block, session->maximum_block);
        }
    }
    return !data->bad || error_set(shake->error, "The NBD server's description of the export is too short");
}

/* *done: there is an export now; else the server does not know NBD_OPT_GO. */
static bool go(const Handshake *shake, bool *done)
{
    AUTO_STRBUF(data);
    bool has_export = false;
    add_text(&data, shake->wanted->export);
    nbd_add16(&data, 1);
    nbd_add16(&data, NBD_INFO_BLOCK_SIZE);
    bool ok = send_option(shake, NBD_OPT_GO, &data), ended = false;
    *done = false;
    for (unsigned i = 0; ok && !ended; i++) {
        Reply reply;
        ok = read_reply(shake, NBD_OPT_GO, &reply);
        ended = ok && reply.type != NBD_REP_INFO;
        if (ok && !ended) {
            ok = i < REPLIES ? take_info(shake, &reply.data, &has_export)
                             : error_set(shake->error, "The NBD server has no end of words");
        } else if (ok && reply.type == NBD_REP_ACK) {
            *done = has_export;
            ok = has_export || error_set(shake->error, "The NBD server did not describe the export");
        } else if (ok && reply.type != (NBD_REP_ERROR | NBD_ERR_UNSUP)) {
            ok = reply.type == (NBD_REP_ERROR | NBD_ERR_TLS_REQD)
                     ? needs_tls(shake, &reply, NBD_OPT_GO, "go")
                     : refused(shake, &reply, "Requested export not available", "");
        }
        free(reply.bytes);
    }
    return ok;
}

static bool take_export(const Handshake *shake, bool zeroes)
{
    uint8_t bytes[10];
    if (!nbd_channel_read(shake->channel, bytes, sizeof bytes) ||
        (zeroes && !nbd_channel_skip(shake->channel, OLD_ZEROES))) {
        return error_set(shake->error, "Requested export not available");
    }
    shake->session->size = load_be64(bytes);
    shake->session->flags = load_be16(bytes + 8);
    return true;
}

static bool choose_by_name(const Handshake *shake, bool zeroes)
{
    AUTO_STRBUF(data);
    strbuf_append(&data, shake->wanted->export);
    return send_option(shake, NBD_OPT_EXPORT_NAME, &data) && take_export(shake, zeroes);
}

/* Flags, and TLS where it is wanted. */
static bool begin_newstyle(const Handshake *shake, unsigned *flags)
{
    uint8_t bytes[4];
    if (!nbd_channel_read(shake->channel, bytes, 2)) {
        return gone(shake);
    }
    *flags = load_be16(bytes) & (NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    store_be32(bytes, *flags);
    struct iovec piece = { bytes, 4 };
    if (!nbd_channel_write(shake->channel, &piece, 1)) {
        return gone(shake);
    }
    if (shake->wanted->tls && !(*flags & NBD_FIXED_NEWSTYLE)) {
        return error_set(shake->error, "Server does not support STARTTLS");
    }
    return !shake->wanted->tls || start_tls(shake);
}

static bool newstyle(const Handshake *shake)
{
    unsigned flags = 0;
    bool done = false;
    if (!begin_newstyle(shake, &flags) ||
        (flags & NBD_FIXED_NEWSTYLE && (!choose_mode(shake) || !choose_context(shake) || !go(shake, &done)))) {
        return false;
    }
    return done || choose_by_name(shake, !(flags & NBD_NO_ZEROES));
}

static bool oldstyle(const Handshake *shake)
{
    uint8_t bytes[12];
    if (shake->wanted->tls) {
        return error_set(shake->error, "Server does not support STARTTLS");
    }
    if (*shake->wanted->export) {
        return error_set(shake->error, "Server does not support non-empty export names");
    }
    if (!nbd_channel_read(shake->channel, bytes, sizeof bytes) || !nbd_channel_skip(shake->channel, OLD_ZEROES)) {
        return gone(shake);
    }
    shake->session->size = load_be64(bytes);
    shake->session->flags = load_be32(bytes + 8) & 0xffff;
    return true;
}

static bool check(const Handshake *shake)
{
    const NbdSession *session = shake->session;
    if (session->size > INT64_MAX - BLOCK_SECTOR) {
        return error_set(shake->error, "The NBD server's export of %" PRIu64 " bytes is too large", session->size);
    }
    if (!(session->flags & NBD_HAS_FLAGS)) {
        shake->session->flags = 0;
    }
    return session->minimum_block == 0 || session->size % session->minimum_block == 0 ||
           error_set(shake->error, "The NBD server's export of %" PRIu64 " bytes is not made of blocks of %" PRIu32,
                     session->size, session->minimum_block);
}

static bool read_greeting(const Handshake *shake, uint64_t *magic)
{
    uint8_t greeting[16];
    if (!nbd_channel_read(shake->channel, greeting, sizeof greeting)) {
        return gone(shake);
    }
    *magic = load_be64(greeting + 8);
    return (load_be64(greeting) == NBD_MAGIC && (*magic == NBD_OPTION_MAGIC || *magic == NBD_OLD_MAGIC)) ||
           error_set(shake->error, "Bad server magic received: this is no NBD server");
}

bool nbd_client_handshake(NbdChannel *channel, const NbdWanted *wanted, NbdSession *session, Error **error)
{
    Handshake shake = { channel, wanted, session, error };
    uint64_t magic;
    *session = (NbdSession){ 0 };
    return read_greeting(&shake, &magic) && (magic == NBD_OPTION_MAGIC ? newstyle(&shake) : oldstyle(&shake)) &&
           check(&shake);
}

/* Lists */

enum { LISTED = 1 << 12, LISTED_CONTEXTS = 1 << 10 };

void nbd_listing_clear(NbdListing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        NbdListed *listed = &listing->items[i];
        for (size_t j = 0; j < listed->contexts.count; j++) {
            free(listed->contexts.items[j]);
        }
        vec_free(&listed->contexts);
        free(listed->name);
        free(listed->description);
    }
    vec_free(listing);
}

/* Calls `take` for each reply of that type, up to the one that ends them. *refusal: that was an error. */
static bool each_reply(const Handshake *shake, uint32_t option, uint32_t type, bool *refusal,
                       bool (*take)(const Handshake *shake, Reply *reply, void *data), void *data)
{
    bool ok = true, ended = false;
    for (unsigned i = 0; ok && !ended; i++) {
        Reply reply;
        ok = read_reply(shake, option, &reply);
        ended = ok && (reply.type == NBD_REP_ACK || reply.type & NBD_REP_ERROR);
        *refusal = ok && reply.type & NBD_REP_ERROR;
        if (*refusal && option == NBD_OPT_LIST) {
            ok = refused(shake, &reply, "The NBD server does not list its exports", "");
        } else if (ok && !ended) {
            ok = (i < REPLIES && reply.type == type) ||
                 error_set(shake->error, "The NBD server's reply to option %u is none", option);
            ok = ok && take(shake, &reply, data);
        }
        free(reply.bytes);
    }
    return ok;
}

static bool take_listed(const Handshake *shake, Reply *reply, void *data)
{
    NbdListing *listing = data;
    NbdListed listed = { .name = nbd_take_text(&reply->data, nbd_take32(&reply->data)) };
    if (!listed.name || listing->count >= LISTED) {
        free(listed.name);
        return error_set(shake->error, "The NBD server's list of exports is wrong");
    }
    listed.description = reply->data.left ? nbd_take_text(&reply->data, reply->data.left) : NULL;
    vec_push(listing, listed);
    return true;
}

static bool take_listed_info(const Handshake *shake, Reply *reply, void *data)
{
    NbdListed *listed = data;
    NbdData text = reply->data;
    bool any;
    if (nbd_take16(&text) == NBD_INFO_DESCRIPTION && !text.bad) {
        free(listed->description);
        listed->description = nbd_take_text(&text, text.left);
        return true;
    }
    return take_info(shake, &reply->data, &any);
}

static bool take_listed_context(const Handshake *shake, Reply *reply, void *data)
{
    NbdListed *listed = data;
    nbd_take32(&reply->data);
    char *name = nbd_take_text(&reply->data, reply->data.left);
    if (!name || listed->contexts.count >= LISTED_CONTEXTS) {
        free(name);
        return error_set(shake->error, "The NBD server's list of contexts is wrong");
    }
    vec_push(&listed->contexts, name);
    return true;
}

static bool describe_listed(Handshake *shake, NbdListed *listed, NbdMode mode)
{
    AUTO_STRBUF(question);
    AUTO_STRBUF(contexts);
    bool refusal;
    shake->session = &listed->session;
    listed->session.mode = mode;
    add_text(&question, listed->name);
    nbd_add16(&question, 1);
    nbd_add16(&question, NBD_INFO_BLOCK_SIZE);
    add_text(&contexts, listed->name);
    nbd_add32(&contexts, 0);
    return send_option(shake, NBD_OPT_INFO, &question) &&
           each_reply(shake, NBD_OPT_INFO, NBD_REP_INFO, &refusal, take_listed_info, listed) &&
           (mode == NBD_SIMPLE ||
            (send_option(shake, NBD_OPT_LIST_META_CONTEXT, &contexts) &&
             each_reply(shake, NBD_OPT_LIST_META_CONTEXT, NBD_REP_META_CONTEXT, &refusal, take_listed_context,
                        listed)));
}

bool nbd_client_list(NbdChannel *channel, const NbdWanted *wanted, NbdListing *listing, Error **error)
{
    NbdSession session = { 0 };
    Handshake shake = { channel, wanted, &session, error };
    uint64_t magic;
    unsigned flags = 0;
    bool refusal;
    *listing = (NbdListing){ 0 };
    if (!read_greeting(&shake, &magic) || (magic == NBD_OPTION_MAGIC && !begin_newstyle(&shake, &flags))) {
        return false;
    }
    if (!(flags & NBD_FIXED_NEWSTYLE)) {
        return error_set(error, "The NBD server does not list its exports");
    }
    bool ok = choose_mode(&shake) && send_option(&shake, NBD_OPT_LIST, NULL) &&
              each_reply(&shake, NBD_OPT_LIST, NBD_REP_SERVER, &refusal, take_listed, listing);
    for (size_t i = 0; ok && i < listing->count; i++) {
        ok = describe_listed(&shake, &listing->items[i], session.mode);
    }
    return ok && send_option(&shake, NBD_OPT_ABORT, NULL);
}
