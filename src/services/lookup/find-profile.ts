import { z } from 'zod'
import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { serverNameOf, type UserId } from '../../core/ids.ts'
import type { Json } from '../../core/pdu.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import type { Profile } from '../../storage/users/profiles.ts'
import { getProfile, getProfileField } from '../users/profile.ts'

const TIMEOUT_MS = 10_000
const MAX_BYTES = 128 * 1024

const answer = z.record(z.string(), z.json().optional())
const text = z.string()

/**
 * Returns the profile of a local or remote user. Throws M_NOT_FOUND and FederationError.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile
 */
export async function findProfile(
  app: Pick<App, 'database' | 'serverName' | 'federation'>,
  userId: UserId,
): Promise<Profile> {
  return isOurs(app, userId) ? getProfile(app, userId) : askForProfile(app, userId)
}

/** Returns one field of a profile. Throws as `findProfile`, and M_NOT_FOUND for a missing field. */
export async function findProfileField(
  app: Pick<App, 'database' | 'serverName' | 'federation'>,
  userId: UserId,
  field: string,
): Promise<Json> {
  if (isOurs(app, userId)) return getProfileField(app, userId, field)
  const profile = await askForProfile(app, userId, field).catch((error: unknown) => {
    if (!(error instanceof FederationError) || !hasNoSuchField(error, field)) throw error
    return {} as Profile
  })
  if (!Object.hasOwn(profile, field)) throw new NotFoundError('The profile has no such field')
  return profile[field]!
}

/** Servers without custom fields answer 400 to such a query. */
function hasNoSuchField({ status }: FederationError, field: string): boolean {
  return (status === 400 || status === 404) && field !== 'displayname' && field !== 'avatar_url'
}

function isOurs(app: Pick<App, 'serverName'>, userId: UserId): boolean {
  return serverNameOf(userId) === app.serverName
}

async function askForProfile(app: Pick<App, 'federation'>, userId: UserId, field?: string): Promise<Profile> {
  const destination = serverNameOf(userId)
  const response = await app.federation.request({
    destination,
    method: 'GET',
    path: '/_matrix/federation/v1/query/profile',
    query: { user_id: userId, field },
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_BYTES,
  })
  const { success, data } = answer.safeParse(response)
  if (!success) throw new FederationError(`${destination} answers no profile`, { retryable: false })
  const fields = Object.entries(data).flatMap(([name, value]) =>
    isPresentable(name, value) ? [[name, value] as const] : [],
  )
  return Object.fromEntries(fields)
}

/** Clients expect strings; some servers send null for missing names and avatars. */
function isPresentable(name: string, value: Json | undefined): value is Json {
  if (value === undefined) return false
  return (name !== 'displayname' && name !== 'avatar_url') || text.safeParse(value).success
}
