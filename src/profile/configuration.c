#include "profile/configuration.h"

#include <stdlib.h>

const char *configuration_shipped_profiles(void)
{
    return HAWSER_PROFILE_DIR;
}

int configuration_load(const char *path, struct configuration *out)
{
    *out = (struct configuration){.diag = diag_new()};
    if (out->diag == NULL || settings_load(path, out->diag, &out->settings) != 0)
        return ERR_NOMEM;
    const struct settings *settings = out->settings;
    out->profile_dirs[0] = settings->daemon.profile_dir;
    out->profile_dirs[1] = HAWSER_PROFILE_DIR;
    out->profiles = calloc(settings->n_streams + 1, sizeof(struct profile *));
    if (out->profiles == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < settings->n_streams; i++) {
        const struct settings_stream *stream = &settings->streams[i];
        if (stream->profile == NULL)
            continue; /* said already */
        int status =
            profile_load(out->profile_dirs, stream->profile, stream, out->diag, &out->profiles[i]);
        if (status == ERR_NOMEM)
            return status;
    }
    return diag_count(out->diag) > 0 ? ERR_PARSE : 0;
}

void configuration_fini(struct configuration *configuration)
{
    for (size_t i = 0; configuration->profiles != NULL && i < configuration->settings->n_streams;
         i++)
        profile_free(configuration->profiles[i]);
    free(configuration->profiles);
    settings_free(configuration->settings);
    diag_free(configuration->diag);
}
