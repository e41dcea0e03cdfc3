/* The kernel's answer to "how would you send to this address?" (rtnetlink, RTM_GETROUTE). */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/io.h"

struct question {
    struct nlmsghdr header;
    struct rtmsg route;
    struct rtattr attribute;
    unsigned char address[16];
};

struct route {
    char source[INET6_ADDRSTRLEN];
    char gateway[INET6_ADDRSTRLEN];
    char interface[IF_NAMESIZE];
};

static bool ask(int fd, const struct io_address *to)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    bool v6 = to->u.family == AF_INET6;
    size_t n = v6 ? 16 : 4;
    struct question question = {
        .header = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = 1},
        .route = {.rtm_family = (unsigned char)to->u.family, .rtm_dst_len = (unsigned char)(n * 8)},
        .attribute = {.rta_type = RTA_DST, .rta_len = (unsigned short)RTA_LENGTH(n)},
    };

    question.header.nlmsg_len = (uint32_t)(offsetof(struct question, attribute) + RTA_LENGTH(n));
    if (v6)
        memcpy(question.address, (const char *)to + offsetof(struct sockaddr_in6, sin6_addr), n);
    else
        memcpy(question.address, (const char *)to + offsetof(struct sockaddr_in, sin_addr), n);
    return sendto(fd, &question, question.header.nlmsg_len, 0, (struct sockaddr *)&kernel,
                  sizeof kernel) > 0;
}

static void take_attribute(struct route *route, int family, const struct rtattr *attribute,
                           const char *value)
{
    size_t n = attribute->rta_len - RTA_LENGTH(0);
    bool address = n == (family == AF_INET6 ? 16 : 4);
    unsigned index;

    if (attribute->rta_type == RTA_PREFSRC && address) {
        inet_ntop(family, value, route->source, sizeof route->source);
    } else if (attribute->rta_type == RTA_GATEWAY && address) {
        inet_ntop(family, value, route->gateway, sizeof route->gateway);
    } else if (attribute->rta_type == RTA_OIF && n == sizeof index) {
        memcpy(&index, value, sizeof index);
        if (if_indextoname(index, route->interface) == NULL)
            snprintf(route->interface, sizeof route->interface, "#%u", index);
    }
}

/* False: no route, or nothing that we understand. */
static bool read_answer(const char *bytes, size_t n, int family, struct route *route)
{
    struct nlmsghdr header;
    size_t at = NLMSG_LENGTH(sizeof(struct rtmsg));

    if (n < sizeof header)
        return false;
    memcpy(&header, bytes, sizeof header);
    if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len > n)
        return false;
    while (at + sizeof(struct rtattr) <= header.nlmsg_len) {
        struct rtattr attribute;

        memcpy(&attribute, bytes + at, sizeof attribute);
        if (attribute.rta_len < RTA_LENGTH(0) || attribute.rta_len > header.nlmsg_len - at)
            break;
        take_attribute(route, family, &attribute, bytes + at + RTA_LENGTH(0));
        at += RTA_ALIGN(attribute.rta_len);
    }
    return route->interface[0] != '\0';
}

void io_network_route(const struct io_address *to, char *out, size_t size)
{
    int family = to->u.family;
    struct route route = {.source = "?"};
    char bytes[4096];
    ssize_t n = -1;
    int fd;

    out[0] = '\0';
    if (family != AF_INET && family != AF_INET6)
        return;
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return;
    /* The kernel answers before sendto() returns. */
    if (ask(fd, to)) {
        do
            n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
    }
    close(fd);
    if (n > 0 && read_answer(bytes, (size_t)n, family, &route))
        snprintf(out, size, "%s %s%s%s", route.source, route.interface,
                 route.gateway[0] != '\0' ? " via " : "", route.gateway);
}
