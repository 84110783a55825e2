"""The loops of a training step, for float32 on the CPU; `recmodels.compiled` turns them into machine code.

Arguments are the addresses of whole, contiguous arrays and the sizes of their axes; row r of a table (R, D) starts at
r · D. Ids are rows of their tables: who calls has made sure (`inside` in `recmodels.compiled`). Sums have a fixed
order, so that the same numbers give the same bits on every processor. Importing this module loads the compiler.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 16  # sums that are added to side by side
UNIT = 2.0**-53
HASH = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: the top bits are well mixed

ARRAYS = {"F": types.float32, "D": types.float64, "I": types.int64, "B": types.uint8}
TYPES = {"w": types.int64, "r": types.float32, **{letter: types.CPointer(kind) for letter, kind in ARRAYS.items()}}

LOOPS: dict[str, Any] = {}
"""The loops by name; `recmodels.compiled` has the types of their arguments."""


def loop(function: Any) -> Any:
    """Add a loop to `LOOPS`."""
    LOOPS[function.__name__] = function
    return function


@intrinsic
def dot(context: Any, a: Any, at_a: Any, b: Any, at_b: Any, size: Any) -> Any:
    """Σ_d a[at_a + d] b[at_b + d] for d below `size`, a multiple of `LANES`.

    Lane k sums d = k, k + LANES, …, and then halves are added to halves. With one sum, each addition would wait for the
    one before, and the compiler may not split a sum of floats by itself.
    """
    vector, place = ir.VectorType(ir.FloatType(), LANES), ir.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        (a, at_a, b, at_b, size), whole = given, given[4].type
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, None))
        with cgutils.for_range(builder, builder.sdiv(size, whole(LANES))) as step:
            start = builder.mul(step.index, whole(LANES))
            places = (builder.gep(array, [builder.add(at, start)]) for array, at in ((a, at_a), (b, at_b)))
            parts = (builder.load(builder.bitcast(place, vector.as_pointer()), align=4) for place in places)
            product = builder.fmul(*parts)
            builder.store(builder.fadd(builder.load(total), product), total)
        sums, width = builder.load(total), LANES
        while width > 1:
            width //= 2
            halves = (
                ir.Constant(ir.VectorType(place, width), list(part)) for part in (range(width), range(width, 2 * width))
            )
            sums = builder.fadd(*(builder.shuffle_vector(sums, sums, half) for half in halves))
        return builder.extract_element(sums, place(0))

    return types.float32(a, types.int64, b, types.int64, types.int64), generate


@intrinsic
def add_pair(
    context: Any, users: Any, user: Any, items: Any, item: Any, slope: Any, l2: Any,
    of_users: Any, of_user: Any, of_items: Any, of_item: Any, size: Any,
) -> Any:  # fmt: skip
    """of_user[d] += slope · item[d] and of_item[d] += slope · user[d] + l2 · item[d] for d below `size`.

    Each is a row of an array, from a place on, and `size` is a multiple of `LANES`. In a plain loop the compiler would
    look for overlaps of the four arrays at every pair.
    """
    vector, place = ir.VectorType(ir.FloatType(), LANES), ir.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        users, user, items, item, slope, l2, of_users, of_user, of_items, of_item, size = given
        whole = size.type

        def everywhere(number: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, place(0))
            return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(place, LANES), [0] * LANES))

        slopes, pulls = everywhere(slope), everywhere(l2)
        with cgutils.for_range(builder, builder.sdiv(size, whole(LANES))) as step:
            offset = builder.mul(step.index, whole(LANES))
            arrays = (users, user), (items, item), (of_users, of_user), (of_items, of_item)
            starts = (builder.gep(array, [builder.add(start, offset)]) for array, start in arrays)
            places = [builder.bitcast(start, vector.as_pointer()) for start in starts]
            of_pair = [builder.load(at, align=4) for at in places]
            by_user = builder.fadd(of_pair[2], builder.fmul(slopes, of_pair[1]))
            pull = builder.fadd(builder.fmul(slopes, of_pair[0]), builder.fmul(pulls, of_pair[1]))
            builder.store(by_user, places[2], align=4)
            builder.store(builder.fadd(of_pair[3], pull), places[3], align=4)
        return context.get_dummy_value()

    at, number = types.int64, types.float32
    takes = users, at, items, at, number, number, of_users, at, of_items, at, at
    return types.none(*takes), generate


@loop
def pair_dots(users: Any, owners: Any, items: Any, ids: Any, dots: Any, rows: int, n: int, size: int) -> None:
    """dots[b, j] = users[owners[b]] · items[ids[b, j]]."""
    whole = size - size % LANES
    for b in range(rows):
        user = owners[b] * size
        for k in range(b * n, b * n + n):
            item = ids[k] * size
            total = dot(users, user, items, item, whole)
            for d in range(whole, size):
                total += users[user + d] * items[item + d]
            dots[k] = total


@loop
def add_pairs(
    users: Any, owners: Any, items: Any, ids: Any, slopes: Any,
    of_users: Any, user_at: Any, of_items: Any, item_at: Any, l2_user: float, l2_item: float,
    rows: int, n: int, size: int,
) -> None:  # fmt: skip
    """Of slopes times `pair_dots`: of_users[user_at[b]] += slope · item, of_items[item_at[b, j]] += slope · user.

    And of L2: l2_user · user for every row, and l2_item · item for every pair.
    """
    whole = size - size % LANES
    for b in range(rows):
        user, of_user = owners[b] * size, user_at[b] * size
        if l2_user != 0:
            for d in range(size):
                of_users[of_user + d] += l2_user * users[user + d]
        for k in range(b * n, b * n + n):
            slope, item, of_item = slopes[k], ids[k] * size, item_at[k] * size
            add_pair(users, user, items, item, slope, l2_item, of_users, of_user, of_items, of_item, whole)
            for d in range(whole, size):
                of_users[of_user + d] += slope * items[item + d]
                of_items[of_item + d] += slope * users[user + d] + l2_item * items[item + d]


@loop
def add_lists(terms: Any, starts: Any, ids: Any, weights: Any, sums: Any, rows: int, size: int) -> None:
    """sums[ids[k]] += weights[k] · terms[b], for k from starts[b] to starts[b + 1]."""
    for b in range(rows):
        for k in range(starts[b], starts[b + 1]):
            weight, into = weights[k], ids[k] * size
            for d in range(size):
                sums[into + d] += weight * terms[b * size + d]


@loop
def add_rows(terms: Any, ids: Any, sums: Any, rows: int, size: int) -> None:
    """sums[ids[b]] += terms[b]."""
    for b in range(rows):
        into = ids[b] * size
        for d in range(size):
            sums[into + d] += terms[b * size + d]


@loop
def adam(
    values: Any, gradient: Any, means: Any, squares: Any,
    rate: float, root: float, beta1: float, beta2: float, epsilon: float, decay: float, size: int,
) -> None:  # fmt: skip
    """One step of Adam by PyTorch's formula, after which the gradient is 0.

    `rate` is lr / (1 - beta1^t) and `root` is 1 / sqrt(1 - beta2^t).
    """
    one = np.float32(1)
    for i in range(size):
        slope = gradient[i] + decay * values[i]
        means[i] += (one - beta1) * (slope - means[i])
        squares[i] = beta2 * squares[i] + (one - beta2) * slope * slope
        gradient[i] = 0
        values[i] -= rate * means[i] / (np.sqrt(squares[i]) * root + epsilon)


@loop
def add_count(ids: Any, weight: float, shares: Any, size: int) -> None:
    """shares[ids[k]] += weight."""
    for k in range(size):
        shares[ids[k]] += weight


@loop
def add_shares(table: Any, shares: Any, sums: Any, rows: int, size: int) -> None:
    """sums[r] += shares[r] · table[r]; a row without a share is not read."""
    for r in range(rows):
        if shares[r] != 0:
            for d in range(r * size, r * size + size):
                sums[d] += shares[r] * table[d]


@numba.njit(error_model="numpy")
def has_seen(bits: Any, shift: int, offsets: Any, known: Any, n_items: int, user: int, item: int) -> bool:
    """Whether a user has an item, by the map of bits of `recmodels.seen`.

    A `shift` of 0 says that each pair has a bit of its own; else the bit of a pair is the top of its hashed key, and a
    hit is confirmed among the `known` items of the user, in ascending order from offsets[user] to offsets[user + 1].
    """
    slot = np.uint64(user * n_items + item)
    if shift:
        slot = (slot * HASH) >> np.uint64(shift)
    if not (bits[slot >> np.uint64(3)] >> (slot & np.uint64(7))) & np.uint64(1):
        return False
    if not shift:
        return True
    low, high = offsets[user], offsets[user + 1]
    while low < high:
        middle = (low + high) // 2
        if known[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low < offsets[user + 1] and known[low] == item


@loop
def count_rivals(scores: Any, rows: Any, own: Any, better: Any, level: Any, pairs: int, n: int) -> None:
    """better[p] and level[p] = how many of the n scores of row rows[p] are greater than own[p], or equal to it."""
    for p in range(pairs):
        mine, above, equal = own[p], np.int32(0), np.int32(0)  # with 64 bits it takes four times as long
        for k in range(rows[p] * n, rows[p] * n + n):
            above = np.int32(above + (scores[k] > mine))
            equal = np.int32(equal + (scores[k] == mine))
        better[p], level[p] = above, equal


@loop
def find_outside(ids: Any, size: int, limit: int, found: Any) -> None:
    """found[0] = how many ids are negative, or not below the limit."""
    count = 0
    for k in range(size):
        count += ids[k] < 0 or ids[k] >= limit
    found[0] = count


@loop
def find_seen(
    bits: Any, shift: int, offsets: Any, known: Any, n_items: int, users: Any, items: Any, hits: Any, rows: int, n: int
) -> None:
    """hits[b, j] = whether users[b] has items[b, j]."""
    for b in range(rows):
        for k in range(b * n, b * n + n):
            real = 0 <= items[k] < n_items
            hits[k] = real and has_seen(bits, shift, offsets, known, n_items, users[b], items[k])


@loop
def draw_unseen(
    raw: Any, drawn: int, tries: int, keep: Any, alias: Any, weighted: int, bits: Any, shift: int, offsets: Any,
    known: Any, n_items: int, users: Any, items: Any, state: Any, rows: int, n: int,
) -> None:  # fmt: skip
    """items[b, j] is a draw that users[b] has not seen, or -1 after so many `tries`.

    Each of the `drawn` random numbers, of 64 bits, is one try: its first 53 bits, as a fraction, give a cell of the
    `n_items`, and if the draw is `weighted` what is left of the fraction says whether it is the cell or its alias. The
    `state` holds cells of `items` that are filled, numbers that are used, and tries for the next cell.
    """
    cell, used, tried = state[0], np.int64(0), state[2]
    row, scale = cell // n, UNIT * n_items
    end = row * n + n  # of the row's cells
    while cell < rows * n and used < drawn:
        scaled = np.float64(np.int64(np.uint64(raw[used]) >> np.uint64(11))) * scale
        item = np.int64(scaled)
        if weighted and scaled - item >= keep[item]:
            item = alias[item]
        used, tried = used + 1, tried + 1
        free = not has_seen(bits, shift, offsets, known, n_items, users[row], item)
        if free or tried == tries:
            items[cell] = item if free else -1
            cell, tried = cell + 1, np.int64(0)
            if cell == end:
                row, end = row + 1, end + n
    state[0], state[1], state[2] = cell, used, tried
