/* -cpu: a model of the guest's and, behind commas, properties of its configuration. */
#include "user/main.h"

#include "api/json.h"
#include "api/options.h"
#include "api/type.h"
#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"
#include "cpu/guest.h"
#include "object/object.h"
#include "user/abi.h"

#include <stdio.h>
#include <string.h>

static const char *property_name(const void *guest, size_t i) { return ((const Guest *)guest)->properties[i].name; }

static const GuestModel *find_model(const Guest *guest, const char *name, Error **error)
{
    for (const GuestModel *model = guest->models; model->name; model++) {
        if (!strcmp(model->name, name)) {
            return model;
        }
    }
    guest_no_model(guest, name, error);
    return NULL;
}

static bool set_property(const Guest *guest, void *config, const char *name, const Json *value, Error **error)
{
    const Property *row = guest->properties;

    while (row && row->name && strcmp(row->name, name)) {
        row++;
    }
    if (!row || !row->name) {
        AUTO_FREE char *suggestion = text_suggestion(name, property_name, guest);
        return error_set(error, "there is no property '%s'%s", name, suggestion);
    }
    type_clear(row->type, (char *)config + row->offset);
    if (!type_from_options(row->type, value, (char *)config + row->offset, error)) {
        return error_prepend(error, "%s: ", name);
    }
    if (guest->config_given) {
        guest->config_given(config, row);
    }
    return true;
}

static bool set_properties(const Guest *guest, void *config, const char *text, Error **error)
{
    Json *values = options_parse(text, NULL, NULL, error);
    bool ok = values != NULL;

    for (size_t i = 0; ok && i < json_length(values); i++) {
        ok = set_property(guest, config, json_key(values, i), json_value(values, i), error);
    }
    json_free(values);
    return ok;
}

void *user_cpu_config(const Guest *guest, const char *text, Error **error)
{
    size_t length = strcspn(text, ",");
    AUTO_FREE char *name = string_copy_length(text, length);
    const GuestModel *model = find_model(guest, name, error);
    void *config = model ? mem_alloc0(guest->config_size) : NULL;

    if (!model) {
        return NULL;
    }
    guest->config_init(model, config);
    if ((text[length] && !set_properties(guest, config, text + length + 1, error)) ||
        !guest->config_check(model, config, error)) {
        error_prepend(error, "-cpu %s: ", text);
        free(config);
        return NULL;
    }
    return config;
}

void user_cpu_help(const Guest *guest)
{
    printf("Available CPUs:\n");
    for (const GuestModel *model = guest->models; model->name; model++) {
        printf("  %s\n", model->name);
    }
}
