import { z } from 'zod'
import {
  deletePushRule,
  findPushRule,
  putPushRule,
  rulesOfKind,
  setPushRuleActions,
  setPushRuleEnabled,
} from '../../../core/push-rules/edit-rules.ts'
import { changePushRules, pushRulesOf } from '../../../services/users/settings/push-rules.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const params = z.object({ kind: z.string(), ruleId: z.string() })
const rulePath = '/pushrules/global/:kind/:ruleId'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrules */
export const getPushRules = route({
  method: 'GET',
  path: v3('/pushrules'),
  auth: 'user',
  handle: async ({ session }, app) => ({ global: await pushRulesOf(app, session.userId) }),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobal */
export const getGlobalPushRules = route({
  method: 'GET',
  path: v3('/pushrules/global'),
  auth: 'user',
  handle: ({ session }, app) => pushRulesOf(app, session.userId),
})

/** Returns the rules of one kind. The endpoint is no longer in the specification, but old clients use it. */
export const getPushRulesOfKind = route({
  method: 'GET',
  path: v3('/pushrules/global/:kind'),
  auth: 'user',
  params: z.object({ kind: z.string() }),
  handle: async ({ params, session }, app) => rulesOfKind(await pushRulesOf(app, session.userId), params.kind),
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleid */
export const getOnePushRule = route({
  method: 'GET',
  path: v3(rulePath),
  auth: 'user',
  params,
  handle: async ({ params, session }, app) => findPushRule(await pushRulesOf(app, session.userId), params),
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid */
export const putOnePushRule = route({
  method: 'PUT',
  path: v3(rulePath),
  auth: 'user',
  suspendedUsers: true,
  params,
  query: z.object({ before: z.string().optional(), after: z.string().optional() }),
  body: jsonObject,
  async handle({ params, query, body, session }, app) {
    await changePushRules(app, session.userId, (overlay) => putPushRule(overlay, { ...params, ...query, body }))
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3pushrulesglobalkindruleid */
export const deleteOnePushRule = route({
  method: 'DELETE',
  path: v3(rulePath),
  auth: 'user',
  suspendedUsers: true,
  params,
  async handle({ params, session }, app) {
    await changePushRules(app, session.userId, (overlay) => deletePushRule(overlay, params))
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidenabled */
export const getPushRuleEnabled = route({
  method: 'GET',
  path: v3(`${rulePath}/enabled`),
  auth: 'user',
  params,
  async handle({ params, session }, app) {
    const { enabled } = findPushRule(await pushRulesOf(app, session.userId), params)
    return { enabled }
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidenabled */
export const putPushRuleEnabled = route({
  method: 'PUT',
  path: v3(`${rulePath}/enabled`),
  auth: 'user',
  suspendedUsers: true,
  params,
  body: z.object({ enabled: z.boolean() }),
  async handle({ params, body, session }, app) {
    await changePushRules(app, session.userId, (overlay) => setPushRuleEnabled(overlay, { ...params, ...body }))
    return {}
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidactions */
export const getPushRuleActions = route({
  method: 'GET',
  path: v3(`${rulePath}/actions`),
  auth: 'user',
  params,
  async handle({ params, session }, app) {
    const { actions } = findPushRule(await pushRulesOf(app, session.userId), params)
    return { actions }
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidactions */
export const putPushRuleActions = route({
  method: 'PUT',
  path: v3(`${rulePath}/actions`),
  auth: 'user',
  suspendedUsers: true,
  params,
  body: z.object({ actions: z.array(z.unknown()) }),
  async handle({ params, body, session }, app) {
    await changePushRules(app, session.userId, (overlay) => setPushRuleActions(overlay, { ...params, ...body }))
    return {}
  },
})
