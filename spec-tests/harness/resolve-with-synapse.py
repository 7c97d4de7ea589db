"""Resolves states with Synapse's own code. Reads a room as JSON from each line, writes what its states resolve to.

The auth difference is found here, without Synapse's database: what only some of the states have, or lead to by auth events.
"""

import asyncio
import json
import sys

import synapse.server  # noqa: F401 - else the imports go in circles
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, StateResolutionVersions
from synapse.events import make_event_from_dict
from synapse.state import v1, v2
from synapse.storage.databases.main.event_federation import StateDifference


class Room:
    def __init__(self, room):
        self.version = KNOWN_ROOM_VERSIONS[room["version"]]
        self.room_id = room["room_id"]
        made = (make_event_from_dict(pdu, self.version) for pdu in room["events"])
        self.events = {event.event_id: event for event in made}
        self.chains = {}

    def chain(self, event_id):
        """The event and all that it leads to."""
        if event_id not in self.chains:
            cited = self.events[event_id].auth_event_ids()
            self.chains[event_id] = {event_id}.union(*(self.chain(each) for each in cited))
        return self.chains[event_id]

    async def get_events(self, event_ids, allow_rejected=False):
        return {each: self.events[each] for each in event_ids}

    async def get_auth_chain_difference(self, room_id, state_sets, conflicted, _):
        chains = [set().union(*(self.chain(each) for each in state)) for state in state_sets]
        difference = set.union(*chains) - set.intersection(*chains)
        if conflicted is None:
            return StateDifference(auth_difference=difference, conflicted_subgraph=None)
        reached = set().union(*(self.chain(each) for each in conflicted))
        subgraph = {each for each in reached if self.chain(each) & conflicted}
        return StateDifference(auth_difference=difference, conflicted_subgraph=subgraph)

    async def resolve(self, states):
        sets = [{(type, key): event_id for type, key, event_id in state} for state in states]
        if self.version.state_res == StateResolutionVersions.V1:
            return await v1.resolve_events_with_store(self.room_id, self.version, sets, None, self.get_events)
        return await v2.resolve_events_with_store(Clock(), self.room_id, self.version, sets, None, self)


class Clock:
    async def sleep(self, duration):
        pass


async def main():
    for line in sys.stdin:
        told = json.loads(line)
        room = Room(told)
        resolved = [await room.resolve(states) for states in told["cases"]]
        print(json.dumps([[[type, key, value] for (type, key), value in state.items()] for state in resolved]))


asyncio.run(main())
