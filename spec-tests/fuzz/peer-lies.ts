import { BAD_ANSWERS, type BadAnswer } from '../harness/bad-answers.ts'
import { REQUEST_KINDS, type RequestKind } from '../harness/honest-answers.ts'
import { answerBadly, type LyingServer } from '../harness/lying-server.ts'
import type { Draw } from './draw.ts'
import { writeJson } from './hostile-json.ts'
import { mutate } from './mutate.ts'

/** Slow or large responses: server-server/bad-answers.test.ts tests each. */
const SLOW: readonly BadAnswer[] = [
  'silent',
  'stalled',
  'trickling',
  'a huge list',
  'a huge text',
  'endless',
  'an endless error',
]
const QUICK = (Object.keys(BAD_ANSWERS) as BadAnswer[]).filter((answer) => !SLOW.includes(answer))

/** Responses that are bad less often than others, since a bad one prevents further requests. */
const HONEST: Partial<Record<RequestKind, number>> = { keys: 0.97, send: 0.95, make_join: 0.85, send_join: 0.85 }

/** Makes a server respond as `draw` decides: correctly, changed, or badly. */
export function lieAtTimes(peer: LyingServer, draw: Draw): void {
  for (const kind of Object.keys(REQUEST_KINDS) as RequestKind[]) {
    peer.lie(kind, (asked, response) => {
      if (draw.happens(HONEST[kind] ?? 0.6)) return undefined
      if (draw.happens(0.3)) return answerBadly(response, draw.pick(QUICK))
      const honest = peer.honestly(asked)
      if (typeof honest !== 'object' || honest === null || 'contentType' in honest) return undefined
      const content = Buffer.from(writeJson(mutate(draw, honest)))
      return { contentType: 'application/json', content }
    })
  }
}
