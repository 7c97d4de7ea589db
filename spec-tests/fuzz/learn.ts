import type { KnownValues } from './known-values.ts'
import type { Kind } from './references.ts'
import type { FuzzRequest } from './request-draft.ts'

/** Maximum number of values read per response. */
const MAX_VALUES = 600
const MAX_LENGTH = 300

/**
 * Keys of responses that later requests can name. Keys whose meaning depends on the operation are in `BY_OPERATION`.
 */
const MEMBERS: Record<string, Kind> = {
  access_token: 'openid token',
  content_uri: 'mxc',
  delay_id: 'delay',
  device_id: 'device',
  end: 'page',
  event_id: 'event',
  filter_id: 'filter',
  login_token: 'login token',
  next_link: 'url',
  nonce: 'nonce',
  pos: 'pos',
  prev_batch: 'page',
  refresh_token: 'refresh token',
  room_alias: 'alias',
  sequence_token: 'sequence token',
  session: 'session',
  sid: 'sid',
  start: 'page',
  user_id: 'user',
  version: 'backup version',
}

const BY_OPERATION: [RegExp, Record<string, Kind>][] = [
  [/ \/_matrix\/client\/v3\/sync$/, { next_batch: 'sync token' }],
  [/\/search$/, { next_batch: 'search page' }],
  [/(simplified_msc3575|v4)\/sync$/, { next_batch: 'to-device token' }],
  [/\/rendezvous/, { id: 'rendezvous' }],
  [/\/(events|initialSync)$/, { end: 'sync token' }],
  [/\/(relations|threads|hierarchy|notifications|publicRooms)/, { next_batch: 'page', next_token: 'page' }],
]

/** Collects values for later requests from a response, and from an accepted request. */
export function learnFrom(known: Learner, request: FuzzRequest, answer: unknown): void {
  const special = BY_OPERATION.filter(([operations]) => operations.test(request.operation)).map(([, each]) => each)
  const members: Record<string, Kind> = Object.assign({}, MEMBERS, ...special)
  const roomId = roomOf(request)
  for (const [kind, value] of request.named) known.learn(kind, value)
  const pending: unknown[] = [answer]
  for (let looked = 0; pending.length > 0 && looked < MAX_VALUES; looked++) {
    const value = pending.shift()
    if (Array.isArray(value)) pending.push(...value)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
    learnMembers(known, value as Record<string, unknown>, { members, roomId })
    pending.push(...Object.values(value).filter((inner) => typeof inner === 'object'))
  }
}

/** The destination of learnt values. */
export type Learner = Pick<KnownValues, 'learn' | 'learnEvent'>

type Meaning = { members: Record<string, Kind>; roomId: string | undefined }

function learnMembers(known: Learner, object: Record<string, unknown>, { members, roomId }: Meaning): void {
  for (const [key, value] of Object.entries(object)) {
    if (typeof value !== 'string' || value.length > MAX_LENGTH || !Object.hasOwn(members, key)) continue
    const kind = members[key]!
    // Event content has arbitrary values under any key.
    if (!hasForm(kind, value)) continue
    if (kind === 'event') known.learnEvent((object.room_id as string | undefined) ?? roomId ?? '', value)
    else known.learn(kind, value)
    if (kind === 'mxc') known.learn('media', value.split('/').at(-1)!)
  }
}

const FORMS: Partial<Record<Kind, RegExp>> = {
  alias: /^#/,
  'backup version': /^\d+$/,
  event: /^\$/,
  mxc: /^mxc:/,
  user: /^@[^:]+:/,
}

function hasForm(kind: Kind, value: string): boolean {
  return value !== '' && (FORMS[kind]?.test(value) ?? true)
}

function roomOf({ path }: FuzzRequest): string | undefined {
  const [, encoded] = /\/rooms\/([^/?]+)/.exec(path) ?? []
  try {
    return encoded && decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}
