/* Secrets: where they are said to be, and what a refresh of hawserd's has put in their place. */
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/doctor.h"
#include "reach/secrets.h"
#include "reach/vault_file.h"
#include "reach/vault_name.h"

#define SERVICE_CREDENTIALS "/run/credentials/hawserd.service"
enum { SECRET_PROGRAM_MS = 10000 };

/* "0600 root:hawser", and whether the user that hawserd runs as can read it. */
static void look_at_file(const char *path, struct doctor_secret *out)
{
    struct stat st;
    const struct passwd *user = getpwnam("hawser");
    uid_t uid = user != NULL ? user->pw_uid : 0;
    gid_t gid = user != NULL ? user->pw_gid : 0;
    if (stat(path, &st) != 0)
        return;
    const struct passwd *owner = getpwuid(st.st_uid);
    char owner_name[64];
    snprintf(owner_name, sizeof(owner_name), "%s", owner != NULL ? owner->pw_name : "?");
    const struct group *group = getgrgid(st.st_gid);
    snprintf(out->file, sizeof(out->file), "%04o %.60s:%.60s", st.st_mode & 07777, owner_name,
             group != NULL ? group->gr_name : "?");
    if (uid == 0)
        return;
    mode_t needed = st.st_uid == uid ? S_IRUSR : st.st_gid == gid ? S_IRGRP : S_IROTH;
    out->unreadable = (st.st_mode & needed) == 0;
}

struct program {
    struct doctor *doctor;
    const char *source;
    struct buf *out;
    struct error *err;
    int status;
};

static void on_program(void *arg, const struct io_child_result *result)
{
    struct program *program = arg;
    program->status = result->status != 0 ? error_set(program->err, result->status, "secret %s: %s",
                                                      program->source, result->err.text)
                                          : buf_append_slice(program->out, result->output);
    if (program->status == 0)
        program->status = secret_check(program->source, program->out, program->err);
    doctor_wake(program->doctor);
}

static int run_program(struct doctor *doctor, const char *source, struct buf *out,
                       struct error *err)
{
    struct program program = {doctor, source, out, err, 0};
    struct secret_words words;
    struct io_child *child;
    int rc = secret_exec(source, &words, err);
    if (rc == 0)
        rc = buf_reserve(out, LIMIT_SECRET);
    if (rc == 0)
        rc = io_child_start(doctor->loop, words.argv, SECRET_PROGRAM_MS, on_program, &program,
                            &child, err);
    if (rc != 0)
        return rc;
    doctor_run(doctor);
    return program.status;
}

static void read_secret(struct doctor *doctor, unsigned i)
{
    const struct profile_secret *declared = &doctor->profile->secrets[i];
    struct doctor_secret *out = &doctor->facts.secrets[i];
    char path[SECRET_PATH_SIZE];
    struct error err = {0};
    *out =
        (struct doctor_secret){.name = declared->name, .source = declared->source, .expires_s = -1};
    if (declared->source == NULL)
        return;
    out->status = secret_is_exec(declared->source)
                      ? run_program(doctor, declared->source, &doctor->values[i], &err)
                      : secret_read(declared->source, &doctor->values[i], &err);
    snprintf(out->error, sizeof(out->error), "%.380s", err.text);
    if (strncmp(declared->source, "file:", 5) == 0 && secret_path(declared->source, path))
        look_at_file(path, out);
    if (out->status == 0)
        out->expires_s = profile_jwt_expiry_s(buf_slice(&doctor->values[i]));
}

/* ---- what a refresh has brought ---- */

struct kept {
    struct doctor *doctor;
    struct vault_head head;
    struct buf values[DOCTOR_SECRETS]; /* empty: what the source holds counts */
};

static uint64_t hash_of(const struct kept *kept, unsigned i)
{
    const struct doctor *doctor = kept->doctor;
    return doctor->facts.secrets[i].status == 0
               ? vault_hash(kept->head.salt, buf_slice(&doctor->values[i]))
               : 0;
}

/* Of what the source held when the value came: its own, or all of them where it has none. */
static uint64_t source_hash(const struct kept *kept, unsigned secret)
{
    const struct doctor_facts *facts = &kept->doctor->facts;
    uint64_t all = 1;
    if (facts->secrets[secret].source != NULL)
        return hash_of(kept, secret);
    for (unsigned i = 0; i < facts->n_secrets; i++)
        if (facts->secrets[i].source != NULL)
            all = all * 31 + hash_of(kept, i);
    return all;
}

static void on_kept(void *arg, const struct vault_kept *found)
{
    struct kept *kept = arg;
    const struct doctor_facts *facts = &kept->doctor->facts;
    for (unsigned i = 0; i < facts->n_secrets; i++)
        if (slice_eq_str(found->name, facts->secrets[i].name) &&
            found->source_hash == source_hash(kept, i) &&
            buf_reserve(&kept->values[i], found->value.len) == 0)
            (void)buf_append_slice(&kept->values[i], found->value); /* there is room */
}

static void take_kept(struct kept *kept)
{
    struct doctor *doctor = kept->doctor;
    for (unsigned i = 0; i < doctor->facts.n_secrets; i++) {
        struct doctor_secret *secret = &doctor->facts.secrets[i];
        if (kept->values[i].len == 0)
            continue;
        buf_wipe(&doctor->values[i]);
        if (buf_reserve(&doctor->values[i], kept->values[i].len) != 0)
            continue;
        (void)buf_append_slice(&doctor->values[i], buf_slice(&kept->values[i]));
        secret->status = 0;
        secret->rotated = true;
        secret->expires_s = profile_jwt_expiry_s(buf_slice(&doctor->values[i]));
    }
}

/* A file that cannot be read is told: what the sources hold may be worth nothing any more. */
static void read_kept(struct doctor *doctor)
{
    struct kept kept = {.doctor = doctor};
    struct doctor_facts *facts = &doctor->facts;
    char path[PATH_MAX] = "";
    struct error err = {0};
    struct buf identity, text;
    buf_init(&identity, BUF_UNBOUNDED);
    buf_init(&text, VAULT_FILE_MAX);
    for (unsigned i = 0; i < DOCTOR_SECRETS; i++)
        buf_init(&kept.values[i], LIMIT_SECRET);
    int rc = vault_identity(doctor->profile, &identity);
    if (rc == 0)
        vault_path(doctor->state_dir, doctor->profile, buf_slice(&identity), path, sizeof(path));
    if (rc == 0)
        rc = vault_file_read(path, &text, &err);
    if (rc == 0)
        rc = vault_file_parse(buf_slice(&text), &kept.head, on_kept, &kept, &err);
    if (rc == 0)
        take_kept(&kept);
    else if (rc != ERR_NOTFOUND)
        snprintf(facts->kept_error, sizeof(facts->kept_error), "%.100s: %.150s", path, err.text);
    for (unsigned i = 0; i < DOCTOR_SECRETS; i++) {
        buf_wipe(&kept.values[i]);
        buf_fini(&kept.values[i]);
    }
    buf_wipe(&text);
    buf_fini(&text);
    buf_fini(&identity);
}

int doctor_secrets_learn(struct doctor *doctor, struct error *err)
{
    for (unsigned i = 0; i < doctor->facts.n_secrets; i++)
        if (redact_learn(&doctor->redact, buf_slice(&doctor->values[i])) != 0)
            return error_set(err, ERR_NOMEM, "out of memory");
    return 0;
}

int doctor_secrets_read(struct doctor *doctor, struct error *err)
{
    const struct profile *profile = doctor->profile;
    struct doctor_facts *facts = &doctor->facts;
    /* systemd's, whose unit this shell is not. */
    if (getenv("CREDENTIALS_DIRECTORY") == NULL && access(SERVICE_CREDENTIALS, X_OK) == 0)
        setenv("CREDENTIALS_DIRECTORY", SERVICE_CREDENTIALS, 1);
    facts->n_secrets =
        profile->n_secrets < DOCTOR_SECRETS ? (unsigned)profile->n_secrets : DOCTOR_SECRETS;
    for (unsigned i = 0; i < facts->n_secrets; i++) {
        read_secret(doctor, i);
    }
    int rc = doctor_secrets_learn(doctor, err);
    if (rc != 0 || profile->auth.refresh == PROFILE_NONE)
        return rc;
    facts->refreshes = true;
    read_kept(doctor);
    return doctor_secrets_learn(doctor, err);
}
