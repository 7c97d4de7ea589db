const REL_TYPES = ['m.thread', 'm.annotation', 'm.reference', 'm.replace', 'org.example.unknown']

/** Relations with a text in each position. */
export const relations = (text: string, eventId: string): object[] => [
  ...REL_TYPES.flatMap((rel_type) => [
    { rel_type, event_id: `$${text}`, key: 'x' },
    { rel_type, event_id: eventId, key: `k${text}` },
  ]),
  { rel_type: 'm.thread', event_id: text },
  { rel_type: text, event_id: eventId },
  { rel_type: text, event_id: `$${text}` },
  { 'm.in_reply_to': { event_id: `$${text}` } },
  { rel_type: 'm.thread', event_id: eventId, is_falling_back: true, 'm.in_reply_to': { event_id: `$${text}` } },
]

/** Contents of messages with a text in keys that this server, or its clients, may read. */
export const messages = (text: string, eventId: string): object[] => [
  { body: text, msgtype: text, formatted_body: text, format: text, url: text, [text]: text },
  { 'm.mentions': { user_ids: [text, `@${text}:x`], room: text } },
  { 'm.new_content': { body: text }, 'm.relates_to': { rel_type: 'm.replace', event_id: eventId } },
]

export type State = { type: string; state_key: string; content: object }
export const stateEvent = (type: string, content: object, state_key = ''): State => ({ type, state_key, content })

/** State with a text in keys that this server reads. */
export const roomState = (text: string): State[] => [
  stateEvent('m.room.name', { name: text }),
  stateEvent('m.room.topic', {
    topic: text,
    'm.topic': { 'm.text': [{ body: text }, { body: text, mimetype: text }] },
  }),
  stateEvent('m.room.avatar', { url: text, info: { mimetype: text } }),
  stateEvent('m.room.guest_access', { guest_access: text }),
  stateEvent('m.room.history_visibility', { history_visibility: text }),
  stateEvent('m.room.history_visibility', { history_visibility: 'shared' }),
  stateEvent('m.room.pinned_events', { pinned: [text, `$${text}`] }),
  stateEvent('m.room.canonical_alias', { alias: text, alt_aliases: [text] }),
  stateEvent(text, { [text]: text }),
]

/** State whose key is or contains a text. */
export const keyedState = (text: string): State[] => [
  stateEvent('m.room.third_party_invite', { display_name: text, key_validity_url: text, public_key: text }, text),
  stateEvent('m.space.child', { via: [text], order: text }, text),
  stateEvent('m.space.child', { via: [text] }, `!${text}:${text}`),
  stateEvent('m.space.parent', { via: [text], canonical: true }, `!${text}`),
  stateEvent('m.bridge', { bridgebot: text }, text),
  stateEvent('m.room.server_acl', { allow: ['*', text], deny: [text] }, `acl${text}`),
  stateEvent(`m.${text}`, { [text]: text }, text),
  stateEvent(text, {}, text),
]

export const memberships = (text: string, self: string): State[] => [
  stateEvent('m.room.member', { membership: text }, text),
  stateEvent('m.room.member', { membership: text }, `@${text}:x`),
  stateEvent('m.room.member', { membership: 'invite', displayname: text, reason: text }, `@${text}:hearth.test`),
  stateEvent('m.room.member', { membership: 'ban', reason: text, avatar_url: text }, `@x${text}:y`),
  stateEvent('m.room.member', { membership: 'join', displayname: text, avatar_url: text, [text]: text }, self),
]

/** The named server would have to sign the join that it authorises. */
export const authorisedJoin = (text: string, self: string): State =>
  stateEvent('m.room.member', { membership: 'join', join_authorised_via_users_server: text }, self)

/** Power levels that leave the attackers their power, with a text as the key of each map. */
export const powerLevels = (owners: readonly string[], name: string) => ({
  users: { ...Object.fromEntries(owners.map((userId) => [userId, 100])), [name]: 1 },
  events: { [name]: 50 },
  notifications: { [name]: 50 },
})

/** A filter of /sync with a text in each position. */
export const filterOf = (text: string) => {
  const events = {
    types: [text, `${text}*`],
    not_types: [`*${text}`],
    senders: [text, `@${text}:x`],
    not_senders: [text],
  }
  const timeline = { ...events, rel_types: [text], not_rel_types: [text], related_by_rel_types: [text] }
  const rooms = [text, `!${text}:x`]
  return {
    event_fields: [text],
    account_data: events,
    presence: events,
    room: { rooms, not_rooms: rooms, timeline, state: events, ephemeral: events, account_data: events },
  }
}
