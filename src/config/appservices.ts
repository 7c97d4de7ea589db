import { z } from 'zod'
import type { Appservice } from '../core/appservice.ts'
import { isUserId, type ServerName, type UserId } from '../core/ids.ts'
import { withoutTrailingSlashes } from '../core/text/trailing-slashes.ts'
import { ConfigError } from './config-error.ts'
import { readConfigFile } from './file.ts'
import { describeIssue, type Locate, problemAt } from './problems.ts'

const namespace = z
  .looseObject({
    regex: z.string().refine(isRegex, 'expected a regular expression'),
    exclusive: z.boolean().default(false),
  })
  // Synapse and other servers anchor the expression only at the start of an id.
  .transform(({ regex, exclusive }) => ({ regex: new RegExp(`^(?:${regex})`), exclusive }))

const namespaces = z.looseObject({
  users: z.array(namespace).default([]),
  aliases: z.array(namespace).default([]),
  rooms: z.array(namespace).default([]),
})

const token = z.string().regex(/^[\x21-\x7e]+$/, 'expected a token, without spaces')

/** A registration file: https://spec.matrix.org/v1.19/application-service-api/#registration, with the keys of proposals that bridges use. */
const registration = z.looseObject({
  id: z.string().min(1),
  url: z
    .string()
    .refine((text) => text === '' || isHttpUrl(text), "expected a URL such as 'http://localhost:29317'")
    .nullish(),
  as_token: token,
  hs_token: token,
  sender_localpart: z.string().min(1),
  namespaces,
  rate_limited: z.boolean().default(true),
  protocols: z.array(z.string().min(1)).default([]),
  receive_ephemeral: z.boolean().default(false),
  'de.sorunome.msc2409.push_ephemeral': z.boolean().default(false),
  'org.matrix.msc3202': z.boolean().default(false),
  'org.matrix.msc4203': z.boolean().default(false),
})

/**
 * Reads registration files. Throws ConfigError with all problems; `locate` gives the place of the configuration that
 * names a file.
 */
export function readAppservices(files: readonly string[], serverName: ServerName, locate: Locate): Appservice[] {
  const problems: string[] = []
  const appservices = files.map((file) => {
    try {
      return readAppservice(file, serverName)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      problems.push(error.message)
      return undefined
    }
  })
  for (const [place, appservice] of appservices.entries()) {
    for (const key of ['id', 'asToken'] as const) {
      const first = appservices.findIndex((other) => appservice && other?.[key] === appservice[key])
      const what = key === 'id' ? 'id' : 'as_token'
      if (appservice && first < place) {
        problems.push(problemAt(locate, ['appservices', place], `${files[place]} has the ${what} of ${files[first]}`))
      }
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return appservices.flatMap((appservice) => appservice ?? [])
}

function readAppservice(file: string, serverName: ServerName): Appservice {
  const { tree, locate } = readConfigFile(file)
  const parsed = registration.safeParse(tree)
  if (!parsed.success) throw new ConfigError(parsed.error.issues.flatMap((issue) => describeIssue(issue, locate)))
  const { data } = parsed
  const sender = `@${data.sender_localpart}:${serverName}`
  if (!isUserId(sender)) throw new ConfigError([problemAt(locate, ['sender_localpart'], `${sender} is no user id`)])
  const { receive_ephemeral: ephemeral, 'de.sorunome.msc2409.push_ephemeral': oldEphemeral } = data
  const { 'org.matrix.msc3202': receivesDeviceLists, 'org.matrix.msc4203': toDevice } = data
  return {
    id: data.id,
    url: data.url ? withoutTrailingSlashes(data.url) : null,
    asToken: data.as_token,
    hsToken: data.hs_token,
    sender: sender as UserId,
    namespaces: data.namespaces,
    isRateLimited: data.rate_limited,
    protocols: data.protocols,
    ephemeralKeys: [...(ephemeral ? ['ephemeral'] : []), ...(oldEphemeral ? ['de.sorunome.msc2409.ephemeral'] : [])],
    receivesToDevice: ephemeral || oldEphemeral || receivesDeviceLists || toDevice,
    acknowledgesToDevice: receivesDeviceLists || toDevice,
    receivesDeviceLists,
  }
}

function isRegex(text: string): boolean {
  try {
    new RegExp(text)
    return true
  } catch {
    return false
  }
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}
