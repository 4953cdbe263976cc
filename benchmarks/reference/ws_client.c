/* Reference closed-loop client: the wire protocol (servers/wire/_message.py) over WebSocket, one thread, one epoll loop.
 *
 * One request outstanding on each connection, in one masked frame; every reply, frame head and all, is compared with what
 * must come. Each connection has a fresh random masking key, so its frame is masked once and only the sequence changes.
 * All handshakes are done before the time begins. The subprotocol echobench.v1 is offered and must be selected; with `raw`
 * nothing is offered and the bytes are expected back unchanged: for servers that echo without parsing.
 *
 *   cc -O2 -o ws_client ws_client.c && ./ws_client PORT CONNECTIONS PAYLOAD SECONDS [spin] [raw]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 16, MAX_FDS = 1 << 16, LARGEST = 1 << 17, REQUEST = 1, RESPONSE = 2, MAX_SAMPLES = 1 << 26, PATIENCE_S = 10 };

/* The key and its answer are those of RFC 6455, section 1.3: so the answer is checked without a SHA-1 here. */
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==", ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", OFFER[] = "echobench.v1";

struct connection { uint64_t sequence, sent_ns; uint32_t received; unsigned char key[4], *frame, *reply; };
static struct connection connections[MAX_FDS];
static unsigned char expected[10 + HEADER + LARGEST];
static int head, size, kind = RESPONSE;  /* bytes: of a reply's frame head, of a message */
static long total, wrong;
static uint32_t *samples_ns;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(3);
}

/* Writes the head of a binary frame, without its masking key; returns its length. */
static int begin_frame(unsigned char *frame, uint64_t length) {
    int extended = length > 0xFFFF ? 8 : length > 125 ? 2 : 0;
    frame[0] = 0x82;
    frame[1] = extended == 8 ? 127 : extended == 2 ? 126 : length;
    for (int i = 0; i < extended; i++) frame[2 + i] = length >> (8 * (extended - 1 - i));
    return 2 + extended;
}

/* What a reply must be: one frame without masking key, all of it known but for the sequence. */
static void expect(uint32_t payload) {
    uint32_t length = htonl(payload);
    size = HEADER + payload;
    head = begin_frame(expected, size);
    memcpy(expected + head, "\xEB\x01\x01", 3);
    expected[head + 3] = kind;
    memcpy(expected + head + 4, &length, 4);
    memset(expected + head + HEADER, 'e', payload);
}

static void ask(int fd) {
    struct connection *c = &connections[fd];
    uint64_t sequence = htobe64(++c->sequence), keys;
    memcpy(&keys, c->key, 4);
    memcpy((unsigned char *)&keys + 4, c->key, 4);
    sequence ^= keys;
    memcpy(c->frame + head + 4 + 8, &sequence, 8);
    c->received = 0;
    c->sent_ns = now_ns();
    if (write(fd, c->frame, head + 4 + size) != head + 4 + size) fail("short write");
}

/* Makes the request of a connection, masked with a key of its own. */
static void prepare(struct connection *c) {
    c->frame = malloc(head + 4 + size);
    c->reply = malloc(head + size);
    if (getrandom(c->key, sizeof c->key, 0) != sizeof c->key) fail("no random key");
    memcpy(c->frame, expected, head);
    c->frame[1] |= 0x80;
    memcpy(c->frame + head, c->key, 4);
    memcpy(c->frame + head + 4, expected + head, size);
    c->frame[head + 4 + 3] = REQUEST;
    for (int i = 0; i < size; i++) c->frame[head + 4 + i] ^= c->key[i & 3];
}

/* Tells whether the head of a reply has this header line: its name in any case, its value as it stands. */
static int has(const char *reply, const char *name, const char *value) {
    const char *line = strcasestr(reply, name);
    if (!line) return 0;
    line += strlen(name);
    line += strspn(line, " ");
    return !strncmp(line, value, strlen(value)) && !strncmp(line + strlen(value), "\r\n", 2);
}

/* Makes the handshake; the server says nothing after it before it is asked. */
static void shake_hands(int fd, int port) {
    char request[512], reply[4096];
    int offered = kind == RESPONSE, used = 0;
    int length = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
                          port, KEY, offered ? "Sec-WebSocket-Protocol: " : "", offered ? OFFER : "", offered ? "\r\n" : "");
    struct timeval patience = {.tv_sec = PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (write(fd, request, length) != length) fail("short write");
    for (reply[0] = 0; !strstr(reply, "\r\n\r\n"); reply[used] = 0) {
        ssize_t got = used < (int)sizeof reply - 1 ? read(fd, reply + used, sizeof reply - 1 - used) : 0;
        if (got <= 0) fail("the handshake was not answered");
        used += got;
    }
    if (strncmp(reply, "HTTP/1.1 101 ", 13) || !has(reply, "\r\nSec-WebSocket-Accept:", ACCEPT) ||
        has(reply, "\r\nSec-WebSocket-Protocol:", OFFER) != offered) {
        *strstr(reply, "\r\n") = 0;
        fprintf(stderr, "the handshake was answered wrongly: %s\n", reply);
        exit(3);
    }
}

static int connected(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || fd >= MAX_FDS || connect(fd, (void *)&to, sizeof to)) { perror("connect"); exit(3); }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    shake_hands(fd, port);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    prepare(&connections[fd]);
    return fd;
}

/* Takes what there is of a reply; one that is whole is judged and followed by the next request. */
static void answer(int fd) {
    struct connection *c = &connections[fd];
    ssize_t got = read(fd, c->reply + c->received, head + size - c->received);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) fail("connection closed");
    c->received += got;
    if (memcmp(c->reply, expected, c->received < (uint32_t)head ? c->received : (uint32_t)head)) {
        fprintf(stderr, "another frame than that of the reply: it begins with %02x %02x\n", c->reply[0], c->reply[1]);
        exit(3);
    }
    if (c->received < (uint32_t)(head + size)) return;
    uint64_t t = now_ns(), sequence = htobe64(c->sequence);
    memcpy(expected + head + 8, &sequence, 8);
    wrong += memcmp(c->reply + head, expected + head, size) != 0;
    if (total < MAX_SAMPLES) samples_ns[total++] = t - c->sent_ns;
    ask(fd);
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc < 5) { fprintf(stderr, "usage: ws_client PORT CONNECTIONS PAYLOAD SECONDS [spin] [raw]\n"); return 2; }
    int port = atoi(argv[1]), count = atoi(argv[2]), payload = atoi(argv[3]), wait_ms = 100;
    for (int i = 5; i < argc; i++) {
        if (!strcmp(argv[i], "spin")) wait_ms = 0;
        if (!strcmp(argv[i], "raw")) kind = REQUEST;
    }
    double seconds = atof(argv[4]);
    if (payload < 0 || payload > LARGEST) { fprintf(stderr, "PAYLOAD is 0 to %d\n", LARGEST); return 2; }
    struct rlimit files = {MAX_FDS, MAX_FDS};
    setrlimit(RLIMIT_NOFILE, &files);
    expect(payload);
    samples_ns = malloc(sizeof *samples_ns * MAX_SAMPLES);
    int poller = epoll_create1(0), *fds = malloc(sizeof *fds * count);
    for (int i = 0; i < count; i++) {
        struct epoll_event interest = {.events = EPOLLIN, .data.fd = fds[i] = connected(port)};
        epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &interest);
    }
    struct epoll_event ready[512];
    uint64_t start = now_ns(), end = start + seconds * 1e9;
    for (int i = 0; i < count; i++) ask(fds[i]);
    for (uint64_t t = start; t < end; t = now_ns()) {
        int n = epoll_wait(poller, ready, 512, wait_ms);
        for (int i = 0; i < n; i++) answer(ready[i].data.fd);
    }
    double elapsed = (now_ns() - start) / 1e9;
    qsort(samples_ns, total, sizeof *samples_ns, compare);
    printf("{\"throughput_per_s\": %.0f, \"responses\": %ld, \"wrong\": %ld, \"p50_ns\": %u, \"p99_ns\": %u, \"p999_ns\": %u}\n",
           total / elapsed, total, wrong,
           samples_ns[total / 2], samples_ns[(long)(total * .99)], samples_ns[(long)(total * .999)]);
    return wrong != 0;
}
