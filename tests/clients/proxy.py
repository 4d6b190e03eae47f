"""A gateway between a client and the server that loses answers on order."""

import socket
import struct
import threading

GATEWAY_ANSWER = b"<html>the gateway lost it</html>"


class CuttingProxy:
    """Passes HTTP/1.1 on to a server. The first request with `mark` at its beginning meets `mishap`, all others none.

    Mishaps, by what becomes of the request and of its answer:

    * `cut_before`: nothing reaches the server, the client's connection ends;
    * `cut_inside`: half of the body reaches the server, then both connections end;
    * `cut_unanswered`: the server has the whole request, then both connections end at once;
    * `cut_after`, `reset_after`: the server has answered, the client gets an orderly end, or a reset;
    * `cut_answer`: the server has answered, the client gets half of its answer's body, then the end;
    * `gateway_502`, `gateway_503`, `gateway_504`: the server has answered, the client gets that status from the gateway.
    """

    def __init__(self, port, mark, mishap):
        self._port, self._mark, self._mishap = port, mark, mishap
        self._lock = threading.Lock()
        self.happened = False
        # What the server answered to the request that met the mishap; `None` when it was never asked in full.
        self.lost = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            from_client, from_server = client.makefile("rb"), server.makefile("rb")
            while request := read_message(from_client):
                if self._takes(request[0]):
                    self._meet(client, server, from_server, *request)
                    return
                server.sendall(request[0] + request[1])
                answer = read_message(from_server)
                if not answer:
                    return
                client.sendall(answer[0] + answer[1])

    def _takes(self, head):
        with self._lock:
            taken = not self.happened and head.startswith(self._mark)
            self.happened |= taken
            return taken

    def _meet(self, client, server, from_server, head, body):
        if self._mishap == "cut_before":
            return end(client)
        if self._mishap == "cut_inside":
            server.sendall(head + body[: len(body) // 2])
            return end(client)
        server.sendall(head + body)
        if self._mishap == "cut_unanswered":
            return end(client)
        answer = read_message(from_server)
        self.lost = answer[0].split(b"\r\n")[0].decode()
        if self._mishap.startswith("gateway_"):
            status = self._mishap.removeprefix("gateway_")
            length = len(GATEWAY_ANSWER)
            head = f"HTTP/1.1 {status} Lost\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            client.sendall(head.encode() + GATEWAY_ANSWER)
        elif self._mishap == "cut_answer":
            client.sendall(answer[0] + answer[1][: len(answer[1]) // 2])
        elif self._mishap == "reset_after":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return None
        return end(client)


def end(stream):
    """`close` alone would wait for the file objects made of the socket."""
    stream.shutdown(socket.SHUT_RDWR)


def read_message(stream):
    """Head and body of one message with a length; `None` at the end of the stream."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    lengths = [
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    ]
    return head, stream.read(lengths[0]) if lengths else b""
