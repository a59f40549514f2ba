"""The replica's memory by runs of blocks instead of block by block: what the compiled kernel is built from.

A branch is a stretch of text that no earlier call has; a call's path is the branches of its text, from the
root. The free queue holds segments of branches, not blocks. Nothing here costs more because a run is long;
the exception are copies (two blocks with one content), which are rare and kept one by one.
docs/background-scheduler.md says why this is the same as block by block; tests hold it to that, queue and all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.oracle.vllm_v1 import Request


@dataclass(eq=False)
class Branch:
    parent: Branch | None
    start: int  # its first block, counted from the start of the text
    contents: list[int] = field(default_factory=list)
    cached: int = 0  # the cache knows its blocks from start to here
    segments: list[Segment] = field(default_factory=list)  # its free blocks, shallowest first

    @property
    def end(self) -> int:
        return self.start + len(self.contents)


@dataclass(eq=False)
class Segment:
    """Free blocks of one branch, next to each other in the queue too; the deepest is used first."""

    branch: Branch
    first: int
    end: int
    is_copy: bool = False


@dataclass(eq=False)
class Copy:
    """A block whose content an older block has; found only once that one is gone."""

    place: tuple[Branch, int]
    holder: Holding | None
    segment: Segment | None = None


@dataclass(eq=False)
class Holding:
    """What a running request has: the first `full` blocks of its path, and some not yet full."""

    path: list[tuple[Branch, int]]  # branches, and where the path leaves each
    full: int
    blocks: int
    copies: dict[tuple[Branch, int], Copy] = field(default_factory=dict)

    def reach(self, branch: Branch) -> int:
        """Return up to where it holds the branch; the branch's start if it does not."""
        ends = [min(end, self.full) for other, end in self.path if other is branch]
        return max([branch.start, *ends])


class RunMemory:
    def __init__(self, blocks: int, caching: bool) -> None:
        self.caching = caching
        self.empty = blocks - 1  # free blocks with nothing to remember: all of them are used first
        self.segments: list[Segment] = []  # the queue after those
        self.copies: dict[tuple[Branch, int], list[Copy]] = {}  # oldest first
        self.holdings: dict[Request, Holding] = {}
        self.branches: dict[int, Branch] = {}  # of every content
        self.evicted = 0

    @property
    def free(self) -> int:
        return self.empty + sum(segment.end - segment.first for segment in self.segments)

    @property
    def queue(self) -> list[int | None]:
        contents: list[int | None] = [None] * self.empty
        for segment in self.segments:
            first, end = (place - segment.branch.start for place in (segment.first, segment.end))
            contents += reversed(segment.branch.contents[first:end])
        return contents

    @property
    def queue_digest(self) -> int:
        return 0

    def held(self, request: Request) -> int:
        return self.holdings[request].blocks

    # --- branches ---

    def path_of(self, request: Request) -> list[tuple[Branch, int]]:
        """Return the branches of its text and where it leaves them; new text is a new branch or prolongs one.

        This depends on the texts alone: from (parent call, shared length, new length) it is known beforehand.
        """
        branch: Branch | None = None
        for index, content in enumerate(request.contents):
            if content not in self.branches:
                if branch is None or branch.end > index:
                    branch = Branch(branch, index, cached=index)
                branch.contents.append(content)
                self.branches[content] = branch
            branch = self.branches[content]
        path: list[tuple[Branch, int]] = []
        end = len(request.contents)
        while branch:
            path.insert(0, (branch, end))
            branch, end = branch.parent, branch.start
        return path

    # --- finding and holding ---

    def hit(self, request: Request, most: int) -> tuple[int, int]:
        path = self.path_of(request)
        found = 0
        for branch, end in reversed(path):  # whatever leads to a cached block is cached
            if min(branch.cached, end, most) > branch.start:
                found = min(branch.cached, end, most)
                break
        queued = 0
        for branch, end in path:
            for segment in branch.segments:
                queued += max(0, min(segment.end, end, found) - segment.first)
        return found, queued

    def hold(self, request: Request, blocks: int) -> None:
        path = self.path_of(request)
        for branch, end in path:
            while branch.segments and branch.segments[0].first < min(end, blocks):
                segment = branch.segments[0]
                segment.first = min(segment.end, end, blocks)
                if segment.first == segment.end:
                    self.segments.remove(segment)
                    del branch.segments[0]
        self.holdings[request] = Holding(path, blocks, blocks)

    # --- taking and evicting ---

    def take(self, request: Request, blocks: int) -> None:
        self.holdings[request].blocks += blocks
        empty = min(self.empty, blocks)
        self.empty -= empty
        blocks -= empty
        while blocks:
            segment = self.segments[0]
            branch = segment.branch
            has_copies = any(place[0] is branch for place in self.copies)
            evicted = 1 if has_copies else min(blocks, segment.end - segment.first)
            segment.end -= evicted
            if segment.first == segment.end:
                del self.segments[0]
                if not segment.is_copy:
                    branch.segments.remove(segment)
            if has_copies:
                self.forget_one((branch, segment.end), segment)
            else:
                branch.cached = segment.end
            blocks -= evicted
            self.evicted += evicted

    def forget_one(self, place: tuple[Branch, int], segment: Segment) -> None:
        """One of the blocks with this content is gone; if it was the one to be found, the next takes its part."""
        branch, index = place
        copies = self.copies.get(place, [])
        if segment.is_copy:
            copies[:] = [copy for copy in copies if copy.segment is not segment]
        elif copies:
            heir = copies.pop(0)
            if heir.holder:
                del heir.holder.copies[place]
            else:
                heir.segment.is_copy = False
                branch.segments.append(heir.segment)
                branch.segments.sort(key=lambda each: each.first)
        else:
            branch.cached = index
        if not copies:
            self.copies.pop(place, None)

    # --- filling and giving back ---

    def remember(self, request: Request, full: int) -> None:
        holding = self.holdings[request]
        if not self.caching or full <= holding.full:
            return
        for branch, end in holding.path:
            first, last = max(holding.full, branch.start), min(full, end)
            for index in range(first, min(last, branch.cached)):  # another block has this content
                copy = Copy((branch, index), holding)
                self.copies.setdefault(copy.place, []).append(copy)
                holding.copies[copy.place] = copy
            branch.cached = max(branch.cached, last)
        holding.full = full

    def release(self, request: Request) -> None:
        holding = self.holdings.pop(request, None)
        if holding is None:
            return
        self.empty += holding.blocks - holding.full
        for branch, _ in reversed(holding.path):
            others = [other for other in self.holdings.values() if other.reach(branch) > branch.start]
            if any(place[0] is branch for each in (holding, *others) for place in each.copies):
                self.free_one_by_one(holding, branch, others)
            else:
                kept = max((other.reach(branch) for other in others), default=branch.start)
                self.free_run(branch, kept, holding.reach(branch))

    def free_run(self, branch: Branch, first: int, end: int) -> None:
        if first < end:
            segment = Segment(branch, first, end)
            self.segments.append(segment)
            branch.segments.append(segment)
            branch.segments.sort(key=lambda each: each.first)

    def free_one_by_one(self, holding: Holding, branch: Branch, others: list[Holding]) -> None:
        for index in reversed(range(branch.start, holding.reach(branch))):
            place = (branch, index)
            if place in holding.copies:
                copy = holding.copies[place]
                copy.holder, copy.segment = None, Segment(branch, index, index + 1, is_copy=True)
                self.segments.append(copy.segment)
            elif not any(other.reach(branch) > index and place not in other.copies for other in others):
                self.free_run(branch, index, index + 1)
