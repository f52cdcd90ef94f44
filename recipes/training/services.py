"""What a profile is trained on besides CPython's regression tests: work like that of services.

The regression tests run each rare path about as often as the common one. This program adds the
common ones: objects with attributes and methods, containers, strings, generators, coroutines,
exceptions, and the parts of the standard library that services stand on. It needs the standard
library alone, no network and no file outside a temporary directory, and the same numbers come out
each time. None of it is taken from a benchmark suite: those remain a test that it did not see.

    ./python -E services.py [TIMES]     # each task TIMES times, 1 by default: a quarter of a second instrumented
"""

import argparse
import array
import ast
import asyncio
import base64
import bisect
import collections
import configparser
import contextlib
import contextvars
import copy
import csv
import dataclasses
import datetime
import decimal
import difflib
import email.message
import email.parser
import enum
import fnmatch
import fractions
import functools
import hashlib
import heapq
import hmac
import html.parser
import inspect
import io
import ipaddress
import itertools
import json
import logging
import operator
import os
import pathlib
import pickle
import pprint
import queue
import random
import re
import shlex
import statistics
import string
import struct
import sys
import tempfile
import textwrap
import threading
import typing
import urllib.parse
import uuid
import weakref
import xml.etree.ElementTree as ElementTree
import zlib

TASKS = []


def task(function):
    TASKS.append(function)
    return function


# Records of a shop, as an API would hold them.


class State(enum.Enum):
    OPEN = "open"
    PAID = "paid"
    SENT = "sent"


class Right(enum.IntFlag):
    READ = 1
    WRITE = 2
    ADMIN = 4


@dataclasses.dataclass
class Item:
    sku: str
    count: int
    price: float
    tags: list = dataclasses.field(default_factory=list)

    def total(self):
        return self.count * self.price


@dataclasses.dataclass(order=True, frozen=True)
class Key:
    shop: int
    number: int


@dataclasses.dataclass
class Order:
    key: Key
    customer: str
    state: State = State.OPEN
    items: list = dataclasses.field(default_factory=list)
    notes: dict = dataclasses.field(default_factory=dict)

    @property
    def total(self):
        return sum(item.total() for item in self.items)

    def as_json(self):
        return {
            "shop": self.key.shop,
            "number": self.key.number,
            "customer": self.customer,
            "state": self.state.value,
            "items": [{"sku": i.sku, "count": i.count, "price": i.price, "tags": i.tags} for i in self.items],
            "notes": self.notes,
            "total": round(self.total, 2),
        }

    @classmethod
    def from_json(cls, value):
        return cls(
            Key(value["shop"], value["number"]),
            value["customer"],
            State(value["state"]),
            [Item(**item) for item in value["items"]],
            value.get("notes", {}),
        )


def orders(count, seed=1):
    chance = random.Random(seed)
    words = "red green blue small large old new cheap fine rare ünïcode 商品".split()
    for number in range(count):
        items = [
            Item(f"SKU-{chance.randrange(10_000):05d}", chance.randint(1, 9), chance.random() * 100, chance.sample(words, 3))
            for _ in range(chance.randint(1, 6))
        ]
        yield Order(
            Key(number % 7, number),
            f"customer {chance.randrange(100)}",
            chance.choice(list(State)),
            items,
            {"gift": chance.random() < 0.2, "weight": chance.gauss(5, 2), "by": None, "route": list(range(number % 5))},
        )


@task
def api_requests():
    store = {order.key: order for order in orders(250)}
    text = json.dumps([order.as_json() for order in store.values()])
    again = [Order.from_json(value) for value in json.loads(text)]
    by_customer = collections.defaultdict(list)
    for order in again:
        by_customer[order.customer].append(order)
    rows = sorted(
        ((name, len(group), sum(o.total for o in group)) for name, group in by_customer.items()),
        key=lambda row: (-row[2], row[0]),
    )
    pretty = json.dumps(store and rows, indent=2, sort_keys=True, default=str)
    for order in again[:60]:
        json.loads(json.dumps(order.as_json(), ensure_ascii=False, separators=(",", ":")))
    first = collections.Counter(tag for order in again for item in order.items for tag in item.tags)
    return len(pretty), first.most_common(3)


@task
def copies():
    originals = list(orders(60, seed=2))
    for order in originals:
        twin = copy.deepcopy(order)
        twin.items.append(copy.copy(twin.items[0]))
        dataclasses.replace(order, state=State.PAID)
        dataclasses.asdict(order)
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        pickle.loads(pickle.dumps(originals, protocol))
    nested = {"a": [1, 2, {"b": (3, 4), "c": {5, 6}}], "d": {str(i): [i] * 3 for i in range(40)}}
    for _ in range(25):
        copy.deepcopy(nested)


# Routes, templates, forms: strings and regular expressions.


ROUTES = [
    (method, re.compile(pattern), name)
    for method, pattern, name in [
        ("GET", r"^/$", "index"),
        ("GET", r"^/orders/(?P<number>\d+)$", "order"),
        ("POST", r"^/orders/(?P<number>\d+)/items/(?P<sku>[\w-]+)$", "add"),
        ("GET", r"^/static/(?P<path>.+\.(?:css|js|png))$", "static"),
        ("GET", r"^/users/(?P<name>[^/]+)(?:/(?P<tab>posts|likes))?/?$", "user"),
    ]
]


@task
def routing():
    found = collections.Counter()
    for number in range(1200):
        for method, path in (
            ("GET", "/"),
            ("GET", f"/orders/{number}"),
            ("POST", f"/orders/{number}/items/SKU-{number:05}"),
            ("GET", f"/static/site/{number}.css"),
            ("GET", f"/users/user{number}/posts"),
            ("PUT", "/nowhere"),
        ):
            for wanted, pattern, name in ROUTES:
                if wanted == method and (match := pattern.match(path)):
                    found[name, len(match.groupdict())] += 1
                    break
            else:
                found["missing", 0] += 1
    for number in range(250):
        url = f"https://user:pw@example.org:8443/a/b%20c?x={number}&y=%C3%A9&y=2#top"
        parts = urllib.parse.urlsplit(url)
        query = urllib.parse.parse_qs(parts.query)
        urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(query, doseq=True)))
        urllib.parse.urljoin(url, "../c")
        urllib.parse.quote(f"näme {number}/x")
    return found


@task
def text():
    line = re.compile(r'(\S+) - (\S+) \[([^\]]+)\] "(GET|POST) ([^" ]+) HTTP/1\.[01]" (\d{3}) (\d+)')
    size = collections.Counter()
    lines = [
        f'10.0.{i % 256}.{i % 7} - user{i % 13} [24/Nov/2026:10:{i % 60:02}:00 +0000] "GET /page/{i % 40}?q={i} HTTP/1.1" {200 if i % 9 else 404} {i * 37 % 5000}'
        for i in range(1500)
    ]
    for text_line in lines:
        host, user, when, method, path, status, length = line.match(text_line).groups()
        size[status, path.partition("?")[0]] += int(length)
        if "user1" in user and path.startswith("/page/3"):
            path.replace("/", ".").upper().strip(".").split(".")
    body = "\n".join(lines)
    words = re.findall(r"\b[a-z]+\d*\b", body)
    re.sub(r"(\d+)\.(\d+)", lambda m: m.group(2) + "." + m.group(1), body[:20_000])
    re.split(r"[\s\"/\[\]]+", body[:20_000])
    joined = "".join(sorted(set(words), key=str.casefold))
    page = string.Template("Hello $name, ${count} new: $$ $list")
    for number in range(300):
        page.substitute(name=f"n{number}", count=number, list=", ".join(map(str, range(number % 9))))
        "%-10s|%5d|%8.3f|%r" % ("name", number, number / 7, (number,))
        "{:>10}|{:<6,}|{:^9.2%}|{!r}".format("x", number * 1000, number / 300, [number])
        f"{number:08b} {number / 3:.4g} {number!s:>5} {'é' * (number % 5)}"
        " ".join(reversed("the quick brown fox".split())).title().encode("utf-8").decode("utf-8")
    textwrap.fill(body[:4000], 72)
    list(difflib.unified_diff(lines[:60], lines[20:80], lineterm=""))
    shlex.split("run --name 'a b' \"c d\" e\\ f" * 10)
    fnmatch.filter(words[:500], "page*")
    return len(joined), size.most_common(2)


class Lexer:
    """A small expression language, as of a template engine or a rules engine."""

    TOKEN = re.compile(r"\s*(?:(\d+\.?\d*)|([A-Za-z_]\w*)|(.))")

    def __init__(self, source):
        self.tokens = list(self.split(source))
        self.at = 0

    def split(self, source):
        for number, name, sign in self.TOKEN.findall(source):
            if number:
                yield "number", float(number)
            elif name:
                yield "name", name
            elif sign.strip():
                yield "sign", sign

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", None)

    def take(self):
        token = self.peek()
        self.at += 1
        return token


class Node:
    __slots__ = ("parts",)

    def __init__(self, *parts):
        self.parts = parts

    def value(self, scope):
        raise NotImplementedError


class Number(Node):
    __slots__ = ()

    def value(self, scope):
        return self.parts[0]


class Name(Node):
    __slots__ = ()

    def value(self, scope):
        try:
            return scope[self.parts[0]]
        except KeyError:
            return 0.0


class Binary(Node):
    __slots__ = ()
    SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "<": operator.lt}

    def value(self, scope):
        sign, left, right = self.parts
        return self.SIGNS[sign](left.value(scope), right.value(scope))


def parsed(lexer, level=0):
    levels = ("<", "+-", "*")
    if level == len(levels):
        kind, value = lexer.take()
        if kind == "number":
            return Number(value)
        if kind == "name":
            return Name(value)
        if value == "(":
            inner = parsed(lexer)
            lexer.take()
            return inner
        raise SyntaxError(value)
    left = parsed(lexer, level + 1)
    while (token := lexer.peek())[0] == "sign" and token[1] in levels[level]:
        lexer.take()
        left = Binary(token[1], left, parsed(lexer, level + 1))
    return left


@task
def expressions():
    sources = ["a + b * (c - 2) * 3 < d + 7", "x * x + y * y - 2 * (x + y)", "((p + q) * (r - s)) + t * 1.5", "1 +"]
    total = 0.0
    for number in range(90):
        for source in sources:
            try:
                tree = parsed(Lexer(source))
            except SyntaxError:
                continue
            for step in range(12):
                total += tree.value({"a": number, "b": step, "c": 1.5, "x": step / 3, "y": number, "p": 1.0, "q": step})
    return total


@task
def templates():
    escape = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;"})

    def cell(value):
        return f"<td>{str(value).translate(escape)}</td>"

    def row(order):
        yield "<tr>"
        yield from map(cell, (order.key.number, order.customer, order.state.name, f"{order.total:.2f}"))
        yield "</tr>"

    out = []
    for order in orders(150, seed=3):
        out.extend(row(order))
    page = "\n".join(["<table>", *out, "</table>"])

    class Cells(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.found = []

        def handle_data(self, data):
            if data.strip():
                self.found.append(data)

    reader = Cells()
    reader.feed(page)
    return len(reader.found)


# Generators, closures, decorators, context managers, exceptions.


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.calls += 1
        return function(*args, **kwargs)

    wrapper.calls = 0
    return wrapper


class Retry(Exception):
    def __init__(self, after):
        super().__init__(f"again after {after}")
        self.after = after


@contextlib.contextmanager
def transaction(log):
    log.append("begin")
    try:
        yield log
    except Retry:
        log.append("undone")
        raise
    else:
        log.append("done")
    finally:
        log.append("end")


class Lock:
    def __init__(self):
        self.depth = 0

    def __enter__(self):
        self.depth += 1
        return self

    def __exit__(self, kind, error, trace):
        self.depth -= 1
        return kind is ValueError


@logged
def transfer(accounts, source, target, amount, *, fee=0):
    if amount > accounts[source]:
        raise Retry(amount - accounts[source])
    accounts[source] -= amount + fee
    accounts[target] = accounts.get(target, 0) + amount
    return accounts[source]


@task
def transactions():
    accounts = dict.fromkeys(range(50), 1000)
    lock = Lock()
    failed = 0
    for number in range(2500):
        log = []
        try:
            with lock, transaction(log):
                transfer(accounts, number % 50, (number * 7) % 60, number % 211, fee=number & 1)
                if number % 17 == 0:
                    raise ValueError(number)
        except Retry as error:
            failed += error.after > 100
        except (KeyError, TypeError):
            failed -= 1
    return failed, transfer.calls, lock.depth


@task
def pipelines():
    def numbers(count):
        for number in range(count):
            yield number

    def grouped(stream, size):
        batch = []
        for value in stream:
            batch.append(value)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def running(stream):
        total = 0
        for batch in stream:
            total += sum(batch)
            yield total, batch[-1]

    def walk(tree):
        if tree is not None:
            left, value, right = tree
            yield from walk(left)
            yield value
            yield from walk(right)

    def plant(low, high):
        if low >= high:
            return None
        middle = (low + high) // 2
        return plant(low, middle), middle, plant(middle + 1, high)

    def averager():
        total = count = 0
        average = None
        while True:
            value = yield average
            total += value
            count += 1
            average = total / count

    out = [last for total, last in running(grouped((n * n for n in numbers(12_000) if n % 3), 16)) if total & 1]
    tree = plant(0, 1500)
    for _ in range(4):
        out.append(sum(walk(tree)))
    average = averager()
    next(average)
    for number in range(4000):
        average.send(number)
    average.close()
    matrix = [[(i * j) % 10 for j in range(40)] for i in range(40)]
    flat = [value for line in matrix for value in line if value]
    index = {(i, j): matrix[i][j] for i in range(40) for j in range(40)}
    unique = {value for line in matrix for value in line}
    turned = [*zip(*matrix)]
    pairs = list(itertools.islice(itertools.combinations(range(30), 2), 400))
    chained = list(itertools.chain.from_iterable(itertools.repeat(line, 2) for line in matrix))
    keyed = {k: list(g) for k, g in itertools.groupby(sorted(flat), key=lambda v: v // 2)}
    first, *rest, last = flat
    a, b, c = turned[0][:3]
    any(x > y for x, y in pairs), all(map(callable, [len, max])), min(flat, default=0), max(index.values())
    return len(out), len(unique), len(chained), len(keyed), first, last, a + b + c, len(rest)


# Classes: inheritance, properties, special methods, protocols, caches.


class Field:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner=None):
        return self if instance is None else getattr(instance, self.name, 0)

    def __set__(self, instance, value):
        if value is None:
            raise TypeError(self.name)
        setattr(instance, self.name, value)


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)

    def __sub__(self, other):
        return Point(self.x - other.x, self.y - other.y)

    def __mul__(self, factor):
        return Point(self.x * factor, self.y * factor)

    def __eq__(self, other):
        return isinstance(other, Point) and self.x == other.x and self.y == other.y

    def __hash__(self):
        return hash((self.x, self.y))

    def __repr__(self):
        return f"Point({self.x}, {self.y})"

    def length(self):
        return (self.x * self.x + self.y * self.y) ** 0.5


class Animal:
    kind = "animal"
    count = 0
    energy = Field()

    def __init__(self, name, place):
        self.name = name
        self.place = place
        self.energy = 10
        self.seen = []
        type(self).count += 1

    @property
    def tired(self):
        return self.energy <= 0

    @staticmethod
    def cost(distance):
        return int(distance) + 1

    @classmethod
    def born(cls, name):
        return cls(name, Point(0.0, 0.0))

    def sound(self):
        return "..."

    def step(self, by):
        if self.tired:
            self.energy = 10
            return False
        self.place = self.place + by
        self.energy -= self.cost(by.length())
        self.seen.append(self.place.x)
        return True


class Dog(Animal):
    kind = "dog"

    def sound(self):
        return "woof " + super().sound()

    def step(self, by):
        return super().step(by * 2) and self.sound() != ""


class Bird(Animal):
    kind = "bird"

    def __getattr__(self, name):
        if name == "wings":
            return 2
        raise AttributeError(name)

    def step(self, by):
        moved = Animal.step(self, by)
        return moved if self.wings == 2 else not moved


@typing.runtime_checkable
class Moves(typing.Protocol):
    energy: int

    def step(self, by): ...


@task
def objects():
    animals = [kind.born(f"n{n}") for n in range(40) for kind in (Animal, Dog, Bird)]
    moved = collections.Counter()
    directions = [Point(1.0, 0.5), Point(-0.5, 0.25), Point(0.0, -1.0)]
    for turn in range(45):
        by = directions[turn % 3]
        for animal in animals:
            if animal.step(by):
                moved[animal.kind] += 1
            if hasattr(animal, "wings") and isinstance(animal, Moves):
                moved["wings"] += getattr(animal, "wings", 0)
    places = {animal.place for animal in animals}
    names = weakref.WeakValueDictionary((animal.name, animal) for animal in animals)
    return moved, len(places), len(names), issubclass(Dog, Animal)


class Cache(collections.OrderedDict):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def fetch(self, key, make):
        if key in self:
            self.move_to_end(key)
            return self[key]
        value = self[key] = make(key)
        if len(self) > self.size:
            self.popitem(last=False)
        return value


@task
def structures():
    chance = random.Random(4)
    cache = Cache(100)
    for _ in range(3000):
        cache.fetch(int(chance.paretovariate(1)) % 400, str)

    @functools.lru_cache(maxsize=256)
    def ways(amount, coins):
        if amount == 0:
            return 1
        if amount < 0 or not coins:
            return 0
        return ways(amount - coins[0], coins) + ways(amount, coins[1:])

    ways(120, (50, 20, 10, 5, 2, 1))
    graph = {n: [(chance.randrange(300), chance.random()) for _ in range(5)] for n in range(300)}
    best = {0: 0.0}
    heap = [(0.0, 0)]
    while heap:
        far, node = heapq.heappop(heap)
        if far > best[node]:
            continue
        for other, cost in graph[node]:
            there = far + cost
            if there < best.get(other, float("inf")):
                best[other] = there
                heapq.heappush(heap, (there, other))
    seen, todo, order = set(), collections.deque([0]), []
    while todo:
        node = todo.popleft()
        if node in seen:
            continue
        seen.add(node)
        order.append(node)
        todo.extend(other for other, _ in graph[node] if other not in seen)
    table = []
    for _ in range(2000):
        bisect.insort(table, chance.randrange(10_000))
    text = "banana bandana cabana" * 6
    longest = [[0] * (len(text) + 1) for _ in range(len(text) + 1)]
    for i, a in enumerate(text, 1):
        line, above = longest[i], longest[i - 1]
        for j, b in enumerate(text[::-1], 1):
            line[j] = above[j - 1] + 1 if a == b else max(above[j], line[j - 1])
    queens = []

    def place(row, columns, size=6):
        if row == size:
            queens.append(tuple(columns))
            return
        for column in range(size):
            if all(column != c and abs(column - c) != row - r for r, c in enumerate(columns)):
                place(row + 1, columns + [column])

    place(0, [])
    trie = {}
    for word in re.findall(r"\w+", __doc__) * 3:
        node = trie
        for letter in word:
            node = node.setdefault(letter, {})
        node[""] = node.get("", 0) + 1
    return len(best), len(order), table[10], longest[-1][-1], len(queens), len(trie)


# Numbers, in plain Python.


@task
def arithmetic():
    chance = random.Random(5)
    samples = [chance.gauss(10, 3) for _ in range(4000)]
    mean = sum(samples) / len(samples)
    spread = (sum((x - mean) ** 2 for x in samples) / (len(samples) - 1)) ** 0.5
    window, smooth = collections.deque(maxlen=8), []
    for value in samples:
        window.append(value)
        smooth.append(sum(window) / len(window))
    statistics.median(samples), statistics.quantiles(samples[:500], n=10), statistics.fmean(samples)
    low, high = min(smooth), max(smooth)
    bins = [0] * 20
    for value in smooth:
        bins[min(19, int((value - low) / (high - low) * 20))] += 1
    inside = 0
    for y in range(-12, 12):
        for x in range(-24, 12):
            z, c = 0j, complex(x / 12, y / 12)
            for _ in range(30):
                z = z * z + c
                if abs(z) > 2:
                    break
            else:
                inside += 1
    series = array.array("d", samples)
    for index in range(1, len(series)):
        series[index] = 0.9 * series[index - 1] + 0.1 * series[index]
    left = [[float(i + j) for j in range(24)] for i in range(24)]
    right = [[float(i - j) for j in range(24)] for i in range(24)]
    product = [[sum(a * b for a, b in zip(line, column)) for column in zip(*right)] for line in left]
    state, bits = 12345, 0
    for _ in range(8000):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        bits ^= state >> 7
        bits = (bits << 1 | bits >> 30) & 0x7FFFFFFF
    i = 0
    while i < 15_000:
        i += 1
        if i % 15 == 0:
            bits += 3
        elif i % 5 == 0 or i % 3 == 0:
            bits -= 1
    primes = [n for n in range(2, 900) if all(n % d for d in range(2, int(n**0.5) + 1))]
    big = functools.reduce(operator.mul, range(1, 300))
    digits = sum(map(int, str(big)))
    fraction = sum((fractions.Fraction(1, n) for n in range(1, 40)), fractions.Fraction(0))
    with decimal.localcontext() as context:
        context.prec = 28
        money = sum((decimal.Decimal(n) / 7 for n in range(400)), decimal.Decimal(0)).quantize(decimal.Decimal("0.01"))
    collatz = 0
    for start in range(1, 500):
        n = start
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            collatz += 1
    return spread, inside, product[3][4], bits, len(primes), digits, fraction.denominator, money, collatz, pow(big, 5, 10**9 + 7)


# asyncio: tasks, queues, locks, streams over a socket pair's place: memory.


class Feed:
    def __init__(self, count):
        self.left = count

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


REQUEST = contextvars.ContextVar("request", default=0)


@contextlib.asynccontextmanager
async def connection(pool):
    item = await pool.get()
    try:
        yield item
    finally:
        pool.put_nowait(item)


async def handle(pool, cache, lock, number):
    REQUEST.set(number)
    async with connection(pool) as item:
        if number % 3 == 0:
            await asyncio.sleep(0)
        async with lock:
            cache[number % 20] = cache.get(number % 20, 0) + item
        return await inner(number)


async def inner(number):
    if number % 10 == 9:
        raise LookupError(number)
    return await deeper(number) + REQUEST.get()


async def deeper(number):
    return number


async def ticks(count):
    for number in range(count):
        yield number
        if number % 50 == 0:
            await asyncio.sleep(0)


async def service():
    pool, lock, cache = asyncio.Queue(), asyncio.Lock(), {}
    for number in range(4):
        pool.put_nowait(number)
    results = await asyncio.gather(*(handle(pool, cache, lock, n) for n in range(700)), return_exceptions=True)
    errors = sum(isinstance(result, LookupError) for result in results)
    total = 0
    async for number in Feed(800):
        total += await deeper(number)
    async for number in ticks(800):
        total += number
    total += sum([n async for n in ticks(300)])
    event = asyncio.Event()

    async def waiter():
        await event.wait()
        return 1

    waiters = [asyncio.create_task(waiter()) for _ in range(60)]
    await asyncio.sleep(0)
    event.set()
    done, _ = await asyncio.wait(waiters)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, 5)
    reader = asyncio.StreamReader()
    reader.feed_data(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n" * 30)
    reader.feed_eof()
    while line := await reader.readline():
        total += len(line)
    return errors, total + await future, len(done)


@task
def asynchronous():
    return asyncio.run(service())


# The rest of what a service touches.


@task
def logs():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s:%(lineno)d %(message)s"))
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    for number in range(900):
        logger.info("order %s of %r: %.2f", number, "someone", number / 7)
        logger.debug("not written %s", number)
        if number % 100 == 0:
            try:
                {}[number]
            except KeyError:
                logger.exception("lost")
    logger.removeHandler(handler)
    return len(stream.getvalue())


@task
def documents():
    root = ElementTree.Element("orders")
    for order in orders(80, seed=6):
        node = ElementTree.SubElement(root, "order", number=str(order.key.number), state=order.state.value)
        for item in order.items:
            ElementTree.SubElement(node, "item", sku=item.sku).text = f"{item.price:.2f} & {item.tags}"
    data = ElementTree.tostring(root)
    tree = ElementTree.fromstring(data)
    prices = [item.text for order in tree.iter("order") for item in order.findall("item")]
    for _, node in ElementTree.iterparse(io.BytesIO(data)):
        node.clear()
    table = io.StringIO()
    writer = csv.DictWriter(table, ["number", "customer", "total"])
    writer.writeheader()
    writer.writerows({"number": o.key.number, "customer": o.customer, "total": o.total} for o in orders(150, seed=7))
    table.seek(0)
    rows = [{**row, "total": float(row["total"])} for row in csv.DictReader(table)]
    config = configparser.ConfigParser()
    config.read_string("\n".join(f"[s{n}]\na = {n}\nb: %(a)s x\n# c" for n in range(60)))
    values = [config[section]["b"] for section in config.sections()]
    message = email.message.EmailMessage()
    message["Subject"] = "Grüße"
    message["To"] = "a@example.org, B <b@example.org>"
    message.set_content("text\n" * 30)
    email.parser.BytesParser().parsebytes(message.as_bytes()).get_payload()
    pprint.pformat([o.as_json() for o in orders(12, seed=8)])
    return len(prices), len(rows), len(values)


@task
def wire():
    packed = struct.Struct("!BHIq8s")
    out = bytearray()
    for number in range(1500):
        out += packed.pack(number & 255, number & 65535, number, -number, b"payload")
    view = memoryview(out)
    total = sum(packed.unpack_from(view, at)[2] for at in range(0, len(out), packed.size))
    for step in range(0, 3000, 30):
        part = bytes(view[step : step + 300])
        base64.b64decode(base64.b64encode(part))
        zlib.decompress(zlib.compress(part))
        hashlib.sha256(part).hexdigest()
        hmac.new(b"key", part, "sha256").digest()
        part.find(b"pay"), part.split(b"\0"), part.hex(), bytes.fromhex(part.hex())
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    times = [start + datetime.timedelta(hours=n, seconds=n * 7) for n in range(400)]
    texts = [moment.isoformat() for moment in times]
    days = {datetime.datetime.fromisoformat(value).date() for value in texts}
    [moment.strftime("%a, %d %b %Y %H:%M:%S") for moment in times[:150]]
    [datetime.datetime.strptime("2026-11-24 10:20", "%Y-%m-%d %H:%M") for _ in range(60)]
    [uuid.UUID(int=n, version=4).hex for n in range(150)]
    net = ipaddress.ip_network("10.1.0.0/16")
    [ipaddress.ip_address(f"10.{n % 4}.{n}.1") in net for n in range(200)]
    return total, len(days)


@task
def workers():
    jobs, results = queue.Queue(), []

    def work():
        while (number := jobs.get()) is not None:
            results.append(sum(range(number)))
            jobs.task_done()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(300):
        jobs.put(number)
    for _ in threads:
        jobs.put(None)
    for thread in threads:
        thread.join()
    return sum(results)


@task
def files():
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        for number in range(25):
            (place / f"d{number % 5}").mkdir(exist_ok=True)
            (place / f"d{number % 5}" / f"{number}.txt").write_text("line of text é\n" * 60, encoding="utf-8")
        size = 0
        for path in sorted(place.rglob("*.txt")):
            with path.open(encoding="utf-8") as stream:
                for line in stream:
                    size += len(line.rstrip().split(" "))
            size += path.stat().st_size + len(path.with_suffix(".bak").name) + len(path.read_bytes())
        for folder, _, names in os.walk(place):
            size += sum(os.path.getsize(os.path.join(folder, name)) for name in names)
    return size


@task
def tools():
    """What runs when a service starts: parsing, compiling, command lines, signatures."""
    sources = [inspect.getsource(value) for value in (Order, Animal, service, arithmetic, structures, argparse.ArgumentParser)]
    count = 0
    for source in sources:
        tree = ast.parse(textwrap.dedent(source))
        count += sum(1 for _ in ast.walk(tree))
        compile(tree, "x", "exec")
    re.purge()
    for number in range(2, 14):
        for pattern in (r"(?:[a-z]+|\d{2,4})+%d?$", r"^(?P<y>\d{4})-(?P<m>\d\d)%d*", r"[^\s<>\"']{%d,}(?=x|y)", r"(a|b|[c-f])*?\bz{1,%d}\1"):
            re.compile(pattern % number if "%d" in pattern else pattern)
    parser = argparse.ArgumentParser(prog="serve")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--verbose", "-v", action="count")
    parser.add_argument("paths", nargs="*")
    for number in range(30):
        parser.parse_args(["--port", str(number), "-vv", "a", "b"])
    for function in (transfer, Order.from_json, handle, Point.__init__):
        inspect.signature(function)
    for number in range(12):
        made = dataclasses.make_dataclass(f"Made{number}", [("a", int), ("b", str, "x")])
        made(number) == made(number)
        typing.get_type_hints(Order)
        collections.namedtuple("Pair", "left right")(1, 2)._replace(left=number)
        enum.Enum(f"Made{number}", "A B C")
    return count, Right.READ | Right.WRITE in Right(7)


def main():
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for function in TASKS:
        for _ in range(times):
            function()


if __name__ == "__main__":
    main()
