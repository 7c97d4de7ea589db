import type { App } from '../../../app.ts'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import { isRoomAlias, type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../../core/room-versions.ts'
import { powerLevels } from '../../../core/rooms/power-levels.ts'
import { filterAliasesOf } from '../../../storage/rooms/aliases.ts'
import {
  createRoomBeside,
  headOf,
  type LockedRoom,
  readLockedState,
  roomIdOf,
} from '../../../storage/rooms/timeline/locked-room.ts'
import { readAllState } from '../../../storage/rooms/timeline/room-state.ts'
import { stateBudget } from '../../../storage/rooms/timeline/state-budget.ts'
import { loadProfile } from '../../../storage/users/profiles.ts'
import { memberContent } from '../access/member-content.ts'
import { requireJoined } from '../access/room-member.ts'
import { appendEvent } from '../timeline/append-event.ts'
import { runInRoom } from '../timeline/run-in-room.ts'
import {
  raisedPowerLevels,
  transferredState,
  type Upgrade,
  upgradedCreate,
  upgradedPowerLevels,
} from './upgraded-state.ts'

export type UpgradeCommand = {
  roomId: RoomId
  userId: UserId
  newVersion: string
  /** Creators beside the upgrader, from room version 12 on. */
  additionalCreators: readonly UserId[]
}

/**
 * Replaces a room by one of another version in one transaction, and returns the new room's ID. Throws
 * M_UNSUPPORTED_ROOM_VERSION and M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
 */
export async function upgradeRoom(app: App, command: UpgradeCommand): Promise<RoomId> {
  const to = ROOM_VERSIONS.get(command.newVersion)
  if (!to) {
    throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', `The room version ${command.newVersion} is not supported`)
  }
  await app.spamChecks?.check('user_may_create_room', () => ({ user_id: command.userId }))
  const newRoomId = `!${app.random.token(18)}:${app.serverName}` as RoomId
  // The command may run twice, and its events in the old room contain the new room's ID.
  const createdAt = app.clock.now()
  return runInRoom(app, command.roomId, async (room) => {
    await requireMayUpgrade(room, command.userId)
    const upgrade = await planUpgrade(app, room, { command, to })
    const created = createRoomBeside(room)
    if (!to.roomIdIsCreateHash) created.newRoomId = newRoomId
    await fillNewRoom(app, created, { upgrade, createdAt })
    await closeOldRoom(app, { room, created, userId: command.userId })
    return roomIdOf(created)
  })
}

/** Checked before all the work; sending the tombstone checks its permission again. */
async function requireMayUpgrade(room: LockedRoom, userId: UserId): Promise<void> {
  await requireJoined(room, userId)
  const [create, event] = await readLockedState(room, [
    { type: 'm.room.create', state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  const levels = powerLevels(headOf(room).version, create!, event)
  if (levels.of(userId) < levels.required('m.room.tombstone', true)) {
    throw new ForbiddenError('You may not replace this room')
  }
}

async function planUpgrade(
  { config }: Pick<App, 'config'>,
  room: LockedRoom,
  { command, to }: { command: UpgradeCommand; to: RoomVersion },
): Promise<Upgrade> {
  const { version, room_id, state_root, forward_extremities } = headOf(room)
  const appended = new Map(room.events.map((event) => [event.event_nid, event]))
  const root = room.events[0]?.state_before ?? state_root
  // All transferred state must fit: clients need it, and it is small.
  const budget = stateBudget(config.limits.answers.room_state)
  const keys = (await readAllState(room.db, root, 'all', budget)).map(({ pdu }) => pdu)
  // Earlier commands in the same transaction may have changed the state.
  const all = [...keys, ...[...appended.values()].map(({ pdu }) => pdu)].flatMap(({ type, state_key }) =>
    state_key === undefined ? [] : [{ type, state_key }],
  )
  const unique = [...new Map(all.map((key) => [`${key.type}\0${key.state_key}`, key])).values()]
  const state = (await readLockedState(room, unique)).filter((event) => event !== undefined)
  const event_id = forward_extremities.at(-1)
  return {
    upgrader: command.userId,
    from: version,
    to,
    additionalCreators: [...new Set(command.additionalCreators)].filter((userId) => userId !== command.userId),
    state,
    predecessor: { room_id, ...(!to.privilegedCreators && event_id !== undefined && { event_id }) },
  }
}

async function fillNewRoom(
  app: App,
  created: LockedRoom,
  { upgrade, createdAt }: { upgrade: Upgrade; createdAt: number },
): Promise<void> {
  const { upgrader: sender } = upgrade
  const send = (type: string, content: JsonObject, state_key = '') =>
    appendEvent(app, created, { type, state_key, sender, content })
  const levels = upgradedPowerLevels(upgrade)
  const raised = raisedPowerLevels(upgrade, levels)
  const create = { type: 'm.room.create', state_key: '', sender, content: upgradedCreate(upgrade) }
  await appendEvent(app, created, { ...create, origin_server_ts: createdAt })
  await send('m.room.member', memberContent('join', {}, await loadProfile(created.db, sender)), sender)
  await send('m.room.power_levels', raised ?? levels)
  for (const { type, state_key, content } of transferredState(upgrade)) {
    // Nobody can ban a user with the highest possible power level.
    if (type === 'm.room.member') await ifAllowed(() => send(type, content, state_key))
    else await send(type, content, state_key)
  }
  const canonical = upgrade.state.find(({ pdu }) => pdu.type === 'm.room.canonical_alias' && pdu.state_key === '')
  const aliases = await splitAliases(app, created, { content: canonical?.pdu.content ?? {}, of: upgrade.predecessor })
  if (Object.keys(aliases.moved).length > 0) await send('m.room.canonical_alias', aliases.moved)
  if (raised) await send('m.room.power_levels', levels)
}

/** Sends the tombstone, moves aliases and the directory entry, and restricts the old room as far as the user may. */
async function closeOldRoom(
  app: App,
  { room, created, userId: sender }: { room: LockedRoom; created: LockedRoom; userId: UserId },
): Promise<void> {
  const [from, to] = [roomIdOf(room), roomIdOf(created)]
  const send = (type: string, content: JsonObject) => appendEvent(app, room, { type, state_key: '', sender, content })
  await send('m.room.tombstone', { body: 'This room has been replaced', replacement_room: to })
  const [canonical, levels] = await readLockedState(room, [
    { type: 'm.room.canonical_alias', state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  const aliases = await splitAliases(app, room, { content: canonical?.pdu.content ?? {}, of: { room_id: from } })
  if (Object.keys(aliases.moved).length > 0) await ifAllowed(() => send('m.room.canonical_alias', aliases.left))
  const content = levels?.pdu.content ?? {}
  const barred = (level: unknown) => Math.max(50, numberOf(content.users_default) + 1, numberOf(level))
  const bars = { events_default: barred(content.events_default), invite: barred(content.invite) }
  if (levels) await ifAllowed(() => send('m.room.power_levels', { ...content, ...bars }))
}

function numberOf(level: unknown): number {
  const number = Number(level ?? 0)
  return Number.isSafeInteger(number) ? number : 0
}

async function ifAllowed(send: () => Promise<unknown>): Promise<void> {
  try {
    await send()
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
  }
}

/**
 * Splits the content of `m.room.canonical_alias` into local aliases, which move, and remote ones, which only their
 * servers can move.
 */
async function splitAliases(
  app: App,
  room: LockedRoom,
  { content, of }: { content: JsonObject; of: { room_id: RoomId } },
): Promise<{ moved: JsonObject; left: JsonObject }> {
  const { alias, alt_aliases: others } = content
  const alternatives = Array.isArray(others) ? others.filter((other) => typeof other === 'string') : []
  const named = [...alternatives, ...(typeof alias === 'string' ? [alias] : [])]
  const local = named.filter((name) => isRoomAlias(name) && serverNameOf(name) === app.serverName)
  const ours = local.length > 0 ? await filterAliasesOf(room.db, of.room_id, local) : new Set<string>()
  const part = (takes: (name: string) => boolean): JsonObject => {
    const rest = alternatives.filter(takes)
    return {
      ...(typeof alias === 'string' && takes(alias) && { alias }),
      ...(rest.length > 0 && { alt_aliases: rest }),
    }
  }
  return { moved: part((name) => ours.has(name)), left: part((name) => !ours.has(name)) }
}
