"""Reads a Perfetto trace with Perfetto's own messages, and refuses what its trace processor would."""

from dataclasses import dataclass, field

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as proto


@dataclass
class Slice:
    track: str
    name: str
    start_ns: int
    end_ns: int | None
    said: dict
    leaves: tuple
    reaches: tuple
    depth: int


@dataclass
class Read:
    tracks: dict = field(default_factory=dict)
    slices: list = field(default_factory=list)
    instants: list = field(default_factory=list)
    points: list = field(default_factory=list)


def read(content):
    """The tracks by (process, name), and what is on them; every slice closed, none overlapping another."""
    trace = proto.Trace()
    assert trace.ParseFromString(content) == len(content)
    assert trace.packet[0].sequence_flags == 1
    processes, names, keys, found = {}, {}, {}, Read()
    open_on = {}
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1
        names |= {entry.iid: entry.name for entry in packet.interned_data.event_names}
        keys |= {entry.iid: entry.name for entry in packet.interned_data.debug_annotation_names}
        if packet.HasField("track_descriptor"):
            _declare(packet.track_descriptor, processes, found)
        if packet.HasField("track_event"):
            _follow(packet, found, open_on, names, keys)
    assert not any(open_on.values())
    return found


def _declare(track, processes, found):
    if track.HasField("process"):
        assert track.process.pid not in processes
        processes[track.process.pid] = track.uuid
        found.tracks[track.uuid] = (track.process.process_name, None)
    else:
        found.tracks[track.uuid] = (found.tracks[track.parent_uuid][0], track.name)


def _follow(packet, found, open_on, names, keys):
    event, at_ns = packet.track_event, packet.timestamp
    track = found.tracks[event.track_uuid]
    stack = open_on.setdefault(event.track_uuid, [])
    if event.type == proto.TrackEvent.TYPE_COUNTER:
        found.points.append((track, at_ns, event.double_counter_value))
        return
    if event.type == proto.TrackEvent.TYPE_SLICE_END:
        closed = stack.pop()
        assert at_ns >= closed.start_ns
        assert all(inner.end_ns <= at_ns for inner in found.slices if inner.end_ns and inner in stack)
        closed.end_ns = at_ns
        return
    assert packet.sequence_flags == 2
    said = {keys[note.name_iid]: getattr(note, note.WhichOneof("value")) for note in event.debug_annotations}
    new = Slice(
        track, event.name or names[event.name_iid], at_ns, None, said, tuple(event.flow_ids),
        tuple(event.terminating_flow_ids), len(stack),
    )  # fmt: skip
    if event.type == proto.TrackEvent.TYPE_INSTANT:
        found.instants.append(new)
        return
    last = [other for other in found.slices if other.track == track and other.depth == new.depth]
    assert not last or last[-1].end_ns <= at_ns
    assert all(at_ns >= outer.start_ns for outer in stack)
    stack.append(new)
    found.slices.append(new)
