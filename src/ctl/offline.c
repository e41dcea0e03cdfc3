/* offline: what needs no daemon: check, profiles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/offline.h"
#include "profile/configuration.h"

const char *offline_config(const struct ctl *ctl)
{
    const char *config = ctl_option(ctl, "config");
    return config != NULL ? config : CONFIGURATION_DEFAULT;
}

void offline_print_diag(const struct diag *diag)
{
    const char *message;
    for (size_t i = 0; (message = diag_get(diag, i)) != NULL; i++)
        fprintf(stderr, "%s\n", message);
    if (diag_left_out(diag) > 0)
        fprintf(stderr, "and %zu more\n", diag_left_out(diag));
}

struct settings *offline_dirs(const struct ctl *ctl, const char **dirs)
{
    struct diag *diag = diag_new();
    struct settings *settings = NULL;
    size_t n = 0;
    if (diag != NULL)
        (void)settings_load(offline_config(ctl), diag, &settings);
    if (settings != NULL)
        dirs[n++] = settings->daemon.profile_dir;
    dirs[n++] = configuration_shipped_profiles();
    dirs[n] = NULL;
    diag_free(diag);
    return settings;
}

int ctl_check(struct ctl *ctl)
{
    struct configuration configuration;
    const char *config = offline_config(ctl);
    int status = configuration_load(config, &configuration);
    if (status != 0)
        offline_print_diag(configuration.diag);
    else if (ctl->json)
        printf("{\"ok\":\"check\",\"streams\":%zu}\n", configuration.settings->n_streams);
    else
        printf("%s: ok, %zu stream%s\n", config, configuration.settings->n_streams,
               configuration.settings->n_streams == 1 ? "" : "s");
    configuration_fini(&configuration);
    return status == 0 ? CTL_OK : CTL_NOT_WELL;
}

/* ---- profiles ---- */

struct listing {
    const struct ctl *ctl;
    const char *const *dirs;
    const char *wanted; /* print only the path of this one; NULL: list all */
    char path[4096];
    bool first, broken;
};

static void on_profile(void *arg, const char *name, const char *path)
{
    struct listing *listing = arg;
    struct profile *profile = NULL;
    struct diag *diag = diag_new();
    if (listing->wanted != NULL) {
        if (strcmp(name, listing->wanted) == 0)
            snprintf(listing->path, sizeof(listing->path), "%s", path);
    } else if (diag != NULL) {
        bool good = profile_load(listing->dirs, name, NULL, diag, &profile) == 0;
        const char *title = good && profile->title != NULL ? profile->title : "";
        if (listing->ctl->json)
            printf("%s{\"profile\":\"%s\",\"path\":\"%s\",\"ok\":%s}", listing->first ? "" : ",",
                   name, path, good ? "true" : "false");
        else
            printf("%-16s %s%s\n", name, good ? title : "broken: see below", "");
        listing->first = false;
        listing->broken |= !good;
        offline_print_diag(diag);
        profile_free(profile);
    }
    diag_free(diag);
}

static int show(const char *path)
{
    char block[4096];
    size_t n;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "hawserctl: %s cannot be read\n", path);
        return CTL_NOT_WELL;
    }
    printf("# %s\n", path);
    while ((n = fread(block, 1, sizeof(block), file)) > 0)
        fwrite(block, 1, n, stdout);
    fclose(file);
    return CTL_OK;
}

static int list(struct ctl *ctl, const char *const *dirs, const char *wanted)
{
    struct listing listing = {.ctl = ctl, .dirs = dirs, .wanted = wanted, .first = true};
    struct error err = {0};
    bool json = ctl->json && wanted == NULL;
    if (json)
        printf("{\"profiles\":[");
    int status = profile_list(dirs, on_profile, &listing, &err);
    if (json)
        printf("]}\n");
    if (status != 0) {
        fprintf(stderr, "hawserctl: %s\n", err.text);
        return CTL_NOT_WELL;
    }
    if (wanted == NULL)
        return listing.broken ? CTL_NOT_WELL : CTL_OK;
    if (listing.path[0] != '\0')
        return show(listing.path);
    fprintf(stderr, "hawserctl: no profile %s; `hawserctl profiles` lists them\n", wanted);
    return CTL_NOT_WELL;
}

int ctl_profiles(struct ctl *ctl)
{
    const char *dirs[OFFLINE_DIRS];
    const char *wanted = ctl->n_args == 2 ? ctl->args[1] : NULL;
    if (ctl->n_args > 0 && (ctl->n_args != 2 || strcmp(ctl->args[0], "show") != 0))
        return ctl_usage(ctl, "profiles takes nothing, or: show NAME");
    struct settings *settings = offline_dirs(ctl, dirs);
    int result = list(ctl, dirs, wanted);
    settings_free(settings);
    return result;
}
