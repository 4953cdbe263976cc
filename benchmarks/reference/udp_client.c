/* Reference closed-loop client: the wire protocol (servers/wire/_message.py) over UDP, one thread, one epoll loop.
 *
 * N connected sockets, one request outstanding on each, every reply compared with what was sent. Each is answered once
 * before the time begins: servers that make a process or a thread for each peer have made them. A request without a reply
 * for a second is counted as lost and the next one is sent; a reply that comes after that is counted as late.
 * `raw` expects the datagram back unchanged: for servers that echo without parsing.
 *
 *   cc -O2 -o udp_client udp_client.c && ./udp_client PORT SOCKETS PAYLOAD SECONDS [spin] [raw]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { HEADER = 16, MAX_FDS = 1 << 16, LARGEST = 65507, REQUEST = 1, RESPONSE = 2 };
enum { MAX_SAMPLES = 1 << 26, FIRST_REPLY_MS = 5000 };
static const uint64_t LOST_NS = 1000000000;

struct peer { uint64_t sequence, sent_ns; };
static struct peer peers[MAX_FDS];
static unsigned char request[LARGEST], reply[LARGEST];
static int size, kind = RESPONSE;
static long total, wrong, lost, late;
static uint32_t *samples_ns;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void ask(int fd) {
    struct peer *p = &peers[fd];
    uint64_t sequence = htobe64(++p->sequence);
    memcpy(request + 8, &sequence, 8);
    p->sent_ns = now_ns();
    if (send(fd, request, size, 0) != size) { perror("send"); exit(3); }
}

/* Take the replies that wait at a socket; the one that is waited for is followed by the next request. */
static void answer(int fd) {
    ssize_t got = recv(fd, reply, sizeof reply, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) { perror("recv"); exit(3); }
    uint64_t t = now_ns(), sequence = 0;
    if (got >= HEADER) memcpy(&sequence, reply + 8, 8);
    sequence = be64toh(sequence);
    if (sequence && sequence < peers[fd].sequence) { late++; return; }
    wrong += got != size || reply[3] != kind || sequence != peers[fd].sequence || memcmp(reply, request, 3) ||
             memcmp(reply + 4, request + 4, 4) || memcmp(reply + HEADER, request + HEADER, size - HEADER);
    if (total < MAX_SAMPLES) samples_ns[total++] = t - peers[fd].sent_ns;
    ask(fd);
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc < 5) { fprintf(stderr, "usage: udp_client PORT SOCKETS PAYLOAD SECONDS [spin] [raw]\n"); return 2; }
    int port = atoi(argv[1]), count = atoi(argv[2]), payload = atoi(argv[3]), wait_ms = 100, last = 0;
    for (int i = 5; i < argc; i++) {
        if (!strcmp(argv[i], "spin")) wait_ms = 0;
        if (!strcmp(argv[i], "raw")) kind = REQUEST;
    }
    double seconds = atof(argv[4]);
    struct rlimit files = {MAX_FDS, MAX_FDS};
    setrlimit(RLIMIT_NOFILE, &files);
    if (payload < 0 || payload > LARGEST - HEADER) { fprintf(stderr, "PAYLOAD is 0 to 65491\n"); return 2; }
    size = HEADER + payload;
    uint32_t length = htonl(payload);
    memcpy(request, "\xEB\x01\x01\x01", 4);
    memcpy(request + 4, &length, 4);
    memset(request + HEADER, 'e', payload);
    samples_ns = malloc(sizeof *samples_ns * MAX_SAMPLES);
    int poller = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd < 0 || fd >= MAX_FDS || connect(fd, (void *)&address, sizeof address)) { perror("connect"); return 3; }
        struct epoll_event interest = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &interest);
        ask(fd);
        struct pollfd answered = {.fd = last = fd, .events = POLLIN};
        if (poll(&answered, 1, FIRST_REPLY_MS) != 1) { fprintf(stderr, "no reply to the first request\n"); return 3; }
    }
    struct epoll_event ready[512];
    uint64_t start = now_ns(), end = start + seconds * 1e9, checked = start;
    for (uint64_t t = start; t < end; t = now_ns()) {
        int n = epoll_wait(poller, ready, 512, wait_ms);
        for (int i = 0; i < n; i++) answer(ready[i].data.fd);
        if (t - checked < LOST_NS / 10) continue;
        checked = t;
        for (int fd = 0; fd <= last; fd++)
            if (peers[fd].sequence && peers[fd].sent_ns + LOST_NS < t) { lost++; ask(fd); }
    }
    double elapsed = (now_ns() - start) / 1e9;
    qsort(samples_ns, total, sizeof *samples_ns, compare);
    printf("{\"throughput_per_s\": %.0f, \"responses\": %ld, \"wrong\": %ld, \"lost\": %ld, \"late\": %ld, "
           "\"p50_ns\": %u, \"p99_ns\": %u, \"p999_ns\": %u}\n",
           total / elapsed, total, wrong, lost, late,
           samples_ns[total / 2], samples_ns[(long)(total * .99)], samples_ns[(long)(total * .999)]);
    return wrong != 0;
}
