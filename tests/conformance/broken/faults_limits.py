"""Faults at the limits of connections and descriptors."""

from __future__ import annotations

import argparse
import os
import select
import socket
import sys

from tiny_server import TinyServer


class IgnoresTheLimitOfConnections(TinyServer):
    def is_full(self) -> bool:
        return False


class LetsOneTooManyIn(TinyServer):
    def is_full(self) -> bool:
        return bool(0 < self.options.max_connections < len(self.live))


class LeavesThoseOverTheLimitWaiting(TinyServer):
    def refuse(self, connection: socket.socket) -> None:
        self.refused += 1
        connection.detach()


class DoesNotCountWhomItRefuses(TinyServer):
    def refuse(self, connection: socket.socket) -> None:
        connection.close()


class CountsAllThatEverCame(TinyServer):
    def is_full(self) -> bool:
        return bool(0 < self.options.max_connections <= len(self.echoes))


class EndsTheOldestForANewOne(TinyServer):
    def is_full(self) -> bool:
        if super().is_full():
            next(iter(self.live)).shutdown(socket.SHUT_RDWR)
        return False


class DiesWithoutDescriptors(TinyServer):
    def accept_without_descriptors(self) -> None:
        os._exit(1)


class LeavesThemInTheQueueWithoutDescriptors(TinyServer):
    def accept_without_descriptors(self) -> None:
        pass


class ComplainsOfALackOfDescriptors(TinyServer):
    def accept_without_descriptors(self) -> None:
        super().accept_without_descriptors()
        print("too many open files", file=sys.stderr)


class GivesItsSpareDescriptorAway(TinyServer):
    def accept_without_descriptors(self) -> None:
        if self.spare >= 0:
            super().accept_without_descriptors()
            os.close(self.spare)
            self.spare = -1


class _NoticesALack(TinyServer):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.lacked = False

    def accept_without_descriptors(self) -> None:
        super().accept_without_descriptors()
        self.lacked = True


class SpinsWithoutDescriptors(_NoticesALack):
    def serve_until_stopped(self) -> None:
        while not self.stopping:
            if select.select([self.listener], [], [], 0 if self.lacked else 0.05)[0]:
                self.accept()


class NeverRecoversFromALack(_NoticesALack):
    def start(self, connection: socket.socket) -> None:
        if self.lacked:
            self.refuse(connection)
        else:
            super().start(connection)
