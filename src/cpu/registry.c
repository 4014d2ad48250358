/* The guests that are compiled in, by name, and what is said of names that they do not have. `guests` is generated. */
#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"
#include "cpu/guest.h"

#include <string.h>

static const char *guest_candidate(const void *context, size_t i) { return i < guest_count ? guests[i]->target : NULL; }
static const char *model_candidate(const void *guest, size_t i) { return ((const Guest *)guest)->models[i].name; }

const Guest *guest_find(const char *target, Error **error)
{
    for (size_t i = 0; i < guest_count; i++) {
        if (!strcmp(guests[i]->target, target)) {
            return guests[i];
        }
    }
    AUTO_FREE char *suggestion = text_suggestion(target, guest_candidate, NULL);
    error_set(error, "there is no guest '%s' in this build%s", target, suggestion);
    return NULL;
}

bool guest_no_model(const Guest *guest, const char *model, Error **error)
{
    AUTO_FREE char *suggestion = text_suggestion(model, model_candidate, guest);

    error_set(error, "unable to find CPU model '%s'%s", model, suggestion);
    error_add_hint(error, "Use -cpu help to list the models");
    return false;
}
