/* --list of the nbd program. */
#include "block/nbd/list.h"

#include "base/error.h"
#include "base/strbuf.h"
#include "crypto/tls.h"
#include "schema/sockets.h"
#include "tools/nbd/nbd.h"

int nbd_print_list(Nbd *nbd)
{
    AUTO_STRBUF(text);
    Error *error = NULL;
    SocketAddress address;
    const char *host = nbd->given.tls_hostname ? nbd->given.tls_hostname
                       : nbd->given.socket     ? NULL
                                               : nbd->given.host;
    nbd_address(&nbd->given, &address);
    NbdListOptions options = { .runtime = block_graph_runtime(nbd->tool.graph), .files = nbd->tool.files,
                               .address = &address, .tls = nbd->tls, .hostname = host };
    bool ok = nbd_list(&options, &text, &error);
    if (!ok) {
        tool_report(&nbd->tool, error, "%s", "");
        return 1;
    }
    fputs(strbuf_text(&text), stdout);
    return 0;
}
