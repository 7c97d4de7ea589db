import type { Answer, TestUser } from './client.ts'

export const UNSTABLE_SLIDING_SYNC = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'
const SLIDING_SYNC = '/_matrix/client/v4/sync'

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export type SlidingBody = { pos: string; lists: any; rooms: any; extensions: any }
/** `pos` null: a new connection. */
type Options = { pos?: string | null; timeout?: number }

/** A connection of sliding sync: `sync` continues where the last one ended. */
export type SlidingClient = {
  /** Sends `body`, or the last request; must succeed. */
  sync(body?: object, options?: Options): Promise<SlidingBody>
  /** Sends a request without advancing; returns responses of every status. */
  ask(body: object, options?: Options): Promise<Answer>
  /** Syncs until a condition holds for a response. */
  until(what: (body: SlidingBody) => boolean): Promise<SlidingBody>
}

/** Uses one of the two forms of sliding sync as `user`. */
export function slidingClient(
  user: TestUser,
  { form = 'unstable', connId = 'main' }: { form?: 'stable' | 'unstable'; connId?: string } = {},
): SlidingClient {
  let current: string | undefined
  let asked: object = {}
  const ask: SlidingClient['ask'] = (body, { pos = current ?? null, timeout = 0 } = {}) => {
    if (form === 'stable') return user.ask('POST', SLIDING_SYNC, { conn_id: connId, pos, timeout, ...body })
    const query = new URLSearchParams({ timeout: String(timeout), ...(pos !== null && { pos }) })
    return user.ask('POST', `${UNSTABLE_SLIDING_SYNC}?${query}`, { conn_id: connId, ...body })
  }
  const sync: SlidingClient['sync'] = async (body, options) => {
    asked = body ?? asked
    const answer = await ask(asked, options)
    if (answer.status !== 200) throw new Error(`sliding sync: ${answer.status} ${JSON.stringify(answer.body)}`)
    current = answer.body.pos
    return answer.body
  }
  return {
    ask,
    sync,
    async until(what) {
      for (let round = 0; round < 50; round++) {
        const body = await sync(undefined, { timeout: 10_000 })
        if (what(body)) return body
      }
      throw new Error('sliding sync does not tell what is waited for')
    },
  }
}
