/*
 * Authorisation: see authz.h.
 *
 * Not here: authz-pam, which needs the library PAM: it says so.
 */
#include "crypto/authz.h"

#include "api/json.h"
#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/vec.h"
#include "schema/crypto.h"

#include <sys/stat.h>

enum { LIMIT = 1 << 20 };

bool authz_check(Object *objects, const char *id, const char *identity, Error **error)
{
    Object *object = objects ? object_child(objects, id) : NULL;
    bool allowed = false;
    if (!object) {
        return error_set(error, "No authorization object with id '%s'", id);
    }
    if (!object_is(object, &authz_class.class)) {
        return error_set(error, "Object with id '%s' is no authorization object", id);
    }
    return ((const AuthzClass *)object->class)->is_allowed(object, identity, &allowed, error) &&
           (allowed || error_set(error, "TLS x509 authz check for %s is denied", identity));
}

const AuthzClass authz_class = {
    .class = { .name = "authz", .parent = &object_class, .description = "Decides who may do something",
               .abstract = true },
};

/* Rules */

static bool decide(const QAuthZListRuleList *rules, int policy, const char *identity)
{
    for (size_t i = 0; i < rules->count; i++) {
        const QAuthZListRule *rule = &rules->items[i];
        bool fits = rule->format == QAUTHZ_LIST_FORMAT_GLOB ? text_matches(rule->match, identity)
                                                             : strcmp(rule->match, identity) == 0;
        if (fits) {
            policy = rule->policy;
            break;
        }
    }
    return policy == QAUTHZ_LIST_POLICY_ALLOW;
}

typedef struct AuthzList {
    Object object;
    int policy; /* QAuthZListPolicy, where no rule fits */
    QAuthZListRuleList rules;
} AuthzList;

static bool list_is_allowed(Object *object, const char *identity, bool *allowed, Error **error)
{
    const AuthzList *list = (const AuthzList *)object;
    *allowed = decide(&list->rules, list->policy, identity);
    return true;
}

static const Property list_properties[] = {
    PROP("policy", QAuthZListPolicy_type, AuthzList, policy, "deny", "what holds where no rule fits"),
    { .name = "rules", .type = &QAuthZListRuleList_type, .offset = offsetof(AuthzList, rules),
      .when = PROPERTY_ANY_TIME, .description = "rules, of which the first that fits counts" },
    PROP_END,
};

const AuthzClass authz_list_class = {
    .class = { .name = "authz-list", .parent = &authz_class.class, .description = "A list of rules",
               .size = sizeof(AuthzList), .user_creatable = true, .properties = list_properties },
    .is_allowed = list_is_allowed,
};

/* Rules in a file, {"rules": [...], "policy": ...} */

typedef struct AuthzListFile {
    Object object;
    char *filename;
    bool refresh;
    struct timespec changed; /* when it was read */
    ino_t inode;
    QAuthZListFile list;
} AuthzListFile;

static bool read_list(AuthzListFile *file, Error **error)
{
    size_t size = 0;
    QAuthZListFile list = { 0 };
    AUTO_FREE char *text = files_read_all(NULL, file->filename, LIMIT, &size, error);
    Json *json = text ? json_parse(text, size, error) : NULL;
    bool ok = json && type_from_json(&QAuthZListFile_type, json, &list, error);
    json_free(json);
    if (!ok) {
        return error_prepend(error, "'%s': ", file->filename);
    }
    type_clear(&QAuthZListFile_type, &file->list);
    file->list = list;
    return true;
}

/* A file that has become wrong counts as it was before. */
static void refresh(AuthzListFile *file)
{
    struct stat status;
    if (file->refresh && stat(file->filename, &status) == 0 &&
        (status.st_ino != file->inode || status.st_mtim.tv_sec != file->changed.tv_sec ||
         status.st_mtim.tv_nsec != file->changed.tv_nsec)) {
        file->changed = status.st_mtim;
        file->inode = status.st_ino;
        read_list(file, NULL);
    }
}

static bool file_is_allowed(Object *object, const char *identity, bool *allowed, Error **error)
{
    AuthzListFile *file = (AuthzListFile *)object;
    refresh(file);
    *allowed = decide(&file->list.rules, file->list.policy, identity);
    return true;
}

static bool file_complete(Object *object, Error **error)
{
    AuthzListFile *file = (AuthzListFile *)object;
    struct stat status;
    if (!file->filename) {
        return error_set(error, "filename not provided");
    }
    if (stat(file->filename, &status) == 0) {
        file->changed = status.st_mtim;
        file->inode = status.st_ino;
    }
    return read_list(file, error);
}

static void file_finalize(Object *object) { type_clear(&QAuthZListFile_type, &((AuthzListFile *)object)->list); }

static const Property file_properties[] = {
    PROP("filename", type_string, AuthzListFile, filename, NULL, "the file with the rules, in JSON"),
    PROP("refresh", type_bool, AuthzListFile, refresh, "on", "it is read again where it has changed"),
    PROP_END,
};

const AuthzClass authz_list_file_class = {
    .class = { .name = "authz-list-file", .parent = &authz_class.class, .description = "A list of rules in a file",
               .size = sizeof(AuthzListFile), .user_creatable = true, .properties = file_properties,
               .complete = file_complete, .finalize = file_finalize },
    .is_allowed = file_is_allowed,
};

/* One identity */

typedef struct AuthzSimple {
    Object object;
    char *identity;
} AuthzSimple;

static bool simple_is_allowed(Object *object, const char *identity, bool *allowed, Error **error)
{
    const AuthzSimple *simple = (const AuthzSimple *)object;
    *allowed = simple->identity && strcmp(simple->identity, identity) == 0;
    return true;
}

static bool simple_complete(Object *object, Error **error)
{
    return ((AuthzSimple *)object)->identity || error_set(error, "Parameter 'identity' is missing");
}

static const Property simple_properties[] = {
    PROP("identity", type_string, AuthzSimple, identity, NULL, "who may"),
    PROP_END,
};

const AuthzClass authz_simple_class = {
    .class = { .name = "authz-simple", .parent = &authz_class.class, .description = "One identity that may",
               .size = sizeof(AuthzSimple), .user_creatable = true, .properties = simple_properties,
               .complete = simple_complete },
    .is_allowed = simple_is_allowed,
};

/* PAM */

typedef struct AuthzPam {
    Object object;
    char *service;
} AuthzPam;

static bool pam_complete(Object *object, Error **error)
{
    return error_set(error, "authz-pam needs the library PAM, which this program is built without; authz-list, "
                            "authz-list-file and authz-simple do without it");
}

static const Property pam_properties[] = {
    PROP("service", type_string, AuthzPam, service, NULL, "the name of the service for PAM"),
    PROP_END,
};

const AuthzClass authz_pam_class = {
    .class = { .name = "authz-pam", .parent = &authz_class.class, .description = "PAM (not in this program)",
               .size = sizeof(AuthzPam), .user_creatable = true, .properties = pam_properties,
               .complete = pam_complete },
};
