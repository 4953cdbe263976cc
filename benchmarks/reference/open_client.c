/* Reference open-load client over TCP: requests are due on a fixed schedule, whatever the server does.
 *
 * A second opinion on latency: constant arrivals at RATE requests/s in total, dealt to the connections in turn, each
 * with any number of requests outstanding; response time is reply received minus request due. One thread, one epoll
 * loop, a timerfd for the next due time, or no sleeping at all with `spin`.
 *
 *   cc -O2 -o open_client open_client.c && ./open_client PORT CONNECTIONS PAYLOAD SECONDS RATE [spin]
 *
 * Prints one line of JSON: due, answered (inside the time or within a second after it), p50, p90, p99 of response time
 * and p50 of send lateness, in nanoseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 16, MAX_FDS = 1 << 14, REQUEST = 1, RESPONSE = 2, BUFFER = 1 << 17 };

static unsigned char request[BUFFER], expected[BUFFER], *partial[MAX_FDS];
static uint32_t held[MAX_FDS];
static int size;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int connected(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

int main(int argc, char **argv) {
    if (argc < 6) return fprintf(stderr, "usage: open_client PORT CONNECTIONS PAYLOAD SECONDS RATE [spin]\n"), 2;
    int connections = atoi(argv[2]), payload = atoi(argv[3]), spin = argc > 6 && !strcmp(argv[6], "spin");
    double seconds = atof(argv[4]), rate = atof(argv[5]);
    uint64_t total = seconds * rate, sent = 0, answered = 0;
    size = HEADER + payload;
    if (connections > MAX_FDS / 2 || size > BUFFER || total == 0) return fprintf(stderr, "too many, or nothing\n"), 2;

    uint64_t *due = calloc(total, 8), *late = calloc(total, 8), *took = calloc(total, 8);
    uint32_t start = htonl(0xEB010100 | REQUEST), length = htonl(payload);
    memcpy(request, &start, 4);
    memcpy(request + 4, &length, 4);
    for (int i = HEADER; i < size; i++) request[i] = i * 31;
    memcpy(expected, request, size);
    expected[3] = RESPONSE;

    int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), fds[connections];
    struct epoll_event event = {.events = EPOLLIN, .data.fd = timer};
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
    for (int i = 0; i < connections; i++) {
        fds[i] = event.data.fd = connected(atoi(argv[1]));
        partial[fds[i]] = malloc(size);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
    }

    uint64_t begins = now_ns() + 50000000, gives_up = begins + seconds * 1e9 + 1e9, armed = 0;
    for (uint64_t i = 0; i < total; i++) due[i] = begins + (i + 1) * (1e9 / rate);
    struct epoll_event events[64];
    static unsigned char buffer[1 << 18];
    while (answered < total) {
        uint64_t now = now_ns();
        if (now > gives_up) break;
        for (; sent < total && due[sent] <= now; now = now_ns()) {
            uint64_t sequence = htobe64(sent);
            memcpy(request + 8, &sequence, 8);
            late[sent] = now - due[sent];
            if (write(fds[sent % connections], request, size) != size) die("write");
            sent++;
        }
        uint64_t wake = sent < total ? due[sent] : gives_up;
        if (!spin && wake != armed) {
            struct itimerspec at = {.it_value = {wake / 1000000000, wake % 1000000000}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
            armed = wake;
        }
        int ready = epoll_wait(epoll, events, 64, spin ? 0 : -1);
        for (int e = 0; e < ready; e++) {
            int fd = events[e].data.fd;
            long got = read(fd, buffer, sizeof buffer);
            if (fd == timer) continue;
            if (got <= 0) die("the server closed a connection");
            uint64_t received = now_ns();
            for (long at = 0; at < got;) {
                long part = size - held[fd] < got - at ? size - held[fd] : got - at;
                memcpy(partial[fd] + held[fd], buffer + at, part);
                at += part;
                held[fd] += part;
                if (held[fd] < (uint32_t)size) break;
                uint64_t sequence;
                memcpy(&sequence, partial[fd] + 8, 8);
                memcpy(expected + 8, partial[fd] + 8, 8);
                sequence = be64toh(sequence);
                if (memcmp(partial[fd], expected, size) || sequence >= sent) return fprintf(stderr, "wrong echo\n"), 1;
                took[answered++] = received - due[sequence];
                held[fd] = 0;
            }
        }
    }
    qsort(took, answered, 8, compare);
    qsort(late, sent, 8, compare);
    printf("{\"due\": %lu, \"answered\": %lu, \"p50_ns\": %lu, \"p90_ns\": %lu, \"p99_ns\": %lu, \"lateness_p50_ns\": %lu}\n",
           total, answered, answered ? took[answered / 2] : 0, answered ? took[answered * 9 / 10] : 0,
           answered ? took[answered * 99 / 100] : 0, sent ? late[sent / 2] : 0);
    return answered == total ? 0 : 1;
}
