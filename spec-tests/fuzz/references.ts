/** The kinds of references in generated values; the homeserver's responses provide the values. */
export const KINDS = [
  'account data type',
  'alias',
  'client secret',
  'delay',
  'device',
  'email',
  'etag',
  'event',
  'event type',
  'filter',
  'key id',
  'login token',
  'mail sid',
  'mail token',
  'media',
  'mxc',
  'new name',
  'nonce',
  'openid token',
  'own server',
  'own user',
  'page',
  'password',
  'pos',
  'refresh token',
  'rendezvous',
  'room',
  'room version',
  'rule',
  'search page',
  'server',
  'session',
  'sid',
  'state key',
  'sequence token',
  'sync token',
  'tag',
  'thread',
  'to-device token',
  'transaction',
  'url',
  'user',
  'backup version',
] as const
export type Kind = (typeof KINDS)[number]

/** Begins the placeholder of a reference; private use, so that no specification has it. */
const MARK = '\u{e000}'

const REFERENCE = new RegExp(`^${MARK}(${KINDS.join('|')})(.*)$`, 's')

/** Returns a placeholder for a value of a kind, which `fillIn` replaces. */
export function referTo(kind: Kind): string {
  return MARK + kind
}

export function isReference(text: string): boolean {
  return text.startsWith(MARK)
}

/** Replaces references in values and keys by `recall`. Text appended to a reference stays behind it. */
export function fillIn(value: unknown, recall: (kind: Kind) => string): unknown {
  if (typeof value === 'string') {
    const [, kind, more = ''] = REFERENCE.exec(value) ?? []
    return kind ? recall(kind as Kind) + more : value
  }
  if (Array.isArray(value)) return value.map((each) => fillIn(each, recall))
  if (typeof value !== 'object' || value === null) return value
  const filled = Object.entries(value).map(([key, inner]) => [fillIn(key, recall) as string, fillIn(inner, recall)])
  return Object.fromEntries(filled)
}

/** Names of keys, query and path parameters, and the kinds that they refer to. */
const BY_NAME: Record<string, Kind> = {
  address: 'email',
  email: 'email',
  after: 'rule',
  alias: 'alias',
  base_url: 'url',
  before: 'rule',
  client_secret: 'client secret',
  device_id: 'device',
  deviceId: 'device',
  delayId: 'delay',
  event_id: 'event',
  eventId: 'event',
  eventType: 'event type',
  filter: 'filter',
  filterId: 'filter',
  from: 'page',
  id_server: 'server',
  keyName: 'account data type',
  latest_events: 'event',
  earliest_events: 'event',
  mediaId: 'media',
  mxid: 'user',
  new_password: 'password',
  next_batch: 'search page',
  next_link: 'url',
  nonce: 'nonce',
  password: 'password',
  pos: 'pos',
  prev_id: 'event',
  redirectUrl: 'url',
  refresh_token: 'refresh token',
  room_alias: 'alias',
  room_alias_name: 'new name',
  room_id: 'room',
  roomAlias: 'alias',
  roomId: 'room',
  roomIdOrAlias: 'room',
  ruleId: 'rule',
  server: 'server',
  serverName: 'server',
  sequence_token: 'sequence token',
  session: 'session',
  session_id: 'key id',
  sessionId: 'key id',
  sid: 'sid',
  since: 'sync token',
  state_key: 'state key',
  stateKey: 'state key',
  tag: 'tag',
  thread_id: 'thread',
  threadId: 'thread',
  to: 'page',
  token: 'login token',
  transaction_id: 'transaction',
  txnId: 'transaction',
  type: 'event type',
  url: 'url',
  user: 'user',
  user_id: 'user',
  userId: 'user',
  userid: 'user',
  username: 'new name',
  v: 'event',
  ver: 'room version',
  version: 'backup version',
  via: 'server',
}

/** Returns the kind to which a key or parameter of this name refers, if any. */
export function kindOfName(name: string): Kind | undefined {
  return Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined
}

/** Returns the kind of an example in the specification, by its form. */
export function kindOfExample(text: string): Kind | undefined {
  if (/^@[^:]+:./.test(text)) return 'user'
  if (/^![^:]+/.test(text)) return 'room'
  if (/^\$.+/.test(text)) return 'event'
  if (/^#[^:]+:./.test(text)) return 'alias'
  if (/^mxc:/.test(text)) return 'mxc'
  if (/^(elsewhere\.ca|other\.example\.org|(matrix|example)\.(org|com))$/.test(text)) return 'server'
  if (/^[^@\s]+@[^@\s]+$/.test(text)) return 'email'
  return /^https?:/.test(text) ? 'url' : undefined
}
