import type { JsonObject } from '../../../core/pdu.ts'

export type Preset = 'private_chat' | 'trusted_private_chat' | 'public_chat'

/** State that the preset sets in this order, unless the request sets it. */
type PresetState = readonly { type: string; content: JsonObject }[]

const PRIVATE: PresetState = [
  { type: 'm.room.join_rules', content: { join_rule: 'invite' } },
  { type: 'm.room.history_visibility', content: { history_visibility: 'shared' } },
  { type: 'm.room.guest_access', content: { guest_access: 'can_join' } },
]
/** Guests are forbidden, which is also the default without an event. */
const PUBLIC: PresetState = [
  { type: 'm.room.join_rules', content: { join_rule: 'public' } },
  { type: 'm.room.history_visibility', content: { history_visibility: 'shared' } },
]

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom */
export const PRESETS: Readonly<Record<Preset, { state: PresetState; invite: number; trustsInvitees: boolean }>> = {
  // In a private room any member may invite; a public one needs no invites.
  private_chat: { state: PRIVATE, invite: 0, trustsInvitees: false },
  trusted_private_chat: { state: PRIVATE, invite: 0, trustsInvitees: true },
  public_chat: { state: PUBLIC, invite: 50, trustsInvitees: false },
}
