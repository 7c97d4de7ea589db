import type { App } from '../../app.ts'
import { ForbiddenError, NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { rightsOf } from '../../core/oauth-scope.ts'
import { findDevice } from '../../storage/devices/devices.ts'
import type { Db } from '../../storage/engine/database.ts'
import {
  countDeviceGrants,
  decideDeviceGrant,
  findDeviceGrant,
  insertDeviceGrant,
  lockDeviceGrant,
} from '../../storage/oauth/device-grants.ts'
import type { OAuthDeviceGrantRow } from '../../storage/schema/oauth-device-grants.ts'
import type { WebSession } from '../sign-in/web-sessions.ts'
import { holdBrowser } from '../users/hold-browser.ts'
import { hashToken, newToken } from '../users/tokens.ts'
import { findClient } from './oauth-clients.ts'
import { OAuthError } from './oauth-error.ts'
import { newUserCode, parseUserCode } from './user-code.ts'

type Capabilities = Pick<App, 'database' | 'clock' | 'random' | 'config' | 'logger'>

const LIFETIME_MS = 15 * 60_000
/** How long an expired grant is kept, so that its device learns why it gets no tokens. */
const REMEMBERED_MS = 15 * 60_000
const INTERVAL_MS = 5000

/** The place in the network from which a device requests a grant. */
export type GrantOrigin = { ip: string; network: string; wideNetwork: string }

/** The response for the requesting device. `userCode` is without its dash. */
export type StartedGrant = { deviceCode: string; userCode: string; expiresInMs: number; intervalMs: number }

/**
 * Starts the grant for a device without a browser, which a user has to approve. Throws `temporarily_unavailable` if too
 * many grants are pending. https://datatracker.ietf.org/doc/html/rfc8628#section-3.1
 */
export async function startDeviceGrant(
  app: Capabilities,
  { clientId, scope, origin }: { clientId: string; scope: string; origin: GrantOrigin },
): Promise<StartedGrant> {
  const deviceCode = newToken(app, 'device')
  const now = app.clock.now()
  const grant = {
    device_code_hash: hashToken(deviceCode),
    client_id: clientId,
    scope,
    ip: origin.ip,
    network: origin.network,
    wide_network: origin.wideNetwork,
    created_ts: now,
    expires_ts: now + LIFETIME_MS,
    interval_ms: INTERVAL_MS,
  }
  const userCode = await app.database.write(async (tx) => {
    const counted = await countDeviceGrants(tx, grant, { now, rememberedMs: REMEMBERED_MS })
    const { counts } = app.config.limits
    if (
      counted.network >= counts.device_grants ||
      counted.wide_network >= counts.device_grants_of_network ||
      counted.all >= counts.device_grants_in_all
    ) {
      throw new OAuthError('temporarily_unavailable', 'Too many devices wait for approval. Try again in some minutes.')
    }
    for (;;) {
      const code = newUserCode(app)
      if (await insertDeviceGrant(tx, { ...grant, user_code_hash: hashToken(code) })) return code
    }
  })
  return { deviceCode, userCode, expiresInMs: LIFETIME_MS, intervalMs: INTERVAL_MS }
}

/** A user at a page, who types a code. `network`: the rate-limit key of the browser's address. */
export type GrantApprover = Pick<WebSession, 'userId' | 'sessionId' | 'authenticatedTs' | 'upstreamSessionNid'> & {
  network: string
}

/** A grant that a user may decide on. */
export type PendingGrant = {
  userCode: string
  /** The name that the client gave itself: no URL of it proves anything here. */
  clientName: string | undefined
  scope: string
  /** The address from which the device requested the grant. */
  ip: string
}

/**
 * Finds the pending grant of a user code as somebody typed it. Throws M_LIMIT_EXCEEDED, M_NOT_FOUND, and M_FORBIDDEN if
 * the device is one of the user's already: a device that begins must not take over another one.
 */
export async function findPendingGrant(
  app: Capabilities & Pick<App, 'rateLimiter'>,
  { typed, approver }: { typed: string; approver: GrantApprover },
): Promise<PendingGrant> {
  const userCode = await takeUserCode(app, { typed, approver })
  const grant = requirePending(await findDeviceGrant(app.database, hashToken(userCode), app.clock.now()))
  await requireNewDevice(app.database, { userId: approver.userId, scope: grant.scope })
  const { metadata } = await findClient(app, grant.client_id)
  return { userCode, clientName: metadata.client_name, scope: grant.scope, ip: grant.ip }
}

/** Stores the decision of a user on a grant. `grantedScope` null: the user refuses. Throws as `findPendingGrant`. */
export async function answerDeviceGrant(
  app: Capabilities & Pick<App, 'rateLimiter'>,
  { typed, approver, isApproved }: { typed: string; approver: GrantApprover; isApproved: boolean },
): Promise<void> {
  const userCode = await takeUserCode(app, { typed, approver })
  const { userId, authenticatedTs, upstreamSessionNid } = approver
  const decidedTs = app.clock.now()
  const userCodeHash = hashToken(userCode)
  await app.database.write(async (tx) => {
    await holdBrowser(tx, approver)
    const { scope } = requirePending(await lockDeviceGrant(tx, userCodeHash, decidedTs))
    if (isApproved) await requireNewDevice(tx, { userId, scope })
    const grantedScope = isApproved ? scope : null
    await decideDeviceGrant(tx, {
      userCodeHash,
      userId,
      authenticatedTs,
      upstreamSessionNid,
      grantedScope,
      decidedTs,
    })
  })
}

/** Counts an attempt, which may be a guess, and returns the code that it names. */
async function takeUserCode(
  app: Pick<App, 'rateLimiter'>,
  { typed, approver }: { typed: string; approver: GrantApprover },
): Promise<string> {
  await app.rateLimiter.take('user_code', approver.userId)
  await app.rateLimiter.take('user_code', approver.network)
  const userCode = parseUserCode(typed)
  if (userCode === undefined) throw unknownCode()
  return userCode
}

function requirePending(grant: OAuthDeviceGrantRow | undefined): OAuthDeviceGrantRow {
  if (!grant || grant.decided_ts !== null) throw unknownCode()
  return grant
}

function unknownCode(): NotFoundError {
  return new NotFoundError('No device waits with this code. It may have expired, or have been used.')
}

async function requireNewDevice(db: Db, device: { userId: UserId; scope: string }): Promise<void> {
  if (await hasDevice(db, device)) throw new ForbiddenError('This device is signed in already')
}

/** Whether a user has the device of a scope. */
export async function hasDevice(db: Db, { userId, scope }: { userId: UserId; scope: string }): Promise<boolean> {
  const { deviceId } = rightsOf(scope)
  return deviceId !== undefined && (await findDevice(db, { userId, deviceId })) !== undefined
}
