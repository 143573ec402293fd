# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers of images that go wrong on purpose, each for one daemon that looks at its source."""

import contextlib
import socket
import struct
import threading


@contextlib.contextmanager
def server(talk):
    """Its port; talk(connection) is what it does with each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection, contextlib.suppress(ConnectionError):
                    talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        # What close() does not wake.
        listener.shutdown(socket.SHUT_RDWR)


def get(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def nbd(size):
    """Has an export of that size, and hangs up when it is to be read."""
    def talk(connection):
        connection.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        get(connection, 4)
        while True:
            option, length = struct.unpack(">8xII", get(connection, 16))
            get(connection, length)
            reply, data = 1 << 31 | 1, b""	# not supported
            if option == 7:			# GO: the export, then that all is said
                info = struct.pack(">HQH", 0, size, 1)
                connection.sendall(struct.pack(">QIII", 0x3e889045565a9, option, 3, len(info)) +
                                   info)
                reply = 1
            connection.sendall(struct.pack(">QIII", 0x3e889045565a9, option, reply, len(data)))
            if reply == 1:
                get(connection, 28)
                return
    return talk


def iscsi(capacity):
    """Answers the question for its capacity with these bytes, or with an error when there are
    none, and hangs up at the next one."""
    def talk(connection):
        status = 0

        def send(opcode, flags, tag, data=b"", lun_to_tag=bytes(8), rest=bytes(16)):
            nonlocal status
            status += 1
            header = struct.pack(">BB2xI", opcode, flags, len(data)) + lun_to_tag + tag
            connection.sendall(header + rest[:4] + struct.pack(
                ">III", status, command + 1, command + 32) + rest[4:] +
                data + bytes(-len(data) % 4))

        while True:
            header = get(connection, 48)
            get(connection, (int.from_bytes(header[5:8], "big") + 3) // 4 * 4)
            opcode, flags, tag = header[0] & 0x3f, header[1], header[16:20]
            # What is immediate has no number of its own.
            command = int.from_bytes(header[24:28], "big") - (header[0] >> 6)
            if opcode == 3:			# login: whatever it wants
                keys = b"AuthMethod=None\0" if not flags & 0x0c else b"HeaderDigest=None\0"
                send(0x23, flags, tag, keys, header[8:14] + b"\0\1")
            elif header[32] == 0x9e and capacity:
                send(0x25, 0x81, tag, capacity, rest=b"\xff" * 4 + bytes(12))
            elif header[32] == 0x9e:		# a check condition: hardware error
                sense = bytes([0, 18, 0x70, 0, 4, 0, 0, 0, 0, 10]) + bytes(10)
                send(0x21, 0x80, tag, sense)
            elif header[32] == 0x12:
                return
            else:
                send(0x21, 0x80, tag)
    return talk
