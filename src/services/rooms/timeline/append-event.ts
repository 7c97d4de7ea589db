import type { App } from '../../../app.ts'
import { checkEventAuth } from '../../../core/auth-rules/check-event-auth.ts'
import { ruleNumbers } from '../../../core/auth-rules/rule-numbers.ts'
import { BadJsonError, ForbiddenError, type MatrixError } from '../../../core/errors.ts'
import { buildEvent } from '../../../core/events/build-event.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { type AppendedEvent, findLockedEvents, type LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { applyRedaction } from './apply-redaction.ts'
import { changeLockedState } from './change-locked-state.ts'
import { type DraftedEvent, draftEvent } from './draft-event.ts'
import { followJoin } from './follow-upgrade.ts'
import type { NewEvent } from './new-event.ts'
import { placeEvent } from './place-event.ts'
import { requirePolicySignature } from './policy-server.ts'
import { resolveStates } from './resolve-states.ts'
import { requireSpamCheck } from './spam-check.ts'

type AppendCapabilities = Pick<App, 'clock' | 'signingKeys' | 'serverName' | 'takeNids' | 'timeline' | 'spamChecks'>

/**
 * Appends an event to a room: selects its auth events, checks the authorization rules, signs it and advances the room's
 * head and state. The command that holds `room` stores it when it succeeds. Throws M_FORBIDDEN if the rules reject it,
 * M_BAD_JSON if they cannot read it, M_TOO_LARGE, for redactions the errors of `applyRedaction`, and
 * ApprovalNeeded, which `runInRoom` handles.
 */
export async function appendEvent(app: AppendCapabilities, room: LockedRoom, event: NewEvent): Promise<StoredEvent> {
  const { version, built, known, stateBefore } =
    (await approvedEvent(app, room, event)) ?? (await newEvent(app, room, event))
  if (event.type !== 'm.room.member') requireSpamCheck(app, room, built)
  await requirePolicySignature(room, built)

  const [nid] = (await app.takeNids(room.db, 1)) as [number]
  const { type, state_key } = event
  const changes = state_key === undefined ? [] : [{ type, state_key, event_nid: nid }]
  const stateAfter = await changeLockedState(app, room, { root: stateBefore, changes })
  const appended: AppendedEvent = {
    ...built,
    event_nid: nid,
    event_order: room.head?.next_order ?? 1,
    state_before: stateBefore,
    state_after: stateAfter,
    room_before: stateBefore,
    room_after: stateAfter,
    soft_failed: false,
    redacted_by: null,
    rejected_reason: null,
    txn_device_id: event.txn?.deviceId ?? null,
    txn_id: event.txn?.id ?? null,
    ...jsonOf(built.pdu),
  }
  await applyRedaction(room, appended, { version, asAdmin: event.asAdmin ?? false })
  const placed = await placeEvent(app, room, { version, event: appended })
  room.outgoing.push(nid)
  const before = known.get('m.room.member', event.state_key ?? '')
  followJoin(app, room, { event: placed, before, create: known.get('m.room.create', '') })
  return placed
}

type MadeEvent = Pick<DraftedEvent, 'version' | 'known' | 'stateBefore'> & { built: Event }

async function newEvent(app: AppendCapabilities, room: LockedRoom, event: NewEvent): Promise<MadeEvent> {
  const { draft, ...drafted } = await draftEvent(app, room, event)
  const built = buildEvent(drafted.version, draft, { serverName: app.serverName, ...app.signingKeys.current })
  const verdict = checkEventAuth(drafted.version, built, drafted.known)
  if (!verdict.allowed) throw refusal(drafted.version, event, verdict)
  return { ...drafted, built }
}

/**
 * Returns the event as signed by the room's policy server, if that was asked. The room may have advanced in the
 * meantime: then the event is a fork, which must also be allowed by the current state.
 */
async function approvedEvent(
  app: AppendCapabilities,
  room: LockedRoom,
  event: NewEvent,
): Promise<MadeEvent | undefined> {
  const approved = room.head && app.timeline.approvedEvents.take(room.head.room_id, event)
  if (!room.head || !approved) return undefined
  const { version } = room.head
  const roots = (await findLockedEvents(room, approved.prev_event_ids)).flatMap(({ state_after }) => state_after ?? [])
  // Its prev events may never have been stored.
  if (roots.length < approved.prev_event_ids.length) return undefined
  const { known } = await draftEvent(app, room, event)
  const verdict = checkEventAuth(version, approved, known)
  if (!verdict.allowed) throw refusal(version, event, verdict)
  return { version, built: approved, known, stateBefore: await resolveStates(app, room, { version, roots }) }
}

/** Malformed power levels and owned state keys are invalid input, not a matter of permission. */
function refusal(
  version: RoomVersion,
  event: NewEvent,
  { rule, reason }: { rule: string; reason: string },
): MatrixError {
  const { powerLevels: levels, malformedStateKey } = ruleNumbers(version)
  const malformed = [levels.namedMalformed, levels.entriesMalformed, levels.usersMalformed, levels.listsCreator]
  const isMalformed = event.type === 'm.room.power_levels' && malformed.includes(rule)
  return isMalformed || rule === malformedStateKey ? new BadJsonError(reason) : new ForbiddenError(reason)
}

function jsonOf(pdu: object): { json: string; size: number } {
  const json = JSON.stringify(pdu)
  return { json, size: json.length }
}
