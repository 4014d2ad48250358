/*
 * Connections to an NBD server. They live on the main loop, each with a task that connects, reads replies, and connects
 * again where the connection was lost; a request is a task that sends and then sleeps until that one has the reply.
 * Requests of other loops are sent there. What was on its way over a lost connection is sent again, over the next one
 * or another, until reconnect-delay is over.
 */
#include "block/nbd/client_internal.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "channel/address.h"
#include "schema/sockets.h"

#include <errno.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define FIRST_PAUSE (SECOND / 10)
#define LONGEST_PAUSE (SECOND * 16)
enum { HANDSHAKE_SECONDS = 10, GOODBYE_SECONDS = 1, PIECES = 64 };

/* Waiting for a connection, on the home loop alone */

struct NbdWaiter {
    NbdWaiter *next;
    BlockTask *task;
};

static void wait_for_change(NbdRemote *remote)
{
    NbdWaiter waiter = { remote->waiters, block_task_self(remote->runtime) };
    remote->waiters = &waiter;
    block_task_sleep(waiter.task);
}

static void wake_waiters(NbdRemote *remote)
{
    NbdWaiter *waiter = remote->waiters;
    remote->waiters = NULL;
    while (waiter) {
        NbdWaiter *next = waiter->next;
        block_task_wake(waiter->task);
        waiter = next;
    }
}

static void give_up(void *data)
{
    NbdRemote *remote = data;
    remote->given_up = true;
    wake_waiters(remote);
}

/* The way of least traffic; NULL where all are full or none is up. */
static NbdLink *choose_link(NbdRemote *remote)
{
    NbdLink *best = NULL;
    for (unsigned i = 0; i < remote->link_count; i++) {
        NbdLink *link = &remote->links[i];
        if (link->up && link->under_way < NBD_LINK_COMMANDS && (!best || link->under_way < best->under_way)) {
            best = link;
        }
    }
    return best;
}

static bool any_link_up(const NbdRemote *remote)
{
    for (unsigned i = 0; i < remote->link_count; i++) {
        if (remote->links[i].up) {
            return true;
        }
    }
    return false;
}

/* Requests */

void nbd_command_done(NbdLink *link, NbdCommandState *command)
{
    link->commands[command->request.cookie % NBD_LINK_COMMANDS] = NULL;
    command->done = true;
    if (command->task) {
        BlockTask *task = command->task;
        command->task = NULL;
        block_task_wake(task);
    }
}

static void enter_link(NbdLink *link, NbdCommandState *command)
{
    do {
        link->next_cookie++;
    } while (link->commands[link->next_cookie % NBD_LINK_COMMANDS]);
    command->request.cookie = link->next_cookie;
    link->commands[link->next_cookie % NBD_LINK_COMMANDS] = command;
    link->under_way++;
    command->done = command->lost = false;
    command->error = 0;
    command->chunks = 0;
    command->covered = command->status_length = 0;
    command->parts.count = 0;
}

static void leave_link(NbdLink *link)
{
    link->under_way--;
    if (link->leaving && link->under_way == 0) {
        BlockTask *task = link->leaving;
        link->leaving = NULL;
        block_task_wake(task);
    }
    if (link->remote->waiters) {
        wake_waiters(link->remote);
    }
}

static bool send_payload(NbdLink *link, const NbdCommandState *command)
{
    struct iovec pieces[PIECES];
    bool ok = true;
    for (uint64_t sent = 0; ok && sent < command->request.length;) {
        size_t bytes = command->request.length - sent;
        unsigned count = block_vectors_cut(block_vectors_from(command->vectors, sent), pieces, PIECES, &bytes);
        ok = nbd_channel_write(&link->channel, pieces, count);
        sent += bytes;
    }
    return ok;
}

static void send_command(NbdLink *link, NbdCommandState *command)
{
    uint8_t header[NBD_LONGEST_HEADER];
    NbdRequest request = command->request;
    bool has_payload = request.command == NBD_CMD_WRITE;
    request.flags |= has_payload && link->session.mode == NBD_EXTENDED ? NBD_PAYLOAD_LEN : 0;
    struct iovec pieces[PIECES + 1] = { { header, nbd_put_request(header, link->session.mode, &request) } };
    unsigned count = 0;
    size_t bytes = has_payload ? request.length : 0;
    count = has_payload ? block_vectors_cut(command->vectors, pieces + 1, PIECES, &bytes) : 0;
    task_lock(&link->send_lock, block_task_self(link->remote->runtime));
    bool whole = bytes == (has_payload ? request.length : 0);
    bool ok = whole ? nbd_channel_write(&link->channel, pieces, count + 1)
                    : nbd_channel_write(&link->channel, pieces, 1) && send_payload(link, command);
    task_unlock(&link->send_lock);
    if (!ok) {
        nbd_channel_break(&link->channel);
    }
}

/* False where the connection was lost. */
static bool perform_by(NbdLink *link, NbdCommandState *command)
{
    enter_link(link, command);
    send_command(link, command);
    if (!command->done) {
        command->task = block_task_self(link->remote->runtime);
        block_task_sleep(command->task);
    }
    leave_link(link);
    return !command->lost;
}

static bool may_wait(const NbdRemote *remote, const NbdCommandState *command)
{
    return !remote->closing && !remote->yanked && (!remote->given_up || any_link_up(remote)) &&
           (!command->give_up_at || host_monotonic_ns() < command->give_up_at);
}

static int perform_at_home(NbdRemote *remote, NbdCommandState *command)
{
    bool done = false;
    while (!done && may_wait(remote, command)) {
        NbdLink *link = choose_link(remote);
        if (!link) {
            wait_for_change(remote);
            continue;
        }
        done = perform_by(link, command);
        if (!done && !command->give_up_at) {
            command->give_up_at = host_monotonic_ns() + remote->reconnect_seconds * SECOND;
        }
    }
    vec_free(&command->parts);
    return done ? command->error : EIO;
}

/* A request of another loop. */
typedef struct Errand {
    BlockCall call;
    NbdRemote *remote;
    NbdCommandState *command;
    BlockTask *task;
    int error;
} Errand;

static void run_errand(void *data)
{
    Errand *errand = data;
    errand->error = perform_at_home(errand->remote, errand->command);
    block_task_wake(errand->task);
}

static void start_errand(void *data)
{
    Errand *errand = data;
    block_task_start(errand->remote->home, run_errand, errand);
}

int nbd_remote_perform(NbdRemote *remote, NbdCommandState *command)
{
    BlockTask *self = block_task_self(remote->runtime);
    if (block_task_loop(self) == remote->home) {
        return perform_at_home(remote, command);
    }
    Errand errand = { .call = { .function = start_errand, .data = &errand }, .remote = remote, .command = command,
                      .task = self };
    block_loop_call(remote->home, &errand.call);
    block_task_sleep(self);
    return errand.error;
}

/* Connecting */

typedef struct Resolution {
    NbdRemote *remote;
    SocketTarget target;
    Error *error;
    bool ok;
} Resolution;

static void resolve_in_thread(void *data)
{
    Resolution *resolution = data;
    resolution->ok = socket_target_init(&resolution->target, resolution->remote->address, false,
                                        resolution->remote->files, &resolution->error);
}

/* Names are looked up by a thread: that can take long. */
static bool resolve(NbdRemote *remote, SocketTarget *target, Error **error)
{
    Resolution resolution = { .remote = remote };
    if (remote->address->type == SOCKET_ADDRESS_TYPE_INET) {
        block_task_in_thread(block_task_self(remote->runtime), resolve_in_thread, &resolution);
    } else {
        resolve_in_thread(&resolution);
    }
    *target = resolution.target;
    return resolution.ok || error_propagate(error, resolution.error);
}

static void drop_channel(NbdLink *link)
{
    if (link->has_channel) {
        link->has_channel = false;
        nbd_channel_free(&link->channel);
    }
}

static bool take_channel(NbdLink *link, int fd, Error **error)
{
    link->has_channel = nbd_channel_init(&link->channel, link->remote->runtime, fd);
    if (!link->has_channel) {
        return error_set(error, "the connection's descriptor cannot be watched");
    }
    nbd_channel_set_deadline(&link->channel, host_monotonic_ns() + HANDSHAKE_SECONDS * SECOND);
    return true;
}

static bool connect_one(NbdLink *link, const SocketTarget *target, size_t index, Error **error)
{
    bool pending = false;
    int fd = socket_target_connect(target, index, &pending, error);
    if (fd < 0 || !take_channel(link, fd, error)) {
        return false;
    }
    if (pending && !nbd_channel_wait_writable(&link->channel)) {
        return error_set_errno(error, ETIMEDOUT, "Failed to connect to '%s'", target->name);
    }
    socket_tune(fd);
    return !pending || socket_target_connected(target, fd, error);
}

static bool connect_any(NbdLink *link, SocketTarget *target, Error **error)
{
    if (target->fd >= 0) {
        int fd = target->fd;
        target->fd = -1;
        return take_channel(link, fd, error);
    }
    for (size_t i = 0; i < target->count; i++) {
        AUTO_ERROR(failure);
        if (!link->remote->closing && connect_one(link, target, i, &failure)) {
            return true;
        }
        drop_channel(link);
        if (i + 1 == target->count || link->remote->closing) {
            return error_propagate(error, error_copy(failure));
        }
    }
    return error_set(error, "Failed to connect to '%s'", target->name);
}

/* A server that is another one than before would mix two disks. */
static bool is_as_before(const NbdRemote *remote, const NbdSession *session, Error **error)
{
    const NbdSession *before = &remote->session;
    bool same = remote->opening ||
                (session->size == before->size && !(before->flags & ~session->flags & ~NBD_CAN_MULTI_CONN) &&
                 (session->flags & NBD_READ_ONLY) == (before->flags & NBD_READ_ONLY) &&
                 session->minimum_block == before->minimum_block && session->maximum_block == before->maximum_block &&
                 session->has_context == before->has_context);
    return same || error_set(error, "The NBD server's export has changed");
}

static bool connect_link(NbdLink *link, Error **error)
{
    NbdRemote *remote = link->remote;
    SocketTarget target;
    bool ok = resolve(remote, &target, error) && connect_any(link, &target, error) &&
              nbd_client_handshake(&link->channel, &remote->wanted, &link->session, error) &&
              is_as_before(remote, &link->session, error);
    socket_target_free(&target);
    if (!ok) {
        drop_channel(link);
        return false;
    }
    nbd_channel_set_deadline(&link->channel, INT64_MAX);
    return true;
}

/* A connection's life */

static void end_pause(void *data)
{
    NbdLink *link = data;
    BlockTask *task = link->pausing;
    link->pausing = NULL;
    if (task) {
        block_timer_cancel(&link->timer);
        block_task_wake(task);
    }
}

static void pause_until(NbdLink *link, int64_t deadline)
{
    link->pausing = block_task_self(link->remote->runtime);
    block_timer_set(&link->timer, deadline);
    block_task_sleep(link->pausing);
}

static void link_came_up(NbdLink *link)
{
    NbdRemote *remote = link->remote;
    link->up = true;
    remote->given_up = false;
    block_timer_cancel(&remote->give_up);
    wake_waiters(remote);
}

static void link_went_down(NbdLink *link)
{
    NbdRemote *remote = link->remote;
    link->up = false;
    nbd_channel_break(&link->channel);
    if (!any_link_up(remote)) {
        if (remote->reconnect_seconds && !remote->closing && !remote->yanked) {
            block_timer_set(&remote->give_up, host_monotonic_ns() + remote->reconnect_seconds * SECOND);
        } else {
            give_up(remote);
        }
    }
    for (unsigned i = 0; i < NBD_LINK_COMMANDS; i++) {
        if (link->commands[i]) {
            link->commands[i]->lost = true;
            nbd_command_done(link, link->commands[i]);
        }
    }
    if (link->under_way > 0) {
        link->leaving = block_task_self(remote->runtime);
        block_task_sleep(link->leaving);
    }
    drop_channel(link);
}

/* Until it succeeds, the node is closed, or (at first) the time is over. */
static bool connect_with_patience(NbdLink *link)
{
    NbdRemote *remote = link->remote;
    int64_t pause = FIRST_PAUSE, end = host_monotonic_ns() + remote->open_seconds * SECOND;
    bool first = remote->opening;
    while (!remote->closing && !remote->yanked) {
        AUTO_ERROR(error);
        if (connect_link(link, &error)) {
            return true;
        }
        int64_t next = host_monotonic_ns() + pause;
        if (remote->closing) {
            return false;
        }
        if (first && next > end) {
            error_propagate(&remote->open_error, error_copy(error));
            return false;
        }
        pause_until(link, next);
        pause = MIN(pause * 2, first ? SECOND : LONGEST_PAUSE);
    }
    return false;
}

static void run_link(void *data)
{
    NbdLink *link = data;
    NbdRemote *remote = link->remote;
    while (connect_with_patience(link)) {
        if (remote->opening) {
            remote->session = link->session;
            remote->opening = false;
        }
        link_came_up(link);
        while (nbd_link_read_reply(link)) {
        }
        link_went_down(link);
        if (remote->address->type == SOCKET_ADDRESS_TYPE_FD) { /* there is no second one */
            break;
        }
    }
    remote->opening = false;
    remote->tasks--;
}

static void start_link(NbdRemote *remote, unsigned i)
{
    NbdLink *link = &remote->links[i];
    link->remote = remote;
    block_timer_init(&link->timer, remote->home, end_pause, link);
    remote->tasks++;
    block_task_start(remote->home, run_link, link);
}

bool nbd_remote_open(NbdRemote *remote, Error **error)
{
    unsigned wanted = remote->link_count;
    remote->home = block_runtime_main(remote->runtime);
    block_timer_init(&remote->give_up, remote->home, give_up, remote);
    remote->opening = true;
    remote->link_count = 1;
    start_link(remote, 0);
    while (remote->opening) {
        block_loop_poll(remote->home, true);
    }
    if (!any_link_up(remote) && remote->tasks == 0) {
        Error *failure = remote->open_error;
        remote->open_error = NULL;
        return failure ? error_propagate(error, failure) : error_set(error, "The NBD server closed the connection");
    }
    while (remote->session.flags & NBD_CAN_MULTI_CONN && remote->link_count < wanted) {
        start_link(remote, remote->link_count++);
    }
    return true;
}

typedef struct ListCall {
    NbdRemote *remote;
    NbdListing *listing;
    Error **error;
    bool ok;
} ListCall;

static void list_in_task(void *data)
{
    ListCall *call = data;
    NbdLink *link = &call->remote->links[0];
    SocketTarget target;
    link->remote = call->remote;
    call->ok = resolve(call->remote, &target, call->error) && connect_any(link, &target, call->error) &&
               nbd_client_list(&link->channel, &call->remote->wanted, call->listing, call->error);
    socket_target_free(&target);
    drop_channel(link);
}

bool nbd_remote_list(NbdRemote *remote, NbdListing *listing, Error **error)
{
    ListCall call = { .remote = remote, .listing = listing, .error = error };
    *listing = (NbdListing){ 0 };
    block_task_call(remote->runtime, list_in_task, &call);
    return call.ok;
}

static void say_goodbye(void *data)
{
    NbdRemote *remote = data;
    for (unsigned i = 0; i < remote->link_count; i++) {
        NbdLink *link = &remote->links[i];
        if (link->up) {
            NbdCommandState command = { .request.command = NBD_CMD_DISC };
            nbd_channel_set_deadline(&link->channel, host_monotonic_ns() + GOODBYE_SECONDS * SECOND);
            send_command(link, &command);
        }
    }
}

static void cut_links(NbdRemote *remote)
{
    for (unsigned i = 0; i < remote->link_count; i++) {
        NbdLink *link = &remote->links[i];
        end_pause(link);
        if (link->has_channel) {
            nbd_channel_break(&link->channel);
        }
    }
}

void nbd_remote_yank(NbdRemote *remote)
{
    remote->yanked = true;
    block_timer_cancel(&remote->give_up);
    cut_links(remote);
    give_up(remote);
}

void nbd_remote_close(NbdRemote *remote)
{
    remote->closing = true;
    if (remote->tasks > 0) {
        block_task_call(remote->runtime, say_goodbye, remote);
    }
    cut_links(remote);
    while (remote->tasks > 0) {
        block_loop_poll(remote->home, true);
    }
    if (remote->home) {
        block_timer_cancel(&remote->give_up);
    }
    error_free(remote->open_error);
}
