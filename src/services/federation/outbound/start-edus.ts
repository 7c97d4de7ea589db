import type { App } from '../../../app.ts'
import { serverNameOf } from '../../../core/ids.ts'
import { createActiveWork } from '../../../infra/concurrency/active-work.ts'
import { startLeasedWorker } from '../../../infra/concurrency/leased-worker.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { beginFollowing } from '../../../storage/federation/federation-progress.ts'
import { hasOtherServers } from '../../../storage/rooms/membership/other-servers.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { type DeviceListApp, type Fetches, fetchStaleLists } from '../requests/fetch-device-lists.ts'
import type { FollowingApp } from './following-app.ts'
import { resendPresence } from './presence-edus.ts'
import { queueStreamEdus } from './queue-stream-edus.ts'

type Capabilities = FollowingApp & DeviceListApp & Pick<App, 'stream'>

/** Poll interval for work left by a process that died. */
const LOOK_MS = 1000
const PRESENCE_MS = 60_000
const FAILURE = 'enqueueing EDUs failed, will retry'
const CAUSES: readonly string[] = ['typing', 'receipt', 'presence', 'device_list', 'room_complete']

/**
 * Sends EDUs about local users to other servers, following the stream, and fetches stale device lists. Does nothing
 * while no other server is in any room. `stop` waits for work in progress.
 */
export async function startEdus(app: Capabilities): Promise<{ stop(): Promise<void> }> {
  if (!app.config.federation.enabled) return { stop: async () => {} }
  let isNeeded = await hasOtherServers(app.database)
  if (isNeeded) await app.database.write((tx) => beginFollowing(tx, app.stream.position()))
  const fetches: Fetches = createActiveWork()

  const follower = startLeasedWorker(app, {
    failure: FAILURE,
    lookEvery: LOOK_MS,
    subscribe: ({ now }) =>
      app.stream.subscribe((rows) => {
        if (isNeeded) {
          if (rows.some(isCause)) now()
        } else if (rows.some(isJoin)) {
          beginAfter(rows[0]!.stream_position - 1).catch((error) =>
            app.logger.warn({ err: error }, 'looking for other servers failed'),
          )
        }
      }),
    // The lease is a row lock in the transaction that stores the position.
    async look() {
      while (isNeeded && !app.stopping.aborted && (await queueStreamEdus(app)));
      if (isNeeded) await fetchStaleLists(app, fetches)
    },
    active: fetches,
  })
  const presence = repeat(app, { every: PRESENCE_MS, failure: FAILURE }, async () => {
    if (isNeeded) await resendPresence(app)
  })

  return {
    async stop() {
      await Promise.all([follower.stop(), presence.stop()])
    },
  }

  async function beginAfter(position: number): Promise<void> {
    if (!(await hasOtherServers(app.database)) || isNeeded) return
    await app.database.write((tx) => beginFollowing(tx, position))
    isNeeded = true
    follower.now()
  }

  function isJoin({ kind, detail }: StreamRow): boolean {
    return (kind === 'event' || kind === 'state') && detail === 'join'
  }

  function isCause({ kind, room_id, user_id }: StreamRow): boolean {
    if (kind === 'presence') return user_id !== null && serverNameOf(user_id) === app.serverName
    if (kind === 'device_list') return room_id === null
    return CAUSES.includes(kind) || ((kind === 'event' || kind === 'state') && user_id !== null)
  }
}
