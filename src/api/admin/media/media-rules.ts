import { z } from 'zod'
import { quarantineServer, removeContentRule, setContentRule } from '../../../services/media/moderation/media-rules.ts'
import { unquarantineServer } from '../../../services/media/moderation/resumable-work.ts'
import { listContentRules } from '../../../storage/media/content-rules.ts'
import { listQuarantinedServers } from '../../../storage/media/quarantined-servers.ts'
import { serverName } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { hearthV1, listPage, nextToken } from '../admin-fields.ts'
import { hexOf } from './media-fields.ts'

/** Endpoints of Hearth itself: Synapse has no rules for contents and servers. docs/media.md describes them. */
const MEDIA = hearthV1('/media')
const MAX_REASON = 1000

/** A SHA-256 hash in hexadecimal; parses to base64url. */
const sha256 = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'is not a SHA-256 hash in hexadecimal')
  .transform((hex) => Buffer.from(hex, 'hex').toString('base64url'))
const reason = z.string().max(MAX_REASON).nullish()
const ofContent = z.object({ sha256 })
const ofServer = z.object({ serverName })

const getContentRules = route({
  method: 'GET',
  path: `${MEDIA}/content_rules`,
  auth: 'admin',
  query: listPage,
  async handle({ query }, app) {
    const { rules, total } = await listContentRules(app.database, query)
    return {
      rules: rules.map((rule) => ({ ...rule, sha256: hexOf(rule.sha256) })),
      total,
      ...nextToken(query.from, rules.length, total),
    }
  },
})

const putContentRule = route({
  method: 'PUT',
  path: `${MEDIA}/content_rules/:sha256`,
  auth: 'admin',
  params: ofContent,
  body: z.object({ verdict: z.enum(['quarantine', 'deny']), reason }),
  async handle({ params, body, session }, app) {
    const rule = { verdict: body.verdict, reason: body.reason ?? null, by: session.userId }
    return { num_quarantined: await setContentRule(app, params.sha256, rule) }
  },
})

const deleteContentRule = route({
  method: 'DELETE',
  path: `${MEDIA}/content_rules/:sha256`,
  auth: 'admin',
  params: ofContent,
  async handle({ params }, app) {
    await removeContentRule(app, params.sha256)
    return {}
  },
})

const getQuarantinedServers = route({
  method: 'GET',
  path: `${MEDIA}/quarantined_servers`,
  auth: 'admin',
  query: listPage,
  async handle({ query }, app) {
    const { servers, total } = await listQuarantinedServers(app.database, query)
    return { servers, total, ...nextToken(query.from, servers.length, total) }
  },
})

const putQuarantinedServer = route({
  method: 'PUT',
  path: `${MEDIA}/quarantined_servers/:serverName`,
  auth: 'admin',
  params: ofServer,
  body: z.object({ reason }),
  async handle({ params, body, session }, app) {
    const given = { by: session.userId, reason: body.reason ?? null }
    return { num_quarantined: await quarantineServer(app, params.serverName, given) }
  },
})

const deleteQuarantinedServer = route({
  method: 'DELETE',
  path: `${MEDIA}/quarantined_servers/:serverName`,
  auth: 'admin',
  params: ofServer,
  async handle({ params }, app) {
    await unquarantineServer(app, params.serverName)
    return {}
  },
})

export const mediaRuleEndpoints: AnyEndpoint[] = [
  getContentRules,
  putContentRule,
  deleteContentRule,
  getQuarantinedServers,
  putQuarantinedServer,
  deleteQuarantinedServer,
]
