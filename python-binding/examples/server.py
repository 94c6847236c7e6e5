"""A bank on the web: a WSGI server whose handlers share state in cowns, and clients who load it.

The server is that of the standard library, with a thread for each connection.
A handler reads the request, schedules a behaviour over the accounts that it
names, and waits for its result.  That is all that keeps transfers whole: there
is no lock, and no handler sees half of another one's work.

    POST /transfer?from=0&to=1&amount=5     moves money; 409 if there is not enough
    GET /account?number=0                   what an account holds
    GET /total                              the sum of all accounts, at one moment

    python server.py --clients 4 --requests 500     loads itself, and ends
    python server.py --port 8000                    waits for others, until Ctrl-C
"""

import argparse
import contextlib
import json
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import boc
from boc import Cown, when

OPENING_BALANCE = 100

Answer = tuple[str, Any]
"""The status, and what goes as JSON."""


class Bank:
    """The WSGI application. Its methods are called by many threads at the same time."""

    def __init__(self, accounts: int) -> None:
        self.accounts = [Cown(OPENING_BALANCE) for _ in range(accounts)]
        self.served: Cown[Counter[str]] = Cown(Counter())

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        query = {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        path = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        try:
            status, body = self.route(path, query)
        except (KeyError, ValueError, IndexError) as error:
            status, body = "400 Bad Request", {"error": repr(error)}

        @when(self.served)
        def count(served: Cown[Counter[str]]) -> None:
            served.value[status] += 1

        text = json.dumps(body).encode()
        start_response(
            status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
        )
        return [text]

    def route(self, path: str, query: dict[str, str]) -> Answer:
        if path == "POST /transfer":
            source, target = self.account(query["from"]), self.account(query["to"])
            return transfer(source, target, int(query["amount"])).result()
        if path == "GET /account":
            return balance(self.account(query["number"])).result()
        if path == "GET /total":
            return total(self.accounts).result()
        return "404 Not Found", {"error": "no such page"}

    def account(self, number: str) -> Cown[int]:
        if not number.isdecimal():
            raise ValueError(f"no number of an account: {number}")
        return self.accounts[int(number)]


def transfer(source: Cown[int], target: Cown[int], amount: int) -> Cown[Answer]:
    if amount < 0 or source == target:
        raise ValueError("an amount goes from one account to another one")

    @when(source, target)
    def done(source: Cown[int], target: Cown[int]) -> Answer:
        if source.value < amount:
            return "409 Conflict", {"error": "not enough", "balance": source.value}
        source.value -= amount
        target.value += amount
        return "200 OK", {"balance": source.value}

    return done


def balance(account: Cown[int]) -> Cown[Answer]:
    return when(account)(lambda account: ("200 OK", {"balance": account.value}))


def total(accounts: list[Cown[int]]) -> Cown[Answer]:
    @when(accounts)
    def summed(accounts: list[Cown[int]]) -> Answer:
        return "200 OK", {"total": sum(account.value for account in accounts)}

    return summed


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


Seen = tuple[Counter[int], set[int]]
"""What clients were answered: how often each status, and which totals."""


def load(port: int, accounts: int, requests: int, seed: int, seen: Cown[Seen]) -> None:
    """A client: mostly transfers, and now and then it looks whether the total is right."""
    dice = random.Random(seed)
    statuses: Counter[int] = Counter()
    totals: set[int] = set()
    for number in range(requests):
        if number % 20 == 0:
            status, body = ask(port, "GET", "/total")
            totals.add(body["total"])
        elif number % 20 == 10:
            status, body = ask(port, "GET", f"/account?number={accounts}")  # there is none
        else:
            source, target = dice.sample(range(accounts), 2)
            amount = dice.randrange(OPENING_BALANCE)
            status, body = ask(port, "POST", f"/transfer?from={source}&to={target}&amount={amount}")
        statuses[status] += 1

    @when(seen)
    def _(seen: Cown[Seen]) -> None:
        seen.value = seen.value[0] + statuses, seen.value[1] | totals


def ask(port: int, method: str, path: str) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def main() -> int:
    options = parse_options()
    boc.start(worker_count=options.workers)
    bank = Bank(options.accounts)
    with make_server(
        "127.0.0.1", options.port, bank, server_class=Server, handler_class=Quiet
    ) as server:
        if options.port:
            print(f"http://127.0.0.1:{options.port}/total")
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
            status = 0
        else:
            status = serve_own_clients(server, bank, options)
    boc.wait()
    return status


def serve_own_clients(server: WSGIServer, bank: Bank, options: argparse.Namespace) -> int:
    threading.Thread(target=server.serve_forever, name="server").start()
    seen: Cown[Seen] = Cown((Counter(), set()))
    given = server.server_port, options.accounts, options.requests
    clients = [
        threading.Thread(target=load, args=(*given, number, seen)) for number in range(options.clients)
    ]
    began = perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seconds = perf_counter() - began
    server.shutdown()

    boc.quiesce()
    served = sum(bank.served.unwrap().values())
    statuses, totals = seen.unwrap()
    money = sum(account.unwrap() for account in bank.accounts)
    print(f"{served:,} requests of {options.clients} clients in {seconds:.2f} s, {served / seconds:,.0f}/s")
    print(f"{statuses[200]:,} done, {statuses[409]:,} refused, {statuses[400]:,} wrong")
    kept = totals | {money} == {OPENING_BALANCE * options.accounts}
    answered = served == statuses[200] + statuses[409] + statuses[400] == options.clients * options.requests
    print(f"total always {money:,}" if kept else f"WRONG: {money:,}, {totals}")
    print("every request was answered" if answered else f"WRONG: {statuses}")
    return 0 if kept and answered else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A bank on the web, and its clients.")
    parser.add_argument("--accounts", type=int, default=50, help="at least 2 (%(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="threads (%(default)s)")
    parser.add_argument("--requests", type=int, default=500, help="of each client (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="serve others there, without clients")
    options = parser.parse_args()
    if options.accounts < 2 or min(options.clients, options.requests, options.workers) < 1:
        parser.error("needs at least 2 accounts, 1 client, 1 request and 1 worker")
    return options


if __name__ == "__main__":
    sys.exit(main())
