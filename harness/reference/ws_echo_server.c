/* Reference echo server over WebSocket (RFC 6455): one binary frame is one message, one thread, one epoll loop.
 *
 * The counterpart of echo_server.c: a server that costs almost nothing, to see the load generator's own ceiling. An
 * answer is four bytes shorter than its frame (it has no masking key), so it is put where the frame was: each connection
 * has one buffer and never more. What the peer does not take yet stays there, and nothing is read until it has gone.
 * It knows as much of the protocol as a load needs. Fragments are refused (1002), like all that is no request or no frame
 * of a client; text gets 1003, what is longer than the buffer 1009. A request that is no handshake gets a 400.
 *
 *   cc -O2 -o ws_echo_server ws_echo_server.c && ./ws_echo_server 9000
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 16, LARGEST = 1 << 18, FRAME = 14, BUFFER = LARGEST + FRAME, MAX_FDS = 1 << 16, RESPONSE = 2 };
enum { HANDSHAKE_MOST = 8192, KEY = 24, ACCEPT = 28, CONTROL_MOST = 125 };
enum { FIN = 0x80, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, MASKED = 0x80 };
enum { PROTOCOL_ERROR = 1002, UNSUPPORTED = 1003, TOO_BIG = 1009 };
enum phase { HANDSHAKE, OPEN, CLOSING, SHUT };

static const unsigned char START[4] = {0xEB, 0x01, 1, 1};  /* magic, version, kind REQUEST */

/* bytes[sent, ready) are answers on their way, bytes[taken, used) is input that was not looked at or is not whole. */
struct connection { unsigned char *bytes; uint32_t sent, ready, taken, used; enum phase phase; int blocked; };
static struct connection connections[MAX_FDS];
static int poller;

/* ---- the handshake ---- */

static uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

static void sha1_block(uint32_t state[5], const unsigned char *block) {
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++) {
        memcpy(&w[i], block + 4 * i, 4);
        w[i] = ntohl(w[i]);
    }
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t choice = (b & c) | (~b & d), parity = b ^ c ^ d, majority = (b & c) | (b & d) | (c & d);
        uint32_t mixed = i < 20 ? choice : i < 40 || i >= 60 ? parity : majority;
        uint32_t constant = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
        uint32_t next = rotate(a, 5) + mixed + e + constant + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static void base64(char *text, const unsigned char *bytes, int size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < size; i += 3) {
        uint32_t three = bytes[i] << 16 | (i + 1 < size ? bytes[i + 1] << 8 : 0) | (i + 2 < size ? bytes[i + 2] : 0);
        for (int j = 0; j < 4; j++) *text++ = i + j > size ? '=' : digits[three >> (18 - 6 * j) & 63];
    }
    *text = 0;
}

/* Sec-WebSocket-Accept of a key: base64(SHA-1(key + GUID)). That is always 60 bytes, so two blocks with the padding. */
static void accept_of(char accept[ACCEPT + 1], const char *key) {
    unsigned char message[128] = {0}, digest[20];
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    memcpy(message, key, KEY);
    memcpy(message + KEY, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    message[60] = 0x80;
    message[126] = 60 * 8 >> 8, message[127] = 60 * 8 & 0xFF;
    sha1_block(state, message);
    sha1_block(state, message + 64);
    for (int i = 0; i < 20; i++) digest[i] = state[i / 4] >> (24 - 8 * (i % 4));
    base64(accept, digest, sizeof digest);
}

/* Tells whether a header line has this name; if so, `value` and `size` become what follows it, without spaces. */
static int is_header(const char *line, const char *end, const char *name, const char **value, size_t *size) {
    size_t length = strlen(name);
    if ((size_t)(end - line) <= length || strncasecmp(line, name, length) || line[length] != ':') return 0;
    for (line += length + 1; line < end && (*line == ' ' || *line == '\t'); line++) {}
    while (end > line && (end[-1] == ' ' || end[-1] == '\t')) end--;
    *value = line;
    *size = end - line;
    return 1;
}

/* Tells whether a comma-separated list has this word in it. */
static int offers(const char *list, size_t size, const char *word) {
    for (const char *end = list + size; list < end;) {
        size_t length = 0;
        while (list < end && strchr(", \t", *list)) list++;
        while (list + length < end && !strchr(", \t", list[length])) length++;
        if (length == strlen(word) && !memcmp(list, word, length)) return 1;
        list += length;
    }
    return 0;
}

/* Writes the reply to a whole request (its last line ends at `end`); returns whether it is a handshake. */
static int reply_to(const char *request, const char *end, char *reply, size_t room) {
    const char *value, *key = NULL, *line = memmem(request, end - request, "\r\n", 2);
    int offered = 0, begins = !strncmp(request, "GET ", 4) && line - request > 13 && !memcmp(line - 9, " HTTP/1.1", 9);
    size_t size;
    for (const char *next; (line += 2) < end; line = next) {
        next = memmem(line, end - line, "\r\n", 2);
        if (is_header(line, next, "Sec-WebSocket-Key", &value, &size) && size == KEY) key = value;
        if (is_header(line, next, "Sec-WebSocket-Protocol", &value, &size)) offered |= offers(value, size, "echobench.v1");
    }
    if (!begins || !key) {
        snprintf(reply, room, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return 0;
    }
    char accept[ACCEPT + 1];
    accept_of(accept, key);
    snprintf(reply, room, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n%s\r\n", accept, offered ? "Sec-WebSocket-Protocol: echobench.v1\r\n" : "");
    return 1;
}

/* Answers the handshake when it is whole; returns whether the connection can go on. */
static int take_handshake(int fd, struct connection *c) {
    static const char NONE[] = "\r\n\r\n";
    char reply[256], *request = (char *)c->bytes, *end = memmem(request, c->used, "\r\n\r\n", 4);
    uint32_t seen = end ? end + 4 - request : c->used;
    if (!end && c->used <= HANDSHAKE_MOST) return 1;
    int agreed = end && seen <= HANDSHAKE_MOST && reply_to(request, end + 2, reply, sizeof reply);
    if (!end || seen > HANDSHAKE_MOST) reply_to(NONE, NONE + 2, reply, sizeof reply);
    c->phase = agreed ? OPEN : CLOSING;
    c->taken = seen;
    /* The first bytes on a fresh connection: there is room for them, and nothing before them. */
    return send(fd, reply, strlen(reply), MSG_NOSIGNAL) == (ssize_t)strlen(reply);
}

/* ---- frames ---- */

/* Copies masked bytes to where they are clear; `to` may be before `from` in the same buffer. */
static void unmask(unsigned char *to, const unsigned char *from, uint32_t key, uint32_t size) {
    uint64_t keys = (uint64_t)key << 32 | key, eight;
    uint32_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&eight, from + i, 8);
        eight ^= keys;
        memcpy(to + i, &eight, 8);
    }
    for (; i < size; i++) to[i] = from[i] ^ ((const unsigned char *)&key)[i & 3];
}

static int is_request(const unsigned char *message, uint32_t size) {
    uint32_t length;
    if (size < HEADER) return 0;
    memcpy(&length, message + 4, 4);
    return !memcmp(message, START, 4) && ntohl(length) == size - HEADER;
}

/* Puts a close frame behind the answers. What the peer sends from now on is not looked at. */
static void refuse(struct connection *c, int code) {
    unsigned char frame[4] = {FIN | CLOSE, 2, code >> 8, code & 0xFF};
    memcpy(c->bytes + c->ready, frame, sizeof frame);
    c->ready += sizeof frame;
    c->phase = CLOSING;
}

/* Says what is wrong with the start of a frame as a close code, 0 if nothing. */
static int judge(const unsigned char *frame, uint32_t extended, uint64_t length) {
    int opcode = frame[0] & 15;
    if (!(frame[0] & FIN) || frame[0] & 0x70 || !(frame[1] & MASKED)) return PROTOCOL_ERROR;
    if (opcode == TEXT) return UNSUPPORTED;
    if (opcode != BINARY && (opcode < CLOSE || opcode > PONG || length > CONTROL_MOST)) return PROTOCOL_ERROR;
    if ((extended == 2 && length < 126) || (extended == 8 && length < 1 << 16)) return PROTOCOL_ERROR;
    return length > LARGEST ? TOO_BIG : 0;
}

/* Turns every whole frame into its answer: the same head without masking key, the same bytes in clear. */
static void take_frames(struct connection *c) {
    while (c->phase == OPEN && c->used - c->taken >= 2) {
        unsigned char *frame = c->bytes + c->taken, *answer = c->bytes + c->ready;
        uint64_t length = frame[1] & 127;
        uint32_t there = c->used - c->taken, extended = length == 127 ? 8 : length == 126 ? 2 : 0, head = 2 + extended, key;
        if (there < head) return;
        if (extended) length = 0;
        for (uint32_t i = 2; i < head; i++) length = length << 8 | frame[i];
        int wrong = judge(frame, extended, length), opcode = frame[0] & 15;
        if (wrong) { refuse(c, wrong); return; }
        if (there < head + 4 + length) return;
        memcpy(&key, frame + head, 4);
        memmove(answer, frame, head);
        answer[1] &= 127;
        unmask(answer + head, frame + head + 4, key, length);
        c->taken += head + 4 + length;
        if (opcode == BINARY) {
            if (!is_request(answer + head, length)) { refuse(c, PROTOCOL_ERROR); return; }
            answer[head + 3] = RESPONSE;
        }
        if (opcode == PING) answer[0] = FIN | PONG;
        if (opcode == CLOSE) c->phase = CLOSING;
        if (opcode != PONG) c->ready += head + length;
    }
}

/* ---- connections ---- */

static void drop(int fd) {
    free(connections[fd].bytes);
    connections[fd] = (struct connection){0};
    close(fd);
}

static void wait_for(int fd, int blocked) {
    struct epoll_event interest = {.events = blocked ? EPOLLOUT : EPOLLIN, .data.fd = fd};
    if (connections[fd].blocked == blocked) return;
    epoll_ctl(poller, EPOLL_CTL_MOD, fd, &interest);
    connections[fd].blocked = blocked;
}

/* Sends the answers; what is not taken waits for the peer. When all have gone, a closing connection is shut down. */
static void flush(int fd) {
    struct connection *c = &connections[fd];
    while (c->sent < c->ready) {
        ssize_t n = send(fd, c->bytes + c->sent, c->ready - c->sent, MSG_NOSIGNAL);
        if (n > 0) { c->sent += n; continue; }
        if (errno == EINTR) continue;
        if (errno == EAGAIN) wait_for(fd, 1);
        else drop(fd);
        return;
    }
    memmove(c->bytes, c->bytes + c->taken, c->used - c->taken);
    c->used -= c->taken;
    c->sent = c->ready = c->taken = 0;
    wait_for(fd, 0);
    if (c->phase != CLOSING) return;
    shutdown(fd, SHUT_WR);
    c->phase = SHUT;
}

static void serve(int fd) {
    struct connection *c = &connections[fd];
    if (c->blocked) { flush(fd); return; }
    if (!c->bytes && !(c->bytes = malloc(BUFFER))) { drop(fd); return; }
    if (c->phase == SHUT) c->used = 0;  /* what comes now is only read so that the end of it is seen */
    ssize_t got = read(fd, c->bytes + c->used, BUFFER - c->used);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        drop(fd);
        return;
    }
    c->used += got;
    if (c->phase == HANDSHAKE && !take_handshake(fd, c)) { drop(fd); return; }
    if (c->phase == OPEN) take_frames(c);
    if (c->phase == CLOSING) c->used = c->taken = c->ready;
    if (c->phase != HANDSHAKE) flush(fd);
}

int main(int argc, char **argv) {
    if (argc != 2) { fprintf(stderr, "usage: ws_echo_server PORT\n"); return 2; }
    struct rlimit files = {MAX_FDS, MAX_FDS};
    setrlimit(RLIMIT_NOFILE, &files);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) { perror("listen"); return 2; }
    poller = epoll_create1(0);
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = listener}, ready[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &interest);
    printf("{\"event\": \"ready\", \"host\": \"127.0.0.1\", \"port\": %s, \"pid\": %d}\n", argv[1], getpid());
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, ready, 512, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd != listener) { serve(fd); continue; }
            int peer;
            while ((peer = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
                if (peer >= MAX_FDS) { close(peer); continue; }
                setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                interest.data.fd = peer;
                epoll_ctl(poller, EPOLL_CTL_ADD, peer, &interest);
            }
        }
    }
}
