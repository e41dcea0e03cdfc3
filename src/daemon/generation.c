#include "daemon/generation.h"

#include <stdlib.h>
#include <string.h>

int generation_load(const char *path, struct generation **out)
{
    struct generation *generation = calloc(1, sizeof(*generation));
    *out = generation;
    if (generation == NULL)
        return ERR_NOMEM;
    generation->users = 1;
    generation->path = strdup(path);
    int status = configuration_load(path, &generation->configuration);
    return generation->path != NULL ? status : ERR_NOMEM;
}

struct generation *generation_hold(struct generation *generation)
{
    generation->users++;
    return generation;
}

void generation_drop(struct generation *generation)
{
    if (generation == NULL || --generation->users > 0)
        return;
    configuration_fini(&generation->configuration);
    free(generation->path);
    free(generation);
}

void generation_retire(struct generation *generation)
{
    struct configuration *configuration = &generation->configuration;
    for (size_t i = 0; i < configuration->settings->n_streams; i++) {
        profile_free(configuration->profiles[i]);
        configuration->profiles[i] = NULL;
    }
}
