/* Conversion of structs by their tables. */
#include "user/layout.h"

#include "base/bytes.h"

static uint64_t load_field(const uint8_t *from, unsigned size, bool is_signed)
{
    uint64_t value = load_le(from, size);
    return is_signed ? (uint64_t)sign_extend(value, size * 8) : value;
}

void layout_to_host(const Layout *layout, const void *guest, void *host)
{
    if (layout_is_same(layout)) {
        memcpy(host, guest, layout->host_size);
        return;
    }
    memset(host, 0, layout->host_size);
    for (unsigned i = 0; i < layout->field_count; i++) {
        const LayoutField *f = &layout->fields[i];
        uint64_t value = load_field((const uint8_t *)guest + f->guest_offset, f->guest_size, f->is_signed);
        store_le((uint8_t *)host + f->host_offset, f->host_size, value);
    }
}

void layout_to_guest(const Layout *layout, const void *host, void *guest)
{
    if (layout_is_same(layout)) {
        memcpy(guest, host, layout->guest_size);
        return;
    }
    memset(guest, 0, layout->guest_size);
    for (unsigned i = 0; i < layout->field_count; i++) {
        const LayoutField *f = &layout->fields[i];
        uint64_t value = load_field((const uint8_t *)host + f->host_offset, f->host_size, f->is_signed);
        store_le((uint8_t *)guest + f->guest_offset, f->guest_size, value);
    }
}
