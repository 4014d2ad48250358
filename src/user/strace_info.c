/* A siginfo_t for -strace: what its members are its signal and its code say (include/uapi/asm-generic/siginfo.h). */
#include "user/strace_internal.h"

#include <inttypes.h>
#include <signal.h>

enum { CODES = 9 };

/* The codes of signals that the kernel sends for a reason, from 1. */
static const struct {
    int number;
    bool has_address;
    const char *codes[CODES];
} reasons[] = {
    { SIGSEGV, true, { "SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR" } },
    { SIGBUS, true, { "BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO" } },
    { SIGILL, true,
      { "ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC", "ILL_PRVREG", "ILL_COPROC",
        "ILL_BADSTK" } },
    { SIGFPE, true,
      { "FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF", "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV",
        "FPE_FLTSUB" } },
    { SIGTRAP, true, { "TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT" } },
    { SIGCHLD, false,
      { "CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED" } },
    { SIGIO, false, { "POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP" } },
};

/* Sets whether an address is told, and prints the code. */
static bool print_code(const siginfo_t *info, StrBuf *text)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i].number == info->si_signo && info->si_code > 0 && info->si_code <= CODES &&
            reasons[i].codes[info->si_code - 1]) {
            strbuf_append(text, reasons[i].codes[info->si_code - 1]);
            return reasons[i].has_address;
        }
    }
    strace_choice(NAMES_SIGNAL_CODE, (uint64_t)info->si_code, text);
    return false;
}

void strace_info(const siginfo_t *info, StrBuf *text)
{
    strbuf_append(text, "{si_signo=");
    strace_signal((uint64_t)info->si_signo, text);
    strbuf_append(text, ",si_code=");
    if (print_code(info, text)) {
        strbuf_printf(text, ",si_addr=0x%" PRIx64 "}", (uint64_t)(uintptr_t)info->si_addr);
        return;
    }
    switch (info->si_code) {
    case SI_KERNEL:
        strbuf_append_char(text, '}');
        return;
    case SI_TIMER:
        strbuf_printf(text, ",si_timerid=%d,si_overrun=%d,si_value=0x%" PRIx64 "}", info->si_timerid, info->si_overrun,
                      (uint64_t)(uintptr_t)info->si_ptr);
        return;
    default:
        break;
    }
    if (info->si_signo == SIGIO && info->si_code > 0) {
        strbuf_printf(text, ",si_band=%ld,si_fd=%d}", info->si_band, info->si_fd);
        return;
    }
    strbuf_printf(text, ",si_pid=%d,si_uid=%u", info->si_pid, info->si_uid);
    if (info->si_signo == SIGCHLD && info->si_code > 0) {
        strbuf_printf(text, ",si_status=%d", info->si_status);
    } else if (info->si_code == SI_QUEUE || info->si_code == SI_MESGQ) {
        strbuf_printf(text, ",si_int=%d", info->si_int);
    }
    strbuf_append_char(text, '}');
}
