/*
 * Between the debugger and the processes of a program. Each process has a stub of its own at the other end of a
 * channel; a child's channel comes with the report of its parent's fork, and a channel stays open over execve.
 * Packets go to the process that they mean; when one stops, so do the others, and what they had to report waits for
 * its turn.
 *
 * It is a process of its own, nobody's child, so that it sees the end of any of them and none sees it.
 */
#include "base/error.h"
#include "base/vec.h"
#include "gdb/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Member {
    GdbLink link;
    int process;
    bool running, ended;
    StrBuf pending; /* a stop that is to be reported when it is to go on */
} Member;

typedef struct Broker {
    GdbLink debugger;
    bool connected, follows_forks, follows_exec;
    int listener;
    VEC(Member *) members;
    Member *current;
    GdbFiles files;
    char *supported, *calls, *signals; /* packets that a new program is to get too; NULL: none came */
    StrBuf stop;    /* the last that was reported */
    StrBuf threads; /* what qsThreadInfo has yet to tell */
} Broker;

/* -- members ------------------------------------------------------------------------------------------------------- */

static Member *add_member(Broker *broker, int fd, int process)
{
    Member *member = NEW(Member);

    gdb_link_init(&member->link, fd);
    member->link.no_acknowledge = true;
    member->process = process;
    vec_push(&broker->members, member);
    return member;
}

static void remove_member(Broker *broker, Member *member)
{
    for (size_t i = 0; i < broker->members.count; i++) {
        if (broker->members.items[i] == member) {
            vec_remove(&broker->members, i);
            break;
        }
    }
    if (broker->current == member) {
        broker->current = broker->members.count ? broker->members.items[0] : NULL;
    }
    close(member->link.fd);
    strbuf_free(&member->pending);
    free(member);
}

static Member *find_member(const Broker *broker, int process)
{
    for (size_t i = 0; i < broker->members.count; i++) {
        if (broker->members.items[i]->process == process) {
            return broker->members.items[i];
        }
    }
    return NULL;
}

/* What a member that stands answers: false, it is gone. */
static bool ask(Member *member, const char *packet, size_t length)
{
    gdb_link_write(&member->link, packet, length, -1);
    if (!member->ended && !gdb_link_packet(&member->link)) {
        member->ended = true;
        strbuf_clear(&member->pending);
        strbuf_printf(&member->pending, "X%02x;process:%x", GDB_SIGNAL_KILL, (unsigned)member->process);
    }
    return !member->ended;
}

static bool ask_text(Member *member, const char *packet)
{
    return ask(member, packet, strlen(packet));
}

/* What the debugger said to all. */
static void introduce(const Broker *broker, Member *member)
{
    const char *const packets[] = { broker->supported, broker->calls, broker->signals };

    for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
        if (packets[i]) {
            ask_text(member, packets[i]);
        }
    }
}

static void go_on(Member *member, const char *packet)
{
    gdb_link_write_text(&member->link, packet);
    member->running = true;
}

static void let_go(Broker *broker, Member *member)
{
    ask_text(member, "D");
    remove_member(broker, member);
}

/* -- what members report ------------------------------------------------------------------------------------------- */

/* A child has come: false, the debugger is not to hear of it. */
static bool take_child(Broker *broker, Member *parent, const char *event)
{
    const char *number = strstr(event, "fork:p");
    int fd = parent->link.received;

    parent->link.received = -1;
    if (!number || fd < 0) {
        return true; /* vforkdone */
    }
    Member *child = add_member(broker, fd, (int)strtoul(number + 6, NULL, 16));
    introduce(broker, child);
    if (!broker->follows_forks) {
        let_go(broker, child);
    }
    return broker->follows_forks;
}

/* A new program: it has yet to be told what the debugger can do. */
static bool take_exec(Broker *broker, Member *member)
{
    introduce(broker, member);
    return broker->follows_exec && ask_text(member, "?");
}

static bool is_end(const char *event)
{
    return event[0] == 'W' || event[0] == 'X';
}

/* Reads what a running member reports into `event`: false, the debugger is not to hear of it, and it runs on. */
static bool take_event(Broker *broker, Member *member, StrBuf *event)
{
    bool wanted = true;

    member->running = false;
    if (!gdb_link_packet(&member->link)) {
        member->ended = true;
        strbuf_printf(event, "X%02x;process:%x", GDB_SIGNAL_KILL, (unsigned)member->process);
        return true;
    }
    strbuf_append_bytes(event, member->link.packet, member->link.length);
    if (!strcmp(strbuf_text(event), GDB_EXEC_NOTICE)) {
        wanted = take_exec(broker, member);
        strbuf_clear(event);
        strbuf_append_bytes(event, member->link.packet, member->link.length);
    } else if (strstr(strbuf_text(event), "fork")) {
        wanted = take_child(broker, member, strbuf_text(event)) && broker->follows_forks;
    }
    member->ended = is_end(strbuf_text(event));
    if (!wanted && !member->ended) {
        strbuf_clear(event);
        go_on(member, "vCont;c");
    }
    return wanted || member->ended;
}

/* All but one, which has stopped by itself. */
static void stop_others(Broker *broker, const Member *but)
{
    for (size_t i = 0; i < broker->members.count; i++) {
        Member *member = broker->members.items[i];
        if (member != but && member->running) {
            gdb_link_interrupt(&member->link);
        }
        while (member != but && member->running) {
            AUTO_STRBUF(event);
            if (!take_event(broker, member, &event)) {
                gdb_link_interrupt(&member->link);
            } else if (!strstr(strbuf_text(&event), "interrupt:")) {
                strbuf_clear(&member->pending);
                strbuf_append_bytes(&member->pending, event.data, event.length);
            }
        }
    }
}

static void report(Broker *broker, Member *member, const char *event)
{
    size_t length = broker->follows_forks || !is_end(event) ? strlen(event) : strcspn(event, ";");

    strbuf_clear(&broker->stop);
    strbuf_append_bytes(&broker->stop, event, length);
    gdb_link_write(&broker->debugger, broker->stop.data, length, -1);
    broker->current = member;
    if (member->ended) {
        remove_member(broker, member);
    }
}

static Member *find_pending(const Broker *broker)
{
    for (size_t i = 0; i < broker->members.count; i++) {
        if (broker->members.items[i]->pending.length) {
            return broker->members.items[i];
        }
    }
    return NULL;
}

static void report_pending(Broker *broker, Member *member)
{
    AUTO_FREE char *event = strbuf_take(&member->pending);
    report(broker, member, event);
}

/* -- what the debugger asks ---------------------------------------------------------------------------------------- */

typedef enum Outcome { OUTCOME_REPLY, OUTCOME_NONE, OUTCOME_RESUME } Outcome;

/* The reply is what the member says. */
static Outcome forward(Member *member, const char *packet, size_t length, StrBuf *reply)
{
    if (member && ask(member, packet, length)) {
        strbuf_append_bytes(reply, member->link.packet, member->link.length);
    } else {
        strbuf_append(reply, "E01");
    }
    return OUTCOME_REPLY;
}

static void keep(char **packet, const char *text)
{
    free(*packet);
    *packet = string_copy(text);
}

static Outcome on_supported(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    keep(&broker->supported, packet);
    broker->follows_forks = gdb_can(packet, "multiprocess") && gdb_can(packet, "fork-events") &&
                            gdb_can(packet, "vfork-events");
    broker->follows_exec = gdb_can(packet, "exec-events");
    for (size_t i = 0; i < broker->members.count; i++) {
        strbuf_clear(reply);
        forward(broker->members.items[i], packet, length, reply);
    }
    strbuf_append(reply, broker->follows_forks ? ";fork-events+;vfork-events+" : "");
    strbuf_append(reply, broker->follows_exec ? ";exec-events+" : "");
    return OUTCOME_REPLY;
}

static Outcome on_no_acknowledge(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    gdb_link_write_text(&broker->debugger, "OK");
    broker->debugger.no_acknowledge = true;
    return OUTCOME_NONE;
}

static Outcome on_why(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    if (broker->stop.length) {
        strbuf_append_bytes(reply, broker->stop.data, broker->stop.length);
        return OUTCOME_REPLY;
    }
    return forward(broker->current, packet, length, reply);
}

/* The member whose process a packet names from `at`; else the one of the last H. */
static Member *meant_by(const Broker *broker, const char *at)
{
    int process = 0, thread;

    gdb_parse_thread(at, &process, &thread);
    return process > 0 ? find_member(broker, process) : broker->current;
}

static Outcome on_choose(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    Member *member = meant_by(broker, packet + MIN(length, 2));

    broker->current = member ? member : broker->current;
    return forward(member, packet, length, reply);
}

static Outcome on_lives(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    return forward(meant_by(broker, packet + 1), packet, length, reply);
}

static Outcome on_describe(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    return forward(meant_by(broker, strchr(packet, ',') + 1), packet, length, reply);
}

static Outcome on_threads(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    strbuf_clear(&broker->threads);
    for (size_t i = 0; i < broker->members.count; i++) {
        Member *member = broker->members.items[i];
        for (const char *question = "qfThreadInfo"; ask_text(member, question) && member->link.packet[0] == 'm';
             question = "qsThreadInfo") {
            strbuf_append(&broker->threads, broker->threads.length ? "," : "");
            strbuf_append_bytes(&broker->threads, member->link.packet + 1, member->link.length - 1);
        }
    }
    const char *all = strbuf_text(&broker->threads);
    size_t size = strlen(all);
    for (size = MIN(size, GDB_DATA_MAXIMUM); size && all[size] && all[size] != ','; size--) { /* whole numbers */
    }
    strbuf_printf(reply, "%c%.*s", size ? 'm' : 'l', (int)size, all);
    return OUTCOME_REPLY;
}

/* More than fit into one packet nobody has. */
static Outcome on_more_threads(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    strbuf_append(reply, "l");
    return OUTCOME_REPLY;
}

/* qXfer:exec-file:read:PROCESS:... */
static Outcome on_exec_file(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    int process = (int)strtoul(packet + strlen("qXfer:exec-file:read:"), NULL, 16);

    return forward(process ? find_member(broker, process) : broker->current, packet, length, reply);
}

static Outcome on_calls(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    keep(&broker->calls, packet);
    return forward(broker->current, packet, length, reply);
}

static Outcome on_signals(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    keep(&broker->signals, packet);
    for (size_t i = 0; i < broker->members.count; i++) {
        strbuf_clear(reply);
        forward(broker->members.items[i], packet, length, reply);
    }
    return OUTCOME_REPLY;
}

/* Whether an action of vCont is for a thread of the member. */
static bool goes_on(const Member *member, const char *packet)
{
    for (const char *at = strchr(packet, ';'); at; at = strchr(at + 1, ';')) {
        const char *colon = strpbrk(at + 1, ":;");
        int process = -1, thread;
        if (colon && *colon == ':') {
            gdb_parse_thread(colon + 1, &process, &thread);
        }
        if (at[1] != 't' && (process <= 0 || process == member->process)) {
            return true;
        }
    }
    return false;
}

static Outcome on_resume(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    if (packet[5] == '?') {
        return forward(broker->current, packet, length, reply);
    }
    for (size_t i = 0; i < broker->members.count; i++) {
        Member *member = broker->members.items[i];
        if (!member->pending.length && goes_on(member, packet)) {
            go_on(member, packet);
        }
    }
    return OUTCOME_RESUME;
}

/* c, s and the like: of the chosen process; the others just go on. */
static Outcome on_resume_one(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    for (size_t i = 0; i < broker->members.count; i++) {
        Member *member = broker->members.items[i];
        if (!member->pending.length) {
            go_on(member, member == broker->current ? packet : "vCont;c");
        }
    }
    return OUTCOME_RESUME;
}

static void kill_member(Broker *broker, Member *member)
{
    gdb_link_write_text(&member->link, "k");
    while (gdb_link_packet(&member->link)) { /* to its end */
    }
    remove_member(broker, member);
}

static Outcome on_kill(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    Member *member = find_member(broker, (int)strtoul(packet + strlen("vKill;"), NULL, 16));

    member = member || broker->follows_forks ? member : broker->current; /* which may have no number to it */
    strbuf_append(reply, member ? "OK" : "E01");
    if (member) {
        kill_member(broker, member);
    }
    return OUTCOME_REPLY;
}

static Outcome on_kill_all(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    while (broker->members.count) {
        kill_member(broker, broker->members.items[0]);
    }
    return OUTCOME_NONE;
}

/* D, D;PROCESS */
static Outcome on_detach(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    Member *member = length > 2 ? find_member(broker, (int)strtoul(packet + 2, NULL, 16)) : broker->current;

    strbuf_append(reply, member ? "OK" : "E01");
    if (member) {
        let_go(broker, member);
    }
    return OUTCOME_REPLY;
}

static Outcome on_file(Broker *broker, const char *packet, size_t length, StrBuf *reply)
{
    gdb_files_serve(&broker->files, packet + strlen("vFile:"), length - strlen("vFile:"), reply);
    return OUTCOME_REPLY;
}

/* The first whose name the packet begins with. */
static const struct {
    const char *name;
    Outcome (*function)(Broker *broker, const char *packet, size_t length, StrBuf *reply);
} packets[] = {
    { "qSupported", on_supported }, { "QStartNoAckMode", on_no_acknowledge }, { "?", on_why }, { "H", on_choose },
    { "T", on_lives }, { "qThreadExtraInfo,", on_describe }, { "qfThreadInfo", on_threads },
    { "qsThreadInfo", on_more_threads }, { "qXfer:exec-file:read:", on_exec_file }, { "QCatchSyscalls:", on_calls },
    { "QPassSignals:", on_signals }, { "vCont", on_resume }, { "c", on_resume_one }, { "s", on_resume_one },
    { "C", on_resume_one }, { "S", on_resume_one }, { "vKill;", on_kill }, { "k", on_kill_all }, { "D", on_detach },
    { "vFile:", on_file },
};

static Outcome dispatch(Broker *broker, StrBuf *reply)
{
    AUTO_FREE char *packet = mem_copy(broker->debugger.packet, broker->debugger.length + 1);

    for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
        if (!strncmp(packet, packets[i].name, strlen(packets[i].name))) {
            return packets[i].function(broker, packet, broker->debugger.length, reply);
        }
    }
    return forward(broker->current, packet, broker->debugger.length, reply);
}

/* While all stands: until something is to go on. False: the debugger is gone, or there is nothing left. */
static bool serve(Broker *broker)
{
    while (broker->members.count && gdb_link_packet(&broker->debugger)) {
        AUTO_STRBUF(reply);
        switch (dispatch(broker, &reply)) {
        case OUTCOME_REPLY:
            gdb_link_write(&broker->debugger, strbuf_text(&reply), reply.length, -1);
            break;
        case OUTCOME_RESUME:
            return true;
        default:
            break;
        }
    }
    return false;
}

/* -- while something runs ------------------------------------------------------------------------------------------ */

/* The index of a member that has something to say; -1: the debugger, or who wants to be it. */
static int wait_for_event(Broker *broker)
{
    AUTO_FREE struct pollfd *fds = mem_alloc_array(broker->members.count + 1, sizeof *fds);
    size_t count = broker->members.count;

    for (;;) {
        for (size_t i = 0; i < count; i++) {
            Member *member = broker->members.items[i];
            if (member->running && gdb_link_ready(&member->link)) {
                return (int)i;
            }
            fds[i] = (struct pollfd){ member->running ? member->link.fd : -1, POLLIN, 0 };
        }
        if (broker->connected && gdb_link_ready(&broker->debugger)) {
            return -1;
        }
        fds[count] = (struct pollfd){ broker->connected ? broker->debugger.fd : broker->listener, POLLIN, 0 };
        if (poll(fds, count + 1, -1) > 0 && !broker->connected && fds[count].revents) {
            return -1;
        }
    }
}

static bool connect_debugger(Broker *broker)
{
    int fd = gdb_accept(broker->listener);

    if (fd >= 0) {
        close(broker->listener);
        gdb_link_init(&broker->debugger, fd);
        broker->connected = true;
    }
    return fd >= 0;
}

/* A debugger that has come while all runs; what it asks waits in its connection. */
static bool receive_debugger(Broker *broker)
{
    if (connect_debugger(broker)) {
        stop_others(broker, NULL);
    }
    return broker->connected;
}

/* A word of the debugger while all runs: true, all stands, and it has been told. */
static bool hear_debugger(Broker *broker)
{
    GdbItem item = gdb_link_next(&broker->debugger);

    for (size_t i = 0; item == GDB_ITEM_INTERRUPT && i < broker->members.count; i++) {
        if (broker->members.items[i]->running) {
            gdb_link_interrupt(&broker->members.items[i]->link); /* it reports */
            break;
        }
    }
    return item == GDB_ITEM_END;
}

/* Until all stands and the debugger knows why. */
static void run(Broker *broker)
{
    Member *pending = find_pending(broker);

    if (pending) {
        stop_others(broker, NULL);
        report_pending(broker, pending);
        return;
    }
    while (broker->members.count) {
        int index = wait_for_event(broker);
        if (index < 0) {
            if (broker->connected ? hear_debugger(broker) : receive_debugger(broker)) {
                return;
            }
            continue;
        }
        AUTO_STRBUF(event);
        Member *member = broker->members.items[index];
        if (!take_event(broker, member, &event)) {
            continue;
        }
        if (!broker->connected) { /* it may only have ended */
            remove_member(broker, member);
            continue;
        }
        stop_others(broker, member);
        report(broker, member, strbuf_text(&event));
        return;
    }
}

/* The debugger has gone: the program runs as if it had never been. */
static void release(Broker *broker)
{
    stop_others(broker, NULL);
    while (broker->members.count) {
        let_go(broker, broker->members.items[0]);
    }
}

/* -- files of processes -------------------------------------------------------------------------------------------- */

/* "/proc/PROCESS/NAME": the member, and what follows. */
static Member *find_process_file(Broker *broker, const char *path, const char **name)
{
    char *end;

    if (strncmp(path, "/proc/", 6)) {
        return NULL;
    }
    Member *member = find_member(broker, (int)strtoul(path + 6, &end, 10));
    *name = end + (*end == '/');
    return member;
}

/* An object of the member's, whole. */
static bool read_object(Member *member, const char *name, StrBuf *bytes)
{
    bool more = true;

    while (more) {
        char packet[64];
        int length = snprintf(packet, sizeof packet, "qXfer:%.20s:read::%zx,%x", name, bytes->length, GDB_DATA_MAXIMUM);
        if (!ask(member, packet, (size_t)length) || !strchr("lm", member->link.packet[0]) || !member->link.length) {
            return false;
        }
        strbuf_append_bytes(bytes, member->link.packet + 1, member->link.length - 1);
        more = member->link.packet[0] == 'm';
    }
    return true;
}

static int open_process_file(void *data, const char *path)
{
    AUTO_STRBUF(bytes);
    const char *name;
    Member *member = find_process_file(data, path, &name);

    if (!member || !read_object(member, name, &bytes)) {
        return -1;
    }
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd >= 0 && pwrite(fd, strbuf_text(&bytes), bytes.length, 0) != (ssize_t)bytes.length) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool read_process_link(void *data, const char *path, char *target)
{
    AUTO_STRBUF(bytes);
    const char *name;
    Member *member = find_process_file(data, path, &name);

    return member && !strcmp(name, "exe") && read_object(member, "exec-file", &bytes) &&
           snprintf(target, PATH_MAX, "%s", strbuf_text(&bytes)) < PATH_MAX;
}

/* -- start --------------------------------------------------------------------------------------------------------- */

NORETURN static void broker_main(Broker *broker, bool waits)
{
    bool serves = waits && connect_debugger(broker);

    while (broker->members.count && (serves || !waits)) {
        if (serves && !serve(broker)) {
            break;
        }
        run(broker);
        serves = broker->connected;
        if (broker->connected && broker->debugger.gone) {
            break;
        }
    }
    release(broker);
    _exit(0);
}

/* Out of the way of everybody's descriptors, terminal and signals. */
static void leave_everything(const int *kept, size_t count)
{
    int null = open("/dev/null", O_RDWR);

    setsid();
    for (int fd = 0; fd < 3; fd++) {
        dup2(null, fd);
    }
    for (unsigned first = 3, next; first; first = next + 1) {
        next = UINT_MAX; /* the next that is kept */
        for (size_t i = 0; i < count; i++) {
            next = (unsigned)kept[i] >= first ? MIN(next, (unsigned)kept[i]) : next;
        }
        if (next > first) {
            close_range(first, next - 1, 0);
        }
    }
}

bool gdb_broker_start(int listener, int channel, int process, bool waits, const char *prefix, Error **error)
{
    pid_t first = fork();

    if (first) {
        int status = 0;
        bool ok = first > 0 && waitpid(first, &status, 0) == first;
        return (ok && !status) || error_set_errno(error, ok ? EAGAIN : errno, "cannot start the debugger's broker");
    }
    pid_t second = fork();
    if (second) {
        _exit(second < 0); /* nobody is to wait for the other */
    }
    Broker *broker = NEW(Broker);
    const int kept[] = { listener, channel };
    leave_everything(kept, ARRAY_SIZE(kept));
    broker->listener = listener;
    broker->files = (GdbFiles){ .prefix = prefix, .open_file = open_process_file, .read_link = read_process_link,
                                .data = broker };
    gdb_files_init(&broker->files);
    broker->current = add_member(broker, channel, process);
    broker->current->running = !waits;
    broker_main(broker, waits);
}
