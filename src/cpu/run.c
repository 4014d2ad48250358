/*
 * The run loop. Between blocks it looks at the attention word; it asks for interrupts where a line changed or an
 * instruction said that what decides about them may have changed. A budget smaller than the next block is used up by
 * blocks of one instruction, so that it is exact.
 */
#include "base/strbuf.h"
#include "cpu/code.h"

#include <inttypes.h>
#include <sched.h>

enum { RUN_ON = -1 }; /* no CpuExit: go on */

static void run_drops(Cpu *cpu)
{
    uint32_t drop = atomic_exchange(&cpu->drop, 0);

    if (drop & CPU_DROP_TLB) {
        cpu_tlb_flush(cpu, UINT32_MAX);
        code_map_changed(cpu);
    }
    if (drop & CPU_DROP_CODE) {
        cpu_code_changed(cpu);
    }
    if (drop & CPU_DROP_INTERPRETED) {
        block_cache_code_changed(cpu->blocks);
        cpu->exec.epoch++;
    }
    if (drop & CPU_DROP_TARGETS) {
        code_blocks_went(cpu);
    }
}

/* What other threads asked for. An exclusive section is let pass by not running for a moment; posted work is done
 * meanwhile, so that it may wait for what it likes. */
static int attend(Cpu *cpu, uint32_t attention)
{
    atomic_fetch_and(&cpu->exec.attention, ~attention | CPU_ATTENTION_LOG);
    if (attention & (CPU_ATTENTION_EXCLUSIVE | CPU_ATTENTION_WORK)) {
        group_leave(cpu);
        cpu_run_work(cpu);
        group_enter(cpu);
    }
    if (attention & CPU_ATTENTION_DROP) {
        run_drops(cpu);
    }
    if (attention & CPU_ATTENTION_TIMER) {
        cpu_run_timers(cpu);
    }
    return attention & CPU_ATTENTION_STOP ? (int)CPU_EXIT_STOPPED : RUN_ON;
}

static bool logs_blocks(const Cpu *cpu)
{
    return cpu_log_enabled(cpu, (LogItem)(LOG_EXEC | LOG_CPU | LOG_NOCHAIN));
}

/* While blocks are logged, a bit that nobody clears keeps the interpreter from running on to the next. Host code is
 * made without links then. */
static void update_logging(Cpu *cpu)
{
    bool wanted = !cpu->code && logs_blocks(cpu);

    if (wanted) {
        atomic_fetch_or(&cpu->exec.attention, CPU_ATTENTION_LOG);
    } else if (UNLIKELY(atomic_load_explicit(&cpu->exec.attention, memory_order_relaxed) & CPU_ATTENTION_LOG)) {
        atomic_fetch_and(&cpu->exec.attention, ~(uint32_t)CPU_ATTENTION_LOG);
    }
}

static void log_block(Cpu *cpu)
{
    uint64_t pc = cpu->guest->pc(cpu);

    if (!log_address_selected(cpu->log, pc)) {
        return;
    }
    if (log_enabled(cpu->log, LOG_EXEC)) {
        log_write(cpu->log, "Trace %u: 0x%0*" PRIx64 " [mode 0x%" PRIx64 "]\n", cpu->index, cpu->guest->word_bits / 4,
                  pc, cpu->exec.mode);
    }
    if (log_enabled(cpu->log, LOG_CPU) && cpu->guest->print_registers) {
        AUTO_STRBUF(text);
        cpu->guest->print_registers(cpu, log_enabled(cpu->log, LOG_FPU), &text);
        log_write(cpu->log, "%s", strbuf_text(&text));
    }
}

static int deliver(Cpu *cpu)
{
    if (cpu->exec.exception.code == CPU_EXCEPTION_RETRY) {
        cpu->exec.exception.pending = false;
        return RUN_ON;
    }
    if (cpu->exceptions_exit) {
        return CPU_EXIT_EXCEPTION;
    }
    cpu->guest->deliver(cpu);
    cpu->exec.exception.pending = false;
    cpu->exec.budget--; /* a guest that traps for ever comes to an end too */
    return RUN_ON;
}

/* Takes from the budget what is not to be used before somebody looks again, and returns how much that is. */
static int64_t hold_back(Cpu *cpu, int64_t most)
{
    uint64_t until_alarm = cpu->alarm - cpu->exec.insns; /* not zero: prepare() looks first */
    int64_t budget = cpu->exec.budget, now = MIN((int64_t)MIN((uint64_t)budget, until_alarm), most);

    cpu->exec.budget = now;
    return budget - now;
}

/* By the interpreter: a chain of blocks of `most` instructions. False: an exception is pending. */
static bool interpret(Cpu *cpu, int64_t most, int *reason)
{
    if (cpu->code) { /* where it went last is not where it comes from now */
        cpu->exec.link = NULL;
    }
    int64_t kept = hold_back(cpu, most); /* so that it cannot run on */
    InterpCode *code = block_find(cpu, most == 1);

    if (code && interp_insn_count(code) > cpu->exec.budget) {
        code = block_find(cpu, true);
    }
    cpu->exec.link = NULL;
    if (code) {
        *reason = interp_run(&cpu->exec, cpu, code);
    }
    cpu->exec.budget += kept;
    return code;
}

/* By host code. False: there is none, or it did not get on: it was refused, or the budget does not hold a block. */
static bool run_code(Cpu *cpu, int *reason)
{
    int64_t kept = hold_back(cpu, INT64_MAX), budget = cpu->exec.budget;
    bool done = code_run(cpu, reason);

    if (done && *reason == IR_EXIT_CONTINUE && cpu->counts && cpu->exec.budget == budget) {
        done = atomic_load(&cpu->exec.attention); /* looks at that first */
    }
    cpu->exec.budget += kept;
    return done;
}

static bool run_blocks(Cpu *cpu, int *reason)
{
    cpu->counts = cpu->limited || cpu->counted || cpu->alarm != UINT64_MAX;
    bool one = cpu->single_step || UNLIKELY(cpu->interprets_next);

    cpu->interprets_next = false;
    if (cpu->code && !one && run_code(cpu, reason)) {
        return true;
    }
    return interpret(cpu, one ? 1 : cpu->code ? code_insns_to_interpret(cpu) : INT64_MAX, reason);
}

/* `*recheck`: whether interrupts have to be asked for afterwards. */
static int execute(Cpu *cpu, bool *recheck)
{
    Exec *exec = &cpu->exec;
    int reason;

    if (UNLIKELY(cpu->code ? logs_blocks(cpu)
                           : atomic_load_explicit(&exec->attention, memory_order_relaxed) & CPU_ATTENTION_LOG)) {
        log_block(cpu);
    }
    if (!run_blocks(cpu, &reason)) {
        *recheck = true;
        return deliver(cpu);
    }
    if (reason == IR_EXIT_CONTINUE) {
        return RUN_ON;
    }
    exec->link = NULL;
    *recheck = true;
    switch (reason) {
    case IR_EXIT_HALT:
        cpu->halted = true;
        return RUN_ON;
    case IR_EXIT_EXCEPTION:
        return deliver(cpu);
    case IR_EXIT_CODE:
        cpu_code_changed(cpu);
        return RUN_ON;
    case IR_EXIT_YIELD:
        sched_yield();
        return RUN_ON;
    case IR_EXIT_DEBUG:
        return CPU_EXIT_DEBUG;
    default:
        return RUN_ON;
    }
}

/* Whether the vCPU may execute now; takes an interrupt if there is one. */
static int prepare(Cpu *cpu, bool *recheck)
{
    if (cpu->powered_off) {
        return CPU_EXIT_HALTED;
    }
    if (cpu->halted) {
        if (!cpu->guest->has_work(cpu)) {
            return CPU_EXIT_HALTED;
        }
        cpu->halted = false;
    }
    if (cpu->exec.budget <= 0) {
        return CPU_EXIT_BUDGET;
    }
    if (cpu->exec.insns >= cpu->alarm) {
        cpu->alarm = UINT64_MAX;
        cpu->guest->alarm(cpu);
        *recheck = true;
    }
    if (*recheck) {
        *recheck = false;
        cpu->exec.link = NULL;
        if (!cpu->holds_interrupts) {
            cpu->guest->interrupt(cpu);
        }
        cpu->exec.mode = cpu->guest->mode(cpu);
    }
    return RUN_ON;
}

static void count_run(Cpu *cpu)
{
    uint32_t runs = atomic_load_explicit(&cpu->runs, memory_order_relaxed);
    atomic_store_explicit(&cpu->runs, runs + 1, memory_order_release);
}

CpuExit cpu_run(Cpu *cpu, int64_t budget)
{
    bool recheck = true;
    int exit = RUN_ON;

    cpu->exec.budget = budget;
    cpu->limited = budget != INT64_MAX;
    cpu->exec.link = NULL;
    count_run(cpu);
    group_enter(cpu);
    while (exit == RUN_ON) {
        update_logging(cpu);
        uint32_t attention = atomic_load(&cpu->exec.attention) & ~(uint32_t)CPU_ATTENTION_LOG;
        if (attention) {
            recheck = true;
            exit = attend(cpu, attention);
            continue;
        }
        code_rest(cpu);
        exit = prepare(cpu, &recheck);
        if (exit == RUN_ON) {
            exit = execute(cpu, &recheck);
            if (exit == RUN_ON && cpu->single_step && !cpu->halted) {
                exit = CPU_EXIT_DEBUG;
            }
        }
    }
    group_leave(cpu);
    count_run(cpu);
    return (CpuExit)exit;
}
