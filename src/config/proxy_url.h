/*
 * proxy_url: how a proxy is written: http://[user[:password]@]host[:port].
 *
 * Decides: which schemes are understood (http only: the words to the proxy itself are not
 * encrypted, what goes through its tunnel is), the default port, percent-encoding of user and
 * password (RFC 3986 3.2.1). Leaves: whether a password may stand there to the caller: in a
 * configuration it may not, in the environment it does.
 * Owns: nothing; a struct proxy_url that had a password is to be wiped by its owner.
 * Fails: ERR_PARSE with what to write instead. The text never repeats user and password.
 */
#ifndef HAWSER_CONFIG_PROXY_URL_H
#define HAWSER_CONFIG_PROXY_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    PROXY_URL_HOST_MAX = 253,     /* bytes: RFC 1035 2.3.4, without the root's dot */
    PROXY_URL_USER_MAX = 255,     /* bytes, decoded */
    PROXY_URL_PASSWORD_MAX = 1023 /* bytes, decoded */
};
#define PROXY_URL_PORT 80 /* of http:// where none is named */

struct proxy_url {
    char host[PROXY_URL_HOST_MAX + 1]; /* a name or an address, without brackets */
    uint16_t port;
    bool has_user, has_password;
    char user[PROXY_URL_USER_MAX + 1];
    char password[PROXY_URL_PASSWORD_MAX + 1];
};

int proxy_url_parse(const char *text, struct proxy_url *out, struct error *err);

#endif
