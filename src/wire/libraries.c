#include "wire/libraries.h"

#include <stdio.h>
#include <wslay/wslay.h>
#include <zlib.h>

#include "wire/http_engine.h"

void wire_libraries(char *out, size_t size)
{
    snprintf(out, size, "wslay %s, " ENGINE_NAME " %d.%d.%d, zlib %s", WSLAY_VERSION,
             ENGINE_VERSION, zlibVersion());
}
