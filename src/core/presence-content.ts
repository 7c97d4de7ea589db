import type { JsonObject } from './pdu.ts'

/** Returns the content of `m.presence`. A user who is online counts as active now: after some minutes without activity the state is unavailable. https://spec.matrix.org/v1.19/client-server-api/#mpresence */
export function presenceContent(
  { presence, status_msg, last_active_ts }: { presence: string; status_msg: string | null; last_active_ts: number },
  now: number,
): JsonObject {
  return {
    presence,
    ...(last_active_ts > 0 && { last_active_ago: Math.max(0, now - last_active_ts) }),
    ...(status_msg !== null && { status_msg }),
    currently_active: presence === 'online',
  }
}
