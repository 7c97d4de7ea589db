import { serverNameOf, type UserId } from '../ids.ts'
import { compileGlob, type Glob } from '../text/glob.ts'

/** The result for an invite: delivered, refused, or accepted from the sender but hidden from the invited user. */
export type InviteVerdict = 'allow' | 'block' | 'ignore'
export type InvitePermission = (inviter: UserId) => InviteVerdict

/** A user's account data of both types; contents are unvalidated. */
export type InvitePermissionConfigs = {
  /** `m.invite_permission_config` */
  permission?: unknown
  /** `org.matrix.msc4155.invite_permission_config` */
  filter?: unknown
}

/** User ids and server names have at most 255 bytes, so longer patterns can match nothing. */
const MAX_PATTERN = 255
const VERDICTS = [
  ['allowed', 'allow'],
  ['ignored', 'ignore'],
  ['blocked', 'block'],
] as const

/** The settings that decide whether a user sees an invite. */
export type InvitedUser = { userId: UserId; ignored: ReadonlySet<string>; permission: InvitePermission }

/** Whether a user does not see invites of a sender. The user's own knocks and rejections are always visible. */
export function isUnwantedInviter({ userId, ignored, permission }: InvitedUser, sender: UserId): boolean {
  return sender !== userId && (ignored.has(sender) || permission(sender) !== 'allow')
}

/** The default: all users may invite. */
export const allowAllInvites: InvitePermission = () => 'allow'

/**
 * Compiles a user's invite permissions. Rules about users precede rules about servers, and rules that allow precede
 * those that ignore or block; otherwise `default_action` applies.
 * https://spec.matrix.org/v1.19/client-server-api/#invite-permission and
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
