import { z } from 'zod'
import type { App } from '../../app.ts'
import { type Appservice, hasUser, isInNamespace } from '../../core/appservice.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { RoomAlias, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { networkInstance } from '../rooms/directory/network-directory.ts'
import { type Protocol, protocolSchema } from './third-party-protocols.ts'

type AskingApp = Pick<App, 'config' | 'appservices' | 'logger' | 'thirdPartyProtocols'>
type Query = Iterable<[string, string]>

const TIMEOUT_MS = 10_000

const text = z.string()
const location = z.looseObject({ alias: text, protocol: text, fields: z.looseObject({}) })
const user = z.looseObject({ userid: text, protocol: text, fields: z.looseObject({}) })

/** Lists all third-party protocols of application services; those that none describes are left out. */
export async function listProtocols(app: AskingApp): Promise<Record<string, Protocol>> {
  const names = [...new Set(app.config.appservices.flatMap(({ protocols }) => protocols))]
  const found = await Promise.all(names.map((name) => describeProtocol(app, name)))
  return Object.fromEntries(names.flatMap((name, place) => (found[place] ? [[name, found[place]]] : [])))
}

/** Returns one protocol. Throws M_NOT_FOUND. */
export async function getProtocol(app: AskingApp, name: string): Promise<Protocol> {
  const found = await describeProtocol(app, name)
  if (!found) throw unknownProtocol()
  return found
}

/**
 * Finds third-party locations, as rooms, by fields of the protocol. Throws M_NOT_FOUND for an unknown protocol, and if
 * there are none.
 */
export function findLocations(app: AskingApp, name: string, fields: Query): Promise<JsonObject[]> {
  return findAll(app, leadingTo(app, name), {
    path: `location/${encodeURIComponent(name)}`,
    query: fields,
    of: location,
  })
}

/** Finds third-party users. Throws as `findLocations`. */
export function findThirdPartyUsers(app: AskingApp, name: string, fields: Query): Promise<JsonObject[]> {
  return findAll(app, leadingTo(app, name), { path: `user/${encodeURIComponent(name)}`, query: fields, of: user })
}

/** Returns the third-party locations of an alias. */
export function locationsOfAlias(app: AskingApp, alias: RoomAlias): Promise<JsonObject[]> {
  const asked = app.config.appservices.filter((appservice) => isInNamespace(appservice, 'aliases', alias))
  return findAll(app, asked, { path: 'location', query: [['alias', alias]], of: location })
}

/** Returns the third-party users of a user ID. */
export function usersOfId(app: AskingApp, userId: UserId): Promise<JsonObject[]> {
  const asked = app.config.appservices.filter((appservice) => hasUser(appservice, userId))
  return findAll(app, asked, { path: 'user', query: [['userid', userId]], of: user })
}

function leadingTo({ config }: AskingApp, name: string): Appservice[] {
  const leading = config.appservices.filter(({ protocols }) => protocols.includes(name))
  if (leading.length === 0) throw unknownProtocol()
  return leading
}

function unknownProtocol(): NotFoundError {
  return new NotFoundError('No application service bridges this protocol')
}

async function describeProtocol(app: AskingApp, name: string): Promise<Protocol | undefined> {
  const leading = app.config.appservices.filter(({ protocols }) => protocols.includes(name))
  const described = await Promise.all(leading.map((appservice) => askForProtocol(app, appservice, name)))
  const [first] = described.flatMap((one) => one ?? [])
  return first && { ...first, instances: described.flatMap((one) => one?.instances ?? []) }
}

/** Cached: every client requests all of them to show the directory, and they hardly ever change. */
async function askForProtocol(app: AskingApp, appservice: Appservice, name: string): Promise<Protocol | undefined> {
  const known = app.thirdPartyProtocols
  const key = `${appservice.id} ${name}`
  const kept = known.get(key)
  if (kept) return kept
  const answer = protocolSchema.safeParse(
    await ask(app, appservice, { path: `protocol/${encodeURIComponent(name)}`, query: [] }),
  )
  if (!answer.success) return undefined
  // Bridges to a protocol with one network may omit its ID.
  const instances = answer.data.instances.map(({ network_id = name, ...instance }) => ({
    ...instance,
    network_id,
    instance_id: networkInstance({ appserviceId: appservice.id, networkId: network_id }),
  }))
  const described = { ...answer.data, instances }
  known.set(key, described)
  return described
}

/** An invalid response counts as empty. Throws M_NOT_FOUND if all are empty. */
async function findAll(
  app: AskingApp,
  asked: readonly Appservice[],
  { path, query, of }: { path: string; query: Query; of: z.ZodType },
): Promise<JsonObject[]> {
  const answers = await Promise.all(asked.map((appservice) => ask(app, appservice, { path, query })))
  const found = answers.flatMap((answer) => (Array.isArray(answer) ? answer : []))
  const valid = found.filter((one) => of.safeParse(one).success)
  if (valid.length === 0) throw new NotFoundError('No application service knows it')
  return valid
}

/** Returns undefined without a successful response. */
async function ask(
  app: AskingApp,
  appservice: Appservice,
  { path, query }: { path: string; query: Query },
): Promise<unknown> {
  if (appservice.url === null) return undefined
  try {
    const { status, text } = await app.appservices.request(appservice, {
      method: 'GET',
      path: `/thirdparty/${path}`,
      legacyPath: `/_matrix/app/unstable/thirdparty/${path}`,
      query,
      timeoutMs: TIMEOUT_MS,
    })
    return status >= 200 && status < 300 ? JSON.parse(text) : undefined
  } catch (error) {
    app.logger.info({ err: error, appservice: appservice.id }, 'appservice request for third-party protocol failed')
    return undefined
  }
}
