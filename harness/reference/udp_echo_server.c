/* Reference echo server over UDP: one datagram is one message, one thread, one socket, batches of datagrams.
 *
 * The counterpart of echo_server.c: a server that costs almost nothing, to see the load generator's own ceiling.
 * What is no whole request is dropped without an answer, as the protocol has it.
 *
 *   cc -O2 -o udp_echo_server udp_echo_server.c && ./udp_echo_server 9000
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER = 16, LARGEST = 1 << 16, BATCH = 64, REQUEST = 1, RESPONSE = 2, RECEIVE_BUFFER = 4 << 20 };

static const unsigned char START[4] = {0xEB, 0x01, 1, REQUEST};  /* magic, version, kind */
static unsigned char bytes[BATCH][LARGEST];
static struct sockaddr_in peers[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static int is_request(const unsigned char *datagram, uint32_t size) {
    uint32_t length;
    if (size < HEADER) return 0;
    memcpy(&length, datagram + 4, 4);
    return !memcmp(datagram, START, 4) && ntohl(length) == size - HEADER;
}

static void prepare(int i) {
    parts[i] = (struct iovec){.iov_base = bytes[i], .iov_len = LARGEST};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &peers[i], .msg_namelen = sizeof peers[i],
                                          .msg_iov = &parts[i], .msg_iovlen = 1};
}

/* Sends everything that was received and is a request back to where it came from. */
static void answer(int fd, int received) {
    for (int i = 0; i < received; i++) {
        if (!is_request(bytes[i], messages[i].msg_len)) continue;
        bytes[i][3] = RESPONSE;
        while (sendto(fd, bytes[i], messages[i].msg_len, 0, (void *)&peers[i], sizeof peers[i]) < 0 && errno == EINTR) {}
    }
}

int main(int argc, char **argv) {
    if (argc != 2) { fprintf(stderr, "usage: udp_echo_server PORT\n"); return 2; }
    int room = RECEIVE_BUFFER, fd = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (void *)&address, sizeof address)) { perror("bind"); return 2; }
    printf("{\"event\": \"ready\", \"host\": \"127.0.0.1\", \"port\": %s, \"pid\": %d}\n", argv[1], getpid());
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < BATCH; i++) prepare(i);
        int received = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        if (received > 0) answer(fd, received);
        else if (errno != EINTR && errno != ECONNREFUSED) { perror("recvmmsg"); return 1; }
    }
}
