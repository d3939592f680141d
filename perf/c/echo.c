/* The C side of the echo benchmark.
 *   echo server echo|framing   listens on a free loopback port, prints it, serves with epoll until killed
 *   echo client PORT CONNECTIONS BYTES SECONDS echo|framing   ping-pong on each connection; prints round trips */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES 4096

struct connection {
    int fd;
    unsigned have;
    char buffer[BUFFER_BYTES];
};

static void no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int serve(int framing)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    struct epoll_event event = { .events = EPOLLIN }, events[256];

    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 128) || getsockname(listener, (struct sockaddr *)&address, &length))
        return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection) {
                connection = calloc(1, sizeof(*connection));
                connection->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                no_delay(connection->fd);
                event.data.ptr = connection;
                epoll_ctl(poll, EPOLL_CTL_ADD, connection->fd, &event);
                continue;
            }
            ssize_t got = recv(connection->fd, connection->buffer + connection->have, BUFFER_BYTES - connection->have, 0);
            if (got <= 0) {
                if (got < 0 && errno == EAGAIN)
                    continue;
                close(connection->fd);
                free(connection);
                continue;
            }
            if (!framing) {
                if (send(connection->fd, connection->buffer, got, MSG_NOSIGNAL) != got)
                    return 1;
                continue;
            }
            connection->have += got;
            uint32_t need = 0;
            if (connection->have >= 4)
                memcpy(&need, connection->buffer, 4);
            if (connection->have >= 4 && connection->have == need + 4) {
                if (send(connection->fd, connection->buffer, 4, MSG_NOSIGNAL) != 4)
                    return 1;
                connection->have = 0;
            }
        }
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* In framing each message goes out in two pieces: a server is woken for both, or for one. */
static int say(int fd, unsigned bytes, int framing)
{
    static char message[BUFFER_BYTES];
    uint32_t length = bytes - 4;

    if (!framing)
        return send(fd, message, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 : 1;
    memcpy(message, &length, 4);
    return send(fd, message, 4, MSG_NOSIGNAL) == 4 && send(fd, message + 4, length, MSG_NOSIGNAL) == (ssize_t)length ? 0 : 1;
}

static int ask(int port, unsigned connections, unsigned bytes, double seconds, int framing)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct epoll_event event = { .events = EPOLLIN }, events[256];
    int poll = epoll_create1(0);
    unsigned expected = framing ? 4 : bytes;
    unsigned long trips = 0;

    for (unsigned i = 0; i < connections; i++) {
        struct connection *connection = calloc(1, sizeof(*connection));
        connection->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(connection->fd, (struct sockaddr *)&address, sizeof(address)))
            return 1;
        no_delay(connection->fd);
        event.data.ptr = connection;
        epoll_ctl(poll, EPOLL_CTL_ADD, connection->fd, &event);
        if (say(connection->fd, bytes, framing))
            return 1;
    }
    double end = now() + seconds;
    while (now() < end) {
        int count = epoll_wait(poll, events, 256, 1000);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            ssize_t got = recv(connection->fd, connection->buffer, BUFFER_BYTES, MSG_DONTWAIT);
            if (got <= 0)
                return 1;
            connection->have += got;
            if (connection->have < expected)
                continue;
            connection->have = 0;
            trips++;
            if (say(connection->fd, bytes, framing))
                return 1;
        }
    }
    printf("%lu\n", trips);
    return 0;
}

int main(int count, char **arguments)
{
    if (count == 3 && !strcmp(arguments[1], "server"))
        return serve(!strcmp(arguments[2], "framing"));
    if (count == 7 && !strcmp(arguments[1], "client"))
        return ask(atoi(arguments[2]), atoi(arguments[3]), atoi(arguments[4]), atof(arguments[5]), !strcmp(arguments[6], "framing"));
    return 2;
}
