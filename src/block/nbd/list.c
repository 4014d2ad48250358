/* Lists of exports: see list.h. */
#include "block/nbd/list.h"

#include "base/strbuf.h"
#include "block/nbd/client_internal.h"

#include <inttypes.h>

static void print_flags(unsigned flags, StrBuf *text)
{
    static const struct {
        NbdExportFlags flag;
        const char *name;
    } names[] = {
        { NBD_READ_ONLY, "readonly" },     { NBD_SEND_FLUSH, "flush" },     { NBD_SEND_FUA, "fua" },
        { NBD_ROTATIONAL, "rotational" },  { NBD_SEND_TRIM, "trim" },       { NBD_SEND_WRITE_ZEROES, "zeroes" },
        { NBD_SEND_DF, "df" },             { NBD_CAN_MULTI_CONN, "multi" }, { NBD_SEND_RESIZE, "resize" },
        { NBD_SEND_CACHE, "cache" },       { NBD_SEND_FAST_ZERO, "fast-zero" },
        { NBD_BLOCK_STATUS_PAYLOAD, "block-status-payload" },
    };
    strbuf_printf(text, "  flags: 0x%x (", flags);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (flags & names[i].flag) {
            strbuf_printf(text, " %s", names[i].name);
        }
    }
    strbuf_append(text, " )\n");
}

static void print_listed(const NbdListed *listed, StrBuf *text)
{
    const NbdSession *session = &listed->session;
    strbuf_printf(text, " export: '%s'\n", listed->name);
    if (listed->description && *listed->description) {
        strbuf_printf(text, "  description: %s\n", listed->description);
    }
    if (session->flags & NBD_HAS_FLAGS) {
        strbuf_printf(text, "  size:  %" PRIu64 "\n", session->size);
        print_flags(session->flags, text);
    }
    if (session->minimum_block) {
        strbuf_printf(text, "  min block: %u\n  opt block: %u\n  max block: %u\n", session->minimum_block,
                      session->preferred_block, session->maximum_block);
    }
    strbuf_printf(text, "  transaction size: %s\n", session->mode == NBD_EXTENDED ? "64-bit" : "32-bit");
    if (listed->contexts.count) {
        strbuf_printf(text, "  available meta contexts: %zu\n", listed->contexts.count);
    }
    for (size_t i = 0; i < listed->contexts.count; i++) {
        strbuf_printf(text, "   %s\n", listed->contexts.items[i]);
    }
}

bool nbd_list(const NbdListOptions *options, StrBuf *text, Error **error)
{
    NbdRemote remote = { .runtime = options->runtime, .home = block_runtime_main(options->runtime),
                         .files = options->files, .address = options->address,
                         .wanted = { .export = "", .context = "", .tls = options->tls,
                                     .hostname = options->hostname } };
    NbdListing listing;
    bool ok = nbd_remote_list(&remote, &listing, error);
    if (ok) {
        strbuf_printf(text, "exports available: %zu\n", listing.count);
    }
    for (size_t i = 0; ok && i < listing.count; i++) {
        print_listed(&listing.items[i], text);
    }
    nbd_listing_clear(&listing);
    return ok;
}
