import { type Appservice, hasUser } from '../../core/appservice.ts'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { filterRoommates } from '../../storage/appservices/appservices.ts'
import { loadMembersOfRooms } from '../../storage/devices/device-lists.ts'
import { loadUnusedFallbackKeyTypesOf } from '../../storage/devices/fallback-keys.ts'
import { countOneTimeKeysOf } from '../../storage/devices/one-time-keys.ts'
import type { NewToDeviceMessage } from '../../storage/devices/to-device.ts'
import type { DeviceKey } from '../../storage/schema/users.ts'
import type { News } from './gather-news.ts'
import type { TransactionApp } from './transaction-app.ts'

/**
 * Returns changed device lists, and the key counts of devices that changed or get messages, as in /sync.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3202
 */
export async function deviceNews(
  app: TransactionApp,
  appservice: Appservice,
  news: News,
  messages: readonly NewToDeviceMessage[],
): Promise<JsonObject> {
  const devices = new Map(news.keyCounts)
  for (const { userId, deviceId } of messages) {
    devices.set(`${userId} ${deviceId}`, { userId, deviceId: deviceId as DeviceId })
  }
  return { ...(await deviceLists(app, appservice, news)), ...(await keysLeft(app, [...devices.values()])) }
}

async function deviceLists(app: TransactionApp, appservice: Appservice, news: News): Promise<JsonObject> {
  const isOther = (userId: UserId) => !hasUser(appservice, userId)
  const met = (await loadMembersOfRooms(app.database, news.gained)).filter(isOther)
  const parted = (await loadMembersOfRooms(app.database, news.lost)).filter(isOther)
  const mayHaveChanged = new Set([...news.changedLists, ...met])
  const mayHaveLeft = new Set([...news.parted, ...parted])
  const asked = [...new Set([...mayHaveChanged, ...mayHaveLeft])]
  const roommates = await filterRoommates(app.database, appservice.id, { ...news, userIds: asked })
  const changed = [...news.ownLists, ...[...mayHaveChanged].filter((userId) => roommates.has(userId))]
  const left = [...mayHaveLeft].filter((userId) => !roommates.has(userId))
  return changed.length > 0 || left.length > 0 ? { 'org.matrix.msc3202.device_lists': { changed, left } } : {}
}

async function keysLeft(app: TransactionApp, devices: readonly DeviceKey[]): Promise<JsonObject> {
  if (devices.length === 0) return {}
  const counts: Record<UserId, Record<DeviceId, Record<string, number>>> = {}
  const unused: Record<UserId, Record<DeviceId, string[]>> = {}
  for (const { userId, deviceId } of devices) {
    counts[userId] = { ...counts[userId], [deviceId]: { signed_curve25519: 0 } }
    unused[userId] = { ...unused[userId], [deviceId]: [] }
  }
  for (const { userId, deviceId, algorithm, count } of await countOneTimeKeysOf(app.database, devices))
    counts[userId]![deviceId]![algorithm] = count
  for (const { userId, deviceId, algorithm } of await loadUnusedFallbackKeyTypesOf(app.database, devices))
    unused[userId]![deviceId]!.push(algorithm)
  return {
    'org.matrix.msc3202.device_one_time_keys_count': counts,
    // The former names, which old bridges read.
    'org.matrix.msc3202.device_one_time_key_counts': counts,
    'org.matrix.msc3202.device_unused_fallback_key_types': unused,
  }
}
