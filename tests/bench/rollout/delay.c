/* delay NAMESPACE DEVICE NAMESPACE DEVICE MICROSECONDS: a cable between two network namespaces that holds every packet
 * for a while, each way. Linux has netem for that, where its kernel was built with it; TUN devices are everywhere.
 * Says "ready" when both devices are there, and runs until it is killed. It neither loses packets nor limits how many
 * pass: when a direction's queue is full, the kernel keeps what comes after in the device's own queue. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = 16384, BYTES = 1536 };

struct packet {
    int64_t due; /* nanoseconds */
    ssize_t length;
    char bytes[BYTES];
};

/* What is on its way in one direction; `first` equals `next` when nothing is. */
struct way {
    int from, to;
    unsigned first, next;
    struct packet *ring;
};

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static int device(const char *namespace, const char *name)
{
    int space = open(namespace, O_RDONLY), tun;
    struct ifreq wanted = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    if (space < 0 || setns(space, CLONE_NEWNET))
        give_up(namespace);
    close(space);
    snprintf(wanted.ifr_name, sizeof wanted.ifr_name, "%s", name);
    tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (tun < 0 || ioctl(tun, TUNSETIFF, &wanted))
        give_up("/dev/net/tun");
    return tun;
}

static void take(struct way *way, int64_t hold)
{
    while ((way->next + 1) % PACKETS != way->first) {
        struct packet *packet = &way->ring[way->next];
        packet->length = read(way->from, packet->bytes, BYTES);
        if (packet->length <= 0)
            return;
        packet->due = now() + hold;
        way->next = (way->next + 1) % PACKETS;
    }
}

static void hand_over(struct way *way)
{
    int64_t time = now();
    while (way->first != way->next && way->ring[way->first].due <= time) {
        struct packet *packet = &way->ring[way->first];
        if (write(way->to, packet->bytes, packet->length) < 0)
            return; /* its queue is full: at the next turn */
        way->first = (way->first + 1) % PACKETS;
    }
}

int main(int count, char **words)
{
    struct way ways[2];
    int64_t hold;
    int ends[2];
    if (count != 6) {
        fputs("usage: delay NAMESPACE DEVICE NAMESPACE DEVICE MICROSECONDS\n", stderr);
        return 2;
    }
    ends[0] = device(words[1], words[2]);
    ends[1] = device(words[3], words[4]);
    hold = strtoll(words[5], NULL, 10) * 1000;
    for (int i = 0; i < 2; i++) {
        ways[i] = (struct way){ .from = ends[i], .to = ends[1 - i] };
        ways[i].ring = calloc(PACKETS, sizeof *ways[i].ring);
        if (!ways[i].ring)
            give_up("memory");
    }
    prctl(PR_SET_TIMERSLACK, 1000UL);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd readable[2] = { { ends[0], POLLIN, 0 }, { ends[1], POLLIN, 0 } };
        int64_t wait = INT64_MAX, time = now();
        for (int i = 0; i < 2; i++) {
            struct way *way = &ways[i];
            if (way->first == way->next)
                continue;
            int64_t left = way->ring[way->first].due - time;
            /* A full queue at the other end is tried again soon. */
            left = left > 0 ? left : 100000;
            wait = left < wait ? left : wait;
        }
        struct timespec limit = { wait / 1000000000, wait % 1000000000 };
        ppoll(readable, 2, wait == INT64_MAX ? NULL : &limit, NULL);
        for (int i = 0; i < 2; i++) {
            hand_over(&ways[i]);
            if (readable[i].revents & POLLIN)
                take(&ways[i], hold);
        }
    }
}
