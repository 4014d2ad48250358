/*
 * From bytes to IR: drives the guest's translate() along one page. An instruction that crosses the page's end stands
 * first in a block of its own, so that a fault on the second page is raised when the instruction is due, and only then.
 * Code in device memory, or on a page that a protection unit cuts, is taken one instruction at a time.
 */
#include "base/error.h"
#include "base/strbuf.h"
#include "cpu/cpu_internal.h"
#include "cpu/translator.h"

#include <inttypes.h>
#include <string.h>

static uint64_t fetch_address(const Translator *t)
{
    return (t->first_pc + t->source->available) & cpu_address_mask(t->cpu);
}

enum { FETCH_BYTES = 64 }; /* at once: blocks are short */

/* Device memory: two bytes at a time where aligned. */
static bool fetch_from_bus(Translator *t, const TlbSource *source, uint64_t address)
{
    Translation *to = t->source;
    Cpu *cpu = t->cpu;
    uint64_t physical = source->physical + (address & mask_bits(cpu->exec.page_bits)), value = 0;
    unsigned size = physical & 1 ? 1 : 2;

    AccessResult result = cpu->bus->read(cpu, physical, size, source->attributes, &value);
    if (result == ACCESS_RETRY) {
        cpu_raise(cpu, CPU_EXCEPTION_RETRY, address);
        return false;
    }
    if (result != ACCESS_OK) {
        cpu->guest->bus_error(cpu, address, physical, MMU_EXECUTE);
        return false;
    }
    memcpy(to->bytes + to->available, &value, size);
    to->available += size;
    return true;
}

/* Makes more bytes available. False: there are none in this block, or (only for its first instruction) an exception. */
static bool fetch_more(Translator *t)
{
    Translation *to = t->source;
    uint64_t address = fetch_address(t);
    const TlbSource *source = &to->first;

    if (to->available > BLOCK_BYTES - 2) {
        return false;
    }
    if (to->available && (!(address & (source->granule - 1)) || to->crosses)) {
        if (t->pc != t->first_pc) {
            return false;
        }
        source = tlb_lookup(t->cpu, address, MMU_EXECUTE, t->cpu->guest->fetch_mmu_mode(t->cpu));
        if (!source) {
            return false;
        }
        to->second = *source;
        to->crosses = true;
        source = &to->second;
    }
    if (!source->host) {
        return fetch_from_bus(t, source, address);
    }
    unsigned room = MIN(BLOCK_BYTES - to->available, FETCH_BYTES);
    unsigned count = (unsigned)MIN(room, source->granule - (address & (source->granule - 1)));
    if (!cpu_move_ram(t->cpu, source->host + (address & mask_bits(t->cpu->exec.page_bits)), to->bytes + to->available,
                      count, false)) {
        if (t->pc == t->first_pc) {
            cpu_raise_host_fault(t->cpu, t->cpu->exec.fault_address, MMU_EXECUTE);
        }
        return false;
    }
    to->available += count;
    return true;
}

bool translator_fetch(Translator *t, uint64_t pc, void *bytes, unsigned count)
{
    uint64_t offset = (pc - t->first_pc) & cpu_address_mask(t->cpu);

    while (offset + count > t->source->available) {
        if (!fetch_more(t)) {
            t->fetch_failed = true;
            return false;
        }
    }
    memcpy(bytes, t->source->bytes + offset, count);
    return true;
}

static void log_code(Cpu *cpu, const Translation *t)
{
    AUTO_STRBUF(text);
    uint64_t pc = t->ir.pc;
    int digits = cpu->guest->word_bits / 4;

    strbuf_append(&text, "----------------\nIN:\n");
    for (unsigned done = 0, length; done < t->ir.bytes; done += length) {
        AUTO_STRBUF(line);
        length = cpu->guest->disassemble(cpu, pc + done, t->bytes + done, t->ir.bytes - done, &line);
        if (!length) {
            break;
        }
        strbuf_printf(&text, "0x%0*" PRIx64 ":  ", digits, pc + done);
        for (unsigned i = length; i-- > 0;) {
            strbuf_printf(&text, "%02x", t->bytes[done + i]);
        }
        strbuf_printf(&text, "%*s%s\n", length < 8 ? 18 - 2 * (int)length : 2, "", strbuf_text(&line));
    }
    log_write(cpu->log, "%s\n", strbuf_text(&text));
}

static void log_translation(Cpu *cpu, const Translation *t)
{
    if (!log_address_selected(cpu->log, t->ir.pc)) {
        return;
    }
    if (log_enabled(cpu->log, LOG_IN_ASM) && cpu->guest->disassemble) {
        log_code(cpu, t);
    }
    if (log_enabled(cpu->log, LOG_OP)) {
        AUTO_STRBUF(text);
        ir_dump(&t->ir, &cpu->guest->ir, &text);
        log_write(cpu->log, "%s\n", strbuf_text(&text));
    }
}

static bool is_valid(const IrBlock *block, const IrGuest *guest)
{
    AUTO_ERROR(error);

    if (!ir_verify(block, guest, &error)) {
        AUTO_STRBUF(text);
        ir_dump(block, guest, &text);
        fprintf(stderr, "%s\n%s", error_message(error), strbuf_text(&text));
        return false;
    }
    return true;
}

bool translate(Cpu *cpu, Translation *to, unsigned limit)
{
    const Guest *guest = cpu->guest;
    uint64_t pc = guest->pc(cpu), page = align_down(pc, BIT(cpu->exec.page_bits));
    Translator t = {
        .cpu = cpu, .config = cpu->config, .mode = cpu->exec.mode, .pc = pc, .first_pc = pc, .source = to,
    };

    to->available = 0;
    to->crosses = false;
    if (!to->first.cacheable || !to->first.host) {
        limit = 1;
    }
    ir_builder_init(&t.ir, &to->ir, &guest->ir, pc, guest->word_bits);
    for (unsigned count = 0; !t.ended; count++) {
        if (count == limit || align_down(t.pc, BIT(cpu->exec.page_bits)) != page) {
            ir_goto(&t.ir, t.pc & cpu_address_mask(cpu));
            break;
        }
        guest->translate(&t);
        if (t.fetch_failed) {
            if (t.pc == pc) {
                return false;
            }
            t.fetch_failed = false;
            ir_goto(&t.ir, t.pc & cpu_address_mask(cpu));
            break;
        }
    }
    assert(!VERIFY_IR || is_valid(&to->ir, &guest->ir));
    if (cpu_log_enabled(cpu, (LogItem)(LOG_IN_ASM | LOG_OP))) {
        log_translation(cpu, to);
    }
    return true;
}
