import { serverNameOf, type UserId } from '../ids.ts'
import { compileGlob, type Glob } from '../text/glob.ts'

/** What becomes of an invite: it arrives, it is refused, or it seems to arrive but is never told to the invited user. */
export type InviteVerdict = 'allow' | 'block' | 'ignore'
export type InvitePermission = (inviter: UserId) => InviteVerdict

/** What a user has stored under the two names; both may be anything. */
export type InvitePermissionConfigs = {
  /** `m.invite_permission_config` */
  permission?: unknown
  /** `org.matrix.msc4155.invite_permission_config` */
  filter?: unknown
}

/** Users and servers have no more bytes, so longer patterns match nothing that is worth the time. */
const MAX_PATTERN = 255
const VERDICTS = [
  ['allowed', 'allow'],
  ['ignored', 'ignore'],
  ['blocked', 'block'],
] as const

/** What decides whether a user is told of an invite. */
export type InvitedUser = { userId: UserId; ignored: ReadonlySet<string>; permission: InvitePermission }

/** Whether a user is not told of the invites of a sender. The user's own knocks and refusals are told always. */
export function isUnwantedInviter({ userId, ignored, permission }: InvitedUser, sender: UserId): boolean {
  return sender !== userId && (ignored.has(sender) || permission(sender) !== 'allow')
}

/** Nothing is stored: everybody may invite. */
export const allowAllInvites: InvitePermission = () => 'allow'

/**
 * Who may invite a user. Rules about users come before those about servers, those that allow before those that ignore or block; what no
 * rule is about is for `default_action`. https://spec.matrix.org/v1.19/client-server-api/#invite-permission and
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4155
 */
export function compileInvitePermission({ permission, filter }: InvitePermissionConfigs): InvitePermission {
  const rules = ['users', 'servers'].flatMap((of) =>
    VERDICTS.map(([name, verdict]) => ({
      patterns: patternsIn(property(filter, `${name}_${of}`)),
      verdict,
      about: of === 'users' ? (inviter: UserId) => inviter : serverNameOf,
    })),
  )
  const byDefault = [permission, filter].some((config) => property(config, 'default_action') === 'block')
  return (inviter) => {
    const rule = rules.find(({ patterns, about }) => patterns.some((matches) => matches(about(inviter))))
    return rule?.verdict ?? (byDefault ? 'block' : 'allow')
  }
}

function patternsIn(list: unknown): Glob[] {
  if (!Array.isArray(list)) return []
  const usable = (pattern: unknown) => typeof pattern === 'string' && pattern !== '' && pattern.length <= MAX_PATTERN
  return list.filter(usable).map(compileGlob)
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
