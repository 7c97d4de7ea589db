import type { TestClient } from '../../../testing/client-api.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
type Reply = any

export const LIST = {
  ranges: [[0, 19]],
  timeline_limit: 5,
  required_state: [
    ['m.room.name', ''],
    ['m.room.member', '$ME'],
    ['m.room.member', '$LAZY'],
  ],
}

/**
 * Returns a connection of sliding sync: each call continues at the last position, and repeats the last body unless one
 * is given.
 */
export function slidingClient(client: TestClient, connId = 'main') {
  let pos: string | undefined
  let asked: object = { lists: { all: LIST } }
  const call = (body: object, { from = pos, timeout = 0 }: { from?: string | undefined; timeout?: number } = {}) => {
    const query = new URLSearchParams({ timeout: String(timeout), ...(from !== undefined && { pos: from }) })
    const path = `/../unstable/org.matrix.simplified_msc3575/sync?${query}`
    return client.ask('POST', path, { conn_id: connId, ...body })
  }
  return {
    call,
    pos: () => pos,
    /** Sends a request and stores the new position. */
    async sync(body?: object, options: { from?: string | undefined; timeout?: number } = {}): Promise<Reply> {
      asked = body ?? asked
      const answer = await call(asked, options)
      if (answer.status !== 200) throw new Error(`sliding sync: ${answer.status} ${JSON.stringify(answer.body)}`)
      pos = answer.body.pos
      return answer.body
    },
  }
}
