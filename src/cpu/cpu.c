/* Making a vCPU, its power and reset, what comes to it from other threads, and what helpers and devices ask of it. */
#include "base/error.h"
#include "base/host/host.h"
#include "base/strbuf.h"
#include "cpu/code.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct CpuWork {
    ListNode link;
    void (*function)(Cpu *cpu, void *data); /* NULL: nothing */
    void *data;
    bool power_on; /* first */
} CpuWork;

/* One piece of memory: the Cpu, the execution's scratch, the guest's state. */
enum { STATE_ALIGNMENT = 64 };

static Cpu *allocate(const Guest *guest)
{
    size_t head = align_up(sizeof(Cpu) + EXEC_SCRATCH, STATE_ALIGNMENT);
    size_t size = align_up(head + guest->state_size + sizeof(uint64_t), STATE_ALIGNMENT);
    Cpu *cpu = aligned_alloc(STATE_ALIGNMENT, size);

    if (!cpu) {
        cpu = mem_alloc(size); /* says so and ends */
    }
    memset(cpu, 0, size);
    cpu->exec.state = (uint8_t *)cpu + head;
    return cpu;
}

static void destroy(Cpu *cpu)
{
    group_remove(cpu->group, cpu);
    LIST_FOREACH_SAFE (&cpu->work, work, CpuWork, link) {
        free(work);
    }
    condition_destroy(&cpu->wake);
    mutex_destroy(&cpu->lock);
    block_cache_free(cpu->blocks);
    code_vcpu_free(cpu);
    tlb_free(cpu);
    free(cpu->exec.jumps);
    free(cpu->claims);
    free(cpu->config);
    free(cpu);
}

Cpu *cpu_new(const Guest *guest, const void *config, unsigned index, CpuGroup *group, const CpuBus *bus, void *bus_data,
             Log *log, Error **error)
{
    Cpu *cpu = allocate(guest);

    cpu->guest = guest;
    cpu->bus = bus;
    cpu->bus_data = bus_data;
    cpu->config = mem_copy(config, guest->config_size);
    cpu->index = index;
    cpu->group = group;
    cpu->log = log;
    cpu->exec.guest = &guest->ir;
    cpu->exec.page_bits = guest->page_bits;
    cpu->exec.memory = &cpu_memory;
    cpu->exec.epoch = 1;
    cpu->exec.jumps = mem_alloc0(EXEC_JUMPS * sizeof(ExecJump));
    cpu->blocks = block_cache_new();
    tlb_new(cpu);
    mutex_init(&cpu->lock);
    condition_init(&cpu->wake);
    list_init(&cpu->work);
    if (!group_add(group, cpu, error) || (guest->init && !guest->init(cpu, error))) {
        destroy(cpu);
        return NULL;
    }
    cpu_reset(cpu);
    return cpu;
}

void cpu_free(Cpu *cpu)
{
    if (!cpu) {
        return;
    }
    if (cpu->guest->finalize) {
        cpu->guest->finalize(cpu);
    }
    destroy(cpu);
}

static void log_reset(Cpu *cpu)
{
    AUTO_STRBUF(text);

    cpu->guest->print_registers(cpu, log_enabled(cpu->log, LOG_FPU), &text);
    log_write(cpu->log, "CPU Reset (CPU %u)\n%s", cpu->index, strbuf_text(&text));
}

void cpu_reset(Cpu *cpu)
{
    if (cpu_log_enabled(cpu, LOG_RESET) && cpu->guest->print_registers) {
        log_reset(cpu);
    }
    cpu->halted = false;
    cpu->exec.exception = (ExecException){ 0 };
    cpu->exec.reservation_size = 0;
    for (unsigned i = 0; i < CPU_TIMERS; i++) {
        cpu_timer_set(cpu, i, UINT64_MAX);
    }
    cpu->alarm = UINT64_MAX;
    cpu->counted = false;
    cpu->guest->reset(cpu);
    cpu_tlb_flush(cpu, UINT32_MAX);
    cpu_code_changed(cpu);
}

/* From other threads. */

void cpu_kick(Cpu *cpu, uint32_t attention)
{
    atomic_fetch_or(&cpu->exec.attention, attention);
    mutex_lock(&cpu->lock);
    condition_broadcast(&cpu->wake);
    mutex_unlock(&cpu->lock);
}

void cpu_stop(Cpu *cpu)
{
    cpu_kick(cpu, CPU_ATTENTION_STOP);
}

static void post(Cpu *cpu, void (*function)(Cpu *cpu, void *data), void *data, bool power_on)
{
    CpuWork *work = NEW(CpuWork);

    work->function = function;
    work->data = data;
    work->power_on = power_on;
    mutex_lock(&cpu->lock);
    list_append(&cpu->work, &work->link);
    mutex_unlock(&cpu->lock);
    cpu_kick(cpu, CPU_ATTENTION_WORK);
}

void cpu_post(Cpu *cpu, void (*function)(Cpu *cpu, void *data), void *data)
{
    post(cpu, function, data, false);
}

void cpu_power_on(Cpu *cpu, void (*prepare)(Cpu *cpu, void *data), void *data)
{
    post(cpu, prepare, data, true);
}

void cpu_power_off(Cpu *cpu)
{
    cpu->powered_off = true;
    cpu_kick(cpu, CPU_ATTENTION_INTERRUPT); /* its block goes on no further */
}

static void do_work(Cpu *cpu, const CpuWork *work)
{
    if (work->power_on) {
        cpu_reset(cpu);
        cpu->powered_off = false;
    }
    if (work->function) {
        work->function(cpu, work->data);
    }
}

void cpu_run_work(Cpu *cpu)
{
    mutex_lock(&cpu->lock);
    while (!list_empty(&cpu->work)) {
        CpuWork *work = list_item(cpu->work.next, CpuWork, link);
        list_remove(&work->link);
        mutex_unlock(&cpu->lock);
        do_work(cpu, work);
        free(work);
        mutex_lock(&cpu->lock);
    }
    mutex_unlock(&cpu->lock);
}

void cpu_line_set(Cpu *cpu, unsigned line, bool level)
{
    uint64_t bit = BIT(line), before = level ? atomic_fetch_or(&cpu->lines, bit) : atomic_fetch_and(&cpu->lines, ~bit);

    if (!(before & bit) == level) {
        if (level) {
            atomic_fetch_or(&cpu->edges, bit);
        }
        cpu_kick(cpu, CPU_ATTENTION_INTERRUPT);
    }
}

bool cpu_has_work(Cpu *cpu)
{
    return atomic_load(&cpu->exec.attention) & ~(uint32_t)CPU_ATTENTION_LOG ||
           (!cpu->powered_off && (!cpu->halted || cpu->guest->has_work(cpu)));
}

void cpu_wait(Cpu *cpu, int64_t deadline)
{
    mutex_lock(&cpu->lock);
    while (!cpu_has_work(cpu)) {
        if (deadline == INT64_MAX) {
            condition_wait(&cpu->wake, &cpu->lock);
        } else if (!condition_wait_until(&cpu->wake, &cpu->lock, deadline)) {
            break;
        }
    }
    mutex_unlock(&cpu->lock);
}

/* For the guest's own functions. */

void cpu_raise_more(Cpu *cpu, uint32_t code, uint64_t value, uint64_t more)
{
    if (!cpu->exec.exception.pending) {
        cpu->exec.exception = (ExecException){ true, code, value, more };
    }
}

void cpu_raise(Cpu *cpu, uint32_t code, uint64_t value)
{
    cpu_raise_more(cpu, code, value, 0);
}

void cpu_code_changed(Cpu *cpu)
{
    block_cache_code_changed(cpu->blocks);
    code_told_of_changes(cpu);
    cpu->exec.epoch++;
}

void cpu_set_alarm(Cpu *cpu, uint64_t insns)
{
    cpu->alarm = insns;
}

bool cpu_count(Cpu *cpu)
{
    cpu->counted = true;
    if (!cpu->code || cpu->counts) {
        return true;
    }
    cpu_raise(cpu, CPU_EXCEPTION_RETRY, 0);
    return false;
}

uint64_t cpu_time(Cpu *cpu)
{
    return cpu->bus->time ? cpu->bus->time(cpu) : 0;
}

void cpu_random(Cpu *cpu, void *bytes, size_t count)
{
    if (cpu->bus->random) {
        cpu->bus->random(cpu, bytes, count);
    } else {
        host_random(bytes, count);
    }
}

void cpu_timer_set(Cpu *cpu, unsigned timer, uint64_t deadline)
{
    assert(timer < CPU_TIMERS);
    cpu->timer_deadlines[timer] = deadline;
    if (cpu->bus->timer_set) {
        cpu->bus->timer_set(cpu, timer, deadline);
    }
}

void cpu_run_timers(Cpu *cpu)
{
    for (unsigned i = 0; i < CPU_TIMERS; i++) {
        uint64_t deadline = cpu->timer_deadlines[i];
        if (deadline == UINT64_MAX) {
            continue;
        }
        if (deadline > cpu_time(cpu)) { /* not this one, or too early */
            cpu_timer_set(cpu, i, deadline);
        } else {
            cpu->timer_deadlines[i] = UINT64_MAX;
            cpu->guest->timer(cpu, i);
        }
    }
}

void cpu_claim_registers(Cpu *cpu, const CpuRegisterClaim *claim)
{
    cpu->claims = mem_realloc(cpu->claims, (cpu->claim_count + 1) * sizeof *claim);
    cpu->claims[cpu->claim_count++] = *claim;
}

static const CpuRegisterClaim *find_claim(const Cpu *cpu, uint32_t number)
{
    for (size_t i = 0; i < cpu->claim_count; i++) {
        if (number >= cpu->claims[i].first && number <= cpu->claims[i].last) {
            return &cpu->claims[i];
        }
    }
    return NULL;
}

bool cpu_claimed_read(Cpu *cpu, uint32_t number, uint64_t *value)
{
    const CpuRegisterClaim *claim = find_claim(cpu, number);
    return claim && claim->read && claim->read(cpu, claim->owner, number, value);
}

bool cpu_claimed_write(Cpu *cpu, uint32_t number, uint64_t value)
{
    const CpuRegisterClaim *claim = find_claim(cpu, number);
    return claim && claim->write && claim->write(cpu, claim->owner, number, value);
}
