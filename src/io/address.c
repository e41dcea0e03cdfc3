#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "io/io.h"

_Static_assert(sizeof(struct io_address) == sizeof(struct sockaddr_storage),
               "an io_address holds any socket address");

void io_address_format(const struct io_address *address, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "?";

    if (address->u.family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof in6);
        inet_ntop(AF_INET6, &in6.sin6_addr, ip, sizeof ip);
        snprintf(out, size, "[%s]:%u", ip, ntohs(in6.sin6_port));
    } else {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, ip, sizeof ip);
        snprintf(out, size, "%s:%u", ip, ntohs(in.sin_port));
    }
}

bool io_address_parse(const char *ip, uint16_t port, struct io_address *out)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
        memcpy(out, &in, sizeof in);
    else if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
        memcpy(out, &in6, sizeof in6);
    else
        return false;
    return true;
}

/* All of 127.0.0.0/8 is loopback (RFC 1122 3.2.1.3), and only ::1 of IPv6 (RFC 4291 2.5.3). */
bool io_address_is_loopback(const struct io_address *address)
{
    if (address->u.family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->u.family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            return in6.sin6_addr.s6_addr[12] == 127;
        return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
    }
    return false;
}
