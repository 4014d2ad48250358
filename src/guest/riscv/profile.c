/*
 * Profiles: RVA22U64 and RVA22S64 ("RISC-V Profiles" 1.0), as models and as properties of others. A profile turns on
 * what it mandates. Where the user turned some of that off it stays off, the processor is none of the profile's, and he
 * is told. RVA23 needs vectors and the hypervisor extension, which are not there, and so it is not either.
 */
#include "guest/riscv/profile.h"

#include "base/strbuf.h"

#include <inttypes.h>

#define MEMBER(name) offsetof(RiscvConfig, name)
enum { MOST_MANDATES = 24 };

typedef struct Profile {
    const char *name;
    uint16_t member;
    bool supervisor;                  /* Sv39 at least, and a recent privileged specification */
    uint16_t mandates[MOST_MANDATES]; /* ends with 0 */
} Profile;

/* One that builds on another stands behind it. */
static const Profile profiles[] = {
    { "rva22u64", MEMBER(rva22u64), false,
      { MEMBER(i), MEMBER(m), MEMBER(a), MEMBER(f), MEMBER(d), MEMBER(c), MEMBER(b), MEMBER(u), MEMBER(zicsr),
        MEMBER(zihintpause), MEMBER(zba), MEMBER(zbb), MEMBER(zbs), MEMBER(zfhmin), MEMBER(zkt), MEMBER(zicbom),
        MEMBER(zicbop), MEMBER(zicboz), MEMBER(zicntr), MEMBER(zihpm) } },
    { "rva22s64", MEMBER(rva22s64), true,
      { MEMBER(rva22u64), MEMBER(s), MEMBER(zifencei), MEMBER(svpbmt), MEMBER(svinval), MEMBER(svade) } },
};

static bool *member(RiscvConfig *c, uint16_t offset)
{
    return (bool *)((char *)c + offset);
}

static bool is_on(const RiscvConfig *c, uint16_t offset)
{
    return *(const bool *)((const char *)c + offset);
}

/* Sv39 where the user says nothing about paging. */
static void choose_supervisor_defaults(RiscvConfig *c)
{
    if (!c->given[MEMBER(priv_spec)]) {
        c->priv_spec = RISCV_PRIV_1_12;
    }
    c->mmu |= !c->given[MEMBER(mmu)];
    c->sv39 |= !c->given[MEMBER(sv39)];
    c->sv48 &= c->given[MEMBER(sv48)];
    c->sv57 &= c->given[MEMBER(sv57)];
}

void riscv_profiles_apply(RiscvConfig *c)
{
    for (size_t i = ARRAY_SIZE(profiles); i-- > 0;) {
        const Profile *profile = &profiles[i];
        c->profiles_wanted[i] = is_on(c, profile->member);
        if (!c->profiles_wanted[i]) {
            continue;
        }
        for (const uint16_t *mandate = profile->mandates; *mandate; mandate++) {
            *member(c, *mandate) |= !c->given[*mandate];
        }
        if (profile->supervisor) {
            choose_supervisor_defaults(c);
        }
    }
}

bool riscv_blocks_of_64(const RiscvConfig *c)
{
    return c->cbom_blocksize == 64 && c->cbop_blocksize == 64 && c->cboz_blocksize == 64;
}

static bool holds(const RiscvConfig *c, const Profile *profile)
{
    bool all = c->xlen == 64 && riscv_blocks_of_64(c);

    for (const uint16_t *mandate = profile->mandates; *mandate; mandate++) {
        all &= is_on(c, *mandate);
    }
    return all && (!profile->supervisor || (c->priv_spec >= RISCV_PRIV_1_12 && c->paging_levels >= 3));
}

void riscv_profiles_find(RiscvConfig *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
        *member(c, profiles[i].member) = holds(c, &profiles[i]);
    }
}

static void warn_of_missing(const RiscvConfig *c, const Profile *profile, StrBuf *lines)
{
    for (const uint16_t *mandate = profile->mandates; *mandate; mandate++) {
        if (!is_on(c, *mandate) && c->given[*mandate]) {
            strbuf_printf(lines, "Profile %s mandates disabled extension %s\n", profile->name,
                          riscv_extension_name(*mandate));
        }
    }
    if (!profile->supervisor && !riscv_blocks_of_64(c)) {
        strbuf_printf(lines, "Profile %s mandates disabled extension zic64b\n", profile->name);
    }
    if (profile->supervisor && c->priv_spec < RISCV_PRIV_1_12) {
        strbuf_printf(lines, "Profile %s requires priv spec v1.12.0, but priv ver %s was set\n", profile->name,
                      riscv_priv_names[c->priv_spec]);
    }
}

/* b and g, which are names for others. */
static void warn_of_parts(const RiscvConfig *c, StrBuf *lines)
{
    static const struct {
        char letter;
        uint16_t whole, part;
    } parts[] = {
        { 'B', MEMBER(b), MEMBER(zba) },   { 'B', MEMBER(b), MEMBER(zbb) },      { 'B', MEMBER(b), MEMBER(zbs) },
        { 'G', MEMBER(g), MEMBER(zicsr) }, { 'G', MEMBER(g), MEMBER(zifencei) },
    };
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (is_on(c, parts[i].whole) && !is_on(c, parts[i].part) && c->given[parts[i].part]) {
            strbuf_printf(lines, "RV%c mandates disabled extension %s\n", parts[i].letter,
                          riscv_extension_name(parts[i].part));
        }
    }
}

void riscv_config_warnings(const void *config, unsigned index, StrBuf *lines)
{
    const RiscvConfig *c = config;

    for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
        if (c->profiles_wanted[i]) {
            warn_of_missing(c, &profiles[i], lines);
        }
    }
    warn_of_parts(c, lines);
    for (uint16_t offset = 0; offset < RISCV_GIVEN_SIZE; offset++) {
        if (c->dropped[offset]) {
            strbuf_printf(lines,
                          "disabling %s extension for hart 0x%016" PRIx64
                          " because privilege spec version does not match\n",
                          riscv_extension_name(offset), (uint64_t)index);
        }
    }
}
