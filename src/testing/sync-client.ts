import { type Filter, parseFilter } from '../core/filters/filter-schema.ts'
import type { DeviceId, UserId } from '../core/ids.ts'
import { type SyncCommand, sync } from '../services/sync/v3/sync.ts'
import type { TestApp } from './create-test-app.ts'
import { DEVICE } from './reading-room.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export type SyncBody = { next_batch: string } & Record<string, any>

/** Returns a client that syncs repeatedly: each call continues where the last one ended. */
export function clientOf(app: TestApp, userId: UserId, settings: { filter?: Filter; deviceId?: DeviceId } = {}) {
  let since: string | undefined
  return {
    async sync(options: Partial<SyncCommand> = {}): Promise<SyncBody> {
      const command: SyncCommand = {
        userId,
        deviceId: settings.deviceId ?? DEVICE,
        since,
        timeout: 0,
        filter: parseFilter(settings.filter ?? {}),
        fullState: false,
        stateAfter: undefined,
        signal: new AbortController().signal,
        ...options,
      }
      const body = (await sync(app, command)) as SyncBody
      since = body.next_batch
      return body
    },
  }
}

/** Returns the types of events, with state keys after a slash, for short expectations. */
export function named(events: { type: string; state_key?: string }[]): string[] {
  return events.map(({ type, state_key }) => (state_key ? `${type}/${state_key}` : type))
}

/** Returns the bodies of a timeline's messages. */
export function bodies(events: { content: { body?: string } }[]): string[] {
  return events.flatMap(({ content }) => content.body ?? [])
}
